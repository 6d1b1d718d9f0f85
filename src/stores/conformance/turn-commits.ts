import assert from "node:assert/strict";
import { encodeChunk } from "../../core/history-codec.js";
import { startPolicy } from "../../core/start-policy.js";
import { ANY_MAIL, type LoadedInstance, type TurnCommit } from "../../core/store.js";
import type { Check } from "./check.js";
import { ENDED_STATES, eventsIn, everything, requestTo, type TestHub } from "./test-hub.js";

/**
 * The guard of a commit. In each case a turn is valid but for one field; it must be refused and leave
 * no trace, and the same turn with that field put right must be accepted.
 */
export function checkTurnCommits(check: Check): void {
  /** Declares a case about an instance in its second generation, with mail, results, timers and activities. */
  const checkGuard = (
    name: string,
    spoil: (valid: TurnCommit, loaded: LoadedInstance, hub: TestHub) => Promise<TurnCommit> | TurnCommit,
  ): void => {
    const kinds: Record<string, (hub: TestHub, loaded: LoadedInstance) => TurnCommit> = {
      "goes on": (hub, loaded) => fullTurn(hub, loaded),
      "ends the run": (hub, loaded) => hub.endOn(loaded, {}, { requests: [requestTo("other")] }),
      "ends the run whatever came": (hub, loaded) => hub.endOn(loaded, {}, { mail: ANY_MAIL }),
      "continues as new": (hub, loaded) => hub.nextOn(loaded, {}, { requests: [requestTo("other")] }),
    };
    for (const [kind, make] of Object.entries(kinds)) {
      check(`a turn that ${kind} is refused when ${name}`, async (hub) => {
        const loaded = await busyInstance(hub, "order-1");
        const valid = make(hub, loaded);
        await hub.refuse(await spoil(valid, loaded, hub));
        await hub.accept(valid);
      });
    }
  };

  checkGuard("its instance does not exist", (valid) => ({ ...valid, iid: valid.iid + 1_000 }));
  checkGuard("it is of an earlier generation", (valid) => ({ ...valid, generation: valid.generation - 1 }));
  checkGuard("it is of a generation to come", (valid) => ({ ...valid, generation: valid.generation + 1 }));
  checkGuard("its sequence is stale", (valid) => ({ ...valid, sequence: valid.sequence - 1 }));
  checkGuard("its sequence is yet to come", (valid) => ({ ...valid, sequence: valid.sequence + 1 }));
  checkGuard("it takes in a message which never was", (valid) => ({
    ...valid,
    consumed: [...valid.consumed, 1_000_000],
  }));
  checkGuard("it takes in nothing but a message which never was", (valid) => ({
    ...valid,
    consumed: [1_000_000],
  }));
  checkGuard("it takes in a message which was consumed before", async (valid) => ({
    ...valid,
    consumed: [1, ...valid.consumed],
  }));
  checkGuard("it takes in another instance's message", async (valid, _loaded, hub) => {
    const other = await busyInstance(hub, "order-2");
    return { ...valid, consumed: [...valid.consumed, ...other.messages.slice(0, 1).map(({ n }) => n)] };
  });
  checkGuard("it takes in nothing but another instance's message", async (valid, _loaded, hub) => {
    const other = await busyInstance(hub, "order-2");
    return { ...valid, consumed: other.messages.slice(0, 1).map(({ n }) => n) };
  });
  checkGuard("it takes in a request", async (valid, _loaded, hub) => {
    const requests = await hub.requests();
    assert.ok(requests.length > 0);
    return { ...valid, consumed: [...valid.consumed, ...requests.map(({ n }) => n)] };
  });
  checkGuard("it takes in nothing but a request", async (valid, _loaded, hub) => {
    const requests = await hub.requests();
    assert.ok(requests.length > 0);
    return { ...valid, consumed: requests.slice(0, 1).map(({ n }) => n) };
  });

  for (const state of ENDED_STATES) {
    check(`a turn is refused once the run is ${state}, with every number as the row has it`, async (hub) => {
      await busyInstance(hub, "order-1");
      await hub.end("order-1", { status: state });
      const ended = await hub.load("order-1");
      await hub.refuse(hub.turnOn(ended, { status: "Running" }));
      await hub.refuse(hub.endOn(ended));
      await hub.refuse(hub.endOn(ended, {}, { mail: ANY_MAIL }));
      await hub.refuse(hub.nextOn(ended));
    });
  }

  check("a turn is refused once the run was terminated, with every number as the row has it", async (hub) => {
    await busyInstance(hub, "order-1");
    await hub.terminate("order-1");
    const ended = await hub.load("order-1");
    await hub.refuse(hub.turnOn(ended));
    await hub.refuse(hub.endOn(ended));
    await hub.refuse(hub.nextOn(ended));
  });

  const lateMail: Record<string, (hub: TestHub) => Promise<unknown>> = {
    "an event": (hub) => hub.raise("order-1", "late"),
    "a suspend": (hub) => hub.suspend("order-1"),
    "a waiter": async (hub) => {
      await hub.run("parent");
      return hub.startChild("parent", "order-1", 7, { policy: startPolicy("attach") });
    },
  };
  for (const [what, arrive] of Object.entries(lateMail)) {
    check(`a turn that ends the run is refused when ${what} was accepted meanwhile`, async (hub) => {
      const loaded = await busyInstance(hub, "order-1");
      const end = hub.endOn(loaded);
      await arrive(hub);
      await hub.refuse(end);
      await hub.end("order-1");
    });

    check(`a turn that goes on is accepted when ${what} was accepted meanwhile`, async (hub) => {
      const turn = hub.turnOn(await busyInstance(hub, "order-1"));
      await arrive(hub);
      await hub.accept(turn);
    });

    check(`a turn that continues as new is accepted when ${what} was accepted meanwhile`, async (hub) => {
      const turn = hub.nextOn(await busyInstance(hub, "order-1"));
      await arrive(hub);
      await hub.accept(turn);
    });
  }

  check("a turn that ends the run is refused when it has seen more mail than there is", async (hub) => {
    const loaded = await busyInstance(hub, "order-1");
    const end = hub.endOn(loaded);
    await hub.refuse({ ...end, mail: loaded.instance.mail + 1 });
    await hub.accept(end);
  });

  check(
    "a turn that ends the run whatever came is accepted, and what it has not seen is counted",
    async (hub) => {
      const loaded = await busyInstance(hub, "order-1");
      const end = hub.endOn(loaded, {}, { mail: ANY_MAIL });
      await hub.raise("order-1", "late");
      await hub.suspend("order-1");
      await hub.accept(end);
      const { instance, execution, messages } = await hub.load("order-1");
      assert.deepEqual([instance.status, execution.droppedMessages], ["Completed", 2]);
      assert.deepEqual(messages, []);
    },
  );

  check("a turn that ends the run is refused when it does not say which mail it has seen", async (hub) => {
    await hub.run("order-1");
    const { mail: _mail, ...silent } = hub.endOn(await hub.load("order-1"));
    await hub.refuse(silent);
  });

  check("a result that came meanwhile does not keep a turn from ending the run", async (hub) => {
    await hub.run("order-1");
    await hub.startChild("order-1", "child", 3);
    const end = hub.endOn(await hub.load("order-1"));
    await hub.end("child");
    assert.deepEqual(eventsIn(await hub.mail("order-1")), ["SubOrchestrationInstanceCompleted"]);
    await hub.accept(end);
    assert.deepEqual(await hub.messages(), []);
  });

  check("of two turns on the same state, the first is accepted and the second refused", async (hub) => {
    const loaded = await busyInstance(hub, "order-1");
    const first = hub.turnOn(loaded, { writer: "worker-1" });
    const second = hub.turnOn(loaded, { writer: "worker-2" });
    await hub.accept(first);
    await hub.refuse(second);
    assert.equal((await hub.instance("order-1")).worker, "worker-1");
  });

  check("turns in one batch are accepted or refused each by itself", async (hub) => {
    const [a, b, c] = [await hub.run("a"), await hub.run("b"), await hub.run("c")];
    const turns = await Promise.all([a, b, c].map(async ({ instanceId }) => hub.load(instanceId)));
    const [first, second, third] = turns.map((loaded) => hub.turnOn(loaded));
    assert.ok(first !== undefined && second !== undefined && third !== undefined);
    const results = await hub.store.commit([first, { ...second, sequence: 7 }, third]);
    assert.deepEqual(
      results.map(({ accepted }) => accepted),
      [true, false, true],
    );
    const heads = await hub.store.heads([a.iid, b.iid, c.iid]);
    assert.deepEqual(
      heads.map(({ sequence }) => sequence),
      [2, 1, 2],
    );
  });

  check("what turns of one batch send comes in the order in which they were given", async (hub) => {
    const ids = ["a", "b", "c", "d"];
    for (const id of ids) await hub.run(id);
    // Not in that of the rows, in which they are locked.
    const senders = ["c", "a", "d", "b"];
    const turns: TurnCommit[] = [];
    for (const id of senders) {
      const body = requestTo("receiver", { body: id });
      turns.push(hub.turnOn(await hub.load(id), { requests: [body] }));
    }
    await hub.store.commit(turns);
    assert.deepEqual(
      (await hub.requests("receiver")).map(({ body }) => body),
      senders,
    );
  });

  check("turns of one instance may follow one another in one batch", async (hub) => {
    await hub.run("order-1");
    const loaded = await hub.load("order-1");
    const first = hub.turnOn(loaded);
    const second = { ...hub.turnOn(loaded), sequence: first.sequence + 1 };
    const doubled = { ...hub.turnOn(loaded), sequence: first.sequence + 1 };
    const results = await hub.store.commit([first, second, doubled]);
    assert.deepEqual(
      results.map(({ accepted }) => accepted),
      [true, true, false],
    );
    assert.equal((await hub.chunks("order-1")).length, 3);
  });

  check("a turn writes what it says, and nothing else", async (hub) => {
    const loaded = await busyInstance(hub, "order-1");
    const turn = fullTurn(hub, loaded);
    const token = await hub.accept(turn);
    const after = await hub.load("order-1");
    assert.deepEqual(after.instance, {
      ...loaded.instance,
      sequence: loaded.instance.sequence + 1,
      activities: 5,
      worker: "worker-1",
      updatedAtMs: turn.atMs,
    });
    assert.equal(token, loaded.instance.fencingToken);
    assert.deepEqual(after.execution, {
      ...loaded.execution,
      customStatus: '"half way"',
      updatedAtMs: turn.atMs,
    });
    assert.deepEqual(after.chunks, [...loaded.chunks, turn.chunk]);
    assert.deepEqual(after.messages, []);
    const sent = (await hub.requests()).slice(1);
    assert.deepEqual(
      sent.map(({ instanceId, body }) => ({ instanceId, body })),
      turn.requests.map(({ instanceId, body }) => ({ instanceId, body })),
    );
    const { timers } = await hub.store.due({ shards: "all", untilMs: 1_000_000, limit: 10 });
    assert.deepEqual(
      timers.map(({ task, dueMs }) => ({ task, dueMs })),
      [
        { task: 2, dueMs: 2_000 },
        { task: 3, dueMs: 3_000 },
      ],
    );
  });

  check("the first turn makes a pending instance a running one", async (hub) => {
    await hub.start("order-1");
    await hub.turn("order-1");
    const { instance, execution } = await hub.record("order-1");
    assert.equal(instance.status, "Running");
    assert.equal(execution.status, "Running");
    assert.equal(instance.sequence, 1);
  });

  check("a turn without events counts as a commit and leaves the history as it is", async (hub) => {
    await hub.run("order-1");
    const before = await hub.load("order-1");
    const { chunk: _chunk, ...silent } = hub.turnOn(before);
    await hub.accept(silent);
    const after = await hub.load("order-1");
    assert.equal(after.instance.sequence, before.instance.sequence + 1);
    assert.deepEqual(after.chunks, before.chunks);
    await hub.turn("order-1");
    assert.equal((await hub.chunks("order-1")).length, before.chunks.length + 1);
  });

  check("a turn leaves the messages that it does not take in", async (hub) => {
    await hub.run("order-1");
    for (const name of ["a", "b", "c", "d"]) await hub.raise("order-1", name);
    const { messages } = await hub.load("order-1");
    await hub.turn("order-1", { consumed: messages.filter((_, index) => index % 2 === 1).map(({ n }) => n) });
    assert.deepEqual(eventsIn(await hub.mail("order-1")), ["a", "c"]);
  });

  check("the custom status is set, left and cleared", async (hub) => {
    await hub.run("order-1");
    await hub.turn("order-1", { customStatus: '"one"' });
    assert.equal((await hub.execution("order-1")).customStatus, '"one"');
    await hub.turn("order-1");
    assert.equal((await hub.execution("order-1")).customStatus, '"one"');
    await hub.turn("order-1", { customStatus: null });
    assert.ok(!("customStatus" in (await hub.execution("order-1"))));
  });

  check("turns of one instance leave others alone", async (hub) => {
    await busyInstance(hub, "order-1");
    const before = await everything(hub.store);
    await hub.run("order-2");
    await hub.raise("order-2");
    await hub.turn("order-2", { customStatus: '"x"' });
    await hub.end("order-2");
    await hub.purge("order-2");
    assert.deepEqual(await everything(hub.store), before);
  });
}

/** An instance in its second generation and second turn, with two messages, two timers and two activities. */
async function busyInstance(hub: TestHub, instanceId: string): Promise<LoadedInstance> {
  await hub.run(instanceId);
  await hub.continueAsNew(instanceId);
  await hub.turn(instanceId);
  await hub.turn(instanceId, {
    activities: 2,
    timersSet: [
      { task: 1, dueMs: 1_000 },
      { task: 2, dueMs: 2_000 },
    ],
    requests: [requestTo("somebody")],
  });
  await hub.raise(instanceId, "first");
  await hub.raise(instanceId, "second");
  return hub.load(instanceId);
}

/** A turn that makes use of every field of one that goes on. */
function fullTurn(hub: TestHub, loaded: LoadedInstance): TurnCommit {
  const atMs = hub.now();
  return hub.turnOn(loaded, {
    atMs,
    chunk: encodeChunk([
      { type: "OrchestratorStarted", atMs },
      { type: "TaskScheduled", atMs, id: 9, name: "Charge" },
    ]),
    activities: 5,
    customStatus: '"half way"',
    timersSet: [{ task: 3, dueMs: 3_000 }],
    timersCleared: [1],
    requests: [requestTo("child-1", { startsChild: true }), requestTo("other-2")],
  });
}
