import assert from "node:assert/strict";
import { startPolicy } from "../../core/start-policy.js";
import type { Check } from "./check.js";
import { eventsIn, everything, executionsOf, present, requestTo, typesIn } from "./test-hub.js";

/** Replacing a live run: it ends, and another one begins, in one transaction. */
export function checkReplacement(check: Check): void {
  check("the replaced run is terminated, and says by what", async (hub) => {
    await hub.run("order-1");
    const before = await hub.load("order-1");
    const start = hub.startCommand("order-1", { policy: startPolicy("terminate", "reject") });
    await hub.command(start);
    const [current, past] = await executionsOf(hub.store, "order-1");
    assert.equal(current?.executionId, start.executionId);
    assert.deepEqual(past, {
      ...before.execution,
      status: "Terminated",
      output: past?.output,
      updatedAtMs: start.atMs,
      endedAtMs: start.atMs,
    });
    assert.ok(past.output?.includes(start.executionId));
    const chunks = await hub.chunks("order-1", before.execution.executionId);
    assert.deepEqual(chunks.slice(0, -1), before.chunks);
    assert.deepEqual(typesIn(chunks.slice(-1)), ["ExecutionTerminated", "ExecutionCompleted"]);
    assert.deepEqual(await hub.chunks("order-1"), []);
  });

  check("nothing that was meant for the replaced run reaches the new one", async (hub) => {
    await hub.run("order-1");
    await hub.startChild("order-1", "child", 5);
    await hub.turn("child");
    await hub.end("child");
    await hub.raise("order-1", "for the old run");
    await hub.turn("order-1", { consumed: [], timersSet: [{ task: 1, dueMs: 10 }], activities: 1 });
    await hub.replace("order-1");
    const { messages, instance, chunks } = await hub.load("order-1");
    assert.deepEqual(eventsIn(messages), ["ExecutionStarted"]);
    assert.equal(messages[0]?.generation, instance.generation);
    assert.deepEqual(chunks, []);
    assert.deepEqual((await everything(hub.store)).due, { timers: [] });
  });

  check("a turn of the replaced run is refused, whatever it does", async (hub) => {
    await hub.run("order-1");
    const loaded = await hub.load("order-1");
    const turns = [hub.turnOn(loaded), hub.endOn(loaded), hub.nextOn(loaded)];
    await hub.replace("order-1");
    for (const turn of turns) await hub.refuse(turn);
    await hub.turn("order-1");
    for (const turn of turns) await hub.refuse(turn);
  });

  check("a turn that was never committed is refused by the run that replaced it", async (hub) => {
    await hub.start("order-1");
    const turn = hub.turnOn(await hub.load("order-1"), { consumed: [] });
    await hub.replace("order-1");
    assert.equal((await hub.instance("order-1")).sequence, turn.sequence);
    await hub.refuse(turn);
  });

  check("events go to the new run from the replacement on", async (hub) => {
    await hub.run("order-1");
    const old = await hub.instance("order-1");
    await hub.replace("order-1");
    await hub.raise("order-1", "for the new run");
    const { instance, messages } = await hub.load("order-1");
    assert.equal(instance.run, old.run + 1);
    assert.deepEqual(eventsIn(messages), ["ExecutionStarted", "for the new run"]);
    assert.equal(messages[1]?.run, instance.run);
  });

  check("a replacement may bring another orchestrator, version, tags and parent", async (hub) => {
    await hub.run("parent");
    await hub.run("first parent");
    await hub.startChild("first parent", "order-1", 1, { version: "1", tags: { a: "b" }, input: "1" });
    const parent = await hub.linkTo("parent", 2);
    await hub.replace("order-1", { name: "Other", tags: { c: "d" }, parent });
    const { instance, execution } = await hub.record("order-1");
    assert.equal(instance.name, "Other");
    assert.deepEqual(instance.parent, parent);
    assert.deepEqual(execution.tags, { c: "d" });
    assert.ok(!("version" in execution) && !("input" in execution));
    await hub.end("order-1");
    assert.deepEqual(eventsIn(await hub.mail("parent")), ["SubOrchestrationInstanceCompleted"]);
    assert.deepEqual(eventsIn(await hub.mail("first parent")), ["SubOrchestrationInstanceFailed"]);
  });

  check("a replacement always terminates the children of the run that it ends", async (hub) => {
    await hub.run("order-1");
    await hub.startChild("order-1", "child", 1);
    await hub.turn("order-1", { requests: [requestTo("unborn", { startsChild: true })] });
    await hub.replace("order-1");
    assert.deepEqual(
      (await hub.requests()).map(({ instanceId }) => instanceId),
      ["child"],
    );
  });

  check("an ID can be replaced again and again, and every execution is kept", async (hub) => {
    await hub.run("order-1");
    for (let round = 0; round < 20; round++) await hub.replace("order-1");
    const executions = await executionsOf(hub.store, "order-1");
    assert.deepEqual(
      executions.map(({ run }) => run),
      Array.from({ length: 21 }, (_, index) => 21 - index),
    );
    const statuses = new Set(executions.slice(1).map(({ status }) => status));
    assert.deepEqual([...statuses], ["Terminated"]);
    assert.equal(present(executions[0]).status, "Pending");
  });
}
