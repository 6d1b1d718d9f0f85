import { setImmediate as nextRound } from "node:timers/promises";
import { expect, test } from "vitest";
import { activity, orchestration } from "../../src/index.js";
import { gate, NOW, onEveryStore } from "./support.js";

onEveryStore("after a crash", (open) => {
  test("activities that were in flight run again, under a higher fencing token", async () => {
    const tokens: number[] = [];
    let ghost = gate<string>();
    const work = activity("work", (ctx) => {
      tokens.push(ctx.fencingToken);
      return ghost.passed;
    });
    const job = orchestration("job", async (ctx) => [ctx.fencingToken, await ctx.callActivity(work)]);
    const hub = await open([job, work]);
    const start = await hub.client.startNew(job);
    await hub.idle({ activities: "leave" });
    const former = ghost;
    ghost = gate<string>();
    await hub.crash();
    former.open("of the former owner");
    await hub.idle({ activities: "leave" });
    expect((await hub.client.getStatus(start.instanceId))?.runtimeStatus).toBe("Running");
    ghost.open("of the new owner");
    await hub.idle();
    const [own, result] = await start.result(NOW);
    expect(result).toBe("of the new owner");
    expect(tokens).toHaveLength(2);
    expect(tokens[0]).toBe(own);
    expect(tokens[1]).toBeGreaterThan(Number(tokens[0]));
  });

  test("an orchestrator still reads the fencing token that its execution began with", async () => {
    const work = activity("work", async () => {});
    const seen: number[] = [];
    const job = orchestration("job", async (ctx) => {
      seen.push(ctx.fencingToken);
      await ctx.callActivity(work);
      await ctx.waitForExternalEvent("go");
      seen.push(ctx.fencingToken);
    });
    const hub = await open([job, work]);
    await hub.client.startNew(job, { instanceId: "x" });
    await hub.idle();
    await hub.crash();
    await hub.client.raiseEvent("x", "go");
    await hub.idle();
    expect((await hub.client.getStatus("x"))?.runtimeStatus).toBe("Completed");
    expect(new Set(seen).size).toBe(1);
  });

  test("results that were committed are not asked for again", async () => {
    const calls: string[] = [];
    const hold = gate();
    const work = activity("work", async (_ctx, name: string) => {
      calls.push(name);
      if (name === "slow") await hold.passed;
      return name;
    });
    const job = orchestration("job", async (ctx) =>
      ctx.all(["a", "b", "slow"].map((name) => ctx.callActivity(work, name))),
    );
    const hub = await open([job, work]);
    const start = await hub.client.startNew(job);
    await hub.idle({ activities: "leave" });
    await hub.crash();
    hold.open();
    await hub.idle();
    expect(await start.result(NOW)).toEqual(["a", "b", "slow"]);
    expect(calls.toSorted()).toEqual(["a", "b", "slow", "slow"]);
  });

  test("one result counts where an activity ran in both lives", async () => {
    const count = activity("count", () => 1);
    const sum = orchestration("sum", async (ctx, n: number) => {
      let total = 0;
      for (let i = 0; i < n; i++) total += await ctx.callActivity(count);
      return total;
    });
    const hub = await open([sum, count]);
    const starts = await Promise.all(
      Array.from({ length: 20 }, () => hub.client.startNew(sum, { input: 20 })),
    );
    for (let n = 0; n < 10; n++) {
      await nextRound();
      await hub.crash();
    }
    await hub.idle();
    for (const start of starts) {
      expect(await start.result(NOW)).toBe(20);
      const history = await hub.client.getHistory(start.instanceId);
      expect(history?.events.filter((event) => event.type === "TaskCompleted")).toHaveLength(20);
    }
  });

  test("children, their answers and events between instances are delivered", async () => {
    const child = orchestration("child", async (ctx, n: number) => {
      ctx.sendEvent("collector", "child", n);
      await ctx.sleep(10 * n);
      return n;
    });
    const parent = orchestration("parent", async (ctx) =>
      ctx.all(Array.from({ length: 10 }, (_, n) => ctx.callSubOrchestrator(child, n))),
    );
    const collector = orchestration("collector", async (ctx) => {
      const seen: unknown[] = [];
      while (seen.length < 10) seen.push(await ctx.waitForExternalEvent("child"));
      return seen.map(Number).toSorted((a, b) => a - b);
    });
    const hub = await open([parent, child, collector]);
    const collected = await hub.client.startNew(collector, { instanceId: "collector" });
    const start = await hub.client.startNew(parent);
    for (let n = 0; n < 12; n++) {
      await nextRound();
      await hub.crash();
      await hub.advance(10);
    }
    const numbers = Array.from({ length: 10 }, (_, n) => n);
    expect(await start.result(NOW)).toEqual(numbers);
    expect(await collected.result(NOW)).toEqual(numbers);
  });

  test("what clients asked for while no engine ran is carried out", async () => {
    const waits = orchestration("waits", async (ctx) => ctx.waitForExternalEvent("go"));
    const hub = await open([waits]);
    await hub.client.startNew(waits, { instanceId: "running" });
    await hub.idle();
    await hub.stop();
    const started = await hub.client.startNew(waits, { instanceId: "new" });
    await hub.client.raiseEvent("running", "go", 1);
    await hub.client.raiseEvent("new", "go", 2);
    await hub.start();
    await hub.idle();
    expect((await hub.client.getStatus("running"))?.output).toBe(1);
    expect(await started.result(NOW)).toBe(2);
  });

  test("a fan-out of 2,000 in flight goes on", async () => {
    const hold = gate();
    let calls = 0;
    const work = activity("work", async (_ctx, n: number) => {
      calls += 1;
      if (n % 2 === 1) await hold.passed;
      return n;
    });
    const job = orchestration("job", async (ctx) => {
      const all = await ctx.all(Array.from({ length: 2000 }, (_, n) => ctx.callActivity(work, n)));
      return all.length;
    });
    const hub = await open([job, work], { maxConcurrentActivities: 5000 });
    const start = await hub.client.startNew(job);
    await hub.idle({ activities: "leave" });
    expect(calls).toBe(2000);
    await hub.crash();
    hold.open();
    await hub.idle();
    expect(await start.result(NOW)).toBe(2000);
    expect(calls).toBe(3000);
  });

  test("instances that were evicted from memory go on from their history", async () => {
    const waits = orchestration("waits", async (ctx, n: number) => {
      const first = await ctx.waitForExternalEvent<number>("e");
      const second = await ctx.waitForExternalEvent<number>("e");
      return n + first + second;
    });
    const hub = await open([waits], { maxResidentInstances: 5, replayEveryTurn: false });
    const starts = await Promise.all(
      Array.from({ length: 50 }, (_, n) => hub.client.startNew(waits, { instanceId: `i${n}`, input: n })),
    );
    for (let round = 0; round < 2; round++) {
      for (let n = 0; n < 50; n++) await hub.client.raiseEvent(`i${n}`, "e", 100);
      await hub.idle();
    }
    for (const [n, start] of starts.entries()) expect(await start.result(NOW)).toBe(n + 200);
  });
});
