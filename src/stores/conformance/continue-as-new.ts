import assert from "node:assert/strict";
import { encodeChunk } from "../../core/history-codec.js";
import type { Check } from "./check.js";
import { eventsIn, everything, executionsOf, present, requestTo } from "./test-hub.js";

/** Continue-as-new: the same run, in a new execution. */
export function checkContinueAsNew(check: Check): void {
  check("the run goes on in a new execution with a new token, and the old one is kept", async (hub) => {
    await hub.start("order-1", { input: '"one"', version: "1", tags: { team: "blue" } });
    await hub.turn("order-1", { customStatus: '"busy"', activities: 2 });
    const before = await hub.load("order-1");
    const turn = hub.nextOn(before, { input: '"two"', version: "2" }, { activities: 2 });
    const token = await hub.accept(turn);
    const { instance, execution, chunks } = await hub.load("order-1");
    assert.deepEqual(instance, {
      ...before.instance,
      executionId: turn.next?.executionId,
      generation: 2,
      sequence: 0,
      fencingToken: token,
      activities: 0,
      updatedAtMs: turn.atMs,
    });
    assert.ok(token > before.instance.fencingToken);
    assert.deepEqual(execution, {
      executionId: turn.next?.executionId,
      run: 1,
      generation: 2,
      name: before.execution.name,
      version: "2",
      tags: { team: "blue" },
      status: "Running",
      fencingToken: token,
      input: '"two"',
      customStatus: '"busy"',
      createdAtMs: turn.atMs,
      updatedAtMs: turn.atMs,
      droppedMessages: 0,
    });
    assert.deepEqual(chunks, []);
    const past = (await executionsOf(hub.store, "order-1"))[1];
    assert.deepEqual(past, {
      ...before.execution,
      status: "ContinuedAsNew",
      updatedAtMs: turn.atMs,
      endedAtMs: turn.atMs,
    });
    assert.deepEqual(await hub.chunks("order-1", before.execution.executionId), [
      ...before.chunks,
      turn.chunk,
    ]);
  });

  check("a pending instance that continues as new in its first turn is running", async (hub) => {
    await hub.start("order-1");
    await hub.continueAsNew("order-1");
    const { instance, execution } = await hub.record("order-1");
    assert.deepEqual([instance.status, execution.status], ["Running", "Running"]);
  });

  check("a new execution without input or version has none", async (hub) => {
    await hub.start("order-1", { input: '"one"', version: "1" });
    await hub.continueAsNew("order-1");
    const execution = await hub.execution("order-1");
    assert.ok(!("input" in execution) && !("version" in execution));
  });

  check("events and commands that were not taken in go on to the new generation", async (hub) => {
    await hub.run("order-1");
    const turn = hub.nextOn(await hub.load("order-1"));
    await hub.raise("order-1", "during");
    await hub.suspend("order-1");
    await hub.accept(turn);
    await hub.raise("order-1", "after");
    const { messages, instance } = await hub.load("order-1");
    assert.deepEqual(eventsIn(messages), ["during", "ExecutionSuspended", "ExecutionStarted", "after"]);
    assert.equal(Math.max(...messages.map(({ mail = 0 }) => mail)), instance.mail);
    await hub.turn("order-1");
    assert.deepEqual(await hub.messages(), []);
  });

  check("results that were not taken in are gone with the generation that waited for them", async (hub) => {
    await hub.run("order-1");
    await hub.startChild("order-1", "child", 1);
    await hub.turn("child");
    await hub.end("child");
    assert.deepEqual(eventsIn(await hub.mail("order-1")), ["SubOrchestrationInstanceCompleted"]);
    await hub.continueAsNew("order-1", {}, { consumed: [] });
    assert.deepEqual(eventsIn(await hub.mail("order-1")), ["ExecutionStarted"]);
  });

  check("results that come after it are for a generation that is gone", async (hub) => {
    await hub.run("order-1");
    await hub.startChild("order-1", "child", 1);
    await hub.continueAsNew("order-1");
    await hub.end("child");
    assert.deepEqual(eventsIn(await hub.mail("order-1")), ["ExecutionStarted"]);
  });

  check("its timers are gone", async (hub) => {
    await hub.run("order-1");
    await hub.turn("order-1", { timersSet: [{ task: 1, dueMs: 10 }] });
    await hub.continueAsNew("order-1");
    assert.deepEqual((await everything(hub.store)).due, { timers: [] });
  });

  check("the new generation's first mail carries what the old one hands on", async (hub) => {
    await hub.run("order-1");
    const atMs = hub.now();
    const events = encodeChunk([
      { type: "ExecutionStarted", atMs },
      { type: "EventRaised", atMs, name: "kept" },
    ]);
    await hub.continueAsNew("order-1", { events });
    const [mail, ...others] = await hub.mail("order-1");
    assert.deepEqual(others, []);
    assert.equal(mail?.events, events);
    assert.deepEqual([mail.generation, mail.run, mail.task], [2, undefined, undefined]);
  });

  check("the requests of the turn that continues as new are sent", async (hub) => {
    await hub.run("order-1");
    await hub.continueAsNew("order-1", {}, { requests: [requestTo("other")] });
    assert.equal((await hub.requests("other")).length, 1);
  });

  check("a turn of the old generation is refused, and one of the new one accepted", async (hub) => {
    await hub.run("order-1");
    const loaded = await hub.load("order-1");
    const late = hub.turnOn(loaded, { writer: "worker-2" });
    await hub.continueAsNew("order-1");
    await hub.refuse(late);
    await hub.refuse({ ...late, sequence: 0 });
    await hub.turn("order-1");
  });

  for (const keepExecutions of [1, 3]) {
    check(
      `of an eternal run, the last ${keepExecutions} generations are kept with their history`,
      async (hub) => {
        await hub.run("order-1");
        const ids = [(await hub.instance("order-1")).executionId];
        for (let round = 0; round < 6; round++) {
          await hub.continueAsNew("order-1", { keepExecutions });
          await hub.turn("order-1");
          ids.unshift((await hub.instance("order-1")).executionId);
        }
        const kept = await executionsOf(hub.store, "order-1");
        assert.deepEqual(
          kept.map(({ executionId }) => executionId),
          ids.slice(0, keepExecutions),
        );
        for (const id of ids.slice(0, keepExecutions))
          assert.ok((await hub.chunks("order-1", id)).length > 0);
        for (const id of ids.slice(keepExecutions)) {
          assert.equal(await hub.store.history("order-1", id), undefined);
        }
      },
    );
  }

  check(
    "executions that ended otherwise are kept, however often a later run continues as new",
    async (hub) => {
      await hub.bring("order-1", "Completed");
      const { executionId: completed } = await hub.instance("order-1");
      await hub.bring("order-1", "Failed");
      await hub.run("order-1");
      for (let round = 0; round < 4; round++) await hub.continueAsNew("order-1", { keepExecutions: 2 });
      const executions = await executionsOf(hub.store, "order-1");
      assert.deepEqual(
        executions.map(({ status }) => status),
        ["Running", "ContinuedAsNew", "Failed", "Completed"],
      );
      assert.equal(present(executions.at(-1)).executionId, completed);
      assert.equal((await hub.chunks("order-1", completed)).length, 1);
    },
  );

  check("a run that ends after it drops and counts what is left in any generation", async (hub) => {
    await hub.run("order-1");
    const turn = hub.nextOn(await hub.load("order-1"));
    await hub.raise("order-1", "old");
    await hub.accept(turn);
    await hub.raise("order-1", "new");
    await hub.terminate("order-1");
    assert.deepEqual(await hub.messages(), []);
    const [current, past] = await executionsOf(hub.store, "order-1");
    assert.deepEqual([current?.droppedMessages, past?.droppedMessages], [2, 0]);
  });
}
