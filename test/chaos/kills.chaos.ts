import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { OwnServer } from "./own-server.js";
import { between, SHORT_LEASE, Storm } from "./storm.js";

/** The default one. */
const LEASE_MS = 10_000;

test("a process killed with SIGKILL: all goes on within a lease and 5 s", async () => {
  await using server = await OwnServer.start();
  await using storm = await Storm.begin({ fault: "SIGKILL of a process, once", server: server.url });
  const load = storm.load.run(AbortSignal.timeout(20_000));
  await sleep(8000);
  if (await storm.killOne()) storm.injected += 1;
  await load;
  const { broken, recoverMs } = await storm.settle();
  expect(broken).toEqual([]);
  expect(recoverMs).toBeLessThan(LEASE_MS + 5000);
});

// After two that end in a row the next take up one instance at a time (decision 014): how long that takes has no bound.
test("processes killed with SIGKILL at random for 60 s", async () => {
  await using server = await OwnServer.start();
  await using storm = await Storm.begin({ fault: "SIGKILL of processes in a row", server: server.url });
  await storm.rage(60_000, [1500, 4000], () => storm.killOne());
  const { broken } = await storm.settle();
  expect(broken).toEqual([]);
});

test("processes stopped with SIGSTOP for longer than their lease, and woken, for 60 s", async () => {
  await using server = await OwnServer.start();
  await using storm = await Storm.begin({
    fault: "SIGSTOP > lease",
    server: server.url,
    member: { store: { leaseTimes: SHORT_LEASE } },
    overtaken: true,
  });
  await storm.rage(60_000, [500, 1500], () =>
    storm.stall(async (member) => {
      const held = await member.stopsBeforeNextCommit();
      await sleep(between(SHORT_LEASE.leaseMs, 2 * SHORT_LEASE.leaseMs));
      member.wake();
      return held;
    }),
  );
  const { broken, refused } = await storm.settle();
  expect(broken).toEqual([]);
  expect(refused, "commits of woken processes that were refused").toBeGreaterThanOrEqual(storm.injected);
});
