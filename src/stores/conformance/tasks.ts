import assert from "node:assert/strict";
import { encodeChunk } from "../../core/history-codec.js";
import type { Instance } from "../../core/instance.js";
import type { ChangeHint, Store, WorkerInfo } from "../../core/store.js";
import {
  type ClaimedTask,
  type OfferedTask,
  type TaskQuery,
  type Tasks,
  TURN_TASK,
} from "../../core/task.js";
import type { Check } from "./check.js";
import { eventsIn, present, SkippedCase, type TestHub } from "./test-hub.js";

const CHARGE = { task: 1, name: "Charge", queue: "gpu" } as const;

const workerOf = (id: string): WorkerInfo => ({
  id,
  host: "host-1",
  pid: process.pid,
  sinceMs: 1_000,
  orchestrations: ["Order"],
  activities: ["Charge"],
});

/** Everything that these workers can do. */
const queryOf = (worker: string, fields: Partial<TaskQuery> = {}): TaskQuery => ({
  worker,
  activities: ["Charge", "Ship"],
  orchestrations: ["Order"],
  queues: ["gpu"],
  limit: 100,
  ...fields,
});

const completed = (task: number) =>
  encodeChunk([{ type: "TaskCompleted", atMs: 1, taskScheduledId: task, result: '"done"' }]);

/** A hub whose store has tasks, and a live worker that may hold them. */
async function withTasks(hub: TestHub): Promise<Tasks> {
  if (hub.store.tasks === undefined) throw new SkippedCase("the store has no tasks");
  await hub.store.join(workerOf("worker-1"));
  return hub.store.tasks;
}

/** Another live worker on the same hub. */
async function another(hub: TestHub, id: string): Promise<Tasks> {
  return present((await joined(hub, id)).tasks);
}

async function joined(hub: TestHub, id: string): Promise<Store> {
  const store = await hub.another();
  await store.join(workerOf(id));
  return store;
}

/** The next hint that a store gives which is a wanted one. */
function nextHint(store: Store, wanted: (hint: ChangeHint) => boolean): Promise<ChangeHint> {
  return new Promise((resolve) => {
    const unsubscribe = store.subscribe((hint) => {
      if (!wanted(hint)) return;
      unsubscribe();
      resolve(hint);
    });
  });
}

/** Who holds the tasks of an instance, by their numbers. */
async function holdersOf(tasks: Tasks, { iid }: Pick<Instance, "iid">): Promise<unknown[]> {
  const states = await tasks.of([iid]);
  return states
    .toSorted((one, other) => one.task - other.task)
    .map(({ task, holder }) => [task, holder ?? "nobody"]);
}

async function offered(hub: TestHub, tasks: Tasks, instanceId: string, numbers = [1]): Promise<Instance> {
  const instance = await hub.run(instanceId);
  await tasks.offer(numbers.map((task) => offerOf(instance, { task })));
  return instance;
}

function offerOf({ iid, generation }: Instance, fields: Partial<OfferedTask> = {}): OfferedTask {
  return { iid, generation, task: 1, name: "Charge", ...fields };
}

async function claimOne(tasks: Tasks, worker: string): Promise<ClaimedTask> {
  return present((await tasks.claim(queryOf(worker)))[0]);
}

async function claimOneOnly(tasks: Tasks, worker: string): Promise<ClaimedTask> {
  const [claimed, ...rest] = await tasks.claim(queryOf(worker, { limit: 1 }));
  assert.deepEqual(rest, []);
  return present(claimed);
}

