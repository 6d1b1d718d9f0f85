// A disk without room: that of the data, where the server refuses what would grow, and that of the WAL, without which
// it stops itself.
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chownSync, closeSync, mkdtempSync, openSync, rmSync, truncateSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import type { TaskHubClient } from "../../src/client/task-hub-client.js";
import { TaskHub } from "../../src/index.js";
import { until } from "../postgres/members.js";
import { OwnServer, serverUser } from "./own-server.js";
import { Storm } from "./storm.js";

const FULL_MS = 12_000;

/** How long it may take until the disk is found full: pages and logs have some room in them. */
const PATIENCE_MS = 60_000;

/** Jobs that need no caller: they go on writing while nobody can start or send anything. */
const AT_WORK = { ids: Array.from({ length: 20 }, (_, n) => `long-${n}`), input: { steps: 200, ms: 20 } };

const PIECE = Buffer.alloc(64 * 1024);

/** A file system of its own, in memory, that can be filled up. */
class SmallDisk implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), "tenure-disk-"));

  constructor(megabytes: number) {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", this.folder]);
    const owner = serverUser();
    if (owner !== undefined) chownSync(this.folder, owner.uid, owner.gid);
  }

  /** Leaves no byte. */
  fill(): void {
    const ballast = openSync(join(this.folder, "ballast"), "a");
    try {
      for (;;) writeSync(ballast, PIECE);
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
    } finally {
      closeSync(ballast);
    }
  }

  free(): void {
    truncateSync(join(this.folder, "ballast"));
  }

  [Symbol.dispose](): void {
    execFileSync("umount", ["-l", this.folder]);
    rmSync(this.folder, { recursive: true });
  }
}

const missing = process.getuid?.() === 0 ? undefined : "mounting a small disk needs root";

test("the disk of the data is full for 12 s: callers are told, reads answer, and all goes on", async ({
  skip,
}) => {
  if (missing !== undefined) return skip(missing);
  using disk = new SmallDisk(192);
  const walFolder = mkdtempSync(join(tmpdir(), "tenure-wal-"));
  const owner = serverUser();
  if (owner !== undefined) chownSync(walFolder, owner.uid, owner.gid);
  try {
    await using server = await OwnServer.start({ dataFolder: disk.folder, walFolder });
    await using storm = await Storm.begin({ fault: "disk of the data full", server: server.url });
    const connection = await TaskHub.connect({ store: storm.hub.url });
    const over = new AbortController();
    const load = storm.load.run(over.signal);
    await sleep(3000);
    const [known] = storm.load.started;
    storm.beside.push(...(await storm.any().startAll(AT_WORK.ids, { input: AT_WORK.input })));
    disk.fill();
    const told = await refusalOf(connection.client);
    disk.fill();
    const says = async (): Promise<true | undefined> => {
      const logs = await Promise.all(storm.members.map((member) => member.logs()));
      return logs.flat().some((line) => line.includes("disk is full")) ? true : undefined;
    };
    // A process that was at work, and not only whoever asks for what needs room.
    if (await until(says, PATIENCE_MS).catch(() => false)) storm.injected += 1;
    const read = await connection.client.getStatus(known?.instanceId ?? "");
    expect(read?.executionId, "a read").toBe(known?.executionId);
    await sleep(FULL_MS);
    disk.free();
    await sleep(10_000);
    over.abort();
    await load;
    await storm.any().waitAll(AT_WORK.ids, PATIENCE_MS);
    await connection.close();
    const { broken } = await storm.settle();
    expect(broken).toEqual([]);
    expect(told).toMatchObject({ code: "StoreConflict" });
  } finally {
    rmSync(walFolder, { recursive: true, force: true });
  }
});

test("the disk of the WAL is full: the server stops itself, and after a restart all goes on", async ({
  skip,
}) => {
  if (missing !== undefined) return skip(missing);
  using disk = new SmallDisk(192);
  // As little WAL as can be, so that it has to make a new file soon.
  const settings = ["max_wal_size=32MB", "min_wal_size=32MB"];
  await using server = await OwnServer.start({ walFolder: disk.folder, settings });
  await using storm = await Storm.begin({
    fault: "disk of the WAL full",
    server: server.url,
    overtaken: true, // leases end meanwhile, and what was on its way is written when the server is back
  });
  const over = new AbortController();
  const load = storm.load.run(over.signal);
  await sleep(3000);
  disk.fill();
  await refusalOf(storm.client);
  // It stops all its processes, and then itself, or tries again at once: what was freed was needed.
  await until(async () => (server.said().includes("PANIC") ? true : undefined));
  storm.injected += 1;
  await sleep(FULL_MS);
  disk.free();
  await server.restart("kill");
  await sleep(10_000);
  over.abort();
  await load;
  const { broken } = await storm.settle();
  expect(broken).toEqual([]);
});

/** Starts what needs room until a start is refused; with what. */
async function refusalOf(client: TaskHubClient): Promise<unknown> {
  const deadline = performance.now() + PATIENCE_MS;
  for (let number = 1; performance.now() < deadline; number++) {
    try {
      // Random: the server compresses what can be.
      const input = randomBytes(10_000).toString("hex");
      await client.startNew("hold", { instanceId: `large-${number}`, input });
    } catch (error) {
      return error;
    }
  }
  return undefined;
}
