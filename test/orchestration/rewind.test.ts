import { expect, test } from "vitest";
import { activity, orchestration } from "../../src/index.js";
import { gate, NOW, onEveryStore } from "./support.js";

/** An activity that fails for some inputs until it is repaired, and counts its calls. */
function machine() {
  const calls = new Map<string, number>();
  const broken = new Set<string>();
  const work = activity("work", (_ctx, part: string) => {
    calls.set(part, (calls.get(part) ?? 0) + 1);
    if (broken.has(part)) throw new RangeError(`${part} is broken`);
    return part.toUpperCase();
  });
  return { work, broken, calls: () => Object.fromEntries(calls) };
}

onEveryStore("rewind", (open) => {
  test("runs a failed activity again, and only that", async () => {
    const { work, broken, calls } = machine();
    const chain = orchestration("chain", async (ctx) => {
      const done: string[] = [];
      for (const part of ["a", "b", "c"]) done.push(await ctx.callActivity(work, part));
      return done;
    });
    const hub = await open([chain, work]);
    broken.add("b");
    const start = await hub.client.startNew(chain, { instanceId: "x" });
    await hub.idle();
    expect((await hub.client.getStatus("x"))?.runtimeStatus).toBe("Failed");
    broken.clear();
    await hub.client.rewind("x", "repaired");
    await hub.idle();
    const done = await start.waitForCompletion(NOW);
    expect(done).toMatchObject({
      runtimeStatus: "Completed",
      output: ["A", "B", "C"],
      run: 1,
      generation: 2,
    });
    expect(calls()).toEqual({ a: 1, b: 2, c: 1 });
  });

  test("can be done again after another failure", async () => {
    const { work, broken, calls } = machine();
    const chain = orchestration("chain", async (ctx) => {
      await ctx.callActivity(work, "a");
      await ctx.callActivity(work, "b");
      return ctx.callActivity(work, "c");
    });
    const hub = await open([chain, work]);
    broken.add("b").add("c");
    const start = await hub.client.startNew(chain, { instanceId: "x" });
    await hub.idle();
    await hub.client.rewind("x");
    await hub.idle();
    broken.delete("b");
    await hub.client.rewind("x");
    await hub.idle();
    broken.delete("c");
    await hub.client.rewind("x");
    await hub.idle();
    expect(await start.result(NOW)).toBe("C");
    expect(calls()).toEqual({ a: 1, b: 3, c: 2 });
  });

  test("of a fan-out with several failures runs each failed one again and keeps the rest", async () => {
    const { work, broken, calls } = machine();
    const parts = ["a", "b", "c", "d", "e"];
    const fanOut = orchestration("fanOut", async (ctx) => {
      const settled = await ctx.allSettled(parts.map((part) => ctx.callActivity(work, part)));
      const failed = settled.find((each) => each.status === "rejected");
      if (failed !== undefined) throw failed.reason;
      return settled.map((each) => (each.status === "fulfilled" ? each.value : ""));
    });
    const hub = await open([fanOut, work]);
    broken.add("b").add("d");
    const start = await hub.client.startNew(fanOut, { instanceId: "x" });
    await hub.idle();
    broken.clear();
    await hub.client.rewind("x");
    await hub.idle();
    expect(await start.result(NOW)).toEqual(["A", "B", "C", "D", "E"]);
    expect(calls()).toEqual({ a: 1, b: 2, c: 1, d: 2, e: 1 });
  });

  test("of a Promise.all keeps what had succeeded before its first failure", async () => {
    const failNow = gate();
    const calls: string[] = [];
    let broken = true;
    const work = activity("work", async (_ctx, part: string) => {
      calls.push(part);
      if (broken && (part === "b" || part === "d")) {
        await failNow.passed;
        throw new RangeError(part);
      }
      return part.toUpperCase();
    });
    const fanOut = orchestration("fanOut", async (ctx) =>
      Promise.all(["a", "b", "c", "d"].map((part) => ctx.callActivity(work, part))),
    );
    const hub = await open([fanOut, work]);
    const start = await hub.client.startNew(fanOut, { instanceId: "x" });
    await hub.idle({ activities: "leave" });
    failNow.open();
    await hub.idle();
    broken = false;
    await hub.client.rewind("x");
    await hub.idle();
    expect(await start.result(NOW)).toEqual(["A", "B", "C", "D"]);
    expect(calls.toSorted()).toEqual(["a", "b", "b", "c", "d", "d"]);
  });

  test("keeps a failure that the code had handled", async () => {
    const { work, broken, calls } = machine();
    const handles = orchestration("handles", async (ctx) => {
      const first = await ctx.callActivity(work, "a").catch(() => "handled");
      return [first, await ctx.callActivity(work, "b")];
    });
    const hub = await open([handles, work]);
    broken.add("a").add("b");
    const start = await hub.client.startNew(handles, { instanceId: "x" });
    await hub.idle();
    broken.clear();
    await hub.client.rewind("x");
    await hub.idle();
    expect(await start.result(NOW)).toEqual(["handled", "B"]);
    expect(calls()).toEqual({ a: 1, b: 2 });
  });

  test("runs the last turn again where the code itself failed", async () => {
    const { work, calls } = machine();
    let bug = true;
    const buggy = orchestration("buggy", async (ctx) => {
      const a = await ctx.callActivity(work, "a");
      if (bug) throw new TypeError("a bug");
      return [a, await ctx.callActivity(work, "b")];
    });
    const hub = await open([buggy, work]);
    const start = await hub.client.startNew(buggy, { instanceId: "x" });
    await hub.idle();
    bug = false;
    await hub.client.rewind("x");
    await hub.idle();
    expect(await start.result(NOW)).toEqual(["A", "B"]);
    expect(calls()).toEqual({ a: 1, b: 1 });
  });

  test("starts from the beginning where the first turn failed", async () => {
    let bug = true;
    const buggy = orchestration("buggy", async (_ctx, input: number) => {
      if (bug) throw new TypeError("a bug");
      return input;
    });
    const hub = await open([buggy]);
    const start = await hub.client.startNew(buggy, { instanceId: "x", input: 5 });
    await hub.idle();
    bug = false;
    await hub.client.rewind("x");
    await hub.idle();
    expect(await start.result(NOW)).toBe(5);
  });

  test("rewinds failed children with their parent, and lets completed ones be", async () => {
    const { work, broken, calls } = machine();
    const grandchild = orchestration("grandchild", async (ctx, part: string) => {
      await ctx.callActivity(work, `${part}1`);
      return ctx.callActivity(work, `${part}2`);
    });
    const child = orchestration("child", async (ctx, part: string) =>
      ctx.callSubOrchestrator(grandchild, part),
    );
    const parent = orchestration("parent", async (ctx) => {
      const good = await ctx.callSubOrchestrator(child, "g");
      return [good, await ctx.callSubOrchestrator(child, "b")];
    });
    const hub = await open([parent, child, grandchild, work]);
    broken.add("b2");
    const start = await hub.client.startNew(parent, { instanceId: "x" });
    await hub.idle();
    expect((await hub.client.getStatus("x"))?.runtimeStatus).toBe("Failed");
    broken.clear();
    await hub.client.rewind("x");
    await hub.idle();
    expect(await start.result(NOW)).toEqual(["G2", "B2"]);
    expect(calls()).toEqual({ g1: 1, g2: 1, b1: 1, b2: 2 });
  });

  test("starts a failed child again that was purged meanwhile", async () => {
    const { work, broken, calls } = machine();
    const child = orchestration("child", async (ctx, part: string) => ctx.callActivity(work, part));
    const parent = orchestration("parent", async (ctx) =>
      ctx.callSubOrchestrator(child, "a", { instanceId: "kid" }),
    );
    const hub = await open([parent, child, work]);
    broken.add("a");
    const start = await hub.client.startNew(parent, { instanceId: "x" });
    await hub.idle();
    expect(await hub.client.purge("kid")).toBe(1);
    broken.clear();
    await hub.client.rewind("x");
    await hub.idle();
    expect(await start.result(NOW)).toBe("A");
    expect(calls()).toEqual({ a: 2 });
  });

  test("keeps timers that had fired and sets those that had not", async () => {
    const { work, broken, calls } = machine();
    const waits = orchestration("waits", async (ctx) => {
      await ctx.sleep(1000);
      const alarm = ctx.sleep(10_000);
      await ctx.callActivity(work, "a");
      await alarm;
      return ctx.currentUtcDateTime.toISOString();
    });
    const hub = await open([waits, work], { startTime: new Date("2026-01-01T00:00:00Z") });
    broken.add("a");
    const start = await hub.client.startNew(waits, { instanceId: "x" });
    await hub.advance(2000);
    broken.clear();
    await hub.client.rewind("x");
    await hub.idle();
    await hub.advance(8999);
    expect((await hub.client.getStatus("x"))?.runtimeStatus).toBe("Running");
    await hub.advance(1);
    expect(await start.result(NOW)).toBe("2026-01-01T00:00:11.000Z");
    expect(calls()).toEqual({ a: 2 });
  });

  test("keeps the events that had come", async () => {
    const { work, broken } = machine();
    const waits = orchestration("waits", async (ctx) => {
      const first = await ctx.waitForExternalEvent("e");
      await ctx.callActivity(work, "a");
      return [first, await ctx.waitForExternalEvent("e")];
    });
    const hub = await open([waits, work]);
    broken.add("a");
    await hub.stop();
    const start = await hub.client.startNew(waits, { instanceId: "x" });
    await hub.client.raiseEvent("x", "e", 1);
    await hub.client.raiseEvent("x", "e", 2);
    await hub.start();
    await hub.idle();
    broken.clear();
    await hub.client.rewind("x");
    await hub.idle();
    expect(await start.result(NOW)).toEqual([1, 2]);
  });

  test("goes on although the instance had been suspended when the failure came", async () => {
    const { work, broken, calls } = machine();
    const waits = orchestration("waits", async (ctx) => {
      await ctx.waitForExternalEvent("go");
      return ctx.callActivity(work, "a");
    });
    const parent = orchestration("parent", async (ctx) =>
      ctx.callSubOrchestrator(waits, undefined, { instanceId: "kid" }),
    );
    const hub = await open([parent, waits, work]);
    broken.add("a");
    const start = await hub.client.startNew(parent, { instanceId: "x" });
    await hub.idle();
    await hub.client.suspend("x");
    await hub.idle();
    await hub.client.raiseEvent("kid", "go");
    await hub.idle();
    await hub.client.resume("x");
    await hub.idle();
    expect((await hub.client.getStatus("x"))?.runtimeStatus).toBe("Failed");
    broken.clear();
    await hub.client.rewind("x");
    await hub.idle();
    expect(await start.result(NOW)).toBe("A");
    expect(calls()).toEqual({ a: 2 });
  });

  test("survives a crash right after it", async () => {
    const { work, broken, calls } = machine();
    const chain = orchestration("chain", async (ctx) => {
      await ctx.callActivity(work, "a");
      return ctx.callActivity(work, "b");
    });
    const hub = await open([chain, work]);
    broken.add("b");
    const start = await hub.client.startNew(chain, { instanceId: "x" });
    await hub.idle();
    broken.clear();
    await hub.stop();
    await hub.client.rewind("x");
    expect((await hub.client.getStatus("x"))?.runtimeStatus).toBe("Pending");
    await hub.start();
    await hub.idle();
    expect(await start.result(NOW)).toBe("B");
    expect(calls()).toEqual({ a: 1, b: 2 });
  });

  test("shows in the history why, and keeps the failed execution", async () => {
    const { work, broken } = machine();
    const single = orchestration("single", async (ctx) => ctx.callActivity(work, "a"));
    const hub = await open([single, work]);
    broken.add("a");
    await hub.client.startNew(single, { instanceId: "x" });
    await hub.idle();
    broken.clear();
    await hub.client.rewind("x", "repaired");
    await hub.idle();
    const history = await hub.client.getHistory("x");
    expect(history?.events).toContainEqual(
      expect.objectContaining({ type: "ExecutionRewound", reason: "repaired" }),
    );
    const executions = await hub.client.listExecutions("x");
    expect(executions.map((execution) => execution.runtimeStatus)).toEqual(["Completed", "Failed"]);
  });

  test("is for failed instances only", async () => {
    const waits = orchestration("waits", async (ctx) => ctx.waitForExternalEvent("go"));
    const hub = await open([waits]);
    await hub.client.startNew(waits, { instanceId: "x" });
    await hub.idle();
    await expect(hub.client.rewind("x")).rejects.toMatchObject({
      code: "InvalidState",
      message: "Cannot rewind instance 'x': it is Running, and must be Failed.",
    });
    await hub.client.terminate("x");
    await expect(hub.client.rewind("x")).rejects.toMatchObject({ code: "InvalidState" });
    await expect(hub.client.rewind("nobody")).rejects.toMatchObject({ code: "InstanceNotFound" });
  });
});
