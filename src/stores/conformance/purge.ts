import assert from "node:assert/strict";
import { startPolicy } from "../../core/start-policy.js";
import type { Check } from "./check.js";
import { ENDED_STATES, everything, LIVE_STATES, type TestHub } from "./test-hub.js";

/** Purging: nothing remains, and nothing comes back. */
export function checkPurge(check: Check): void {
  for (const state of ENDED_STATES) {
    check(`of an instance that is ${state}, nothing remains after a purge`, async (hub) => {
      await hub.bring("neighbour", "Running");
      const before = await everything(hub.store);
      const iids = await fullLife(hub);
      await hub.bring("order-1", state);
      const executions = await hub.store.executions("order-1");
      assert.ok(executions.length > 4);
      assert.deepEqual(await hub.purge("order-1"), { outcome: "purged", children: [] });
      assert.deepEqual(await everything(hub.store), before);
      assert.equal(await hub.store.get("order-1"), undefined);
      assert.deepEqual(await hub.store.executions("order-1"), []);
      assert.equal(await hub.store.history("order-1"), undefined);
      for (const { executionId } of executions) {
        assert.equal(await hub.store.history("order-1", executionId), undefined);
      }
      for (const status of [...ENDED_STATES, "ContinuedAsNew"] as const) {
        const query = { status, endedBeforeMs: Number.MAX_SAFE_INTEGER, limit: 100 };
        assert.equal(await hub.store.pruneExecutions(query), 0);
      }
      assert.deepEqual(await hub.store.heads(iids), []);
      assert.deepEqual(await hub.store.load(iids), []);
    });
  }

  for (const state of LIVE_STATES) {
    check(`an instance that is ${state} cannot be purged`, async (hub) => {
      await hub.bring("order-1", state);
      const before = await everything(hub.store);
      assert.deepEqual(await hub.purge("order-1"), {
        outcome: "invalidState",
        runtimeStatus: state,
        needs: "Completed, Failed, Terminated or Canceled",
      });
      assert.deepEqual(await everything(hub.store), before);
    });
  }

  check("an ID is purged once", async (hub) => {
    await hub.bring("order-1", "Completed");
    assert.equal((await hub.purge("order-1")).outcome, "purged");
    assert.deepEqual(await hub.purge("order-1"), { outcome: "notFound" });
    assert.deepEqual(await hub.purge("nobody"), { outcome: "notFound" });
  });

  check("a purge names the children of all runs, ended or not", async (hub) => {
    await hub.run("parent");
    await hub.startChild("parent", "first", 1);
    await hub.bring("somebody else's", "Running");
    await hub.end("parent");
    await hub.run("parent");
    await hub.startChild("parent", "second", 1);
    await hub.end("second");
    await hub.end("parent");
    const answer = await hub.purge("parent");
    assert.ok(answer.outcome === "purged");
    assert.deepEqual(new Set(answer.children), new Set(["first", "second"]));
    assert.equal((await hub.instance("first")).status, "Pending");
  });

  check(
    "an instance that was started as its own earlier run's child is not among the children",
    async (hub) => {
      await hub.run("order-1");
      const parent = await hub.linkTo("order-1", 1);
      await hub.end("order-1");
      // A request of the ended run that has come late: the row is the same one.
      await hub.start("order-1", { parent });
      await hub.startChild("order-1", "child", 1);
      await hub.terminate("order-1");
      assert.deepEqual(await hub.purge("order-1"), { outcome: "purged", children: ["child"] });
    },
  );

  check("a purged ID is as good as new, under every policy", async (hub) => {
    await hub.bring("order-1", "Completed");
    const { iid } = await hub.instance("order-1");
    await hub.purge("order-1");
    const answer = await hub.start("order-1", { policy: startPolicy("reject", "reject") });
    assert.deepEqual([answer.outcome, answer.run, answer.generation], ["started", 1, 1]);
    assert.notEqual((await hub.instance("order-1")).iid, iid);
    assert.equal((await hub.store.executions("order-1")).length, 1);
    assert.deepEqual(await hub.chunks("order-1"), []);
  });

  check("turns of a purged instance are refused, also once its ID was started again", async (hub) => {
    await hub.start("order-1");
    const loaded = await hub.load("order-1");
    const turns = [hub.turnOn(loaded, { consumed: [] }), hub.endOn(loaded, {}, { consumed: [] })];
    await hub.terminate("order-1");
    await hub.purge("order-1");
    for (const turn of turns) await hub.refuse(turn);
    await hub.start("order-1");
    const { generation, sequence } = await hub.instance("order-1");
    for (const turn of turns) {
      assert.deepEqual([turn.generation, turn.sequence], [generation, sequence]);
      await hub.refuse(turn);
    }
  });

  check("the strikes of a purged instance are gone", async (hub) => {
    const { iid, generation } = await hub.bring("order-1", "Failed");
    await hub.store.recordStrike({ iid, generation, worker: "worker-1" });
    await hub.purge("order-1");
    assert.deepEqual(await hub.store.strikes(), []);
  });
}

/** Runs, generations, events, timers, waiters and refusals of an ID; returns its row IDs. */
async function fullLife(hub: TestHub): Promise<number[]> {
  await hub.run("order-1");
  await hub.turn("order-1", { timersSet: [{ task: 1, dueMs: 10 }], activities: 2, customStatus: '"x"' });
  await hub.continueAsNew("order-1");
  await hub.raise("order-1");
  await hub.turn("order-1");
  await hub.end("order-1", { status: "Failed" });
  await hub.command(hub.rewindCommand(await hub.instance("order-1")));
  await hub.suspend("order-1");
  await hub.replace("order-1");
  await hub.raise("order-1");
  await hub.terminate("order-1");
  return [(await hub.instance("order-1")).iid];
}
