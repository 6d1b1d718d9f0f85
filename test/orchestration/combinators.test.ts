import { expect, test } from "vitest";
import { activity, type OrchestrationContext, orchestration, type Task } from "../../src/index.js";
import { NOW, onEveryStore } from "./support.js";

const echo = activity("echo", (_ctx, value: string) => value);
const fail = activity("fail", (_ctx, message: string): string => {
  throw new RangeError(message);
});

function reasonOf(error: unknown): unknown {
  if (error instanceof AggregateError) return { aggregate: error.errors.map(reasonOf) };
  return error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
}

onEveryStore("fan-out", (open) => {
  test("of 10,000 activities gives all results, in the order of the calls", async () => {
    const square = activity("square", (_ctx, n: number) => n * n);
    const fanOut = orchestration("fanOut", async (ctx, count: number) => {
      const results = await Promise.all(Array.from({ length: count }, (_, n) => ctx.callActivity(square, n)));
      return results.every((result, n) => result === n * n) && results.length;
    });
    const hub = await open([fanOut, square]);
    const start = await hub.client.startNew(fanOut, { instanceId: "x", input: 10_000 });
    await hub.idle();
    expect(await start.result(NOW)).toBe(10_000);
    const history = await hub.client.getHistory("x");
    expect(history?.events.filter((event) => event.type === "TaskCompleted")).toHaveLength(10_000);
  });

  test("of more activities than may run at once runs no more than those", async () => {
    let running = 0;
    let most = 0;
    const busy = activity("busy", async () => {
      running += 1;
      most = Math.max(most, running);
      await Promise.resolve();
      running -= 1;
    });
    const fanOut = orchestration("fanOut", async (ctx) => {
      await ctx.all(Array.from({ length: 50 }, () => ctx.callActivity(busy)));
    });
    const hub = await open([fanOut, busy], { maxConcurrentActivities: 7 });
    const start = await hub.client.startNew(fanOut);
    await hub.idle();
    await start.result(NOW);
    expect(most).toBe(7);
  });
});

