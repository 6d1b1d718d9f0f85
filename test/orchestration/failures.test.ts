import { expect, test } from "vitest";
import {
  activity,
  InstanceHeldError,
  OrchestrationFailedError,
  orchestration,
  TaskFailedError,
} from "../../src/index.js";
import type { TestHub } from "../../src/testing/index.js";
import { NOW, onEveryStore, textLike } from "./support.js";

class PaymentError extends Error {}

class DeclinedError extends PaymentError {
  override readonly name = "Declined";
}

const hostile: unknown = new Proxy(
  {},
  {
    get: () => {
      throw new Error("a hostile getter");
    },
    getPrototypeOf: () => {
      throw new Error("a hostile prototype");
    },
    ownKeys: () => {
      throw new Error("hostile keys");
    },
  },
);

const revoked: unknown = (() => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
})();

const cyclic: Record<string, unknown> = { type: "Cyclic", message: "of another library" };
cyclic["inner"] = cyclic;

const thrown: readonly (readonly [string, unknown, { readonly type: string; readonly message: unknown }])[] =
  [
    ["null", null, { type: "Error", message: "null was thrown" }],
    ["undefined", undefined, { type: "Error", message: "undefined was thrown" }],
    ["a string", "out of paper", { type: "Error", message: "out of paper" }],
    ["a number", 42, { type: "Error", message: "42 was thrown" }],
    ["a BigInt", 42n, { type: "Error", message: "42 was thrown" }],
    ["a symbol", Symbol("s"), { type: "Error", message: "Symbol(s) was thrown" }],
    ["a plain object", { code: 7 }, { type: "Error", message: '{"code":7}' }],
    [
      "an object that only looks like an error",
      { name: 5, message: {} },
      { type: "Error", message: '{"name":5,"message":{}}' },
    ],
    ["a hostile Proxy", hostile, { type: "Error", message: textLike(/./) }],
    ["a revoked Proxy", revoked, { type: "Error", message: textLike(/./) }],
    [
      "an error whose errors cannot be read",
      Object.assign(new Error("x"), { errors: revoked }),
      { type: "Error", message: "x" },
    ],
    [
      "an error with a cyclic failure",
      Object.assign(new Error("x"), { failure: cyclic }),
      { type: "Error", message: "x" },
    ],
    [
      "a cyclic cause",
      (() => {
        const error = new Error("loop");
        error.cause = error;
        return error;
      })(),
      { type: "Error", message: "loop" },
    ],
    ["an Error", new RangeError("too far"), { type: "RangeError", message: "too far" }],
    [
      "an error of a class that sets no name",
      new PaymentError("no money"),
      { type: "PaymentError", message: "no money" },
    ],
    [
      "an error of a class that sets its name",
      new DeclinedError("card"),
      { type: "Declined", message: "card" },
    ],
  ];

onEveryStore("what an activity throws", (open) => {
  test.each(thrown)("%s: is recorded readably and reaches the caller", async (_what, what, expected) => {
    const bad = activity("bad", () => {
      throw what;
    });
    const caller = orchestration("caller", async (ctx) => {
      try {
        await ctx.callActivity(bad);
        return undefined;
      } catch (error) {
        if (!(error instanceof TaskFailedError)) return "not a TaskFailedError";
        return { type: error.failure.type, message: error.failure.message, task: error.taskName };
      }
    });
    const hub = await open([caller, bad]);
    const start = await hub.client.startNew(caller);
    await hub.idle();
    expect(await start.result(NOW)).toMatchObject({ ...expected, task: "bad" });
  });

  test.each(thrown)("%s: fails an orchestrator that throws it likewise", async (_what, what, expected) => {
    const bad = orchestration("bad", async () => {
      throw what;
    });
    const hub = await open([bad]);
    const start = await hub.client.startNew(bad);
    await hub.idle();
    expect(await start.waitForCompletion(NOW)).toMatchObject({ runtimeStatus: "Failed", failure: expected });
  });

  test("keeps the causes of an error", async () => {
    const bad = activity("bad", () => {
      throw new Error("outer", { cause: new TypeError("middle", { cause: "the root" }) });
    });
    const failure = await failureOf(await open([callerOf(bad), bad]));
    expect(failure.inner).toMatchObject({
      type: "Error",
      message: "outer",
      inner: { type: "TypeError", message: "middle", inner: { type: "Error", message: "the root" } },
    });
  });

  test("keeps the first error of an AggregateError", async () => {
    const bad = activity("bad", () => {
      throw new AggregateError([new RangeError("one"), new Error("two")], "several");
    });
    const failure = await failureOf(await open([callerOf(bad), bad]));
    expect(failure.inner).toMatchObject({
      type: "AggregateError",
      message: "several",
      inner: { type: "RangeError", message: "one" },
    });
  });

  test("is clipped where it is huge", async () => {
    const bad = activity("bad", () => {
      throw new Error("x".repeat(1_000_000));
    });
    const failure = await failureOf(await open([callerOf(bad), bad]));
    expect(failure.inner?.message.length).toBeLessThan(20_000);
  });
});

function callerOf(bad: { readonly name: string }) {
  return orchestration("caller", async (ctx) => ctx.callActivity(bad.name));
}

async function failureOf(hub: TestHub) {
  const start = await hub.client.startNew("caller");
  await hub.idle();
  const { failure } = await start.waitForCompletion(NOW);
  if (failure === undefined) throw new Error("the caller did not fail");
  return failure;
}

