import { once } from "node:events";
import { expect, test } from "vitest";
import { activity, orchestration } from "../../src/index.js";
import { gate, NOW, onEveryStore } from "./support.js";

const echo = activity("echo", (_ctx, value: number) => value);

interface Progress {
  readonly seen: readonly number[];
  readonly until: number;
}

/** Takes one event per generation. */
const collector = orchestration("collector", async (ctx, { seen, until }: Progress) => {
  const next = await ctx.waitForExternalEvent<number>("n");
  const all = [...seen, next];
  if (all.length < until) ctx.continueAsNew({ seen: all, until });
  return all;
});

const counter = orchestration("counter", async (ctx, n: number) => {
  if (n > 1) ctx.continueAsNew(n - 1);
  return n;
});

onEveryStore("continue-as-new", (open) => {
  test("begins again with the new input, under the same ID and run, in a new execution", async () => {
    const facts: unknown[] = [];
    const twice = orchestration("twice", async (ctx, n: number) => {
      if (!ctx.isReplaying) facts.push([n, ctx.run, ctx.generation, ctx.instanceId, ctx.version]);
      if (n > 1) ctx.continueAsNew(n - 1, { version: "2" });
      return n;
    });
    const hub = await open([twice]);
    const start = await hub.client.startNew(twice, { instanceId: "x", input: 2, version: "1" });
    await hub.idle();
    const done = await start.waitForCompletion(NOW);
    expect(done).toMatchObject({ output: 1, input: 1, run: 1, generation: 2, version: "2" });
    expect(done.executionId).not.toBe(start.executionId);
    expect(facts).toEqual([
      [2, 1, 1, "x", "1"],
      [1, 1, 2, "x", "2"],
    ]);
  });

  test("without an input begins again without one, and keeps version and tags", async () => {
    const inputs: unknown[] = [];
    const once = orchestration("once", async (ctx, input?: string) => {
      inputs.push(input);
      if (ctx.generation === 1) ctx.continueAsNew();
      await ctx.sleep(0);
      return [ctx.version, ctx.tags];
    });
    const hub = await open([once], { replayEveryTurn: false });
    const start = await hub.client.startNew(once, { input: "a", version: "7", tags: { team: "blue" } });
    await hub.idle();
    expect(await start.result(NOW)).toEqual(["7", { team: "blue" }]);
    expect(inputs).toEqual(["a", undefined]);
  });

  test("a thousand times keeps the last ten executions", async () => {
    const hub = await open([counter]);
    const start = await hub.client.startNew(counter, { instanceId: "x", input: 1000 });
    await hub.idle();
    expect(await start.result(NOW)).toBe(1);
    const executions = await hub.client.listExecutions("x");
    expect(executions.map((execution) => execution.generation)).toEqual(
      Array.from({ length: 10 }, (_, index) => 1000 - index),
    );
    expect(executions.map((execution) => execution.runtimeStatus)).toEqual([
      "Completed",
      ...Array.from({ length: 9 }, () => "ContinuedAsNew"),
    ]);
  });

  test("raises the fencing token with each execution", async () => {
    const tokens: number[] = [];
    const token = orchestration("token", async (ctx, n: number) => {
      tokens.push(ctx.fencingToken);
      if (n > 1) ctx.continueAsNew(n - 1);
    });
    const hub = await open([token], { replayEveryTurn: false });
    const start = await hub.client.startNew(token, { input: 3 });
    await hub.idle();
    await start.result(NOW);
    expect(tokens).toEqual([...tokens].sort((a, b) => a - b));
    expect(new Set(tokens).size).toBe(3);
  });

  test("loses no event that came before it, and keeps their order", async () => {
    const hub = await open([collector]);
    await hub.stop();
    const start = await hub.client.startNew(collector, { instanceId: "x", input: { seen: [], until: 20 } });
    for (let n = 0; n < 20; n++) await hub.client.raiseEvent("x", "n", n);
    await hub.start();
    await hub.idle();
    expect(await start.result(NOW)).toEqual(Array.from({ length: 20 }, (_, n) => n));
  });

  test("loses no event that races it", async () => {
    const hub = await open([collector]);
    const until = 200;
    const start = await hub.client.startNew(collector, { instanceId: "x", input: { seen: [], until } });
    // Not awaited one by one: the engine takes them in while more are on their way.
    await Promise.all(Array.from({ length: until }, (_, n) => hub.client.raiseEvent("x", "n", n)));
    await hub.idle();
    expect(await start.result(NOW)).toEqual(Array.from({ length: until }, (_, n) => n));
  });

  test("keeps events for other names and later waits", async () => {
    const mixed = orchestration("mixed", async (ctx, seen: unknown[]) => {
      if (seen.length === 0) {
        ctx.continueAsNew([await ctx.waitForExternalEvent("b")]);
        return [];
      }
      return [...seen, await ctx.waitForExternalEvent("A"), await ctx.waitForExternalEvent("a")];
    });
    const hub = await open([mixed]);
    const start = await hub.client.startNew(mixed, { instanceId: "x", input: [] });
    for (const [name, data] of [["a", 1] as const, ["a", 2] as const, ["b", 3] as const])
      await hub.client.raiseEvent("x", name, data);
    await hub.idle();
    expect(await start.result(NOW)).toEqual([3, 1, 2]);
  });

  test("lets no result of the old generation reach the new one", async () => {
    const slow = gate<string>();
    const late = activity("late", () => slow.passed);
    const moving = orchestration("moving", async (ctx, generation: number) => {
      const call = ctx.callActivity(late);
      const timer = ctx.sleep(1000);
      if (generation === 1) {
        await timer;
        ctx.continueAsNew(2);
        return "old";
      }
      await ctx.race([call, timer]);
      return call.isCompleted ? call.result() : "the timer of the new generation";
    });
    const hub = await open([moving, late], { maxConcurrentActivities: 1 });
    const start = await hub.client.startNew(moving, { instanceId: "x", input: 1 });
    await hub.advance(1500, { activities: "leave" });
    expect((await hub.client.getStatus("x"))?.generation).toBe(2);
    await hub.advance(1000, { activities: "leave" });
    expect(await start.result(NOW)).toBe("the timer of the new generation");
    slow.open("stale");
    await hub.idle();
  });

  test("tells the activities of the old generation to stop", async () => {
    const aborted = gate<string>();
    const running = gate();
    const long = activity("long", async (ctx) => {
      running.open();
      await once(ctx.signal, "abort");
      aborted.open(String(ctx.signal.reason));
    });
    const moving = orchestration("moving", async (ctx, first: boolean) => {
      if (!first) return;
      void ctx.callActivity(long);
      await ctx.waitForExternalEvent("go");
      ctx.continueAsNew(false);
    });
    const hub = await open([moving, long]);
    await hub.client.startNew(moving, { instanceId: "x", input: true });
    await running.passed;
    await hub.client.raiseEvent("x", "go");
    expect(await aborted.passed).toContain("continued as new");
  });

  test("keeps the custom status, also one that was set in the same turn", async () => {
    const shows = orchestration("shows", async (ctx, n: number) => {
      if (n === 3) ctx.setCustomStatus("before");
      if (n === 2) ctx.setCustomStatus({ at: n });
      if (n > 1) ctx.continueAsNew(n - 1);
      else await ctx.waitForExternalEvent("end");
    });
    const hub = await open([shows]);
    await hub.client.startNew(shows, { instanceId: "x", input: 3 });
    await hub.idle();
    expect((await hub.client.getStatus("x"))?.customStatus).toEqual({ at: 2 });
  });

  test("is what terminates when a terminate comes meanwhile", async () => {
    const hub = await open([counter]);
    const start = await hub.client.startNew(counter, { instanceId: "x", input: 100_000 });
    await hub.client.waitForStart("x");
    await hub.client.terminate("x", "enough");
    await hub.idle();
    expect(await start.waitForCompletion(NOW)).toMatchObject({
      runtimeStatus: "Terminated",
      output: "enough",
    });
  });

  test("while suspended keeps the instance suspended and its events", async () => {
    const hub = await open([collector, echo]);
    const start = await hub.client.startNew(collector, { instanceId: "x", input: { seen: [], until: 3 } });
    await hub.idle();
    await Promise.all([
      hub.client.raiseEvent("x", "n", 1),
      hub.client.suspend("x"),
      hub.client.raiseEvent("x", "n", 2),
      hub.client.raiseEvent("x", "n", 3),
    ]);
    await hub.idle();
    const suspended = await hub.client.getStatus("x");
    expect(suspended).toMatchObject({ runtimeStatus: "Suspended", generation: 2 });
    await hub.client.resume("x");
    await hub.idle();
    expect(await start.result(NOW)).toEqual([1, 2, 3]);
  });

  test("runs nothing of the new generation while suspended", async () => {
    const calls: number[] = [];
    const count = activity("count", (_ctx, n: number) => calls.push(n));
    const looping = orchestration("looping", async (ctx, n: number) => {
      await ctx.callActivity(count, n);
      await ctx.waitForExternalEvent("next");
      ctx.continueAsNew(n + 1);
    });
    const hub = await open([looping, count]);
    await hub.client.startNew(looping, { instanceId: "x", input: 1 });
    await hub.idle();
    await Promise.all([hub.client.raiseEvent("x", "next"), hub.client.suspend("x")]);
    await hub.idle();
    expect(calls).toEqual([1]);
    await hub.client.resume("x");
    await hub.idle();
    expect(calls).toEqual([1, 2]);
  });

  test("survives crashes at any point without losing an event", async () => {
    const hub = await open([collector]);
    const until = 12;
    const start = await hub.client.startNew(collector, { instanceId: "x", input: { seen: [], until } });
    for (let n = 0; n < until; n++) {
      await hub.client.raiseEvent("x", "n", n);
      if (n % 3 === 0) await hub.crash();
    }
    await hub.idle();
    expect(await start.result(NOW)).toEqual(Array.from({ length: until }, (_, n) => n));
  });

  test("that the code asks for before it fails fails all the same", async () => {
    const failing = orchestration("failing", async (ctx) => {
      ctx.continueAsNew();
      throw new RangeError("no");
    });
    const hub = await open([failing]);
    const start = await hub.client.startNew(failing);
    await hub.idle();
    expect(await start.waitForCompletion(NOW)).toMatchObject({
      runtimeStatus: "Failed",
      failure: { type: "RangeError", message: "no" },
    });
  });
});
