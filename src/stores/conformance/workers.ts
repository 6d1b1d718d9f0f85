import assert from "node:assert/strict";
import { StoreHeldError } from "../../core/errors.js";
import type { WorkerInfo } from "../../core/store.js";
import type { Check } from "./check.js";

const worker = (id: string): WorkerInfo => ({
  id,
  host: "host-1",
  pid: process.pid,
  sinceMs: 1_000,
  orchestrations: ["Order", "Ödner"],
  activities: ["Charge"],
});

/** Workers that join the hub. */
export function checkWorkers(check: Check): void {
  check("a worker that has joined is shown, and no other", async (hub) => {
    assert.deepEqual(await hub.store.workers(), []);
    await hub.store.join(worker("worker-1"));
    assert.deepEqual(await hub.store.workers(), [worker("worker-1")]);
  });

  check("a second engine is refused while the first one runs, and the first one goes on", async (hub) => {
    const other = await hub.another();
    await hub.store.join(worker("worker-1"));
    await assert.rejects(other.join(worker("worker-2")), StoreHeldError);
    assert.deepEqual(await other.workers(), [worker("worker-1")]);
    await hub.run("order-1");
    assert.equal((await other.get("order-1"))?.instance.status, "Running");
  });

  check("joining twice is refused", async (hub) => {
    await hub.store.join(worker("worker-1"));
    await assert.rejects(hub.store.join(worker("worker-2")), StoreHeldError);
    assert.deepEqual(await hub.store.workers(), [worker("worker-1")]);
  });

  check("once an engine has closed its store, another one may join", async (hub) => {
    const other = await hub.another();
    await hub.store.join(worker("worker-1"));
    await hub.store.close();
    assert.deepEqual(await other.workers(), []);
    await other.join(worker("worker-2"));
    assert.deepEqual(await other.workers(), [worker("worker-2")]);
  });

  check("a store that never joined leaves the engine in place when it closes", async (hub) => {
    const other = await hub.another();
    await hub.store.join(worker("worker-1"));
    await other.close();
    assert.deepEqual(await hub.store.workers(), [worker("worker-1")]);
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
