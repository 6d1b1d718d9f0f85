import assert from "node:assert/strict";
import { shardOf } from "../../core/shard.js";
import { START_TIMER } from "../../core/store.js";
import type { Check } from "./check.js";
import { eventsIn, type TestHub } from "./test-hub.js";

/** Durable timers and scheduled starts. */
export function checkTimers(check: Check): void {
  check("timers are due from their time on, and not a millisecond earlier", async (hub) => {
    const { iid, generation } = await hub.run("order-1");
    await hub.turn("order-1", { timersSet: [{ task: 4, dueMs: 5_000 }] });
    assert.deepEqual(await due(hub, 4_999), { timers: [], nextDueMs: 5_000 });
    assert.deepEqual(await due(hub, 5_000), { timers: [{ iid, generation, task: 4, dueMs: 5_000 }] });
    assert.deepEqual(await due(hub, 9_000_000), { timers: [{ iid, generation, task: 4, dueMs: 5_000 }] });
  });

  check("timers are due in the order of their times, over all instances", async (hub) => {
    for (const [index, id] of ["a", "b", "c"].entries()) {
      await hub.run(id);
      await hub.turn(id, {
        timersSet: [10, 20, 30].map((task) => ({ task, dueMs: 1_000 * task + index })),
      });
    }
    const { timers, nextDueMs } = await due(hub, 20_001);
    assert.deepEqual(
      timers.map(({ dueMs }) => dueMs),
      [10_000, 10_001, 10_002, 20_000, 20_001],
    );
    assert.equal(nextDueMs, 20_002);
  });

  check("due timers are read page by page as they are cleared", async (hub) => {
    await hub.run("order-1");
    const tasks = Array.from({ length: 10 }, (_, task) => task);
    await hub.turn("order-1", { timersSet: tasks.map((task) => ({ task, dueMs: 100 - task })) });
    const fired: number[] = [];
    for (let page = 0; page < 3; page++) {
      const { timers } = await hub.store.due({ shards: "all", untilMs: 99, limit: 4 });
      assert.ok(timers.length <= 4);
      fired.push(...timers.map(({ task }) => task));
      await hub.turn("order-1", { timersCleared: timers.map(({ task }) => task) });
    }
    assert.deepEqual(fired, tasks.slice(1).reverse());
    assert.deepEqual(await due(hub, 99), { timers: [], nextDueMs: 100 });
  });

  check("a full page of due timers still says when the next one after that time is due", async (hub) => {
    await hub.run("order-1");
    await hub.turn("order-1", { timersSet: [1, 2, 3, 4].map((task) => ({ task, dueMs: task * 10 })) });
    const page = await hub.store.due({ shards: "all", untilMs: 30, limit: 2 });
    assert.deepEqual(
      page.timers.map(({ task }) => task),
      [1, 2],
    );
    assert.equal(page.nextDueMs, 40);
  });

  check("a cleared timer is gone, and others stay", async (hub) => {
    await hub.run("order-1");
    await hub.run("order-2");
    const timersSet = [1, 2].map((task) => ({ task, dueMs: task }));
    await hub.turn("order-1", { timersSet });
    await hub.turn("order-2", { timersSet });
    await hub.turn("order-1", { timersCleared: [1, 99] });
    const { iid } = await hub.instance("order-1");
    assert.deepEqual(
      (await due(hub, 10)).timers.map((timer) => ({ mine: timer.iid === iid, task: timer.task })),
      [
        { mine: false, task: 1 },
        { mine: true, task: 2 },
        { mine: false, task: 2 },
      ],
    );
  });

  for (const [which, timersFired] of [
    ["never was set", [1, 99]],
    ["was cleared", [1, 3]],
    ["has fired before", [1, 2]],
    ["is another instance's", [1, 4]],
  ] as const) {
    check(`a turn that takes in the firing of a timer that ${which} is refused`, async (hub) => {
      await hub.run("order-1");
      await hub.run("order-2");
      await hub.turn("order-1", { timersSet: [1, 2, 3].map((task) => ({ task, dueMs: task })) });
      await hub.turn("order-2", { timersSet: [{ task: 4, dueMs: 4 }] });
      await hub.turn("order-1", { timersCleared: [3] });
      await hub.turn("order-1", { timersFired: [2] });
      await hub.refuse(hub.turnOn(await hub.load("order-1"), { timersFired }));
      await hub.refuse(hub.endOn(await hub.load("order-1"), {}, { timersFired }));
      await hub.turn("order-1", { timersFired: [1] });
      assert.equal((await due(hub, 10)).timers.length, 1);
    });
  }

  check("a timer of an earlier generation does not fire in the next one", async (hub) => {
    await hub.run("order-1");
    await hub.turn("order-1", { timersSet: [{ task: 1, dueMs: 1 }] });
    await hub.continueAsNew("order-1");
    await hub.refuse(hub.turnOn(await hub.load("order-1"), { timersFired: [1] }));
  });

  check("due reads only the shards that it asks for", async (hub) => {
    for (const id of ["a", "b"]) {
      await hub.run(id);
      await hub.turn(id, { timersSet: [{ task: 1, dueMs: 10 }] });
    }
    assert.notEqual(shardOf("a"), shardOf("b"));
    const query = { untilMs: 10, limit: 10 };
    const { timers } = await hub.store.due({ ...query, shards: [shardOf("b")] });
    assert.deepEqual(
      timers.map(({ iid }) => iid),
      [(await hub.instance("b")).iid],
    );
    assert.deepEqual(await hub.store.due({ ...query, shards: [] }), { timers: [] });
    const early = await hub.store.due({ shards: [shardOf("a")], untilMs: 5, limit: 10 });
    assert.deepEqual(early, { timers: [], nextDueMs: 10 });
  });

  check("a start for later waits as a timer, without mail", async (hub) => {
    const startAtMs = hub.now() + 60_000;
    await hub.start("order-1", { startAtMs });
    const { iid, generation, startAtMs: shown, status } = await hub.instance("order-1");
    assert.equal(shown, startAtMs);
    assert.equal(status, "Pending");
    assert.deepEqual(await hub.messages(), []);
    assert.deepEqual(await due(hub, startAtMs - 1), { timers: [], nextDueMs: startAtMs });
    assert.deepEqual(await due(hub, startAtMs), {
      timers: [{ iid, generation, task: START_TIMER, dueMs: startAtMs }],
    });
    await hub.turn("order-1", { timersCleared: [START_TIMER] });
    assert.deepEqual(await due(hub, startAtMs), { timers: [] });
    assert.equal((await hub.instance("order-1")).status, "Running");
  });

  check("a start whose time has come already begins at once", async (hub) => {
    const atMs = hub.now();
    await hub.start("order-1", { atMs, startAtMs: atMs });
    assert.deepEqual(eventsIn(await hub.mail("order-1")), ["ExecutionStarted"]);
    assert.deepEqual(await due(hub, atMs + 1), { timers: [] });
    assert.ok(!("startAtMs" in (await hub.instance("order-1"))));
  });

  check("events for an instance that waits for its start are kept until then", async (hub) => {
    const startAtMs = hub.now() + 60_000;
    await hub.start("order-1", { startAtMs });
    assert.deepEqual(await hub.raise("order-1", "early"), { outcome: "done", runtimeStatus: "Pending" });
    assert.deepEqual(eventsIn(await hub.mail("order-1")), ["early"]);
  });

  check(
    "an instance that waits for its start holds its ID, and can be terminated and replaced",
    async (hub) => {
      await hub.start("order-1", { startAtMs: hub.now() + 60_000 });
      assert.equal((await hub.command(hub.startCommand("order-1"))).outcome, "refused");
      await hub.replace("order-1");
      assert.deepEqual(await due(hub, Number.MAX_SAFE_INTEGER), { timers: [] });
      assert.ok(!("startAtMs" in (await hub.instance("order-1"))));
      await hub.start("order-2", { startAtMs: hub.now() + 60_000 });
      assert.equal((await hub.terminate("order-2")).outcome, "done");
      assert.deepEqual(await due(hub, Number.MAX_SAFE_INTEGER), { timers: [] });
    },
  );
}

async function due(hub: TestHub, untilMs: number) {
  return hub.store.due({ shards: "all", untilMs, limit: 1_000 });
}
