import { describe, expect, test } from "vitest";
import {
  decide,
  type Found,
  type OutboundRequest,
  type RewindCommand,
  type StartCommand,
} from "../../src/core/command.js";
import { decodeChunk, encodeChunk } from "../../src/core/history-codec.js";
import type { Execution, Instance, InstanceStatus, ParentLink } from "../../src/core/instance.js";
import { startPolicy } from "../../src/core/start-policy.js";
import { activity, orchestration, type TaskHubClient } from "../../src/index.js";
import { gate, NOW, onEveryStore, storeWith } from "./support.js";

/** A parent whose activity fails until it is repaired, beside a child that waits to be told its result. */
function family() {
  let isBroken = true;
  const work = activity("work", (_ctx, part: string) => {
    if (isBroken) throw new RangeError(`${part} is broken`);
    return part.toUpperCase();
  });
  const child = orchestration("child", async (ctx) => ctx.waitForExternalEvent<string>("go"));
  const parent = orchestration("parent", async (ctx) => {
    const kid = ctx.callSubOrchestrator(child, undefined, { instanceId: "kid" });
    const done = await ctx.callActivity(work, "a");
    return [done, await kid];
  });
  return { functions: [work, child, parent], parent, repair: () => (isBroken = false) };
}

onEveryStore("rewinding a parent that failed beside its child", (open) => {
  test("waits anew for a child that is still live, and gets its result", async () => {
    const { functions, parent, repair } = family();
    const hub = await open(functions);
    const start = await hub.client.startNew(parent, { instanceId: "x" });
    await hub.idle();
    expect((await hub.client.getStatus("x"))?.runtimeStatus).toBe("Failed");
    expect((await hub.client.getStatus("kid"))?.runtimeStatus).toBe("Running");
    repair();
    await hub.client.rewind("x");
    await hub.idle();
    await hub.client.raiseEvent("kid", "go", "from the child");
    await hub.idle();
    expect(await start.result(NOW)).toEqual(["A", "from the child"]);
    expect((await hub.client.getStatus("kid"))?.run).toBe(1);
  });

  test("gets the result of a child that completed unheard, after the parent's failure", async () => {
    const { functions, parent, repair } = family();
    const hub = await open(functions);
    const start = await hub.client.startNew(parent, { instanceId: "x" });
    await hub.idle();
    await hub.client.raiseEvent("kid", "go", "unheard");
    await hub.idle();
    expect((await hub.client.getStatus("kid"))?.runtimeStatus).toBe("Completed");
    repair();
    await hub.client.rewind("x");
    await hub.idle();
    expect(await start.result(NOW)).toEqual(["A", "unheard"]);
    expect((await hub.client.getStatus("kid"))?.run).toBe(1);
  });

  test("rewinds a child that failed unheard, after the parent's failure", async () => {
    let isBroken = true;
    const release = gate();
    const work = activity("work", async (_ctx, part: string) => {
      if (part === "late") await release.passed;
      if (isBroken) throw new RangeError(`${part} is broken`);
      return part.toUpperCase();
    });
    const child = orchestration("child", async (ctx) => ctx.callActivity(work, "late"));
    const parent = orchestration("parent", async (ctx) => {
      const kid = ctx.callSubOrchestrator(child, undefined, { instanceId: "kid" });
      const done = await ctx.callActivity(work, "a");
      return [done, await kid];
    });
    const hub = await open([work, child, parent]);
    const start = await hub.client.startNew(parent, { instanceId: "x" });
    await hub.idle({ activities: "leave" });
    expect((await hub.client.getStatus("x"))?.runtimeStatus).toBe("Failed");
    release.open();
    await hub.idle();
    expect((await hub.client.getStatus("kid"))?.runtimeStatus).toBe("Failed");
    isBroken = false;
    await hub.client.rewind("x");
    await hub.idle();
    expect(await start.result(NOW)).toEqual(["A", "LATE"]);
  });
});

const BETWEEN: readonly [string, (client: TaskHubClient) => Promise<unknown>][] = [
  ["purges", (client) => client.purge("kid")],
  ["rewinds", (client) => client.rewind("kid")],
  ["restarts", (client) => client.restart("kid", { newInstanceId: false })],
];

onEveryStore("a failed child of a rewound parent, between its being read and its being rewound", (open) => {
  test.each(BETWEEN)("which a user %s: the parent gets its result all the same", async (_what, meanwhile) => {
    let isBroken = true;
    const work = activity("work", () => {
      if (isBroken) throw new RangeError("broken");
      return "repaired";
    });
    const child = orchestration("child", async (ctx) => {
      const done = await ctx.callActivity(work);
      await ctx.waitForExternalEvent("go");
      return done;
    });
    const parent = orchestration("parent", async (ctx) =>
      ctx.callSubOrchestrator(child, undefined, { instanceId: "kid" }),
    );
    let interfere: (() => Promise<unknown>) | undefined;
    const hub = await open([work, child, parent], {}, (store) =>
      storeWith(store, {
        history: async (instanceId, executionId) => {
          const stored = await store.history(instanceId, executionId);
          if (instanceId === "kid" && interfere !== undefined) {
            const now = interfere;
            interfere = undefined;
            await now();
          }
          return stored;
        },
      }),
    );
    const start = await hub.client.startNew(parent, { instanceId: "x" });
    await hub.idle();
    expect((await hub.client.getStatus("kid"))?.runtimeStatus).toBe("Failed");
    isBroken = false;
    interfere = () => meanwhile(hub.client);
    await hub.client.rewind("x");
    await hub.idle();
    expect(interfere).toBeUndefined();
    await hub.client.raiseEvent("kid", "go");
    await hub.idle();
    expect(await start.result(NOW)).toBe("repaired");
  });
});

