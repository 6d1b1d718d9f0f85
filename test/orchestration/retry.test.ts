import { expect, test } from "vitest";
import { activity, type Failure, orchestration, type RetryPolicy } from "../../src/index.js";
import { NOW, onEveryStore, textWith } from "./support.js";

/** An activity that fails so often, and notes when it was called. */
function flaky(failures: number, error: () => unknown = () => new Error("not yet")) {
  const calledAtMs: number[] = [];
  let clock = (): number => 0;
  const work = activity("work", () => {
    calledAtMs.push(clock());
    if (calledAtMs.length <= failures) throw error();
    return calledAtMs.length;
  });
  return {
    work,
    on: (hub: { readonly now: Date }) => {
      const startMs = hub.now.getTime();
      clock = () => hub.now.getTime() - startMs;
    },
    calledAtMs,
  };
}

onEveryStore("retries", (open) => {
  async function calls(
    failures: number,
    retry: RetryPolicy,
    error?: () => unknown,
  ): Promise<{
    readonly at: readonly number[];
    readonly status: string;
    readonly failure: Failure | undefined;
  }> {
    const { work, on, calledAtMs } = flaky(failures, error);
    const job = orchestration("job", async (ctx) => ctx.callActivity(work, undefined, { retry }));
    const hub = await open([job, work]);
    on(hub);
    const start = await hub.client.startNew(job);
    const { runtimeStatus, failure } = await hub.runToCompletion(start.instanceId);
    return { at: calledAtMs, status: runtimeStatus, failure };
  }

  test("wait firstIntervalMs between attempts, by durable timers", async () => {
    expect(await calls(2, { firstIntervalMs: 5000, maxAttempts: 3 })).toMatchObject({
      at: [0, 5000, 10_000],
      status: "Completed",
    });
  });

  test("end with the last failure after maxAttempts", async () => {
    let n = 0;
    const ended = await calls(
      9,
      { firstIntervalMs: 10, maxAttempts: 3 },
      () => new RangeError(`failure ${++n}`),
    );
    expect(ended).toMatchObject({ at: [0, 10, 20], status: "Failed" });
    expect(ended.failure?.inner).toMatchObject({ type: "RangeError", message: "failure 3" });
  });

  test("wait longer each time by backoffCoefficient, and never longer than maxIntervalMs", async () => {
    expect(
      await calls(5, { firstIntervalMs: 100, maxAttempts: 6, backoffCoefficient: 3, maxIntervalMs: 1000 }),
    ).toMatchObject({ at: [0, 100, 400, 1300, 2300, 3300] });
  });

  test("wait an hour at most where no maxIntervalMs is given", async () => {
    expect(await calls(2, { firstIntervalMs: 86_400_000, maxAttempts: 3 })).toMatchObject({
      at: [0, 3_600_000, 7_200_000],
    });
  });

  test("begin no attempt later than timeoutMs after the first", async () => {
    expect(await calls(9, { firstIntervalMs: 1000, maxAttempts: 10, timeoutMs: 2500 })).toMatchObject({
      at: [0, 1000, 2000],
      status: "Failed",
    });
  });

  test("without any wait follow at once", async () => {
    expect(await calls(3, { firstIntervalMs: 0, maxAttempts: 5 })).toMatchObject({
      at: [0, 0, 0, 0],
      status: "Completed",
    });
  });

  test("happen only for failures that `when` accepts", async () => {
    const retry: RetryPolicy = {
      firstIntervalMs: 10,
      maxAttempts: 5,
      when: (failure) => failure.type === "RangeError",
    };
    expect((await calls(2, retry, () => new RangeError("x"))).at).toHaveLength(3);
    const refused = await calls(2, retry, () => new TypeError("x"));
    expect(refused).toMatchObject({ at: [0], status: "Failed" });
    expect(refused.failure?.inner?.type).toBe("TypeError");
  });

  test("end with the error of a `when` that throws", async () => {
    const retry: RetryPolicy = {
      firstIntervalMs: 10,
      maxAttempts: 5,
      when: () => {
        throw new SyntaxError("in when");
      },
    };
    expect(await calls(2, retry)).toMatchObject({
      at: [0],
      status: "Failed",
      failure: { type: "SyntaxError", message: "in when" },
    });
  });

  test("do not happen for a failure that calls itself non-retriable", async () => {
    expect(
      await calls(2, { firstIntervalMs: 10, maxAttempts: 5 }, () =>
        Object.assign(new Error("final"), { nonRetriable: true }),
      ),
    ).toMatchObject({ at: [0], status: "Failed" });
  });

  test.each<[string, RetryPolicy]>([
    ["retry.maxAttempts", { firstIntervalMs: 1, maxAttempts: 0 }],
    ["retry.maxAttempts", { firstIntervalMs: 1, maxAttempts: 1.5 }],
    ["retry.firstIntervalMs", { firstIntervalMs: -1, maxAttempts: 2 }],
    ["retry.firstIntervalMs", { firstIntervalMs: Number.NaN, maxAttempts: 2 }],
    ["retry.backoffCoefficient", { firstIntervalMs: 1, maxAttempts: 2, backoffCoefficient: 0.5 }],
    ["retry.maxIntervalMs", { firstIntervalMs: 1, maxAttempts: 2, maxIntervalMs: -1 }],
    ["retry.timeoutMs", { firstIntervalMs: 1, maxAttempts: 2, timeoutMs: -1 }],
  ])("are refused at the call for a bad %s", async (parameter, retry) => {
    expect(await calls(0, retry)).toMatchObject({
      at: [],
      status: "Failed",
      failure: { type: "InvalidArgumentError", message: textWith(parameter) },
    });
  });

  test("go on after a crash where they were", async () => {
    const { work, on, calledAtMs } = flaky(3);
    const job = orchestration("job", async (ctx) =>
      ctx.callActivity(work, undefined, { retry: { firstIntervalMs: 1000, maxAttempts: 10 } }),
    );
    const hub = await open([job, work]);
    on(hub);
    const start = await hub.client.startNew(job);
    for (let n = 0; n < 4; n++) {
      await hub.advance(500);
      await hub.crash();
      await hub.advance(500);
    }
    expect(await start.result(NOW)).toBe(4);
    expect(calledAtMs).toEqual([0, 1000, 2000, 3000]);
  });

  test("race timers like any task", async () => {
    const { work, on } = flaky(99);
    const job = orchestration("job", async (ctx) => {
      const call = ctx.callActivity(work, undefined, { retry: { firstIntervalMs: 1000, maxAttempts: 100 } });
      const timeout = ctx.sleep(3500);
      const { task } = await ctx.whenAny([call, timeout]);
      return task === timeout ? "timed out" : "done";
    });
    const hub = await open([job, work]);
    on(hub);
    const start = await hub.client.startNew(job);
    await hub.advance(3500);
    expect(await start.result(NOW)).toBe("timed out");
    expect(await hub.advanceToNextTimer()).toBe(false);
  });

  test("of parallel calls keep apart", async () => {
    const counts: Record<string, number> = {};
    const work = activity("work", (_ctx, name: string) => {
      const count = (counts[name] ?? 0) + 1;
      counts[name] = count;
      if (count < name.length) throw new Error("not yet");
      return name;
    });
    const job = orchestration("job", async (ctx) =>
      ctx.all(
        ["a", "bb", "ccc"].map((name) =>
          ctx.callActivity(work, name, { retry: { firstIntervalMs: 100, maxAttempts: 5 } }),
        ),
      ),
    );
    const hub = await open([job, work]);
    const start = await hub.client.startNew(job);
    await hub.advance(1000);
    expect(await start.result(NOW)).toEqual(["a", "bb", "ccc"]);
    expect(counts).toEqual({ a: 1, bb: 2, ccc: 3 });
  });
});
