import assert from "node:assert/strict";
import { startPolicy } from "../../core/start-policy.js";
import type { Refusal } from "../../core/store.js";
import type { Check } from "./check.js";
import { present, type TestHub } from "./test-hub.js";

const MAX_PER_ID = 100;
const MAX_PER_HUB = 10_000;

/** The log of refused starts, and its bounds. */
export function checkRefusals(check: Check): void {
  check("refusals are listed newest first, of one ID or of all", async (hub) => {
    const all = [refusal(hub, "order-1"), refusal(hub, "order-2"), refusal(hub, "order-1")];
    await hub.store.recordRefusals(all.slice(0, 2));
    await hub.store.recordRefusals(all.slice(2));
    assert.deepEqual(await hub.store.refusals({ limit: 10 }), all.toReversed());
    assert.deepEqual(await hub.store.refusals({ limit: 2 }), all.toReversed().slice(0, 2));
    assert.deepEqual(await hub.store.refusals({ instanceId: "order-1", limit: 10 }), [all[2], all[0]]);
    assert.deepEqual(await hub.store.refusals({ instanceId: "Order-1", limit: 10 }), []);
  });

  check("nothing is recorded for an empty batch", async (hub) => {
    await hub.store.recordRefusals([]);
    assert.deepEqual(await hub.store.refusals({ limit: 10 }), []);
  });

  check(`of one ID at most ${MAX_PER_ID} rows are kept; more are counted`, async (hub) => {
    for (let batch = 0; batch < 5; batch++) {
      await hub.store.recordRefusals(Array.from({ length: 50 }, () => refusal(hub, "order-1", 2)));
    }
    await hub.store.recordRefusals([refusal(hub, "order-2")]);
    const ofOne = await hub.store.refusals({ instanceId: "order-1", limit: 1_000 });
    assert.equal(ofOne.length, MAX_PER_ID);
    assert.equal(total(ofOne), 500);
    assert.equal((await hub.store.refusals({ instanceId: "order-2", limit: 10 })).length, 1);
  });

  check(`of one hub at most ${MAX_PER_HUB} rows are kept; more are counted`, async (hub) => {
    const ids = Array.from({ length: 101 }, (_, index) => `order-${index}`);
    for (const id of ids) {
      await hub.store.recordRefusals(Array.from({ length: MAX_PER_ID }, () => refusal(hub, id)));
    }
    const rows = await hub.store.refusals({ limit: 20_000 });
    assert.equal(rows.length, MAX_PER_HUB);
    const known = present(rows[0]).instanceId;
    const before = total(await hub.store.refusals({ instanceId: known, limit: 1_000 }));
    await hub.store.recordRefusals([refusal(hub, known, 5)]);
    assert.equal((await hub.store.refusals({ limit: 20_000 })).length, MAX_PER_HUB);
    assert.equal(total(await hub.store.refusals({ instanceId: known, limit: 1_000 })), before + 5);
  });
}

/** A refused start, as a client reports it. */
export function refusal(hub: TestHub, instanceId: string, count = 1): Refusal {
  return {
    instanceId,
    atMs: hub.now(),
    requester: "10.0.0.1 client",
    orchestrator: "Order",
    policy: startPolicy("reject", { Failed: "reject" }),
    reason: "held",
    holder: {
      instanceId,
      name: "Order",
      executionId: hub.executionId(),
      run: 1,
      generation: 2,
      runtimeStatus: "Suspended",
      sinceMs: 5,
      lastProgressMs: 6,
      worker: "worker-1",
    },
    count,
  };
}

function total(refusals: readonly Refusal[]): number {
  return refusals.reduce((sum, { count }) => sum + count, 0);
}
