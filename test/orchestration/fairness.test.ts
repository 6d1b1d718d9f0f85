import { setImmediate as nextRound } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { activity, orchestration, TaskHub } from "../../src/index.js";

/** Where nothing else gets its turn, the orchestration ends by itself, so that the test fails and does not hang. */
const ENOUGH_GENERATIONS = 20_000;

describe("an orchestration that continues as new for ever, on a store that never waits", () => {
  test.each([1, 10])("leaves timers and clients of its process their turn (%i of them)", async (count) => {
    const eternal = orchestration("eternal", async (ctx, generation: number) => {
      if (generation >= ENOUGH_GENERATIONS) return "nobody stopped it";
      ctx.continueAsNew(generation + 1);
      return undefined;
    });
    await using hub = await TaskHub.open({ store: "memory", functions: [eternal] });
    const ids = Array.from({ length: count }, (_each, index) => `eternal-${index}`);
    for (const instanceId of ids) await hub.client.startNew(eternal, { instanceId, input: 0 });
    await new Promise((resolve) => {
      setTimeout(resolve, 1);
    });
    for (const id of ids) {
      await hub.client.terminate(id, "enough");
      const ended = await hub.client.waitForCompletion(id);
      expect(ended).toMatchObject({ runtimeStatus: "Terminated", output: "enough" });
    }
  });
});

describe("a process that may run one activity at a time", () => {
  const order: string[] = [];
  const note = activity("note", async (ctx, number: number) => {
    order.push(ctx.instanceId);
    await nextRound();
    return number;
  });
  const wide = orchestration("wide", async (ctx, count: number) =>
    ctx.all(Array.from({ length: count }, (_each, number) => ctx.callActivity(note, number))),
  );

  test("gives instances turns: one with many activities does not keep another one's waiting", async () => {
    await using hub = await TaskHub.open({
      store: "memory",
      functions: [wide, note],
      maxConcurrentActivities: 1,
    });
    const many = await hub.client.startNew(wide, { instanceId: "many", input: 2000 });
    const few = await hub.client.startNew(wide, { instanceId: "few", input: 2 });
    await few.result();
    const before = order.length;
    await many.result();
    expect(order.filter((id) => id === "few")).toHaveLength(2);
    expect(before).toBeLessThan(1500);
    expect(order).toHaveLength(2002);
  });
});

describe("an activity with a limit of its own", () => {
  test("runs so many at a time, while others go by the process's limit", async () => {
    const running = { scarce: 0, plenty: 0 };
    const most = { scarce: 0, plenty: 0 };
    const counted = async (name: "scarce" | "plenty"): Promise<void> => {
      running[name] += 1;
      most[name] = Math.max(most[name], running[name]);
      for (let pause = 0; pause < 5; pause++) await nextRound();
      running[name] -= 1;
    };
    const scarce = activity("scarce", { maxConcurrent: 2 }, async () => counted("scarce"));
    const plenty = activity("plenty", async () => counted("plenty"));
    const both = orchestration("both", async (ctx) => {
      const calls = Array.from({ length: 30 }, () => [ctx.callActivity(scarce), ctx.callActivity(plenty)]);
      await ctx.all(calls.flat());
    });
    await using hub = await TaskHub.open({
      store: "memory",
      functions: [both, scarce, plenty],
      maxConcurrentActivities: 12,
    });
    await (await hub.client.startNew(both)).result();
    expect(most.scarce).toBe(2);
    expect(most.plenty).toBeGreaterThanOrEqual(10);
  });
});
