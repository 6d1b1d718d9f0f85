import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { killAtEveryCall, type Way } from "./every-call.js";
import { dieEverywhere } from "./sqlite-scenario.js";
import { damage, leftIn } from "./sqlite-storm.js";
import { printSummary } from "./summary.js";

/** Storage calls of the whole scenario, at least: with fewer it would not be what it was. */
const LEAST_CALLS = 30;

test.for<Way>(["before", "after"])("killed %s each of its storage calls", async (way) => {
  const folder = mkdtempSync(join(tmpdir(), "tenure-every-call-"));
  try {
    const began = performance.now();
    const { killed, started, refused, again, lost, doubled } = await killAtEveryCall({
      way,
      place: (at) => ({ url: `sqlite:${join(folder, `${at}.db`)}`, taskHub: `killed-at-${at}` }),
    });
    const broken: string[] = [];
    for (const name of readdirSync(folder).filter((each) => each.endsWith(".db"))) {
      const file = join(folder, name);
      broken.push(...(await leftIn(file)), ...(await damage(file)));
    }
    printSummary({
      fault: `SQLite: SIGKILL ${way} storage call 1…${killed}`,
      runs: started,
      injected: killed,
      refused,
      again,
      lost: lost.length,
      doubled: doubled.length + broken.length,
      recoverMs: undefined,
      seconds: (performance.now() - began) / 1000,
      errors: "",
    });
    expect([...lost, ...doubled, ...broken]).toEqual([]);
    expect(killed).toBeGreaterThan(LEAST_CALLS);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

/** Files that are played on at a time. */
const LANES = 2;

/**
 * System calls that write the files, each how manieth of them is a death (one for every write takes too long), and
 * how many deaths there must be at least: the series ends with the first process that comes through.
 */
const SYSTEM_CALLS = [
  { name: "a write", calls: "pwrite64", step: 11, least: 25 },
  { name: "a flush", calls: "fsync,fdatasync", step: 1, least: 25 },
] as const;

const noStrace = spawnSync("strace", ["-V"]).error !== undefined;
if (noStrace) console.log("deaths at system calls: skipped, there is no strace here");

test.skipIf(noStrace).each(SYSTEM_CALLS)(
  "a process dies in its transactions, at $name",
  async ({ name, calls, step, least }) => {
    const strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", `trace=${calls}`];
    const { died, broken } = await dieEverywhere(`SIGKILL at ${name}`, LANES, (nth) => {
      return [...strace, "-e", `inject=${calls}:signal=SIGKILL:when=${1 + (nth - 1) * step}`];
    });
    expect(broken).toEqual([]);
    expect(died).toBeGreaterThanOrEqual(least);
  },
);
