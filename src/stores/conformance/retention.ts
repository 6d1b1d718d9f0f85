import assert from "node:assert/strict";
import type { Execution } from "../../core/instance.js";
import type { Check } from "./check.js";
import { everything, executionsOf, type TestHub } from "./test-hub.js";

/** Deleting past executions by age. */
export function checkRetention(check: Check): void {
  check(
    "past executions of one status that ended before a time are deleted, with their history",
    async (hub) => {
      const ids: string[] = [];
      for (const status of ["Completed", "Failed", "Completed"] as const) {
        const { executionId } = await hub.bring("order-1", status);
        ids.push(executionId);
      }
      await hub.run("order-1");
      assert.equal(await prune(hub, "Completed", hub.now()), 2);
      const left = await executionsOf(hub.store, "order-1");
      assert.deepEqual(
        left.map(({ status }) => status),
        ["Running", "Failed"],
      );
      assert.equal(await hub.store.history("order-1", ids[0]), undefined);
      assert.equal(await hub.store.history("order-1", ids[2]), undefined);
      assert.equal((await hub.chunks("order-1", ids[1])).length, 1);
      assert.equal(await prune(hub, "Completed", hub.now()), 0);
    },
  );

  check("an instance's current execution is never deleted, however long ago it ended", async (hub) => {
    await hub.bring("order-1", "Completed");
    await hub.bring("order-2", "Failed");
    const before = await everything(hub.store);
    for (const status of ["Completed", "Failed", "Running", "Pending"] as const) {
      assert.equal(await prune(hub, status, Number.MAX_SAFE_INTEGER), 0);
    }
    assert.deepEqual(await everything(hub.store), before);
  });

  check("executions that ended at the time or later are kept", async (hub) => {
    await hub.bring("order-1", "Completed");
    await hub.start("order-1");
    const endedAtMs = (await executionsOf(hub.store, "order-1"))[1]?.endedAtMs ?? 0;
    assert.equal(await prune(hub, "Completed", endedAtMs), 0);
    assert.equal(await prune(hub, "Completed", endedAtMs + 1), 1);
  });

  check("no more are deleted than the limit says, the oldest first", async (hub) => {
    for (let round = 0; round < 6; round++) await hub.bring(`order-${round % 2}`, "Terminated");
    const ended = await executionsOf(hub.store, "order-0");
    for (const id of ["order-0", "order-1"]) await hub.start(id);
    assert.equal(ended.length, 3);
    const query = { status: "Terminated", endedBeforeMs: hub.now() } as const;
    const allButTheOldest = await Promise.all(
      ["order-0", "order-1"].map(async (id) => (await executionsOf(hub.store, id)).slice(0, 3)),
    );
    assert.equal(await hub.store.pruneExecutions({ ...query, limit: 2 }), 2);
    assert.deepEqual(
      await Promise.all(["order-0", "order-1"].map((id) => executionsOf(hub.store, id))),
      allButTheOldest,
    );
    assert.equal(await hub.store.pruneExecutions({ ...query, limit: 3 }), 3);
    assert.equal(await hub.store.pruneExecutions({ ...query, limit: 3 }), 1);
    assert.equal(await hub.store.pruneExecutions({ ...query, limit: 3 }), 0);
  });

  check("past generations and replaced executions of a live run are deleted like others", async (hub) => {
    await hub.run("order-1");
    await hub.continueAsNew("order-1");
    await hub.replace("order-1");
    await hub.turn("order-1");
    const before = await hub.load("order-1");
    assert.equal(await prune(hub, "ContinuedAsNew", hub.now()), 1);
    assert.equal(await prune(hub, "Terminated", hub.now()), 1);
    assert.deepEqual(await hub.load("order-1"), before);
    assert.equal((await executionsOf(hub.store, "order-1")).length, 1);
  });
}

async function prune(hub: TestHub, status: Execution["status"], endedBeforeMs: number): Promise<number> {
  return hub.store.pruneExecutions({ status, endedBeforeMs, limit: 1_000 });
}
