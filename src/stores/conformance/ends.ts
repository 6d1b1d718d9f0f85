import assert from "node:assert/strict";
import type { Failure } from "../../core/failure.js";
import type { Check } from "./check.js";
import { ENDED_STATES, everything, executionsOf, requestTo, type TestHub, typesIn } from "./test-hub.js";

/** How runs end, by their last turn or from outside: nothing is left behind, and what was dropped is counted. */
export function checkEnds(check: Check): void {
  for (const status of ENDED_STATES) {
    check(`a turn ends its run as ${status}, with output, failure and time`, async (hub) => {
      await hub.run("order-1");
      const failure: Failure = { type: "Error", message: "card refused", inner: { type: "E", message: "" } };
      const loaded = await hub.load("order-1");
      const turn = hub.endOn(loaded, { status, output: '"out"', failure }, { customStatus: '"last"' });
      await hub.accept(turn);
      const { instance, execution } = await hub.record("order-1");
      assert.deepEqual(instance, {
        ...loaded.instance,
        sequence: loaded.instance.sequence + 1,
        status,
        worker: "worker-1",
        updatedAtMs: turn.atMs,
      });
      assert.deepEqual(execution, {
        ...loaded.execution,
        status,
        output: '"out"',
        failure,
        customStatus: '"last"',
        updatedAtMs: turn.atMs,
        endedAtMs: turn.atMs,
      });
      assert.deepEqual(await hub.chunks("order-1"), [...loaded.chunks, turn.chunk]);
    });
  }

  const ends: Record<string, (hub: TestHub) => Promise<unknown>> = {
    "its last turn": (hub) => hub.end("order-1", {}, { consumed: [] }),
    "a terminate": (hub) => hub.terminate("order-1"),
    "a replacement": (hub) => hub.replace("order-1"),
  };
  for (const [what, end] of Object.entries(ends)) {
    check(`a run that is ended by ${what} leaves no mail, timer or activity`, async (hub) => {
      await leaveEverything(hub);
      await end(hub);
      const messages = (await hub.messages()).filter((message) => message.kind === "mail");
      const ended = (await executionsOf(hub.store, "order-1")).at(-1);
      const left = messages.filter(
        ({ generation }) => generation === undefined || generation === ended?.generation,
      );
      assert.deepEqual(left, []);
      const { due, unfinished } = await everything(hub.store);
      assert.deepEqual(due, { timers: [] });
      assert.deepEqual(unfinished, []);
      assert.equal((await hub.instance("order-1")).activities, 0);
    });

    check(`events and commands that ${what} drops are counted; results and starts are not`, async (hub) => {
      await leaveEverything(hub);
      await end(hub);
      const executions = await executionsOf(hub.store, "order-1");
      assert.equal(executions.find(({ run }) => run === 1)?.droppedMessages, 3);
    });
  }

  check("a pending instance that is terminated has dropped nothing but its events", async (hub) => {
    await hub.start("order-1");
    await hub.start("order-2");
    await hub.raise("order-2");
    await hub.terminate("order-1");
    await hub.terminate("order-2");
    assert.equal((await hub.execution("order-1")).droppedMessages, 0);
    assert.equal((await hub.execution("order-2")).droppedMessages, 1);
    assert.deepEqual(await hub.messages(), []);
  });

  check("a run that took in all its mail has dropped none", async (hub) => {
    await leaveEverything(hub);
    await hub.end("order-1");
    assert.equal((await hub.execution("order-1")).droppedMessages, 0);
  });

  check("the last turn's requests are sent", async (hub) => {
    await hub.run("order-1");
    await hub.end(
      "order-1",
      {},
      { requests: [requestTo("other"), requestTo("child", { startsChild: true })] },
    );
    assert.deepEqual(
      (await hub.requests()).map(({ instanceId }) => instanceId),
      ["other", "child"],
    );
  });

  check("a terminate is one more commit of the generation, recorded in its history", async (hub) => {
    await hub.run("order-1");
    const before = await hub.load("order-1");
    const atMs = hub.now();
    const terminate = { kind: "terminate", instanceId: "order-1", atMs, recurse: false } as const;
    const answer = await hub.command({ ...terminate, reason: "enough", output: '"enough"' });
    assert.deepEqual(answer, { outcome: "done", runtimeStatus: "Running" });
    const { instance, execution, chunks } = await hub.load("order-1");
    assert.deepEqual(instance, {
      ...before.instance,
      sequence: before.instance.sequence + 1,
      status: "Terminated",
      updatedAtMs: atMs,
    });
    assert.deepEqual(execution, {
      ...before.execution,
      status: "Terminated",
      output: '"enough"',
      updatedAtMs: atMs,
      endedAtMs: atMs,
    });
    assert.deepEqual(chunks.slice(0, -1), before.chunks);
    assert.deepEqual(typesIn(chunks.slice(-1)), ["ExecutionTerminated", "ExecutionCompleted"]);
  });

  check("pending, suspended and parked instances can be terminated without a worker", async (hub) => {
    await hub.start("pending");
    await hub.bring("suspended", "Suspended");
    await hub.run("parked");
    await hub.turn("parked", { parked: { code: "EngineFault", message: "", sinceMs: 1 } });
    for (const id of ["pending", "suspended", "parked"]) {
      assert.equal((await hub.terminate(id)).outcome, "done");
      assert.equal((await hub.instance(id)).status, "Terminated");
    }
  });

  for (const status of ENDED_STATES) {
    check(`a terminate of an instance that is ${status} changes nothing`, async (hub) => {
      await hub.bring("order-1", status);
      const before = await everything(hub.store);
      assert.deepEqual(await hub.terminate("order-1", true), { outcome: "ended", runtimeStatus: status });
      assert.deepEqual(await everything(hub.store), before);
    });
  }

  check("of a terminate and a last turn, the first one counts", async (hub) => {
    await hub.run("a");
    await hub.run("b");
    const turn = hub.endOn(await hub.load("a"));
    await hub.terminate("a");
    await hub.refuse(turn);
    assert.equal((await hub.instance("a")).status, "Terminated");
    await hub.end("b");
    assert.deepEqual(await hub.terminate("b"), { outcome: "ended", runtimeStatus: "Completed" });
    assert.equal((await hub.instance("b")).status, "Completed");
  });
}

/** A running instance with two events, a command, a result, two timers and two activities that wait. */
async function leaveEverything(hub: TestHub): Promise<void> {
  await hub.run("order-1");
  await hub.startChild("order-1", "child", 5);
  await hub.end("child");
  await hub.raise("order-1", "first");
  await hub.raise("order-1", "second");
  await hub.suspend("order-1");
  await hub.turn("order-1", {
    consumed: [],
    activities: 2,
    timersSet: [
      { task: 1, dueMs: 1_000 },
      { task: 2, dueMs: 2_000 },
    ],
  });
}
