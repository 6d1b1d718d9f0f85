import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../postgres/members.js";
import { OwnServer } from "./own-server.js";
import { between, Storm } from "./storm.js";

/** How long a process that was woken has to write what it had decided. */
const REFUSAL_MS = 5000;

let server: OwnServer;

beforeAll(async () => {
  server = await OwnServer.start();
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

test("processes killed with SIGKILL at random for 60 s", async () => {
  await using storm = await Storm.begin({ fault: "SIGKILL of a process", server: server.url });
  await storm.rage(60_000, [1500, 4000], () => storm.killOne());
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
    const held = await member.stopsBeforeNextCommit();
    const before = member.refused.length;
    await new Promise((resolve) => {
      setTimeout(resolve, between(leaseTimes.leaseMs, 2 * leaseTimes.leaseMs));
    });
    member.wake();
    const isRefused = async (): Promise<true | undefined> =>
      member.refused.slice(before).some((id) => held.includes(id)) ? true : undefined;
    // Where nobody had taken it over, what it held is accepted: that shows nothing.
    return until(isRefused, REFUSAL_MS).catch(() => false);
  });
  const { broken, refused } = await storm.settle();
  expect(broken).toEqual([]);
  expect(refused, "commits of woken processes that were refused").toBeGreaterThanOrEqual(storm.injected);
});
