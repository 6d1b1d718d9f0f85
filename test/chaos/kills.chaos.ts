import { afterAll, beforeAll, expect, test } from "vitest";
import { OwnServer } from "./own-server.js";
import { between, Storm } from "./storm.js";

let server: OwnServer;

beforeAll(async () => {
  server = await OwnServer.start();
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

test("processes killed with SIGKILL at random for 60 s", async () => {
  await using storm = await Storm.begin({ fault: "SIGKILL of a process", server: server.url });
  await storm.rage(60_000, [1500, 4000], async () => {
    await storm.take().kill();
    await storm.join(1);
  });
  const { broken } = await storm.settle();
  expect(broken).toEqual([]);
});

test("processes stopped with SIGSTOP for longer than their lease, and woken, for 60 s", async () => {
  const leaseTimes = { leaseMs: 2000, renewMs: 400, lateMs: 800 };
  await using storm = await Storm.begin({
    fault: "SIGSTOP > lease",
    server: server.url,
    member: { store: { leaseTimes } },
  });
  await storm.rage(60_000, [500, 1500], async () => {
    const member = storm.any();
    const stopped = member.stopsBeforeNextCommit();
    await stopped;
    await new Promise((resolve) => {
      setTimeout(resolve, between(leaseTimes.leaseMs, 2 * leaseTimes.leaseMs));
    });
    member.wake();
  });
  const { broken, refused } = await storm.settle();
  expect(broken).toEqual([]);
  expect(refused, "commits of woken processes that were refused").toBeGreaterThan(0);
});
