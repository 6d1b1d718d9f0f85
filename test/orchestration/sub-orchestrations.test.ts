import { expect, test } from "vitest";
import { activity, orchestration, TaskFailedError } from "../../src/index.js";
import { NOW, onEveryStore, textWith } from "./support.js";

const waits = orchestration("waits", async (ctx) => ctx.waitForExternalEvent<string>("go"));
const double = orchestration("double", async (_ctx, n: number) => n * 2);

function held(error: unknown): unknown {
  return error instanceof TaskFailedError
    ? { type: error.failure.type, message: error.failure.message }
    : error;
}

onEveryStore("sub-orchestrations", (open) => {
  test("give their output to the parent, under an ID that follows from the parent's execution and the task", async () => {
    const parent = orchestration("parent", async (ctx) => [
      await ctx.callSubOrchestrator(double, 1),
      await ctx.callSubOrchestrator(double, 2),
    ]);
    const hub = await open([parent, double]);
    const start = await hub.client.startNew(parent, { instanceId: "p" });
    await hub.idle();
    expect(await start.result(NOW)).toEqual([2, 4]);
    for (const task of [0, 1]) {
      const child = await hub.client.getStatus(`${start.executionId}:${task}`);
      expect(child).toMatchObject({ name: "double", runtimeStatus: "Completed", parentInstanceId: "p" });
    }
  });

  test("know their parent", async () => {
    const child = orchestration("child", async (ctx) => ctx.parent);
    const parent = orchestration("parent", async (ctx) => {
      await ctx.callActivity(nothing);
      return ctx.callSubOrchestrator(child, undefined);
    });
    const nothing = activity("nothing", () => {});
    const hub = await open([parent, child, nothing]);
    const start = await hub.client.startNew(parent, { instanceId: "p" });
    const alone = await hub.client.startNew(child);
    await hub.idle();
    expect(await start.result(NOW)).toEqual({
      instanceId: "p",
      executionId: start.executionId,
      name: "parent",
      taskId: 1,
    });
    expect(await alone.result(NOW)).toBeUndefined();
  });

  test("take a chosen ID, version and tags", async () => {
    const child = orchestration("child", async (ctx) => [ctx.instanceId, ctx.version, ctx.tags]);
    const parent = orchestration("parent", async (ctx) =>
      ctx.callSubOrchestrator(child, undefined, { instanceId: "kid", version: "3", tags: { a: "b" } }),
    );
    const hub = await open([parent, child]);
    const start = await hub.client.startNew(parent);
    await hub.idle();
    expect(await start.result(NOW)).toEqual(["kid", "3", { a: "b" }]);
  });

  test("nest, and fan out", async () => {
    const sum = orchestration("sum", async (ctx, depth: number): Promise<number> => {
      if (depth === 0) return 1;
      const parts = await ctx.all([0, 1, 2].map(() => ctx.callSubOrchestrator<number>("sum", depth - 1)));
      return parts.reduce((a, b) => a + b, 0);
    });
    const hub = await open([sum]);
    const start = await hub.client.startNew(sum, { input: 4 });
    await hub.idle();
    expect(await start.result(NOW)).toBe(81);
  });

  test("whose ID is held fail the call, and the refusal is listed with the parent", async () => {
    const parent = orchestration("parent", async (ctx) =>
      ctx.callSubOrchestrator(waits, undefined, { instanceId: "kid" }).catch(held),
    );
    const hub = await open([parent, waits]);
    const holder = await hub.client.startNew(waits, { instanceId: "kid" });
    const start = await hub.client.startNew(parent, { instanceId: "p" });
    await hub.idle();
    expect(await start.result(NOW)).toMatchObject({
      type: "InstanceHeldError",
      message: textWith("An instance with ID 'kid' already exists: waits is Running"),
    });
    expect((await hub.client.getStatus("kid"))?.executionId).toBe(holder.executionId);
    await hub.advance(1000);
    expect(await hub.client.listRefusals({ instanceId: "kid" })).toMatchObject([
      {
        requester: "parent:p",
        orchestrator: "waits",
        reason: "held",
        holder: { executionId: holder.executionId },
      },
    ]);
  });

  test("whose IDs collide within one parent fail the second call", async () => {
    const parent = orchestration("parent", async (ctx) => {
      const first = ctx.callSubOrchestrator(waits, undefined, { instanceId: "kid" });
      const second = ctx.callSubOrchestrator(waits, undefined, { instanceId: "kid" }).catch(held);
      return [await second, await first];
    });
    const hub = await open([parent, waits]);
    const start = await hub.client.startNew(parent);
    await hub.idle();
    await hub.client.raiseEvent("kid", "go", "went");
    await hub.idle();
    expect(await start.result(NOW)).toEqual([expect.objectContaining({ type: "InstanceHeldError" }), "went"]);
  });

  test("with the parent's own ID are refused at the call", async () => {
    const parent = orchestration("parent", async (ctx) => {
      try {
        return await ctx.callSubOrchestrator(double, 1, { instanceId: ctx.instanceId });
      } catch (error) {
        return error instanceof Error ? error.message : "";
      }
    });
    const hub = await open([parent, double]);
    const start = await hub.client.startNew(parent);
    await hub.idle();
    expect(await start.result(NOW)).toContain("must differ from its parent's");
  });

  test.each(["a/b", "", "@x", ".."])("with the ID %j are refused at the call", async (instanceId) => {
    const parent = orchestration("parent", async (ctx) => {
      try {
        return await ctx.callSubOrchestrator(double, 1, { instanceId });
      } catch (error) {
        return error instanceof Error ? error.name : "";
      }
    });
    const hub = await open([parent, double]);
    const start = await hub.client.startNew(parent);
    await hub.idle();
    expect(await start.result(NOW)).toBe("InvalidInstanceIdError");
  });

  test("start over an ID that has ended", async () => {
    const parent = orchestration("parent", async (ctx) =>
      ctx.callSubOrchestrator(double, 4, { instanceId: "kid" }),
    );
    const hub = await open([parent, double]);
    await hub.client.startNew(double, { instanceId: "kid", input: 1 });
    await hub.idle();
    const start = await hub.client.startNew(parent);
    await hub.idle();
    expect(await start.result(NOW)).toBe(8);
    expect((await hub.client.getStatus("kid"))?.run).toBe(2);
  });

  test("that failed are replaced by their retry, under the same ID", async () => {
    let failures = 2;
    const flaky = orchestration("flaky", async (ctx) => {
      if (failures-- > 0) throw new Error("not yet");
      return ctx.run;
    });
    const parent = orchestration("parent", async (ctx) =>
      ctx.callSubOrchestrator(flaky, undefined, {
        instanceId: "kid",
        retry: { firstIntervalMs: 1000, maxAttempts: 5 },
      }),
    );
    const hub = await open([parent, flaky], { replayEveryTurn: false });
    const start = await hub.client.startNew(parent);
    await hub.advance(2000);
    expect(await start.result(NOW)).toBe(3);
    const executions = await hub.client.listExecutions("kid");
    expect(executions.map((each) => each.runtimeStatus)).toEqual(["Completed", "Failed", "Failed"]);
  });

  test("with ifLive attach wait for the instance that runs", async () => {
    const parent = orchestration("parent", async (ctx) =>
      ctx.callSubOrchestrator(waits, undefined, { instanceId: "kid", ifLive: "attach" }),
    );
    const hub = await open([parent, waits]);
    const holder = await hub.client.startNew(waits, { instanceId: "kid" });
    const parents = await Promise.all([hub.client.startNew(parent), hub.client.startNew(parent)]);
    await hub.idle();
    await hub.client.raiseEvent("kid", "go", "for all");
    await hub.idle();
    for (const start of [holder, ...parents]) expect(await start.result(NOW)).toBe("for all");
    expect(await hub.client.listExecutions("kid")).toHaveLength(1);
  });

  test("with ifLive attach wait across continue-as-new and a crash", async () => {
    const loops = orchestration("loops", async (ctx, n: number) => {
      await ctx.waitForExternalEvent("go");
      if (n > 0) ctx.continueAsNew(n - 1);
      return "the last";
    });
    const parent = orchestration("parent", async (ctx) =>
      ctx.callSubOrchestrator(loops, 0, { instanceId: "kid", ifLive: "attach" }),
    );
    const hub = await open([parent, loops]);
    await hub.client.startNew(loops, { instanceId: "kid", input: 2 });
    const start = await hub.client.startNew(parent);
    await hub.idle();
    await hub.client.raiseEvent("kid", "go");
    await hub.idle();
    await hub.crash();
    await hub.client.raiseEvent("kid", "go");
    await hub.client.raiseEvent("kid", "go");
    await hub.idle();
    expect(await start.result(NOW)).toBe("the last");
  });

  test("with ifLive attach are refused another orchestrator's instance", async () => {
    const parent = orchestration("parent", async (ctx) =>
      ctx.callSubOrchestrator(double, 1, { instanceId: "kid", ifLive: "attach" }).catch(held),
    );
    const hub = await open([parent, double, waits]);
    await hub.client.startNew(waits, { instanceId: "kid" });
    const start = await hub.client.startNew(parent);
    await hub.idle();
    expect(await start.result(NOW)).toMatchObject({
      type: "InstanceHeldError",
      message: textWith("belongs to orchestrator waits, not double"),
    });
  });

  test("with ifLive terminate replace the instance that runs, and its former parent is told", async () => {
    const first = orchestration("first", async (ctx) =>
      ctx.callSubOrchestrator(waits, undefined, { instanceId: "kid" }).catch(held),
    );
    const second = orchestration("second", async (ctx) =>
      ctx.callSubOrchestrator(waits, undefined, { instanceId: "kid", ifLive: "terminate" }),
    );
    const hub = await open([first, second, waits]);
    const former = await hub.client.startNew(first);
    await hub.idle();
    const latter = await hub.client.startNew(second);
    await hub.idle();
    await hub.client.raiseEvent("kid", "go", "new");
    await hub.idle();
    expect(await former.result(NOW)).toMatchObject({ type: "OrchestrationTerminated" });
    expect(await latter.result(NOW)).toBe("new");
  });

  test("with ifEnded return give the ended execution's output, or its failure, at once", async () => {
    const bad = orchestration("bad", async () => {
      throw new RangeError("as it was");
    });
    const parent = orchestration("parent", async (ctx) => [
      await ctx.callSubOrchestrator(double, 100, { instanceId: "good", ifEnded: "return" }),
      await ctx.callSubOrchestrator(bad, undefined, { instanceId: "bad", ifEnded: "return" }).catch(held),
    ]);
    const hub = await open([parent, double, bad]);
    await hub.client.startNew(double, { instanceId: "good", input: 3 });
    await hub.client.startNew(bad, { instanceId: "bad" });
    await hub.idle();
    const start = await hub.client.startNew(parent);
    await hub.idle();
    expect(await start.result(NOW)).toEqual([6, { type: "RangeError", message: "as it was" }]);
    expect((await hub.client.getStatus("good"))?.run).toBe(1);
  });

  test("with ifEnded reject fail the call where the ID was used", async () => {
    const parent = orchestration("parent", async (ctx) =>
      ctx.callSubOrchestrator(double, 1, { instanceId: "kid", ifEnded: { Completed: "reject" } }).catch(held),
    );
    const hub = await open([parent, double]);
    await hub.client.startNew(double, { instanceId: "kid", input: 1 });
    await hub.idle();
    const start = await hub.client.startNew(parent);
    await hub.idle();
    expect(await start.result(NOW)).toMatchObject({ type: "InstanceHeldError" });
  });

  test("let no result of an earlier execution reach the parent's next one", async () => {
    const parent = orchestration("parent", async (ctx, first: boolean) => {
      const child = ctx.callSubOrchestrator(waits, undefined, {
        instanceId: ctx.generation === 1 ? "a" : "b",
      });
      if (first) {
        await ctx.waitForExternalEvent("move");
        ctx.continueAsNew(false);
        return "moved";
      }
      return child;
    });
    const hub = await open([parent, waits]);
    const start = await hub.client.startNew(parent, { instanceId: "p", input: true });
    await hub.idle();
    await hub.client.raiseEvent("p", "move");
    await hub.idle();
    await hub.client.raiseEvent("a", "go", "stale");
    await hub.idle();
    expect((await hub.client.getStatus("p"))?.runtimeStatus).toBe("Running");
    await hub.client.raiseEvent("b", "go", "fresh");
    await hub.idle();
    expect(await start.result(NOW)).toBe("fresh");
  });
});

