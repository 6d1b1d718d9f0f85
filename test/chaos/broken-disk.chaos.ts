// A disk that does not do what it was asked, or gives back something else.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { TaskHubClient } from "../../src/client/task-hub-client.js";
import { TenureError } from "../../src/core/errors.js";
import { TaskHub } from "../../src/index.js";
import { SharedHub, until } from "../postgres/members.js";
import { OwnServer } from "./own-server.js";
import { Storm } from "./storm.js";
import { printSummary } from "./summary.js";

const missing = ((): string | undefined => {
  if (spawnSync("strace", ["-V"]).error !== undefined) return "there is no strace on the PATH";
  return process.getuid?.() === 0 ? undefined : "to trace what runs already needs root";
})();

/** How long it may take until somebody flushes. */
const PATIENCE_MS = 10_000;

test("flushes of the server's log fail with EIO, again and again for 40 s: it stops, recovers, and nothing is lost", async ({
  skip,
}) => {
  if (missing !== undefined) return skip(missing);
  await using server = await OwnServer.start();
  await using storm = await Storm.begin({ fault: "EIO on fdatasync of the server", server: server.url });
  await storm.rage(40_000, [4000, 7000], () => failsAtFlush(server));
  const { broken } = await storm.settle();
  expect(broken).toEqual([]);
});

/** All who write now are told that their next flush failed. @returns whether the server stopped itself for it. */
async function failsAtFlush(server: OwnServer): Promise<boolean> {
  const panics = (): number => server.said().split("PANIC").length;
  const before = panics();
  const rows = await server.query(
    `select pid from pg_stat_activity
      where backend_type in ('client backend', 'walwriter') and pid <> pg_backend_pid()`,
  );
  const orders = ["-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO"];
  const tracer = spawn("strace", [...orders, ...rows.flatMap(({ pid }) => ["-p", String(pid)])], {
    stdio: "ignore",
  });
  const ended = once(tracer, "exit");
  const stopped = await until(async () => (panics() > before ? true : undefined), PATIENCE_MS).catch(
    () => false,
  );
  // It ends with those that it traced, unless nobody flushed.
  tracer.kill("SIGINT");
  await ended;
  await until(() => server.query("select 1").catch(() => undefined));
  return stopped;
}

/** Enough for several pages of each table. */
const JOBS = 60;

const TABLES = ["inst", "execution", "hist"] as const;

/** The last bytes of a page are those of its first row. */
const PAGE_BYTES = 8192;
const FROM_END = 20;

test("a byte of a table is another than was written: whoever reads it is told, and nobody gets a wrong answer", async () => {
  const began = performance.now();
  await using server = await OwnServer.start();
  await using hub = new SharedHub(server.url);
  const [member] = await hub.start(1);
  const ids = Array.from({ length: JOBS }, (_, index) => `job-${index}`);
  await member?.startAll(ids, { input: { child: true } });
  await member?.waitAll(ids);
  await member?.close();
  const [folder] = await server.query("show data_directory");
  const schema = new URL(hub.url).searchParams.get("schema");
  const before = await answersOf(hub.url, ids);
  expect(before.filter((answer) => answer instanceof TenureError)).toEqual([]);
  const told: (string | TenureError | undefined)[] = [];
  let injected = 0;
  for (const table of TABLES) {
    await server.query("checkpoint");
    const [file] = await server.query(`select pg_relation_filepath('${schema}.${table}') as path`);
    const path = join(String(folder?.["data_directory"]), String(file?.["path"]));
    await server.stop("fast");
    flip(path);
    await server.start();
    const answers = await answersOf(hub.url, ids);
    const refused = answers.filter((answer) => answer instanceof TenureError);
    if (refused.length > 0) injected += 1;
    for (const { code, message } of refused) {
      expect(code).toBe("StoreUnusable");
      expect(message).toMatch(/invalid page|checksum/);
    }
    told.push(...answers.map((answer, index) => (answer === before[index] ? undefined : answer)));
    await server.stop("fast");
    flip(path);
    await server.start();
  }
  const wrong = told.filter((answer) => typeof answer === "string");
  printSummary({
    fault: "flipped byte in a table",
    runs: JOBS,
    injected,
    refused: undefined,
    again: 0,
    lost: wrong.filter((answer) => answer === GONE).length,
    doubled: wrong.filter((answer) => answer !== GONE).length,
    recoverMs: undefined,
    seconds: (performance.now() - began) / 1000,
    errors: `${told.filter((answer) => answer instanceof TenureError).length} StoreUnusable`,
  });
  expect(wrong).toEqual([]);
  expect(injected, "tables in which it was seen").toBe(TABLES.length);
  expect(await answersOf(hub.url, ids), "once it is mended").toEqual(before);
});

const GONE = JSON.stringify([null, null]);

/** What the hub says of each: all of it, or why not. */
async function answersOf(url: string, ids: readonly string[]): Promise<readonly (string | TenureError)[]> {
  await using connection = await TaskHub.connect({ store: url });
  return await Promise.all(ids.map((id) => answerOf(connection.client, id)));
}

async function answerOf(client: TaskHubClient, id: string): Promise<string | TenureError> {
  try {
    return JSON.stringify([(await client.getStatus(id)) ?? null, (await client.getHistory(id)) ?? null]);
  } catch (error) {
    if (error instanceof TenureError) return error;
    throw error;
  }
}

/** A byte in the first row of the first page; twice, and it is as it was. */
function flip(path: string): void {
  const file = openSync(path, "r+");
  try {
    const byte = Buffer.alloc(1);
    readSync(file, byte, 0, 1, PAGE_BYTES - FROM_END);
    byte.writeUInt8(byte.readUInt8(0) ^ 0x01);
    writeSync(file, byte, 0, 1, PAGE_BYTES - FROM_END);
  } finally {
    closeSync(file);
  }
}
