import { expect, test } from "vitest";
import { until } from "../postgres/members.js";
import { OwnServer } from "./own-server.js";
import { Relay } from "./relay.js";
import { between, Storm } from "./storm.js";

/** In the default lease of 10 s there is time for some renewals, however slow. */
const STALL_MS = 3000;

const SHARDS = 256;
const PROCESSES = 3;

/** Of one process, once all have their share: a quarter above it. */
const MOST = Math.ceil((SHARDS / PROCESSES) * 1.25);

test("every packet takes 50 to 500 ms each way, and now and then nothing passes for 3 s", async () => {
  await using server = await OwnServer.start();
  await using relay = await Relay.to(server.port);
  await using storm = await Storm.begin({ fault: "slow network, stalls of 3 s", server: relay.url });
  const [first] = storm.members;
  if (first === undefined) throw new Error("three were asked for");
  const share = await until(async () => {
    const workers = await first.workers();
    const shared = workers.length === PROCESSES && workers.every(({ shards }) => shards <= MOST);
    const whole = workers.reduce((sum, { shards }) => sum + shards, 0) === SHARDS;
    return shared && whole ? workers.map(({ id, shards }) => `${id} ${shards}`) : undefined;
  });
  const slow = (): number => between(50, 500);
  relay.slow(slow);
  const moved: string[] = [];
  await storm.rage(40_000, [4000, 8000], async () => {
    const untilMs = performance.now() + STALL_MS;
    relay.slow(() => Math.max(untilMs - performance.now(), 0) + slow());
    // Who is believed to live, and with how many shards: nobody else may have taken any.
    const workers = await first.workers();
    const { heldMs } = relay;
    relay.slow(slow);
    moved.push(...workers.map(({ id, shards }) => `${id} ${shards}`).filter((line) => !share.includes(line)));
    return heldMs >= STALL_MS;
  });
  relay.slow(() => 0);
  const { broken, again } = await storm.settle();
  expect(broken).toEqual([]);
  expect(moved, "shards taken from a process that renewed its lease").toEqual([]);
  expect(again, "activities run again, as after a takeover").toBe(0);
});
