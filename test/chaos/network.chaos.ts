// A process that is cut off from the server: it does not hear that its connections are gone, nor does the server.
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { type Member, until } from "../postgres/members.js";
import { type Direction, Namespace } from "./namespace.js";
import { OwnServer } from "./own-server.js";
import { Storm } from "./storm.js";

const SHARDS = 256;
const leaseTimes = { leaseMs: 4000, renewMs: 400, lateMs: 800 };

/** How long it is cut off: several leases. */
const CUT_MS = 12_000;

const missing = Namespace.missing();

/** The namespace reaches it from outside. */
const settings = ["listen_addresses=*"];

interface Cut {
  readonly name: string;
  readonly directions: readonly Direction[];
  /** The server ends its connections meanwhile, which it does not hear. */
  readonly halfOpen?: true;
}

const CUTS: readonly Cut[] = [
  { name: "cannot send", directions: ["out"] },
  { name: "hears nothing", directions: ["in"] },
  { name: "half-open", directions: ["in"], halfOpen: true },
  { name: "cut both ways", directions: ["in", "out"] },
];

test("a process cut off for longer than its lease: others take over, and it comes back by itself", async ({
  skip,
}) => {
  if (missing !== undefined) return skip(missing);
  await using server = await OwnServer.start({ settings });
  await using namespace = Namespace.create();
  const url = `postgres://postgres@${namespace.host}:${server.port}/postgres`;
  await using storm = await Storm.begin({
    fault: "network cut: out, in, half-open, both",
    server: url,
    processes: 2,
    member: { store: { leaseTimes } },
  });
  await storm.join(1, { launcher: namespace.launcher });
  const [staying, , cut] = storm.members;
  if (staying === undefined || cut === undefined) throw new Error("three were asked for");
  const over = new AbortController();
  const load = storm.load.run(over.signal);
  const attempts: string[] = [];
  for (const { name, directions, halfOpen } of CUTS) {
    const held = await until(async () => (await shardsOf(staying, cut)) || undefined);
    namespace.heal();
    for (const direction of directions) namespace.drop(direction);
    const beganMs = performance.now();
    if (halfOpen) {
      await server.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where client_addr = '${namespace.address}'`,
      );
    }
    await until(async () =>
      (await shardsOf(staying, ...storm.members.slice(0, 2))) === SHARDS ? true : undefined,
    );
    await sleep(CUT_MS - (performance.now() - beganMs));
    const perSecond = namespace.attempts() / ((performance.now() - beganMs) / 1000);
    attempts.push(`${name}: ${perSecond.toFixed(1)}/s`);
    expect(perSecond, `attempts to connect in a second, ${name}: more would be spinning`).toBeLessThan(2);
    expect(perSecond, `attempts to connect in a second, ${name}: it goes on trying`).toBeGreaterThan(0);
    const dropped = namespace.dropped();
    namespace.heal();
    if (held > 0 && dropped > 0) storm.injected += 1;
    await until(async () => (await shardsOf(staying, cut)) || undefined);
  }
  process.stdout.write(`attempts to connect: ${attempts.join(", ")}\n`);
  over.abort();
  await load;
  const { broken } = await storm.settle();
  expect(broken).toEqual([]);
  expect(storm.injected, "cuts that swallowed what was sent").toBe(CUTS.length);
});

test("20 % of the packets are lost, each way, for 30 s", async ({ skip }) => {
  if (missing !== undefined) return skip(missing);
  await using server = await OwnServer.start({ settings });
  await using namespace = Namespace.create();
  const url = `postgres://postgres@${namespace.host}:${server.port}/postgres`;
  await using storm = await Storm.begin({ fault: "20 % packet loss", server: url, processes: 2 });
  await storm.join(1, { launcher: namespace.launcher });
  const [staying, , lossy] = storm.members;
  if (staying === undefined || lossy === undefined) throw new Error("three were asked for");
  await until(async () => (await shardsOf(staying, lossy)) || undefined);
  for (const direction of ["in", "out"] as const) namespace.drop(direction, 0.2);
  await storm.load.run(AbortSignal.timeout(30_000));
  storm.injected = namespace.dropped();
  namespace.heal();
  const worked = storm.hub.witness.read().filter(({ pid }) => pid === lossy.pid).length;
  const { broken } = await storm.settle();
  expect(broken).toEqual([]);
  expect(worked, "activities of the process that was hit").toBeGreaterThan(0);
  await until(async () => (await shardsOf(staying, lossy)) || undefined);
});

/** How many of the hub's shards these hold, as that one sees it. */
async function shardsOf(seer: Member, ...members: readonly Member[]): Promise<number> {
  const ids = members.map(({ worker }) => worker);
  const workers = await seer.workers();
  return workers.filter(({ id }) => ids.includes(id)).reduce((sum, { shards }) => sum + shards, 0);
}