onEveryStore("orchestrations started by an orchestration", (open) => {
  test("run on their own, and their starter does not wait", async () => {
    const starter = orchestration("starter", async (ctx) => [
      ctx.startNew(waits, undefined, { instanceId: "other", tags: { by: "starter" } }),
      ctx.startNew(waits),
    ]);
    const hub = await open([starter, waits]);
    const start = await hub.client.startNew(starter);
    await hub.idle();
    const ids = await start.result(NOW);
    expect(ids).toEqual(["other", `${start.executionId}:1`]);
    for (const id of ids) {
      expect(await hub.client.getStatus(id)).toMatchObject({
        runtimeStatus: "Running",
        parentInstanceId: undefined,
      });
    }
    expect((await hub.client.getStatus("other"))?.tags).toEqual({ by: "starter" });
  });

  test("begin at their time", async () => {
    const starter = orchestration("starter", async (ctx) => {
      ctx.startNew(double, 1, {
        instanceId: "later",
        startAt: new Date(ctx.currentUtcDateTime.getTime() + 5000),
      });
    });
    const hub = await open([starter, double]);
    await hub.client.startNew(starter);
    await hub.advance(4999);
    expect((await hub.client.getStatus("later"))?.runtimeStatus).toBe("Pending");
    await hub.advance(1);
    expect((await hub.client.getStatus("later"))?.runtimeStatus).toBe("Completed");
  });

  test("are recorded as refused where their ID is held, and harm nobody", async () => {
    const starter = orchestration("starter", async (ctx) =>
      ctx.startNew(waits, undefined, { instanceId: "kid" }),
    );
    const hub = await open([starter, waits]);
    await hub.client.startNew(waits, { instanceId: "kid" });
    const start = await hub.client.startNew(starter);
    await hub.idle();
    expect(await start.result(NOW)).toBe("kid");
    await hub.advance(1000);
    expect(await hub.client.listRefusals({ instanceId: "kid" })).toMatchObject([
      { reason: "held", count: 1 },
    ]);
  });
});

onEveryStore("events between orchestrations", (open) => {
  test("arrive in order, and those for nobody are dropped", async () => {
    const receiver = orchestration("receiver", async (ctx) => [
      await ctx.waitForExternalEvent("n"),
      await ctx.waitForExternalEvent("n"),
      await ctx.waitForExternalEvent("n"),
    ]);
    const sender = orchestration("sender", async (ctx) => {
      ctx.sendEvent("nobody", "n", 0);
      for (const n of [1, 2]) ctx.sendEvent("r", "n", n);
      await ctx.sleep(10);
      ctx.sendEvent("r", "N", 3);
    });
    const hub = await open([receiver, sender]);
    const start = await hub.client.startNew(receiver, { instanceId: "r" });
    const sent = await hub.client.startNew(sender);
    await hub.advance(10);
    expect(await start.result(NOW)).toEqual([1, 2, 3]);
    expect((await sent.waitForCompletion(NOW)).runtimeStatus).toBe("Completed");
    expect(await hub.client.getStatus("nobody")).toBeUndefined();
  });
});
