import assert from "node:assert/strict";
import type { Leases } from "../../core/leases.js";
import type { Store, WorkerInfo } from "../../core/store.js";
import type { Check } from "./check.js";
import { present, SkippedCase } from "./test-hub.js";

const worker = (id: string): WorkerInfo => ({
  id,
  host: "host-1",
  pid: process.pid,
  sinceMs: 1_000,
  orchestrations: [],
  activities: [],
});

/** How several workers share a hub, where the store lets them. */
export function checkLeases(check: Check): void {
  check("a renewal tells the store's time, by which leases end", async (hub) => {
    const leases = await joined(hub.store, "worker-1");
    const before = await leases.renew("worker-1");
    await leases.renew("worker-1");
    const [shown] = await hub.store.workers();
    const renewedAtMs = present(shown?.leaseEndMs) - leases.leaseMs;
    const after = await leases.renew("worker-1");
    assert.ok(before.nowMs <= renewedAtMs, `${before.nowMs} is after the renewal at ${renewedAtMs}`);
    assert.ok(after.nowMs >= renewedAtMs, `${after.nowMs} is before the renewal at ${renewedAtMs}`);
  });

  check("every worker is told the same time", async (hub) => {
    const one = await joined(hub.store, "worker-1");
    const other = await joined(await hub.another(), "worker-2");
    const told = [
      await one.renew("worker-1"),
      await other.renew("worker-2"),
      await one.renew("worker-1"),
      await other.renew("worker-2"),
    ].map(({ nowMs }) => nowMs);
    assert.deepEqual(
      told,
      told.toSorted((a, b) => a - b),
    );
  });

  check("a worker that tells its load shows it to the others, until it no longer does", async (hub) => {
    const one = await joined(hub.store, "worker-1");
    const other = await joined(await hub.another(), "worker-2");
    const shown = async (): Promise<number | undefined> =>
      (await other.renew("worker-2")).workers.find(({ id }) => id === "worker-1")?.load;
    assert.equal(await shown(), undefined);
    await one.renew("worker-1", 7);
    assert.equal(await shown(), 7);
    await one.renew("worker-1", 0);
    assert.equal(await shown(), 0);
    await one.renew("worker-1");
    assert.equal(await shown(), undefined);
  });

  check("a worker whose lease has ended joins again by renewing, without its shards", async (hub) => {
    const one = await joined(hub.store, "worker-1");
    const other = await joined(await hub.another(), "worker-2");
    assert.deepEqual(await one.claim("worker-1", [1, 2]), [1, 2]);
    await hub.endLease("worker-1");
    assert.deepEqual(
      (await other.renew("worker-2")).workers.map(({ id }) => id),
      ["worker-2"],
    );
    assert.deepEqual(await other.claim("worker-2", [2]), [2]);
    const { workers, owners } = await one.renew("worker-1");
    assert.deepEqual(workers.map(({ id }) => id).toSorted(), ["worker-1", "worker-2"]);
    assert.deepEqual([...owners], [[2, "worker-2"]]);
  });

  check("another hub's workers are not seen, and hold none of this one's shards", async (hub) => {
    const here = await joined(hub.store, "worker-1");
    const store = await hub.another("other");
    const there = await joined(store, "worker-2");
    assert.deepEqual(await there.claim("worker-2", [1, 2]), [1, 2]);
    assert.deepEqual(await here.claim("worker-1", [2, 3]), [2, 3]);
    await here.drain("worker-2");
    await here.release("worker-2", [1]);
    const { workers, owners } = await there.renew("worker-2");
    assert.deepEqual(workers, [{ id: "worker-2", draining: false }]);
    assert.deepEqual(
      [...owners].toSorted(([a], [b]) => a - b),
      [
        [1, "worker-2"],
        [2, "worker-2"],
      ],
    );
    assert.deepEqual(
      (await store.workers()).map(({ id }) => id),
      ["worker-2"],
    );
  });
}

async function joined(store: Store, id: string): Promise<Leases> {
  if (store.leases === undefined) throw new SkippedCase("one engine at a time owns a hub of this store");
  await store.join(worker(id));
  return store.leases;
}
