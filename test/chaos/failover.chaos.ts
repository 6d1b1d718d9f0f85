// The primary dies and its standby is promoted. Processes and callers reach whichever is primary at one address.
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { TaskHub } from "../../src/index.js";
import { SharedHub, until } from "../postgres/members.js";
import { OwnServer } from "./own-server.js";
import { type Delay, Relay } from "./relay.js";
import { Storm } from "./storm.js";
import { printSummary } from "./summary.js";

/** Long enough that the switch is in the middle of the work. */
const BEFORE_MS = 8000;
const AFTER_MS = 15_000;

/** The standby hears of nothing any more; how long it is so before the primary dies, where commits wait for it. */
const STALL: Delay = () => 3_600_000;
const STALLED_MS = 2000;

test("the primary is killed and its synchronous standby promoted: nothing acknowledged is lost", async () => {
  await using primary = await OwnServer.start();
  // The standby's own way to the primary.
  await using link = await Relay.to(primary.port);
  await using standby = await primary.standby(link.port);
  await primary.query("alter system set synchronous_standby_names = 'standby'");
  await primary.query("select pg_reload_conf()");
  await standbyIs(primary, "sync");
  await using address = await Relay.to(primary.port);
  await using storm = await Storm.begin({ fault: "failover, synchronous standby", server: address.url });
  const load = storm.load.run(AbortSignal.timeout(BEFORE_MS + STALLED_MS + AFTER_MS));
  await sleep(BEFORE_MS);
  link.slow(STALL);
  await sleep(STALLED_MS);
  const endedBefore = storm.load.ended;
  const waiting = await primary.query("select 1 from pg_stat_activity where wait_event = 'SyncRep'");
  await primary.stop("kill");
  link.leadTo(standby.port);
  await standby.promote();
  address.leadTo(standby.port);
  // It dies with commits that the standby has not, and that nobody was told of.
  if (endedBefore > 0 && waiting.length > 0) storm.injected += 1;
  await load;
  const { broken, runs } = await storm.settle();
  expect(broken).toEqual([]);
  expect(runs, "work went on at the new primary").toBeGreaterThan(endedBefore);
  expect((await standby.query("select pg_is_in_recovery() as standby"))[0]).toEqual({ standby: false });
});

test("a standby that is asynchronous: the process warned of it, and a failover loses what was acknowledged", async () => {
  const starts = 300;
  const began = performance.now();
  await using primary = await OwnServer.start();
  await using link = await Relay.to(primary.port);
  await using standby = await primary.standby(link.port);
  await standbyIs(primary, "async");
  await using address = await Relay.to(primary.port);
  await using hub = new SharedHub(address.url);
  const [member] = await hub.start(1);
  expect(await member?.logs()).toContainEqual(expect.stringContaining("only standby is asynchronous"));
  await caughtUp(primary);
  link.slow(STALL); // and nobody waits for it
  const ids = Array.from({ length: starts }, (_, index) => `job-${index}`);
  const told = await member?.startAll(ids, { name: "hold" });
  const injected = (await isBehind(primary)) ? 1 : 0;
  // An older state and processes that remember a newer one do not go together: docs/postgres.md, "Failover".
  await member?.kill();
  await primary.stop("kill");
  link.leadTo(standby.port);
  await standby.promote();
  address.leadTo(standby.port);
  const connection = await TaskHub.connect({ store: hub.url });
  const found = await Promise.all(ids.map((id) => connection.client.getStatus(id)));
  await connection.close();
  const lost = found.filter((status) => status === undefined).length;
  printSummary({
    fault: "failover, asynchronous (warned of)",
    runs: told?.length ?? 0,
    injected,
    refused: member?.refused.length,
    again: 0,
    lost,
    doubled: 0,
    recoverMs: undefined,
    seconds: (performance.now() - began) / 1000,
    errors: "",
  });
  expect(injected, "the primary died with what the standby had not").toBe(1);
  expect(told?.map(({ outcome }) => outcome)).toEqual(ids.map(() => "started"));
  expect(lost, "all that was acknowledged since the standby stalled").toBe(starts);
});

async function standbyIs(primary: OwnServer, state: string): Promise<void> {
  await until(async () => {
    const rows = await primary.query("select sync_state from pg_stat_replication where state = 'streaming'");
    return rows[0]?.["sync_state"] === state ? true : undefined;
  });
}

/** Once the standby has all that is there. */
async function caughtUp(primary: OwnServer): Promise<void> {
  await until(async () => ((await isBehind(primary)) ? undefined : true));
}

async function isBehind(primary: OwnServer): Promise<boolean> {
  const rows = await primary.query(
    "select pg_current_wal_lsn() <= flush_lsn as there from pg_stat_replication",
  );
  return rows[0]?.["there"] !== true;
}
