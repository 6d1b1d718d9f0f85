import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { type Death, dieEverywhere } from "./sqlite-scenario.js";

/** Files that are played on at a time. */
const LANES = 2;

/** Storage calls of the whole scenario, at least: with fewer it would not be what it was. */
const LEAST_CALLS = 30;

test("a process dies at every storage call, before its effect and after it", async () => {
  let call = 0;
  let last = Number.POSITIVE_INFINITY;
  const deaths = function* (): Generator<Death, undefined> {
    while (call <= last) {
      call += 1;
      yield { dieAt: call, effect: false };
      yield { dieAt: call, effect: true };
    }
  };
  const each = deaths();
  const broken = await dieEverywhere(
    "SIGKILL at each storage call",
    LANES,
    () => each.next().value,
    ({ died }, { dieAt = 0 }) => {
      if (!died) last = Math.min(last, dieAt); // it came through: there is no such call
    },
  );
  expect(broken).toEqual([]);
  expect(last).toBeGreaterThan(LEAST_CALLS);
});

/** System calls that write the files, and each how manieth of them is a death: one for every write takes too long. */
const SYSTEM_CALLS = [
  { name: "a write", calls: "pwrite64", step: 11 },
  { name: "a flush", calls: "fsync,fdatasync", step: 1 },
] as const;

const noStrace = spawnSync("strace", ["-V"]).error !== undefined;
if (noStrace) console.log("deaths at system calls: skipped, there is no strace here");

test.skipIf(noStrace).each(SYSTEM_CALLS)(
  "a process dies in its transactions, at $name",
  async ({ name, calls, step }) => {
    let count = 1 - step;
    let over = false;
    const next = (): Death | undefined => {
      count += step;
      if (over) return undefined;
      const under = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", `trace=${calls}`];
      return { under: [...under, "-e", `inject=${calls}:signal=SIGKILL:when=${count}`] };
    };
    const broken = await dieEverywhere(`SIGKILL at ${name}`, LANES, next, ({ died }) => {
      over ||= !died;
    });
    expect(broken).toEqual([]);
  },
);
