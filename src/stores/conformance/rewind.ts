import assert from "node:assert/strict";
import { startPolicy } from "../../core/start-policy.js";
import type { Check } from "./check.js";
import { eventsIn, everything, executionsOf, present, requestTo } from "./test-hub.js";

/** Rewinding a failed execution: a new generation of the same run, with a history of its own. */
export function checkRewind(check: Check): void {
  check("a rewound instance is pending in a new generation, with the rewritten history", async (hub) => {
    await hub.start("order-1", { input: '"in"', version: "1", tags: { a: "b" } });
    await hub.turn("order-1", { customStatus: '"half"' });
    await hub.end("order-1", { status: "Failed", failure: { type: "Error", message: "no" }, output: '"x"' });
    const before = await hub.load("order-1");
    const command = hub.rewindCommand(before.instance, {
      activities: 2,
      timers: [{ task: 4, dueMs: 4_000 }],
      requests: [requestTo("child", { startsChild: true })],
    });
    assert.deepEqual(await hub.command(command), { outcome: "done", runtimeStatus: "Pending" });
    const { instance, execution, chunks, messages } = await hub.load("order-1");
    assert.deepEqual(instance, {
      ...before.instance,
      executionId: command.executionId,
      generation: 2,
      sequence: 1,
      fencingToken: instance.fencingToken,
      status: "Pending",
      activities: 2,
      updatedAtMs: command.atMs,
    });
    assert.ok(instance.fencingToken > before.instance.fencingToken);
    const { output: _output, failure: _failure, endedAtMs: _endedAtMs, ...kept } = before.execution;
    assert.deepEqual(execution, {
      ...kept,
      executionId: command.executionId,
      generation: 2,
      status: "Pending",
      fencingToken: instance.fencingToken,
      createdAtMs: command.atMs,
      updatedAtMs: command.atMs,
    });
    assert.deepEqual(chunks, [command.history]);
    assert.deepEqual(
      messages.map(({ events, generation, run }) => ({ events, generation, run })),
      [{ events: command.mail, generation: 2, run: undefined }],
    );
    const { due, unfinished } = await everything(hub.store);
    assert.deepEqual(due.timers, [{ iid: instance.iid, generation: 2, task: 4, dueMs: 4_000 }]);
    assert.deepEqual(unfinished, [instance.iid]);
    assert.equal((await hub.requests("child")).length, 1);
  });

  check("the failed execution is kept as it ended", async (hub) => {
    await hub.run("order-1");
    await hub.end("order-1", { status: "Failed", failure: { type: "Error", message: "no" } });
    const failed = await hub.load("order-1");
    await hub.command(hub.rewindCommand(failed.instance));
    assert.deepEqual((await executionsOf(hub.store, "order-1"))[1], failed.execution);
    assert.deepEqual(await hub.chunks("order-1", failed.execution.executionId), failed.chunks);
  });

  check("a rewound instance goes on: its turns follow the rewritten history", async (hub) => {
    const failed = await hub.bring("order-1", "Failed");
    const late = hub.turnOn(await hub.load("order-1"));
    await hub.command(hub.rewindCommand(failed));
    await hub.refuse(late);
    await hub.refuse({ ...late, sequence: 1 });
    await hub.raise("order-1", "after the rewind");
    assert.deepEqual(eventsIn(await hub.mail("order-1")), ["ExecutionRewound", "after the rewind"]);
    await hub.turn("order-1");
    await hub.end("order-1");
    const { instance, execution } = await hub.record("order-1");
    assert.deepEqual([instance.status, execution.status, instance.run], ["Completed", "Completed", 1]);
    assert.equal((await hub.chunks("order-1")).length, 3);
  });

  for (const state of ["Pending", "Running", "Suspended", "Completed", "Terminated", "Canceled"] as const) {
    check(`an instance that is ${state} cannot be rewound`, async (hub) => {
      const instance = await hub.bring("order-1", state);
      const before = await everything(hub.store);
      const answer = await hub.command(hub.rewindCommand(instance));
      assert.deepEqual(answer, { outcome: "invalidState", runtimeStatus: state, needs: "Failed" });
      assert.deepEqual(await everything(hub.store), before);
    });
  }

  check("a rewound instance is not suspended, although it was when it failed", async (hub) => {
    await hub.bring("order-1", "Suspended");
    await hub.end("order-1", { status: "Failed" });
    await hub.command(hub.rewindCommand(await hub.instance("order-1")));
    const { status, suspended } = await hub.instance("order-1");
    assert.deepEqual({ status, suspended }, { status: "Pending", suspended: false });
  });

  check("a rewind made from an execution that is no longer the current one is refused", async (hub) => {
    const first = await hub.bring("order-1", "Failed");
    const late = hub.rewindCommand(first);
    await hub.bring("order-1", "Failed");
    const before = await everything(hub.store);
    assert.equal((await hub.command(late)).outcome, "invalidState");
    assert.deepEqual(await everything(hub.store), before);
    assert.deepEqual(await hub.command(hub.rewindCommand({ ...first, instanceId: "nobody" })), {
      outcome: "notFound",
    });
  });

  check("a rewind that finds another state does what it was told to do then", async (hub) => {
    await hub.run("parent");
    const parent = await hub.linkTo("parent", 1);
    const states = { absent: "started", live: "attached", ended: "returned" } as const;
    const failed = await hub.bring("live", "Failed");
    await hub.bring("live", "Running");
    await hub.bring("ended", "Completed");
    for (const [id, outcome] of Object.entries(states)) {
      const orElse = hub.startCommand(id, { parent, policy: startPolicy("attach", "return") });
      const answer = await hub.command(hub.rewindCommand({ ...failed, instanceId: id }, { orElse }));
      assert.equal(answer.outcome, outcome);
    }
    assert.deepEqual(eventsIn(await hub.mail("parent")), ["SubOrchestrationInstanceCompleted"]);
    await hub.turn("parent");
    await hub.end("absent");
    await hub.end("live");
    assert.equal((await hub.mail("parent")).length, 2);
  });

  check("a rewind that finds what it was made from does nothing else", async (hub) => {
    const failed = await hub.bring("order-1", "Failed");
    const orElse = hub.startCommand("order-1");
    const command = hub.rewindCommand(failed, { orElse });
    assert.deepEqual(await hub.command(command), { outcome: "done", runtimeStatus: "Pending" });
    assert.equal((await hub.instance("order-1")).executionId, command.executionId);
  });

  check("a failed execution is rewound once, however often it is asked for", async (hub) => {
    const failed = await hub.bring("order-1", "Failed");
    const [first, second] = await hub.store.execute([hub.rewindCommand(failed), hub.rewindCommand(failed)]);
    assert.equal(first?.outcome, "done");
    assert.equal(second?.outcome, "invalidState");
    assert.equal((await hub.instance("order-1")).generation, 2);
  });

  check("a rewound child answers the parent that waits again", async (hub) => {
    await hub.run("parent");
    await hub.startChild("parent", "child", 1);
    await hub.end("child", { status: "Failed" });
    await hub.turn("parent");
    await hub.end("parent", { status: "Failed" });
    await hub.command(hub.rewindCommand(await hub.instance("parent")));
    await hub.turn("parent");
    const parent = await hub.linkTo("parent", 1);
    await hub.command(hub.rewindCommand(await hub.instance("child"), { parent }));
    assert.deepEqual((await hub.instance("child")).parent, parent);
    await hub.end("child");
    const messages = await hub.mail("parent");
    assert.deepEqual(eventsIn(messages), ["SubOrchestrationInstanceCompleted"]);
    assert.equal(messages[0]?.generation, 2);
  });

  check("a child that is rewound by itself answers nobody, and is still its parent's child", async (hub) => {
    await hub.run("parent");
    await hub.startChild("parent", "child", 1);
    const { parent } = await hub.instance("child");
    await hub.end("child", { status: "Failed" });
    await hub.continueAsNew("parent");
    await hub.turn("parent");
    await hub.command(hub.rewindCommand(await hub.instance("child")));
    assert.deepEqual((await hub.instance("child")).parent, parent);
    await hub.end("child");
    assert.deepEqual(await hub.mail("parent"), []);
  });

  check("the child starts of a rewind are withdrawn when the run is ended", async (hub) => {
    const failed = await hub.bring("order-1", "Failed");
    await hub.command(
      hub.rewindCommand(failed, {
        requests: [requestTo("child", { startsChild: true }), requestTo("other")],
      }),
    );
    await hub.terminate("order-1", true);
    assert.deepEqual(
      (await hub.requests()).map(({ instanceId }) => instanceId),
      ["other"],
    );
  });

  check("a rewind that comes as a request is carried out once", async (hub) => {
    const failed = await hub.bring("child", "Failed");
    await hub.run("parent");
    await hub.turn("parent", { requests: [requestTo("child")] });
    const { n } = present((await hub.requests())[0]);
    const command = hub.rewindCommand(failed, { consumes: n });
    assert.equal((await hub.command(command)).outcome, "done");
    assert.deepEqual(await hub.command(command), { outcome: "void" });
    assert.deepEqual(await hub.requests(), []);
  });
}
