// The primary dies and its standby is promoted. Processes and callers reach whichever is primary at one address.
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { TaskHub } from "../../src/index.js";
import { SharedHub, until } from "../postgres/members.js";
import { OwnServer } from "./own-server.js";
import { Relay } from "./relay.js";
import { Storm } from "./storm.js";
import { printSummary } from "./summary.js";

/** Long enough that the switch is in the middle of the work. */
const BEFORE_MS = 8000;
const AFTER_MS = 15_000;

test("the primary is killed and its synchronous standby promoted: nothing acknowledged is lost", async () => {
  await using primary = await OwnServer.start();
  await using standby = await primary.standby();
  await primary.query("alter system set synchronous_standby_names = 'standby'");
  await primary.query("select pg_reload_conf()");
  await standbyIs(primary, "sync");
  await using address = await Relay.to(primary.port);
  await using storm = await Storm.begin({ fault: "failover, synchronous standby", server: address.url });
  const load = storm.load.run(AbortSignal.timeout(BEFORE_MS + AFTER_MS));
  await sleep(BEFORE_MS);
  const endedBefore = storm.load.ended;
  await primary.stop("kill");
  await standby.promote();
  address.leadTo(standby.port);
  if (endedBefore > 0) storm.injected += 1;
  await load;
  const { broken, runs } = await storm.settle();
  expect(broken).toEqual([]);
  expect(runs, "work went on at the new primary").toBeGreaterThan(endedBefore);
  expect((await standby.query("select pg_is_in_recovery() as standby"))[0]).toEqual({ standby: false });
});

test("a standby that is asynchronous: the process warns at its start of what a failover may lose", async () => {
  const starts = 300;
  const began = performance.now();
  await using primary = await OwnServer.start();
  // The standby's own way to the primary.
  await using link = await Relay.to(primary.port);
  await using standby = await primary.standby(link.port);
  await standbyIs(primary, "async");
  await using address = await Relay.to(primary.port);
  await using hub = new SharedHub(address.url);
  const [member] = await hub.start(1);
  expect(await member?.logs()).toContainEqual(expect.stringContaining("only standby is asynchronous"));
  await caughtUp(primary);
  link.slow(() => 3_600_000); // it stalls, and nobody waits for it
  const ids = Array.from({ length: starts }, (_, index) => `job-${index}`);
  await member?.startAll(ids, { name: "hold" });
  // An older state and processes that remember a newer one do not go together: docs/postgres.md, "Failover".
  await member?.kill();
  await primary.stop("kill");
  link.leadTo(standby.port);
  await standby.promote();
  address.leadTo(standby.port);
  const connection = await TaskHub.connect({ store: hub.url });
  const found = await Promise.all(ids.map((id) => connection.client.getStatus(id)));
  await connection.close();
  printSummary({
    fault: "failover, asynchronous (warned of)",
    runs: starts,
    injected: 1,
    refused: 0,
    again: 0,
    lost: found.filter((status) => status === undefined).length,
    doubled: 0,
    recoverMs: 0,
    seconds: (performance.now() - began) / 1000,
    errors: "",
  });
});

async function standbyIs(primary: OwnServer, state: string): Promise<void> {
  await until(async () => {
    const rows = await primary.query("select sync_state from pg_stat_replication where state = 'streaming'");
    return rows[0]?.["sync_state"] === state ? true : undefined;
  });
}

/** Once the standby has all that is there. */
async function caughtUp(primary: OwnServer): Promise<void> {
  await until(async () => {
    const rows = await primary.query(
      "select pg_current_wal_lsn() <= flush_lsn as there from pg_stat_replication",
    );
    return rows[0]?.["there"] === true ? true : undefined;
  });
}
