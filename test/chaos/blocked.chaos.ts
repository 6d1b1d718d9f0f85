// Code that keeps a process's only thread: nothing of ours runs in it meanwhile, no renewal either.
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../postgres/members.js";
import { OwnServer } from "./own-server.js";
import { Storm } from "./storm.js";

const leaseTimes = { leaseMs: 2000, renewMs: 400, lateMs: 800 };
const BLOCK_MS = 1.5 * leaseTimes.leaseMs;

/** How long a process that runs again has to write what it had decided. */
const REFUSAL_MS = 5000;

let server: OwnServer;

beforeAll(async () => {
  server = await OwnServer.start();
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

test("blocked for one and a half leases between deciding a turn and writing it, for 40 s", async () => {
  await using storm = await Storm.begin({
    fault: "thread blocked before a commit",
    server: server.url,
    member: { store: { leaseTimes } },
  });
  await storm.rage(40_000, [500, 1500], async () => {
    const member = storm.any();
    const before = member.refused.length;
    const held = await member.blocksBeforeNextCommit(BLOCK_MS);
    await sleep(BLOCK_MS);
    const isRefused = async (): Promise<true | undefined> =>
      member.refused.slice(before).some((id) => held.includes(id)) ? true : undefined;
    // Where nobody had taken it over, what it held is accepted: that shows nothing.
    return until(isRefused, REFUSAL_MS).catch(() => false);
  });
  const { broken, refused } = await storm.settle();
  expect(broken).toEqual([]);
  expect(refused, "commits of processes that ran again").toBeGreaterThanOrEqual(storm.injected);
});

test("activities that block their process for one and a half leases, for 40 s", async () => {
  await using storm = await Storm.begin({
    fault: "activity blocks its process",
    server: server.url,
    member: { store: { leaseTimes } },
  });
  const blockers: string[] = [];
  await storm.rage(40_000, [2000, 4000], async () => {
    const id = `blocker-${blockers.length}`;
    await storm.any().startAll([id], { name: "blocker", input: { blockMs: BLOCK_MS } });
    // It bit if somebody else took over what it had, and ran it again.
    const ranTwice = async (): Promise<true | undefined> => {
      const runs = storm.hub.witness.read().filter(({ instanceId }) => instanceId === id);
      return new Set(runs.map(({ pid }) => pid)).size > 1 ? true : undefined;
    };
    const bit = await until(ranTwice, 2 * BLOCK_MS).catch(() => false);
    blockers.push(id);
    return bit;
  });
  const found = await storm.any().waitAll(blockers);
  expect(found.filter(({ runtimeStatus }) => runtimeStatus !== "Completed")).toEqual([]);
  const { broken } = await storm.settle();
  expect(broken).toEqual([]);
});