onEveryStore("combining tasks", (open) => {
  /** Runs an orchestrator whose tasks settle one second apart. */
  async function outcome(
    combine: (
      ctx: OrchestrationContext,
      tasks: {
        readonly good: (atS: number) => Task<string>;
        readonly bad: (atS: number) => Task<string>;
        readonly never: () => Task<unknown>;
      },
    ) => PromiseLike<unknown>,
  ): Promise<unknown> {
    const child = orchestration("child", async (ctx, { atS, bad }: { atS: number; bad: boolean }) => {
      await ctx.sleep(atS * 1000);
      if (bad) throw new RangeError(`bad ${atS}`);
      return `good ${atS}`;
    });
    const main = orchestration("main", async (ctx) => {
      try {
        return await combine(ctx, {
          good: (atS) => ctx.callSubOrchestrator(child, { atS, bad: false }),
          bad: (atS) => ctx.callSubOrchestrator(child, { atS, bad: true }),
          never: () => ctx.waitForExternalEvent("never"),
        });
      } catch (error) {
        return { threw: reasonOf(error) };
      }
    });
    const hub = await open([main, child, echo, fail]);
    const start = await hub.client.startNew(main);
    await hub.advance(5000);
    return start.result(NOW);
  }

  test("ctx.all and Promise.all give all results in the order of the tasks", async () => {
    const both = await outcome(async (ctx, { good }) => [
      await ctx.all([good(2), good(1)]),
      await Promise.all([good(2), good(1)]),
    ]);
    expect(both).toEqual([
      ["good 2", "good 1"],
      ["good 2", "good 1"],
    ]);
  });

  test("ctx.all fails with the first failure in time, without waiting for the rest", async () => {
    expect(await outcome((ctx, { good, bad, never }) => ctx.all([good(1), bad(3), bad(2), never()]))).toEqual(
      {
        threw: "bad 2",
      },
    );
  });

  test("Promise.all fails likewise", async () => {
    expect(
      await outcome((_ctx, { good, bad, never }) => Promise.all([good(1), bad(3), bad(2), never()])),
    ).toEqual({
      threw: "bad 2",
    });
  });

  test("ctx.any gives the first success, failures before it notwithstanding", async () => {
    expect(await outcome((ctx, { good, bad }) => ctx.any([bad(1), good(3), good(2)]))).toBe("good 2");
  });

  test("ctx.any and Promise.any fail with all failures, in the order of the tasks", async () => {
    expect(await outcome((ctx, { bad }) => ctx.any([bad(2), bad(1)]))).toEqual({
      threw: { aggregate: ["bad 2", "bad 1"] },
    });
    expect(await outcome((_ctx, { bad }) => Promise.any([bad(2), bad(1)]))).toEqual({
      threw: { aggregate: ["bad 2", "bad 1"] },
    });
  });

  test("ctx.race and Promise.race settle as the first task that settles does", async () => {
    expect(await outcome((ctx, { good, bad, never }) => ctx.race([bad(2), good(1), never()]))).toBe("good 1");
    expect(await outcome((ctx, { good, bad }) => ctx.race([good(2), bad(1)]))).toEqual({ threw: "bad 1" });
    expect(await outcome((_ctx, { good, bad }) => Promise.race([good(2), bad(1)]))).toEqual({
      threw: "bad 1",
    });
  });

  test("ctx.allSettled tells each outcome", async () => {
    const settled = await outcome(async (ctx, { good, bad }) => {
      const all = await ctx.allSettled([bad(1), good(2)]);
      return all.map((each) => (each.status === "fulfilled" ? each.value : reasonOf(each.reason)));
    });
    expect(settled).toEqual(["bad 1", "good 2"]);
  });

  test("ctx.whenAny tells which task was first, also where it failed", async () => {
    const winners = await outcome(async (ctx, { good, bad }) => {
      const [slow, fast] = [good(2), bad(1)];
      const { task } = await ctx.whenAny([slow, fast]);
      return [task === fast, task.isFaulted, slow.isCompleted];
    });
    expect(winners).toEqual([true, true, false]);
  });

  test("the empty list means what it means to Promise", async () => {
    expect(await outcome((ctx) => ctx.all([]))).toEqual([]);
    expect(await outcome((ctx) => ctx.allSettled([]))).toEqual([]);
    expect(await outcome((ctx) => ctx.any([]))).toEqual({ threw: { aggregate: [] } });
  });

  test("combinations nest, and a task may be awaited twice", async () => {
    const nested = await outcome(async (ctx, { good, bad, never }) => {
      const one = good(1);
      const raced = ctx.race([ctx.all([one, good(2)]), never()]);
      const fallback = ctx.any([bad(1), ctx.all([good(1)])]);
      return [await raced, await fallback, await one, await one, one.result()];
    });
    expect(nested).toEqual([["good 1", "good 2"], ["good 1"], "good 1", "good 1", "good 1"]);
  });

  test("then, catch and finally of a task work as a promise's do", async () => {
    const seen = await outcome(async (_ctx, { good, bad }) => {
      const order: string[] = [];
      await good(1).finally(() => order.push("finally"));
      await bad(1)
        .finally(() => order.push("finally after a failure"))
        .catch((error: unknown) => order.push(String(reasonOf(error))));
      return [order, await good(1).then((text) => text.toUpperCase())];
    });
    expect(seen).toEqual([["finally", "finally after a failure", "bad 1"], "GOOD 1"]);
  });

  test("helpers may be async functions of their own, run side by side", async () => {
    const helped = await outcome(async (ctx, { good }) => {
      const helper = async (first: number, second: number): Promise<string> => {
        const one = await good(first);
        const two = await good(second);
        return `${one}, ${two}`;
      };
      return Promise.all([helper(1, 3), helper(2, 1), ctx.sleep(100).then(() => "slept")]);
    });
    expect(helped).toEqual(["good 1, good 3", "good 2, good 1", "slept"]);
  });

  test("a pending task has no result yet", async () => {
    const early = await outcome(async (_ctx, { good }) => {
      const task = good(1);
      try {
        return task.result();
      } catch (error) {
        return [task.isCompleted, task.isFaulted, error instanceof Error && error.name];
      }
    });
    expect(early).toEqual([false, false, "ContextMisuseError"]);
  });

  test("losers of a race do not delay completion", async () => {
    const hub = await open([
      orchestration("quick", async (ctx) => ctx.race([ctx.sleep(1000), ctx.sleep(1_000_000)])),
    ]);
    const start = await hub.client.startNew("quick");
    await hub.advance(1000);
    expect((await start.waitForCompletion(NOW)).runtimeStatus).toBe("Completed");
    expect(await hub.advanceToNextTimer()).toBe(false);
  });
});

