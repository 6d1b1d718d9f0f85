// Code that keeps a process's only thread: nothing of ours runs in it meanwhile, no renewal either.
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { until } from "../postgres/members.js";
import { OwnServer } from "./own-server.js";
import { SHORT_LEASE, Storm } from "./storm.js";

const BLOCK_MS = 1.5 * SHORT_LEASE.leaseMs;

test("blocked for one and a half leases between deciding a turn and writing it, for 40 s", async () => {
  await using server = await OwnServer.start();
  await using storm = await Storm.begin({
    fault: "thread blocked before a commit",
    server: server.url,
    member: { store: { leaseTimes: SHORT_LEASE } },
    overtaken: true,
  });
  await storm.rage(40_000, [500, 1500], () =>
    storm.stall(async (member) => {
      const held = await member.blocksBeforeNextCommit(BLOCK_MS);
      await sleep(BLOCK_MS);
      return held;
    }),
  );
  const { broken, refused } = await storm.settle();
  expect(broken).toEqual([]);
  expect(refused, "commits of processes that ran again").toBeGreaterThanOrEqual(storm.injected);
});

test("activities that block their process for one and a half leases, for 40 s", async () => {
  await using server = await OwnServer.start();
  await using storm = await Storm.begin({
    fault: "activity blocks its process",
    server: server.url,
    member: { store: { leaseTimes: SHORT_LEASE } },
    overtaken: true,
  });
  const blockers: string[] = [];
  await storm.rage(40_000, [2000, 4000], async () => {
    const id = `blocker-${blockers.length}`;
    blockers.push(id);
    const input = { blockMs: BLOCK_MS };
    storm.beside.push(...(await storm.any().startAll([id], { name: "blocker", input })));
    // It bit if somebody else took over what it had, and ran it again.
    const ranTwice = async (): Promise<true | undefined> => {
      const runs = storm.hub.witness.read().filter(({ instanceId }) => instanceId === id);
      return new Set(runs.map(({ pid }) => pid)).size > 1 ? true : undefined;
    };
    return until(ranTwice, 2 * BLOCK_MS).catch(() => false);
  });
  const found = await storm.any().waitAll(blockers);
  expect(found.filter(({ runtimeStatus }) => runtimeStatus !== "Completed")).toEqual([]);
  const { broken } = await storm.settle();
  expect(broken).toEqual([]);
});
