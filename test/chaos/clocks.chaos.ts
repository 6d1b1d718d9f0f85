// Wrong clocks, by libfaketime: of a process, and of the server. The monotonic clocks stay as they are.
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Accepted } from "../postgres/counted.js";
import { type Member, witnessMs } from "../postgres/members.js";
import { OwnServer } from "./own-server.js";
import { Storm } from "./storm.js";

const LIBRARY = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/** Where the clock is set to, one after the other. */
const JUMPS = [
  ["-1h", -3_600_000],
  ["+2h", 7_200_000],
  ["+0", 0],
] as const;
/** What is due when the clock is set back comes later by as much. */
const SERVER_JUMPS = [
  ["+7200s", 7_200_000],
  ["+7190s", 7_190_000],
] as const;

const JUMP_EVERY_MS = 8000;

const PAUSE_MS = 1500;

/** Times are whole milliseconds, and are read one after the other. */
const CLOCK_ERROR_MS = 2;

/** A process knows the server's clock as exactly as the server answers swiftly. */
const ANSWER_MS = 200;

/** As near as two looks at a clock are, with libfaketime between them. */
const NEAR_MS = 5_000;

let folder: string;
let clock: string;
let env: Readonly<Record<string, string>>;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tenure-clock-"));
  clock = join(folder, "clock");
  set("+0");
  env = {
    LD_PRELOAD: LIBRARY,
    FAKETIME_TIMESTAMP_FILE: clock,
    FAKETIME_NO_CACHE: "1",
    DONT_FAKE_MONOTONIC: "1",
  };
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Sets the clock of whoever was started with {@link env}. */
function set(offset: string): void {
  writeFileSync(clock, `${offset}\n`);
}

test("a process's clock is set back 1 h and forward 2 h: no timer is early, no lease is lost", async ({
  skip,
}) => {
  if (!existsSync(LIBRARY)) return skip(`there is no ${LIBRARY}`);
  await using server = await OwnServer.start();
  await using storm = await Storm.begin({
    fault: "clock of a process -1 h, +2 h",
    server: server.url,
    processes: 2,
  });
  await storm.join(1, { env });
  const [first, , wrong] = storm.members;
  if (first === undefined || wrong === undefined) throw new Error("three were asked for");
  const load = storm.load.run(AbortSignal.timeout(JUMP_EVERY_MS * (JUMPS.length + 1)));
  for (const [jump, offMs] of JUMPS) {
    // Half of the timers are set before it, and due after it.
    storm.beside.push(...(await paused(first, `before${jump}`)));
    set(jump);
    storm.beside.push(...(await paused(first, `after${jump}`)));
    await sleep(JUMP_EVERY_MS);
    if (Math.abs((await wrong.clockMs()) - Date.now() - offMs) < NEAR_MS) storm.injected += 1;
  }
  await load;
  await first.waitAll(storm.beside.map(({ instanceId }) => instanceId));
  const testimonies = storm.hub.witness.read();
  const { broken, again } = await storm.settle();
  expect(broken).toEqual([]);
  // The server's clock is this machine's.
  const early = (await pausesOf(storm)).filter(({ clockMs, dueMs }) => clockMs < dueMs - CLOCK_ERROR_MS);
  expect(early, "timers that fired too soon").toEqual([]);
  expect(storm.injected, "jumps that the process saw").toBe(JUMPS.length);
  expect(testimonies.filter(({ pid }) => pid === wrong.pid).length, "it was at work").toBeGreaterThan(0);
  expect(again, "activities run again, as after a takeover").toBe(0);
});

test("the server's clock is set forward 2 h, then back by 10 s: no timer is early by it, and work goes on", async ({
  skip,
}) => {
  if (!existsSync(LIBRARY)) return skip(`there is no ${LIBRARY}`);
  chmodSync(folder, 0o755);
  await using server = await OwnServer.start({ env });
  await using storm = await Storm.begin({
    fault: "clock of the server +2 h, -10 s",
    server: server.url,
    overtaken: true, // leases end by the server's clock
  });
  const [first] = storm.members;
  if (first === undefined) throw new Error("three were asked for");
  const load = storm.load.run(AbortSignal.timeout(JUMP_EVERY_MS * 4));
  const jumps: { readonly atMs: number; readonly offMs: number }[] = [];
  for (const [jump, offMs] of SERVER_JUMPS) {
    await sleep(JUMP_EVERY_MS);
    storm.beside.push(...(await paused(first, `before${jump}`)));
    jumps.push({ atMs: witnessMs(), offMs });
    set(jump);
    const [row] = await server.query("select extract(epoch from clock_timestamp())::float8 * 1000 as now");
    if (Math.abs(Number(row?.["now"]) - Date.now() - offMs) < NEAR_MS) storm.injected += 1;
    storm.beside.push(...(await paused(first, `after${jump}`)));
    await first.waitAll(storm.beside.map(({ instanceId }) => instanceId));
  }
  await load;
  const { broken } = await storm.settle();
  expect(broken).toEqual([]);
  const offMs = (atMs: number): number => jumps.findLast((jump) => jump.atMs <= atMs)?.offMs ?? 0;
  const early = (await pausesOf(storm)).filter(
    ({ clockMs, dueMs, lastedMs, endedAtMs }) =>
      clockMs + offMs(endedAtMs) < dueMs - CLOCK_ERROR_MS && lastedMs < PAUSE_MS - ANSWER_MS,
  );
  expect(early, "timers that fired before their time had passed, or was there by the server's clock").toEqual(
    [],
  );
  expect(storm.injected, "jumps that the server saw").toBe(2);
});

function idsOf(prefix: string): readonly string[] {
  return Array.from({ length: 30 }, (_, index) => `${prefix}-${index}`);
}

async function paused(member: Member, prefix: string): Promise<readonly Accepted[]> {
  return member.startAll(idsOf(prefix), { name: "pause", input: { pauseMs: PAUSE_MS } });
}

interface Pause {
  readonly instanceId: string;
  readonly dueMs: number;
  /** When its second step ran: by the machine's clock, and by the witness's. */
  readonly clockMs: number;
  readonly endedAtMs: number;
  /** From its first step to its second. */
  readonly lastedMs: number;
}

/** How long all of them that were started took. */
async function pausesOf(storm: Storm): Promise<readonly Pause[]> {
  const bootedMs = Date.now() - witnessMs();
  const testimonies = storm.hub.witness.read();
  return Promise.all(
    storm.beside.map(async ({ instanceId }) => {
      const { events = [] } = (await storm.client.getHistory(instanceId)) ?? {};
      const timer = events.find((event) => event.type === "TimerCreated");
      const [before, ...later] = testimonies.filter((line) => line.instanceId === instanceId);
      const after = later.find(({ taskId }) => taskId !== before?.taskId);
      if (timer === undefined || before === undefined || after === undefined)
        throw new Error(`${instanceId} has not run`);
      const { atMs } = after;
      const times = { clockMs: bootedMs + atMs, endedAtMs: atMs, lastedMs: atMs - before.atMs };
      return { instanceId, dueMs: timer.fireAtMs, ...times };
    }),
  );
}