/** Work that leaves the process of its instance's owner. */
export function checkTasks(check: Check): void {
  check("a worker is handed, shown, and may answer no task of another hub", async (hub) => {
    const here = await withTasks(hub);
    const other = hub.on(await hub.another("other"));
    await other.store.join(workerOf("worker-2"));
    const there = present(other.store.tasks);
    const instance = await offered(other, there, "order-1");
    assert.deepEqual(await here.claim(queryOf("worker-1")), []);
    assert.deepEqual(await here.of([instance.iid]), []);
    await here.offer([offerOf(instance, { task: 2 })]);
    assert.deepEqual(await holdersOf(there, instance), [[1, "nobody"]]);
    const claimed = await claimOne(there, "worker-2");
    const result = { ...offerOf(instance), events: completed(1) };
    assert.deepEqual(await here.finish("worker-2", [result]), [false]);
    await here.letGo("worker-2", [claimed]);
    assert.deepEqual(await holdersOf(there, instance), [[1, "worker-2"]]);
    assert.deepEqual(await there.finish("worker-2", [result]), [true]);
  });

  check(
    "an activity that a turn puts on a queue is handed out once, with what running it needs",
    async (hub) => {
      const tasks = await withTasks(hub);
      const others = await another(hub, "worker-2");
      await hub.run("order-1");
      await hub.turn("order-1", { queued: [{ ...CHARGE, input: "7" }], activities: 1 });
      const { iid, generation, executionId, run, fencingToken } = await hub.instance("order-1");
      const [claimed, ...rest] = await tasks.claim(queryOf("worker-1"));
      assert.deepEqual(rest, []);
      const { offers, ...seen } = present(claimed);
      assert.equal(offers, 1);
      const at = { iid, generation, instanceId: "order-1", executionId, run };
      assert.deepEqual(seen, { ...CHARGE, ...at, input: "7", orchestration: "Order", fencingToken });
      assert.deepEqual(await others.claim(queryOf("worker-2")), []);
    },
  );

  check(
    "activities of several turns that are committed at once go to their queues as they are",
    async (hub) => {
      const tasks = await withTasks(hub);
      const queued = [
        { ...CHARGE, name: 'Charge "twice", {now}', queue: "NULL", input: '{"a":"\\\\ \\" ,"}' },
        { ...CHARGE, task: 2 },
      ];
      await hub.run("order-1");
      await hub.run("order-2");
      await hub.run("order-3");
      const turns = [
        hub.turnOn(await hub.load("order-1"), { queued, activities: 2 }),
        hub.turnOn(await hub.load("order-2"), { queued: [CHARGE], activities: 1 }),
        hub.turnOn(await hub.load("order-3")),
      ];
      for (const { accepted } of await hub.store.commit(turns)) assert.ok(accepted);
      const claimed = await tasks.claim(
        queryOf("worker-1", { activities: [CHARGE.name, present(queued[0]).name], queues: ["gpu", "NULL"] }),
      );
      const seen = claimed.map(({ instanceId, task, name, queue, input }) => [
        instanceId,
        task,
        name,
        queue,
        input,
      ]);
      assert.deepEqual(
        seen.toSorted((one, other) => (String(one) < String(other) ? -1 : 1)),
        [
          ["order-1", 1, 'Charge "twice", {now}', "NULL", '{"a":"\\\\ \\" ,"}'],
          ["order-1", 2, "Charge", "gpu", undefined],
          ["order-2", 1, "Charge", "gpu", undefined],
        ],
      );
    },
  );

  check("a turn that is committed a second time puts nothing on a queue again", async (hub) => {
    const tasks = await withTasks(hub);
    await hub.run("order-1");
    const turn = hub.turnOn(await hub.load("order-1"), { queued: [CHARGE], activities: 1 });
    await hub.accept(turn);
    const claimed = await claimOne(tasks, "worker-1");
    await tasks.finish("worker-1", [{ ...claimed, events: completed(1) }]);
    await hub.accept(turn);
    assert.deepEqual(await tasks.of([turn.iid]), []);
  });

  check("a turn that ends its generation puts nothing on a queue", async (hub) => {
    const tasks = await withTasks(hub);
    const { iid } = await hub.run("order-1");
    await hub.continueAsNew("order-1", {}, { queued: [CHARGE] });
    assert.deepEqual(await tasks.of([iid]), []);
    await hub.end("order-1", {}, { queued: [CHARGE] });
    assert.deepEqual(await tasks.of([iid]), []);
  });

  check("a purge takes the tasks along", async (hub) => {
    const tasks = await withTasks(hub);
    const { iid } = await offered(hub, tasks, "order-1");
    await hub.terminate("order-1");
    await hub.purge("order-1");
    assert.deepEqual(await tasks.of([iid]), []);
  });

  check("a turn that is refused puts nothing on a queue", async (hub) => {
    const tasks = await withTasks(hub);
    const loaded = await hub.run("order-1").then(() => hub.load("order-1"));
    await hub.turn("order-1");
    await hub.refuse(hub.turnOn(loaded, { queued: [CHARGE], activities: 1 }));
    assert.deepEqual(await tasks.claim(queryOf("worker-1")), []);
  });

  check("only those who have registered the name and serve the queue are handed a task", async (hub) => {
    const tasks = await withTasks(hub);
    await hub.run("order-1");
    await hub.turn("order-1", { queued: [CHARGE], activities: 1 });
    assert.deepEqual(await tasks.claim(queryOf("worker-1", { activities: ["Ship"] })), []);
    assert.deepEqual(await tasks.claim(queryOf("worker-1", { queues: ["cpu"] })), []);
    assert.equal((await tasks.claim(queryOf("worker-1"))).length, 1);
  });

  check("what is offered without a queue goes to whoever has registered the name", async (hub) => {
    const tasks = await withTasks(hub);
    await offered(hub, tasks, "order-1");
    assert.equal((await tasks.claim(queryOf("worker-1", { queues: [] }))).length, 1);
  });

  check("a turn is handed to those who have registered the orchestrator", async (hub) => {
    const tasks = await withTasks(hub);
    const instance = await hub.run("order-1");
    await tasks.offer([offerOf(instance, { task: TURN_TASK, name: "Order" })]);
    assert.deepEqual(await tasks.claim(queryOf("worker-1", { orchestrations: [] })), []);
    const [claimed] = await tasks.claim(queryOf("worker-1", { activities: [] }));
    assert.equal(present(claimed).task, TURN_TASK);
  });

  check("a result becomes mail of its instance, once", async (hub) => {
    const tasks = await withTasks(hub);
    await offered(hub, tasks, "order-1");
    const { iid, generation, task } = await claimOne(tasks, "worker-1");
    const result = { iid, generation, task, events: completed(1) };
    assert.deepEqual(await tasks.finish("worker-1", [result]), [true]);
    assert.deepEqual(await tasks.finish("worker-1", [result]), [false]);
    assert.deepEqual(eventsIn(await hub.mail("order-1")), ["TaskCompleted"]);
  });

  check("a result of somebody who does not hold the task any more is dropped", async (hub) => {
    const tasks = await withTasks(hub);
    const others = await another(hub, "worker-2");
    await offered(hub, tasks, "order-1");
    const first = await claimOne(tasks, "worker-1");
    await tasks.letGo("worker-1", [first]);
    const second = await claimOne(others, "worker-2");
    assert.deepEqual(await tasks.finish("worker-1", [{ ...first, events: completed(1) }]), [false]);
    assert.deepEqual(await others.finish("worker-2", [{ ...second, events: completed(1) }]), [true]);
    assert.equal((await hub.mail("order-1")).length, 1);
  });

  check(
    "an activity that is not offered by its own turn comes with a token above its owner's",
    async (hub) => {
      const tasks = await withTasks(hub);
      await offered(hub, tasks, "order-1");
      const { fencingToken } = await hub.instance("order-1");
      assert.ok((await claimOne(tasks, "worker-1")).fencingToken > fencingToken);
    },
  );

  check("a task that was begun before comes with a higher fencing token", async (hub) => {
    const tasks = await withTasks(hub);
    await offered(hub, tasks, "order-1");
    const first = await claimOne(tasks, "worker-1");
    await tasks.letGo("worker-1", [first]);
    const again = await claimOne(tasks, "worker-1");
    assert.ok(again.fencingToken > first.fencingToken, `${again.fencingToken} is not above`);
    assert.equal((await hub.instance("order-1")).fencingToken, again.fencingToken);
  });

  check(
    "a task is handed out and answered only while its generation is the current one of a live run",
    async (hub) => {
      const tasks = await withTasks(hub);
      await offered(hub, tasks, "order-1");
      await offered(hub, tasks, "order-2");
      await hub.end("order-1");
      await hub.continueAsNew("order-2");
      assert.deepEqual(await tasks.claim(queryOf("worker-1")), []);
      const instance = await offered(hub, tasks, "order-3");
      const claimed = await claimOne(tasks, "worker-1");
      await hub.end("order-3");
      const before = await hub.messages();
      assert.deepEqual(await tasks.finish("worker-1", [{ ...claimed, events: completed(1) }]), [false]);
      assert.deepEqual(await hub.messages(), before);
      await tasks.offer([offerOf(instance, { task: 2 })]);
      assert.deepEqual(await tasks.claim(queryOf("worker-1")), []);
    },
  );

  check(
    "an activity that is handed over stays with its holder, and others see that it is held",
    async (hub) => {
      const tasks = await withTasks(hub);
      const others = await another(hub, "worker-2");
      const instance = await hub.run("order-1");
      await tasks.offer([offerOf(instance)], "worker-1");
      assert.deepEqual(await others.claim(queryOf("worker-2")), []);
      const at = { iid: instance.iid, generation: instance.generation, task: 1 };
      assert.deepEqual(await others.of([instance.iid]), [{ ...at, holder: "worker-1" }]);
    },
  );

  check("a turn that was offered again while it was held is not lost", async (hub) => {
    const tasks = await withTasks(hub);
    const instance = await hub.run("order-1");
    const offer = offerOf(instance, { task: TURN_TASK, name: "Order" });
    await tasks.offer([offer]);
    const held = await claimOne(tasks, "worker-1");
    await tasks.offer([offer]);
    await tasks.letGo("worker-1", [held]);
    const again = await claimOne(tasks, "worker-1");
    await tasks.letGo("worker-1", [again]);
    assert.deepEqual(await tasks.claim(queryOf("worker-1")), []);
    assert.deepEqual(await tasks.of([instance.iid]), []);
  });

  check("an instance with thousands of tasks does not keep another one's waiting", async (hub) => {
    const tasks = await withTasks(hub);
    const numbers = Array.from({ length: 3_000 }, (_, index) => index);
    await offered(hub, tasks, "wide", numbers);
    await offered(hub, tasks, "narrow");
    const claimed = await tasks.claim(queryOf("worker-1", { limit: 10 }));
    assert.equal(claimed.length, 10);
    assert.ok(claimed.some(({ instanceId }) => instanceId === "narrow"));
  });

  check("two that claim at once never get the same task", async (hub) => {
    const tasks = await withTasks(hub);
    const store = await joined(hub, "worker-2");
    const others = present(store.tasks);
    const stayAlive = async (): Promise<void> => {
      await present(hub.store.leases).renew("worker-1");
      await present(store.leases).renew("worker-2");
    };
    for (let round = 0; round < Math.min(hub.rounds, 100); round++) {
      await offered(hub, tasks, `order-${round}`, [1, 2, 3]);
      if (round % 10 === 0) await stayAlive();
      const [one, two] = await Promise.all([
        tasks.claim(queryOf("worker-1", { limit: 2 })),
        others.claim(queryOf("worker-2", { limit: 2 })),
      ]);
      const left = await tasks.claim(queryOf("worker-1"));
      const all = [...one, ...two, ...left].map(({ iid, task }) => `${iid}/${task}`);
      assert.equal(new Set(all).size, all.length, "a task was handed out twice");
      assert.equal(all.length, 3);
      await tasks.finish(
        "worker-1",
        [...one, ...left].map((task) => ({ ...task, events: completed(task.task) })),
      );
      await others.finish(
        "worker-2",
        two.map((task) => ({ ...task, events: completed(task.task) })),
      );
    }
  });

  check("tasks of instances that have fewer in progress come first", async (hub) => {
    const tasks = await withTasks(hub);
    const others = await another(hub, "worker-2");
    for (let busy = 1; busy <= 8; busy++) {
      const instance = await hub.run(`busy-${busy}`);
      await tasks.offer([offerOf(instance)], "worker-2");
      await others.offer([offerOf(instance, { task: 2 }), offerOf(instance, { task: 3 })]);
    }
    await offered(hub, tasks, "idle", [1, 2]);
    const claimed = await claimOneOnly(tasks, "worker-1");
    assert.deepEqual([claimed.instanceId, claimed.task], ["idle", 1]);
  });

  check("no more tasks are handed out than are asked for, and the oldest first", async (hub) => {
    const tasks = await withTasks(hub);
    await offered(hub, tasks, "order-1", [3]);
    await offered(hub, tasks, "order-2", [2]);
    await offered(hub, tasks, "order-3", [1]);
    assert.deepEqual(await tasks.claim(queryOf("worker-1", { limit: 0 })), []);
    const claim = async (limit: number): Promise<number[]> =>
      (await tasks.claim(queryOf("worker-1", { limit }))).map(({ task }) => task);
    assert.deepEqual(await claim(2), [3, 2]);
    assert.deepEqual(await claim(2), [1]);
    assert.deepEqual(await claim(2), []);
  });

  check("who names no queues serves them all", async (hub) => {
    const tasks = await withTasks(hub);
    const instance = await hub.run("order-1");
    const queues = ["gpu", "cpu", undefined];
    await tasks.offer(
      queues.map((queue, task) => offerOf(instance, { task, ...(queue === undefined ? {} : { queue }) })),
    );
    const { queues: _, ...query } = queryOf("worker-1");
    const claimed = await tasks.claim(query);
    assert.deepEqual(
      claimed.map(({ queue }) => queue),
      queues,
    );
  });

  check("what waits for others is not in the way", async (hub) => {
    const tasks = await withTasks(hub);
    const instance = await hub.run("order-1");
    await tasks.offer([
      offerOf(instance, { task: 1, name: "A", queue: "a" }),
      offerOf(instance, { task: 2, name: "Charge", queue: "a" }),
      offerOf(instance, { task: 3, name: "B", queue: "gpu" }),
      offerOf(instance, { task: 4, name: "Charge", queue: "gpu" }),
      offerOf(instance, { task: TURN_TASK, name: "Other" }),
      offerOf(instance, { task: 5, name: "Order" }),
      offerOf(instance, { task: 6, name: "Z", queue: "z" }),
    ]);
    const other = await hub.run("order-2");
    await tasks.offer([
      offerOf(other, { task: TURN_TASK, name: "Charge" }),
      offerOf(other, { task: 7, name: "Order", queue: "cpu" }),
    ]);
    assert.equal((await claimOneOnly(tasks, "worker-1")).task, 4);
    assert.deepEqual(await tasks.claim(queryOf("worker-1")), []);
    const both = await tasks.claim(queryOf("worker-1", { activities: ["Charge", "Order"] }));
    assert.deepEqual(
      both.map(({ task }) => task),
      [5],
    );
  });

  check("the tasks of a run that was terminated are neither handed out nor answered", async (hub) => {
    const tasks = await withTasks(hub);
    await offered(hub, tasks, "order-1", [1, 2]);
    const [held] = await tasks.claim(queryOf("worker-1", { limit: 1 }));
    await hub.terminate("order-1");
    assert.deepEqual(await tasks.claim(queryOf("worker-1")), []);
    const result = { ...present(held), events: completed(1) };
    assert.deepEqual(await tasks.finish("worker-1", [result]), [false]);
    assert.deepEqual(await hub.messages(), []);
  });

  check("the tasks of the run before a rewind are void, and those after it are not", async (hub) => {
    const tasks = await withTasks(hub);
    await offered(hub, tasks, "order-1", [1, 2]);
    const [held] = await tasks.claim(queryOf("worker-1", { limit: 1 }));
    await hub.end("order-1", { status: "Failed" });
    await hub.command(hub.rewindCommand(await hub.instance("order-1"), { activities: 1 }));
    const mail = await hub.mail("order-1");
    assert.deepEqual(await tasks.claim(queryOf("worker-1")), []);
    const result = { ...present(held), events: completed(1) };
    assert.deepEqual(await tasks.finish("worker-1", [result]), [false]);
    assert.deepEqual(await hub.mail("order-1"), mail);
    const rewound = await hub.instance("order-1");
    await tasks.offer([offerOf(rewound, { task: 2 })]);
    const again = await claimOne(tasks, "worker-1");
    assert.deepEqual([again.generation, again.task], [rewound.generation, 2]);
  });

  check(
    "what a worker held whose lease has ended goes to the next that asks, and counts once",
    async (hub) => {
      const tasks = await withTasks(hub);
      const others = await another(hub, "worker-2");
      const instance = await offered(hub, tasks, "order-1", [1, 2]);
      const [first] = await others.claim(queryOf("worker-2", { limit: 1 }));
      assert.deepEqual(await holdersOf(tasks, instance), [
        [1, "worker-2"],
        [2, "nobody"],
      ]);
      await hub.endLease("worker-2");
      assert.deepEqual(await holdersOf(tasks, instance), [
        [1, "nobody"],
        [2, "nobody"],
      ]);
      const claimed = await tasks.claim(queryOf("worker-1"));
      assert.deepEqual(
        claimed.map(({ task }) => task),
        [1, 2],
      );
      assert.ok(present(claimed[0]).fencingToken > present(first).fencingToken);
      const result = { ...present(first), events: completed(1) };
      assert.deepEqual(await others.finish("worker-2", [result]), [false]);
      assert.deepEqual(await tasks.finish("worker-1", [result]), [true]);
      assert.equal((await hub.mail("order-1")).length, 1);
    },
  );

  check("what a worker held that has left goes to the next that asks", async (hub) => {
    const tasks = await withTasks(hub);
    const other = await joined(hub, "worker-2");
    const instance = await hub.run("order-1");
    const { fencingToken } = instance;
    await present(other.tasks).offer([offerOf(instance)], "worker-2");
    await other.close();
    assert.deepEqual(await holdersOf(tasks, instance), [[1, "nobody"]]);
    const claimed = await claimOne(tasks, "worker-1");
    assert.ok(claimed.fencingToken > fencingToken, "it had been begun");
  });

  check("who has not joined, or is taken for dead, is handed nothing", async (hub) => {
    const tasks = await withTasks(hub);
    const instance = await offered(hub, tasks, "order-1");
    assert.deepEqual(await tasks.claim(queryOf("nobody")), []);
    await hub.endLease("worker-1");
    assert.deepEqual(await tasks.claim(queryOf("worker-1")), []);
    assert.deepEqual(await holdersOf(tasks, instance), [[1, "nobody"]]);
    await present(hub.store.leases).renew("worker-1");
    assert.equal((await tasks.claim(queryOf("worker-1"))).length, 1);
  });

  check("a worker is not handed what it holds already, though it was taken for dead", async (hub) => {
    const tasks = await withTasks(hub);
    const others = await another(hub, "worker-2");
    const instance = await hub.run("order-1");
    await tasks.offer([offerOf(instance)], "worker-1");
    await others.offer([offerOf(instance, { task: 2 })], "worker-2");
    await hub.endLease("worker-1");
    await hub.endLease("worker-2");
    assert.deepEqual(await tasks.claim(queryOf("worker-1")), []);
    await present(hub.store.leases).renew("worker-1");
    assert.deepEqual(
      (await tasks.claim(queryOf("worker-1"))).map(({ task }) => task),
      [2],
    );
    assert.deepEqual(await holdersOf(tasks, instance), [
      [1, "worker-1"],
      [2, "worker-1"],
    ]);
  });

  check("what is offered again stays with its holder, who may answer it", async (hub) => {
    const tasks = await withTasks(hub);
    const others = await another(hub, "worker-2");
    const instance = await hub.run("order-1");
    await tasks.offer([offerOf(instance)], "worker-1");
    await others.offer([offerOf(instance), offerOf(instance)]);
    await others.offer([offerOf(instance)], "worker-2");
    assert.deepEqual(await others.claim(queryOf("worker-2")), []);
    assert.deepEqual(await holdersOf(others, instance), [[1, "worker-1"]]);
    const { iid, generation } = instance;
    const result = { iid, generation, task: 1, events: completed(1) };
    assert.deepEqual(await others.finish("worker-2", [result]), [false]);
    assert.deepEqual(await tasks.finish("worker-1", [result]), [true]);
    assert.deepEqual(eventsIn(await hub.mail("order-1")), ["TaskCompleted"]);
  });

  check("nobody lets go of what another one holds", async (hub) => {
    const tasks = await withTasks(hub);
    const others = await another(hub, "worker-2");
    const instance = await hub.run("order-1");
    await tasks.offer([offerOf(instance), offerOf(instance, { task: TURN_TASK, name: "Order" })]);
    const held = await tasks.claim(queryOf("worker-1"));
    assert.equal(held.length, 2);
    await others.letGo("worker-2", held);
    assert.deepEqual(await others.claim(queryOf("worker-2")), []);
    assert.deepEqual(await holdersOf(tasks, instance), [
      [TURN_TASK, "worker-1"],
      [1, "worker-1"],
    ]);
  });

  check("a sweep removes what is void, and leaves what is not", async (hub) => {
    const tasks = await withTasks(hub);
    const others = await another(hub, "worker-2");
    const ended = await offered(hub, tasks, "ended", [1, 2]);
    const goesOn = await offered(hub, tasks, "goes on", [1, 2]);
    const live = await offered(hub, tasks, "live", [1, 2]);
    await others.claim(queryOf("worker-2", { limit: 3 }));
    await hub.end("ended");
    await hub.continueAsNew("goes on");
    await hub.store.sweep?.();
    assert.deepEqual(await tasks.of([ended.iid, goesOn.iid]), []);
    assert.deepEqual(await holdersOf(tasks, live), [
      [1, "worker-2"],
      [2, "nobody"],
    ]);
    await hub.endLease("worker-2");
    await hub.store.sweep?.();
    assert.equal((await tasks.claim(queryOf("worker-1"))).length, 2);
  });

  check("new tasks are hinted: as such to those who wrote them, and to others", async (hub) => {
    const tasks = await withTasks(hub);
    const other = await joined(hub, "worker-2");
    const isTasks = (hint: ChangeHint): boolean => hint.from === "here" && hint.tasks === true;
    const isElsewhere = ({ from }: ChangeHint): boolean => from === "elsewhere";
    const instance = await hub.run("order-1");
    const hints = () => Promise.all([nextHint(hub.store, isTasks), nextHint(other, isElsewhere)]);
    const offering = hints();
    await tasks.offer([offerOf(instance)]);
    await offering;
    const turning = hints();
    await hub.turn("order-1", { queued: [{ ...CHARGE, task: 2 }], activities: 1 });
    await turning;
    const held = await tasks.claim(queryOf("worker-1"));
    assert.equal(held.length, 2);
    const lettingGo = hints();
    await tasks.letGo("worker-1", held);
    await lettingGo;
  });

  check("an answer is hinted as a message", async (hub) => {
    const tasks = await withTasks(hub);
    await offered(hub, tasks, "order-1");
    const held = await claimOne(tasks, "worker-1");
    const hint = nextHint(hub.store, (each) => each.from === "here" && each.messages);
    await tasks.finish("worker-1", [{ ...held, events: completed(1) }]);
    await hint;
  });
}
