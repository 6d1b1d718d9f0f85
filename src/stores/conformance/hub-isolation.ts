import assert from "node:assert/strict";
import { startPolicy } from "../../core/start-policy.js";
import type { Check } from "./check.js";
import { everything, present, requestTo } from "./test-hub.js";

/** Task hubs on the same data have nothing to do with each other. */
export function checkHubIsolation(check: Check): void {
  check("the same ID in two hubs is two instances", async (hub) => {
    const other = hub.on(await hub.another("other"));
    assert.equal(other.store.taskHub, "other");
    assert.notEqual(other.store.secret, hub.store.secret);
    const first = await hub.start("order-1", { requestId: "r1" });
    const second = await other.start("order-1", { requestId: "r1" });
    assert.equal(second.outcome, "started");
    assert.notEqual(second.executionId, first.executionId);
    await hub.end("order-1");
    assert.equal((await other.instance("order-1")).status, "Pending");
  });

  check("hub names that differ by case are two hubs", async (hub) => {
    const lower = hub.on(await hub.another("hub"));
    const upper = hub.on(await hub.another("HUB"));
    await lower.start("order-1");
    assert.equal(await upper.store.get("order-1"), undefined);
  });

  check("whatever is done in one hub leaves no trace in the other", async (hub) => {
    const other = hub.on(await hub.another("other"));
    for (const id of ["order-1", "order-2"]) {
      await other.run(id);
      await other.raise(id);
      await other.turn(id, { consumed: [], activities: 1, timersSet: [{ task: 1, dueMs: 10 }] });
    }
    const { iid, generation } = await other.instance("order-1");
    await other.store.recordStrike({ iid, generation, worker: "worker-1" });
    await other.store.changeSetting("retention", "1");
    const before = await everything(other.store);
    await hub.run("order-1");
    await hub.startChild("order-1", "child", 1);
    await hub.raise("order-1");
    await hub.turn("order-1", { timersSet: [{ task: 1, dueMs: 5 }], requests: [requestTo("order-2")] });
    await hub.suspend("order-1");
    await hub.continueAsNew("order-1", { keepExecutions: 1 });
    await hub.replace("order-1");
    await hub.terminate("order-1", true);
    await hub.purge("order-1");
    await hub.store.pruneExecutions({ status: "Terminated", endedBeforeMs: hub.now(), limit: 100 });
    await hub.store.changeSetting("retention", "2");
    await hub.start("order-2", { policy: startPolicy("terminate") });
    assert.deepEqual(await everything(other.store), before);
    assert.equal(await other.store.setting("retention"), "1");
  });

  check("a turn, a request or a read with another hub's row ID finds nothing", async (hub) => {
    const other = hub.on(await hub.another("other"));
    await other.run("order-1");
    await other.turn("order-1", { activities: 1, requests: [requestTo("order-2")] });
    const loaded = await other.load("order-1");
    const request = present((await other.requests())[0]);
    const before = await everything(other.store);
    await hub.refuse(other.turnOn(loaded));
    await hub.refuse(other.endOn(loaded));
    assert.deepEqual(await hub.store.load([loaded.instance.iid]), []);
    assert.deepEqual(await hub.store.heads([loaded.instance.iid]), []);
    const command = hub.startCommand("order-2", { consumes: request.n });
    assert.deepEqual(await hub.command(command), { outcome: "void" });
    assert.deepEqual(await everything(other.store), before);
  });

  check("an answer does not reach an instance of another hub that has the parent's row ID", async (hub) => {
    const other = hub.on(await hub.another("other"));
    await other.run("parent");
    const parent = await other.linkTo("parent", 1);
    await hub.start("child", { parent });
    await hub.end("child");
    assert.deepEqual(await other.messages(), []);
  });

  check("recursion and purge stay within the hub", async (hub) => {
    const other = hub.on(await hub.another("other"));
    await hub.run("parent");
    const parent = await hub.linkTo("parent", 1);
    await other.start("child", { parent });
    await hub.terminate("parent", true);
    assert.deepEqual(await hub.requests(), []);
    assert.deepEqual(await other.requests(), []);
    assert.deepEqual(await hub.purge("parent"), { outcome: "purged", children: [] });
  });

  check("two stores on one hub see the same data", async (hub) => {
    const other = hub.on(await hub.another());
    await hub.start("order-1");
    assert.equal((await other.command(other.startCommand("order-1"))).outcome, "refused");
    await other.turn("order-1");
    await hub.raise("order-1");
    await other.end("order-1");
    assert.deepEqual(await everything(hub.store), await everything(other.store));
    assert.equal(hub.store.secret, other.store.secret);
  });
}
