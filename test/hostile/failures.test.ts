import { expect, test } from "vitest";
import { activity, orchestration } from "../../src/index.js";
import { expectNoPollution, onMemorySqliteAndPostgres, SOON } from "./stores.js";

function throwing(): never {
  throw new Error("hostile");
}

/** An error that answers each question about itself with an error, or with what nobody expects. */
function hostileError(): Error {
  const error = new Error("x");
  for (const key of [
    "message",
    "name",
    "stack",
    "cause",
    "errors",
    "failure",
    "taskId",
    "nonRetriable",
    "toString",
  ])
    Object.defineProperty(error, key, { get: throwing, configurable: true });
  return error;
}

function sharedParts(): unknown {
  let value: unknown = ["x"];
  for (let level = 0; level < 40; level++) value = [value, value];
  return value;
}

function deep(): unknown {
  let value: unknown = {};
  for (let level = 0; level < 100_000; level++)
    value = { inner: value, type: "T", message: "m", cause: value };
  return value;
}

/** What is thrown, and what its type and message must be like. */
const THROWN: readonly (readonly [what: string, make: () => unknown, type: string, message: RegExp])[] = [
  ["an error that throws at each look", hostileError, "Error", /./],
  ["an object that shares its parts", () => ({ parts: sharedParts() }), "Error", /cannot be read/],
  ["an object nested 100,000 deep", deep, "Error", /^m$/],
  ["a message of 2 MB", () => new Error("m".repeat(2e6)), "Error", /^m+…$/],
  ["a text of 2 MB", () => "m".repeat(2e6), "Error", /^m+…$/],
  ["a symbol of 1 MB", () => Symbol("m".repeat(1e6)), "Error", /^Symbol\(m+…$/],
  ["a name of 1 MB", () => Object.assign(new Error("m"), { name: "N".repeat(1e6) }), "N", /^m$/],
  ["a stack of 1 MB", () => Object.assign(new Error("m"), { stack: "s".repeat(1e6) }), "Error", /^m$/],
  [
    "data of 1 MB",
    () => Object.assign(new Error("m"), { toFailureData: () => ({ a: "d".repeat(1e6) }) }),
    "Error",
    /^m$/,
  ],
  [
    "data that shares its parts",
    () => Object.assign(new Error("m"), { toFailureData: sharedParts }),
    "Error",
    /^m$/,
  ],
  [
    "a failure of another library, of 1 MB",
    () =>
      Object.assign(new Error("m"), { failure: { type: "F", message: "f", data: { a: "d".repeat(1e6) } } }),
    "Error",
    /^m$/,
  ],
  [
    "1,000 errors in one",
    () =>
      new AggregateError(
        Array.from({ length: 1e3 }, () => new Error("one")),
        "m",
      ),
    "AggregateError",
    /^m$/,
  ],
  [
    "causes in a circle of two",
    () => {
      const a = new Error("m");
      a.cause = new Error("b", { cause: a });
      return a;
    },
    "Error",
    /^m$/,
  ],
  [
    "U+0000 and half a pair",
    () => Object.assign(new Error("a\0\ud800"), { name: "\0\udc00" }),
    "\0\udc00",
    /^a\0\ud800$/,
  ],
  ["the type __proto__", () => Object.assign(new Error("m"), { name: "__proto__" }), "__proto__", /^m$/],
  ["a name that is no text", () => Object.assign(new Error("m"), { name: { polluted: 1 } }), "Error", /^m$/],
  ["a class without a name", () => new (class extends Error {})("m"), "Error", /^m$/],
  ["a function", () => throwing, "Error", /function/],
];

function made(index: number): unknown {
  return THROWN[index]?.[1]();
}

const bad = activity("bad", (_ctx, index: number) => {
  throw made(index);
});
const badChild = orchestration("badChild", async (_ctx, index: number) => {
  throw made(index);
});
const parent = orchestration("parent", async (ctx, index: number) =>
  ctx.callSubOrchestrator(badChild, index),
);
const caller = orchestration("caller", async (ctx, index: number) => ctx.callActivity(bad, index));
const catcher = orchestration("catcher", async (ctx, index: number) => {
  const caught: unknown = await ctx.callActivity(bad, index).catch((error: unknown) => error);
  return caught instanceof Error ? [caught.name, caught.cause instanceof Error] : [typeof caught];
});

onMemorySqliteAndPostgres("whatever is thrown", [bad, badChild, parent, caller, catcher], (hub) => {
  test.each(THROWN.map(([what, , type, message], index) => ({ what, type, message, index })))(
    "$what: is a failure with type and message, of a bounded size, for all who wait",
    async ({ type, message, index }) => {
      const { client } = hub();
      const starts = [];
      for (const orchestrator of [badChild, caller, parent])
        starts.push(await client.startNew(orchestrator, { input: index }));
      const [own, ofActivity, ofChild] = await Promise.all(
        starts.map((start) => start.waitForCompletion(SOON)),
      );
      for (const failure of [own?.failure, ofActivity?.failure?.inner, ofChild?.failure?.inner]) {
        expect(failure?.type.startsWith(type)).toBe(true);
        expect(failure?.message).toMatch(message);
        expect(JSON.stringify(failure).length).toBeLessThan(400_000);
      }
      const caught = await client.startNew(catcher, { input: index });
      expect(await caught.result(SOON)).toEqual(["TaskFailedError", true]);
      expectNoPollution();
    },
  );
});
