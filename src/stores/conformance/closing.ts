import assert from "node:assert/strict";
import { StoreClosedError } from "../../core/errors.js";
import type { Check } from "./check.js";
import { refusal } from "./refusals.js";
import { executionsOf } from "./test-hub.js";

/** Closing: afterwards every call is told so. */
export function checkClosing(check: Check): void {
  check("every method rejects with StoreClosedError once the store is closed", async (hub) => {
    const { iid } = await hub.run("order-1");
    const turn = hub.turnOn(await hub.load("order-1"));
    const { store } = hub;
    await store.close();
    const page = { shards: "all", limit: 1 } as const;
    const worker = { id: "w", host: "h", pid: 1, sinceMs: 1, orchestrations: [], activities: [] };
    const calls: Record<string, () => Promise<unknown>> = {
      join: () => store.join(worker),
      workers: () => store.workers(),
      execute: () => store.execute([hub.startCommand("order-2")]),
      commit: () => store.commit([turn]),
      load: () => store.load([iid]),
      poll: () => store.poll({ ...page, after: 0 }),
      due: () => store.due({ ...page, untilMs: 1 }),
      unfinished: () => store.unfinished({ ...page, afterIid: 0 }),
      heads: () => store.heads([iid]),
      get: () => store.get("order-1"),
      list: () => store.list({ filter: {}, limit: 1, examine: 1 }),
      executions: () => executionsOf(store, "order-1"),
      history: () => store.history("order-1"),
      pruneExecutions: () => store.pruneExecutions({ status: "Failed", endedBeforeMs: 1, limit: 1 }),
      recordRefusals: () => store.recordRefusals([refusal(hub, "order-1")]),
      refusals: () => store.refusals({ limit: 1 }),
      setting: () => store.setting("a"),
      changeSetting: () => store.changeSetting("a", "1"),
      strikes: () => store.strikes(),
      recordStrike: () => store.recordStrike({ iid, generation: 1, worker: "w" }),
      clearStrikes: () => store.clearStrikes(iid),
    };
    for (const [name, call] of Object.entries(calls)) await assert.rejects(call, StoreClosedError, name);
  });

  check("what was answered before the close is there after it, and nothing else", async (hub) => {
    const other = await hub.another();
    await hub.start("order-1");
    await hub.store.close();
    await assert.rejects(hub.start("order-2"), StoreClosedError);
    assert.ok((await other.get("order-1")) !== undefined);
    assert.equal(await other.get("order-2"), undefined);
  });

  check("closing twice is closing once", async (hub) => {
    await hub.store.close();
    await hub.store.close();
    await assert.rejects(hub.store.get("order-1"), StoreClosedError);
  });
}
