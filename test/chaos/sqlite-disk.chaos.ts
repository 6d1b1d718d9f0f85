import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { TaskHubClient } from "../../src/client/task-hub-client.js";
import { StoreConflictError } from "../../src/core/errors.js";
import { until } from "../postgres/members.js";
import type { End } from "./sqlite-engine.js";
import { SqliteStorm } from "./sqlite-storm.js";
import { between } from "./storm.js";

/** How many engines meet a flush that fails, one after the other. */
const FAILED_FLUSHES = 12;

/** After how many flushes of the store's thread at most. */
const LATEST_FLUSH = 60;

/** What an engine says that ends for it: by a commit, or as it begins, by copying the log that it found. */
const SAID_OF_FLUSH = /This process must end: check the disk|\(disk I\/O error\)\. Check the disk/;

const QUIET_STRACE = ["strace", "-f", "-qq", "-o", "/dev/null"];

const noStrace = spawnSync("strace", ["-V"]).error !== undefined;
if (noStrace) console.log("failing flushes: skipped, there is no strace here");

describe.skipIf(noStrace)("a disk whose flushes fail with EIO", () => {
  test(`ends the engine at once; another one goes on, ${FAILED_FLUSHES} times`, async () => {
    await using storm = await SqliteStorm.begin({ fault: "fsync fails with EIO" });
    const ends: End[] = [];
    await storm.rage(async () => {
      for (let round = 0; round < FAILED_FLUSHES; round++) {
        await storm.engine.kill();
        const from = Math.ceil(between(1, LATEST_FLUSH));
        const doomed = storm.launch({
          under: [
            ...QUIET_STRACE,
            "-e",
            "trace=fsync,fdatasync",
            "-e",
            `inject=fsync,fdatasync:error=EIO:when=${from}+`,
          ],
        });
        await doomed.runs(); // or it ends: its first commit says that it is there
        ends.push(await doomed.ended);
        if (SAID_OF_FLUSH.test(doomed.said)) storm.injected += 1;
        await storm.start();
        await sleep(between(100, 500));
      }
    });
    const { broken } = await storm.settle();
    expect(broken).toEqual([]);
    // As it goes, the thread of an addon may abort it: that is no success either.
    expect(ends.filter(({ code }) => code === 0)).toEqual([]);
    expect(storm.injected).toBe(FAILED_FLUSHES);
  });
});

/** How often the disk is filled, and freed again. */
const FILLS = 5;

/** For how long it stays full. */
const FULL_MS = 5000;

/** What an engine says that meets it: callers that are refused show nothing about the engine. */
const SAID_OF_FULL = /the disk is full/;

/** Characters of an input, just below what one may have. */
const LARGE = 3_000_000;

describe("a disk that is full", () => {
  test(`refuses writes and no reads, and all goes on by itself once there is room, ${FILLS} times`, async ({
    skip,
  }) => {
    const disk = mountSmallDisk();
    if (disk === undefined) return skip("no tmpfs may be mounted here");
    await using mount = disk;
    await using storm = await SqliteStorm.begin({ fault: "disk full", folder: mount.folder });
    const { client } = storm.connection;
    const { load, engine } = storm;
    await storm.rage(async () => {
      for (let round = 0; round < FILLS; round++) {
        const ended = load.ended;
        await until(async () => (load.ended > ended ? true : undefined));
        // Due while the disk is full: callers write no more then, and an engine without work would never meet it.
        const alarm = `alarm-${round}`;
        await client.startNew("alarm", { instanceId: alarm, input: { ms: FULL_MS / 2 } });
        await until(async () =>
          (await client.getStatus(alarm))?.runtimeStatus === "Running" ? true : undefined,
        );
        const before = engine.said.length;
        const ballast = mount.fill();
        const heldFull = sleep(FULL_MS);
        const { accepted, refusal } = await startUntilRefused(client, round);
        expect(refusal).toBeInstanceOf(StoreConflictError);
        expect(String(refusal)).toContain("the disk is full. Free some space");
        expect(await client.getStatus(`large-${round}-${accepted.length}`)).toBeUndefined();
        for (const { instanceId } of load.started.slice(-5))
          expect(await client.getStatus(instanceId)).toBeDefined();
        await until(async () => (SAID_OF_FULL.test(engine.said.slice(before)) ? true : undefined));
        storm.injected += 1;
        await heldFull;
        rmSync(ballast);
        expect(await client.waitForCompletion(alarm)).toMatchObject({ runtimeStatus: "Completed" });
        for (const instanceId of accepted) {
          expect(await client.waitForCompletion(instanceId)).toMatchObject({ runtimeStatus: "Completed" });
          await client.purge(instanceId); // its room is needed for the next
        }
        const freed = load.ended;
        await until(async () => (load.ended > freed ? true : undefined));
      }
    });
    const { broken } = await storm.settle();
    expect(broken).toEqual([]);
    expect(storm.engine, "nobody started another").toBe(engine);
  });
});

/** The log has room of its own, from before; large inputs use it up. */
async function startUntilRefused(client: TaskHubClient, round: number) {
  const accepted: string[] = [];
  for (;;) {
    const instanceId = `large-${round}-${accepted.length}`;
    try {
      await client.startNew("job", { instanceId, input: { steps: 0, padding: "x".repeat(LARGE) } });
      accepted.push(instanceId);
    } catch (refusal) {
      return { accepted, refusal };
    }
  }
}

/** A disk of 64 MB; undefined where none can be mounted. */
function mountSmallDisk() {
  const folder = mkdtempSync(join(tmpdir(), "tenure-disk-"));
  if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=64m", "tmpfs", folder]).status !== 0) {
    rmdirSync(folder);
    return undefined;
  }
  return {
    folder,
    /** Leaves no room. @returns what is to be deleted to have it back. */
    fill(): string {
      const file = join(folder, "ballast");
      for (let size = 1 << 20; size >= 1024; size /= 2) {
        try {
          for (;;) writeFileSync(file, Buffer.alloc(size), { flag: "a" });
        } catch {
          // as much as fits
        }
      }
      return file;
    },
    async [Symbol.asyncDispose](): Promise<void> {
      execFileSync("umount", ["--lazy", folder]); // the engine is gone, and its files soon
      rmdirSync(folder);
    },
  };
}