onEveryStore("failures at those who wait", (open) => {
  const pay = activity("pay", (_ctx, kind: "range" | "payment" | "final") => {
    if (kind === "range") throw new RangeError("too much");
    if (kind === "payment") throw new PaymentError("no money");
    throw Object.assign(new Error("never again"), { nonRetriable: true });
  });

  test("come as a TaskFailedError whose cause is the error of its own class again", async () => {
    const caller = orchestration("caller", async (ctx) => {
      const error: unknown = await ctx.callActivity(pay, "range").catch((reason: unknown) => reason);
      if (!(error instanceof TaskFailedError)) return "not a TaskFailedError";
      return {
        isRange: error.cause instanceof RangeError,
        causedByRange: error.isCausedBy(RangeError),
        causedByType: error.isCausedBy(TypeError),
        message: error.message,
        taskId: error.taskId,
      };
    });
    const hub = await open([caller, pay]);
    const start = await hub.client.startNew(caller);
    await hub.idle();
    expect(await start.result(NOW)).toEqual({
      isRange: true,
      causedByRange: true,
      causedByType: false,
      message: "'pay' (task 0) failed: RangeError: too much",
      taskId: 0,
    });
  });

  test("of a user's class are told by that class", async () => {
    const caller = orchestration("caller", async (ctx) => {
      const error: unknown = await ctx.callActivity(pay, "payment").catch((reason: unknown) => reason);
      if (!(error instanceof TaskFailedError) || !(error.cause instanceof Error)) return "another error";
      return [error.isCausedBy(PaymentError), error.cause.name, error.cause.message];
    });
    const hub = await open([caller, pay]);
    const start = await hub.client.startNew(caller);
    await hub.idle();
    expect(await start.result(NOW)).toEqual([true, "PaymentError", "no money"]);
  });

  test("are thrown by result(), with the chain of causes down to the activity's", async () => {
    const caller = orchestration("caller", async (ctx) => ctx.callActivity(pay, "range"));
    const hub = await open([caller, pay]);
    const start = await hub.client.startNew(caller, { instanceId: "x" });
    await hub.idle();
    const error: unknown = await start.result(NOW).catch((reason: unknown) => reason);
    if (!(error instanceof OrchestrationFailedError)) throw new Error("not an OrchestrationFailedError");
    expect(error).toMatchObject({ instanceId: "x", runtimeStatus: "Failed" });
    expect(error.message).toContain("too much");
    expect(error.cause).toBeInstanceOf(TaskFailedError);
    expect(error.cause).toMatchObject({ taskId: 0, cause: { name: "RangeError", message: "too much" } });
  });

  test("keep the stack of where they were thrown", async () => {
    const failure = await failureOf(
      await open([orchestration("caller", async (ctx) => ctx.callActivity(pay, "range")), pay]),
    );
    expect(failure.inner?.stack).toContain("failures.test.ts");
  });

  test("of a child come verbatim to its parent and its parent's parent", async () => {
    const child = orchestration("child", async (ctx) => ctx.callActivity(pay, "final"));
    const parent = orchestration("parent", async (ctx) => ctx.callSubOrchestrator(child, undefined));
    const grandparent = orchestration("grandparent", async (ctx) =>
      ctx.callSubOrchestrator(parent, undefined),
    );
    const hub = await open([grandparent, parent, child, pay]);
    const start = await hub.client.startNew(grandparent);
    await hub.idle();
    const { failure } = await start.waitForCompletion(NOW);
    const list = await hub.client.list();
    const childStatus = list.instances.find((each) => each.name === "child");
    expect(failure?.inner?.inner).toEqual(childStatus?.failure);
    expect(failure?.inner?.inner?.inner).toMatchObject({ message: "never again", nonRetriable: true });
  });

  test("of a terminated child say so", async () => {
    const child = orchestration("child", async (ctx) => ctx.waitForExternalEvent("never"));
    const parent = orchestration("parent", async (ctx) =>
      ctx.callSubOrchestrator(child, undefined, { instanceId: "kid" }),
    );
    const hub = await open([parent, child]);
    const start = await hub.client.startNew(parent);
    await hub.idle();
    await hub.client.terminate("kid", "too old");
    await hub.idle();
    const { failure } = await start.waitForCompletion(NOW);
    expect(failure?.inner).toMatchObject({
      type: "OrchestrationTerminated",
      message: "Instance 'kid' was terminated: too old",
    });
  });

  test("of a child whose ID is held are an InstanceHeldError with the holder", async () => {
    const child = orchestration("child", async (ctx) => ctx.waitForExternalEvent("never"));
    const parent = orchestration("parent", async (ctx) => {
      const error: unknown = await ctx
        .callSubOrchestrator(child, undefined, { instanceId: "kid" })
        .catch((reason: unknown) => reason);
      if (!(error instanceof TaskFailedError)) return "not a TaskFailedError";
      return error.cause instanceof InstanceHeldError ? error.cause.holder.executionId : error.cause;
    });
    const hub = await open([parent, child]);
    const holder = await hub.client.startNew(child, { instanceId: "kid" });
    const start = await hub.client.startNew(parent);
    await hub.idle();
    expect(await start.result(NOW)).toBe(holder.executionId);
  });

  test("that nobody looks at harm neither the orchestration nor the process", async () => {
    const caller = orchestration("caller", async (ctx) => {
      void ctx.callActivity(pay, "range");
      void ctx.all([ctx.callActivity(pay, "payment")]);
      await ctx.sleep(1000);
      return "unharmed";
    });
    const hub = await open([caller, pay]);
    const start = await hub.client.startNew(caller);
    await hub.advance(1000);
    expect(await start.result(NOW)).toBe("unharmed");
  });

  test("of a synchronous orchestrator function fail it as well", async () => {
    const sync = orchestration("sync", (): Promise<string> => {
      throw new SyntaxError("at once");
    });
    const hub = await open([sync]);
    const start = await hub.client.startNew(sync);
    await hub.idle();
    expect(await start.waitForCompletion(NOW)).toMatchObject({ failure: { type: "SyntaxError" } });
  });
});