onEveryStore("Durable Functions v3 style generators", (open) => {
  test("yield tasks and get their results, and failures at the yield", async () => {
    const old = orchestration("old", function* (ctx) {
      const first: unknown = yield ctx.callActivity(echo, "plain");
      try {
        yield ctx.callActivity(fail, "caught");
      } catch (error) {
        const both: unknown = yield ctx.all([ctx.callActivity(echo, "a"), ctx.callActivity(echo, "b")]);
        return [first, reasonOf(error), both];
      }
      return [];
    });
    const hub = await open([old, echo, fail]);
    const start = await hub.client.startNew(old);
    await hub.idle();
    expect(await start.result(NOW)).toEqual(["plain", "caught", ["a", "b"]]);
  });

  test.each(["function*", "async function*"])(
    "in a %s whenAny yields the winning task itself",
    async (shape) => {
      const sync = orchestration("any", function* (ctx) {
        const timer = ctx.sleep(1000);
        const event = ctx.waitForExternalEvent<string>("e");
        const winner: unknown = yield ctx.whenAny([timer, event]);
        if (winner === event) timer.cancel();
        return [winner === event, event.result()];
      });
      const async = orchestration("any", async function* (ctx) {
        const timer = ctx.sleep(1000);
        const event = ctx.waitForExternalEvent<string>("e");
        const winner: unknown = yield ctx.whenAny([timer, event]);
        if (winner === event) timer.cancel();
        return [winner === event, event.result()];
      });
      const hub = await open([shape === "function*" ? sync : async]);
      const start = await hub.client.startNew("any", { instanceId: "x" });
      await hub.client.raiseEvent("x", "e", "won");
      await hub.idle();
      expect(await start.result(NOW)).toEqual([true, "won"]);
    },
  );

  test("async generators get failures at the yield, too", async () => {
    const old = orchestration("old", async function* (ctx) {
      const seen: unknown[] = [];
      try {
        yield ctx.callActivity(fail, "plain");
      } catch (error) {
        seen.push(reasonOf(error));
      }
      try {
        yield* ctx.callActivity(fail, "delegated");
      } catch (error) {
        seen.push(reasonOf(error));
      }
      seen.push(yield* ctx.callActivity(echo, "fine"));
      return seen;
    });
    const hub = await open([old, echo, fail]);
    const start = await hub.client.startNew(old);
    await hub.idle();
    expect(await start.result(NOW)).toEqual(["plain", "delegated", "fine"]);
  });

  test("generators run their finally blocks", async () => {
    const order: string[] = [];
    const tidy = orchestration("tidy", function* (ctx) {
      try {
        yield* ctx.callActivity(fail, "x");
      } finally {
        order.push(yield* ctx.callActivity(echo, "tidied"));
      }
    });
    const hub = await open([tidy, echo, fail], { replayEveryTurn: false });
    const start = await hub.client.startNew(tidy);
    await hub.idle();
    expect((await start.waitForCompletion(NOW)).runtimeStatus).toBe("Failed");
    expect(order).toEqual(["tidied"]);
  });
});
