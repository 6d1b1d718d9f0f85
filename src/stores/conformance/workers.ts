import assert from "node:assert/strict";
import { StoreHeldError } from "../../core/errors.js";
import type { Store, WorkerInfo } from "../../core/store.js";
import type { Check } from "./check.js";
import { present, SkippedCase } from "./test-hub.js";

const worker = (id: string): WorkerInfo => ({
  id,
  host: "host-1",
  pid: process.pid,
  sinceMs: 1_000,
  orchestrations: ["Order", "Ödner"],
  activities: ["Charge"],
});

/** Who is shown as alive, without what only stores with leases tell of them. */
async function workersOf(store: Store): Promise<WorkerInfo[]> {
  const shown = await store.workers();
  return shown
    .map(({ id, host, pid, sinceMs, orchestrations, activities }) => ({
      id,
      host,
      pid,
      sinceMs,
      orchestrations,
      activities,
    }))
    .toSorted((one, other) => (one.id < other.id ? -1 : 1));
}

/** Workers that join the hub. */
export function checkWorkers(check: Check): void {
  check("a worker that has joined is shown, and no other", async (hub) => {
    assert.deepEqual(await workersOf(hub.store), []);
    await hub.store.join(worker("worker-1"));
    assert.deepEqual(await workersOf(hub.store), [worker("worker-1")]);
  });

  check("a second engine is refused while the first one runs, and the first one goes on", async (hub) => {
    if (hub.store.leases !== undefined) throw new SkippedCase("several workers share a hub of this store");
    const other = await hub.another();
    await hub.store.join(worker("worker-1"));
    await assert.rejects(other.join(worker("worker-2")), StoreHeldError);
    assert.deepEqual(await workersOf(other), [worker("worker-1")]);
    await hub.run("order-1");
    assert.equal((await other.get("order-1"))?.instance.status, "Running");
  });

  check(
    "several workers join a hub whose shards they share, and each is shown with what it holds",
    async (hub) => {
      if (hub.store.leases === undefined)
        throw new SkippedCase("one engine at a time owns a hub of this store");
      const other = await hub.another();
      await hub.store.join(worker("worker-1"));
      await other.join(worker("worker-2"));
      assert.deepEqual(await workersOf(other), [worker("worker-1"), worker("worker-2")]);
      assert.deepEqual(await hub.store.leases.claim("worker-1", [1, 2, 3]), [1, 2, 3]);
      assert.deepEqual(await present(other.leases).claim("worker-2", [3, 4]), [4]);
      const shown = new Map((await other.workers()).map(({ id, shards }) => [id, shards]));
      assert.deepEqual([shown.get("worker-1"), shown.get("worker-2")], [3, 1]);
    },
  );

  check("joining twice is refused", async (hub) => {
    await hub.store.join(worker("worker-1"));
    await assert.rejects(hub.store.join(worker("worker-2")), StoreHeldError);
    assert.deepEqual(await workersOf(hub.store), [worker("worker-1")]);
  });

  check("once an engine has closed its store, another one may join", async (hub) => {
    const other = await hub.another();
    await hub.store.join(worker("worker-1"));
    await hub.store.close();
    assert.deepEqual(await workersOf(other), []);
    await other.join(worker("worker-2"));
    assert.deepEqual(await workersOf(other), [worker("worker-2")]);
  });

  check("a store that never joined leaves the engine in place when it closes", async (hub) => {
    const other = await hub.another();
    await hub.store.join(worker("worker-1"));
    await other.close();
    assert.deepEqual(await workersOf(hub.store), [worker("worker-1")]);
  });

  check("others may start, query and signal beside the engine", async (hub) => {
    const other = await hub.another();
    await hub.store.join(worker("worker-1"));
    const client = hub.on(other);
    await client.start("order-1");
    await client.raise("order-1");
    await hub.turn("order-1");
    assert.equal((await client.instance("order-1")).status, "Running");
    assert.deepEqual(await hub.messages(), []);
  });
}