onEveryStore("newGuid across a rewind", (open) => {
  test("gives the values again that it gave in the turns that stand", async () => {
    let isBroken = true;
    const seen: { readonly before: string[]; readonly after: string[] } = { before: [], after: [] };
    const early = activity("early", (_ctx, id: string) => {
      seen.before.push(id);
    });
    const late = activity("late", (_ctx, id: string) => {
      seen.after.push(id);
      if (isBroken) throw new RangeError("broken");
    });
    const guids = orchestration("guids", async (ctx) => {
      const id = ctx.newGuid();
      await ctx.callActivity(early, id);
      const second = ctx.newGuid();
      await ctx.callActivity(late, id);
      return [id, second, ctx.newGuid()];
    });
    const hub = await open([guids, early, late]);
    const start = await hub.client.startNew(guids, { instanceId: "x" });
    await hub.idle();
    await hub.client.rewind("x");
    await hub.idle();
    isBroken = false;
    await hub.client.rewind("x");
    await hub.idle();
    const ids = await start.result(NOW);
    expect(seen.before).toHaveLength(1);
    expect(seen.after).toEqual([...seen.before, ...seen.before, ...seen.before]);
    expect(ids[0]).toBe(seen.before[0]);
    expect(new Set(ids).size).toBe(3);
  });
});

describe("the decision on a rewind that its parent asked for", () => {
  const parent: ParentLink = {
    iid: 1,
    run: 1,
    generation: 2,
    task: 0,
    instanceId: "parent",
    executionId: "p2",
    name: "parent",
  };
  const addressed = { instanceId: "kid", atMs: 20, executionId: "e3", consumes: 7, parent };
  const orElse: StartCommand = {
    ...addressed,
    kind: "start",
    name: "child",
    tags: {},
    policy: startPolicy("attach", { Completed: "return" }),
  };
  const requests: OutboundRequest[] = [];
  const rewind: RewindCommand = {
    ...addressed,
    kind: "rewind",
    expectedExecutionId: "e1",
    history: encodeChunk([]),
    activities: 0,
    timers: [],
    mail: encodeChunk([{ type: "ExecutionRewound", atMs: 20 }]),
    requests,
    orElse,
  };

  function kid(status: InstanceStatus, executionId: string): Found {
    const common = { executionId, run: 2, generation: 2, name: "child", createdAtMs: 10, updatedAtMs: 15 };
    const instance: Instance = {
      ...common,
      iid: 2,
      instanceId: "kid",
      kind: "orchestration",
      sequence: 1,
      fencingToken: 3,
      status,
      suspended: false,
      mail: 1,
      activities: 0,
    };
    const execution: Execution = {
      ...common,
      tags: {},
      status,
      fencingToken: 3,
      output: '"done"',
      droppedMessages: 0,
    };
    return { instance, execution: () => execution };
  }

  test("rewinds the execution that was read", () => {
    expect(decide(rewind, kid("Failed", "e1"))).toEqual({
      answer: { outcome: "done", runtimeStatus: "Pending" },
      change: { rewind },
    });
  });

  test("starts the child where it has been purged", () => {
    const { answer, change } = decide(rewind, undefined);
    expect(answer).toMatchObject({ outcome: "started", executionId: "e3" });
    expect(change?.beginRun).toMatchObject({ name: "child", parent });
    expect(change?.rewind).toBeUndefined();
  });

  test("starts the child anew where another execution of it has failed meanwhile", () => {
    const { answer, change } = decide(rewind, kid("Failed", "e2"));
    expect(answer).toMatchObject({ outcome: "started", run: 3 });
    expect(change?.beginRun).toMatchObject({ parent });
    expect(change?.rewind).toBeUndefined();
  });

  test("answers the parent where the child has completed", () => {
    const { answer, change } = decide(rewind, kid("Completed", "e2"));
    expect(answer).toMatchObject({ outcome: "returned", executionId: "e2" });
    expect(change?.answer?.to).toEqual(parent);
    expect(decodeChunk(change?.answer?.events ?? "")).toMatchObject([
      { type: "SubOrchestrationInstanceCompleted", result: '"done"' },
    ]);
    expect(change?.beginRun).toBeUndefined();
  });

  test.each(["Pending", "Running"] as const)("waits for the child where it is %s again", (status) => {
    expect(decide(rewind, kid(status, "e2"))).toEqual({
      answer: { outcome: "attached", executionId: "e2", run: 2, generation: 2 },
      change: { wait: parent },
    });
  });
});
