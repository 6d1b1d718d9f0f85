import { expect, test } from "vitest";
import { activity, orchestration } from "../../src/index.js";
import { NOW, onEveryStore, textLike, textWith } from "./support.js";

const echo = activity("echo", (_ctx, value: unknown) => value);
const tell = orchestration("tell", async (ctx, value: unknown) => ctx.callActivity(echo, value));

const cycle: Record<string, unknown> = { name: "loop" };
cycle["self"] = { back: cycle };

function nested(depth: number): unknown {
  let value: unknown = "bottom";
  for (let level = 0; level < depth; level++) value = [value];
  return value;
}

class Money {
  constructor(readonly cents: number) {}
}

const refused: readonly (readonly [string, unknown, RegExp])[] = [
  ["a Date", { at: [new Date(0)] }, /at\[0\] is a Date\. Hint: send date\.toISOString\(\)/],
  ["a Map", { byId: new Map() }, /byId is a Map\. Hint: send Object\.fromEntries/],
  ["a Set", new Set([1]), /the value itself is a Set\. Hint: send \[\.\.\.set\]/],
  ["a class instance", { price: new Money(5) }, /price is an instance of Money\. Hint: send a plain object/],
  ["NaN", [1, Number.NaN], /\[1\] is NaN/],
  ["Infinity", { a: { b: Number.POSITIVE_INFINITY } }, /a\.b is Infinity/],
  ["a BigInt", { id: 5n }, /id is a BigInt\. Hint: send it as a string/],
  ["a function", { callback: () => 1 }, /callback is a function/],
  ["a symbol", { kind: Symbol("k") }, /kind is a symbol/],
  ["a cycle", cycle, /self\.back is a cycle/],
  ["undefined in an array", [1, undefined], /\[1\] is undefined in an array\. Hint: use null/],
  ["too deep a nesting", nested(300), /is nesting deeper than 256/],
  ["an object with toJSON", { toJSON: () => 1 }, /an object with toJSON/],
  ["a promise", { later: Promise.resolve(1) }, /later is an instance of Promise/],
];

const kept: readonly (readonly [string, unknown, unknown])[] = [
  ["null", null, null],
  ["an empty string", "", ""],
  ["zero", 0, 0],
  ["false", false, false],
  ["undefined", undefined, undefined],
  ["undefined properties, dropped", { a: 1, b: undefined }, { a: 1 }],
  ["deep nesting", nested(250), nested(250)],
  ["text of any kind", '\u0000 \ud83d\ude00 \u2028 "\\ ]]>', '\u0000 \ud83d\ude00 \u2028 "\\ ]]>'],
  [
    "a key named __proto__",
    JSON.parse('{"__proto__":{"polluted":true}}'),
    JSON.parse('{"__proto__":{"polluted":true}}'),
  ],
  ["an object without a prototype", Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
];

onEveryStore("values", (open) => {
  test.each(kept)("%s: travel through input, activity and output", async (_what, value, expected) => {
    const hub = await open([tell, echo]);
    const start = await hub.client.startNew(tell, { instanceId: "x", input: value });
    await hub.idle();
    expect(await start.result(NOW)).toEqual(expected);
    expect((await hub.client.getStatus("x"))?.input).toEqual(expected);
  });

  test.each(refused)(
    "%s: is refused as a start's input, with path and hint",
    async (_what, value, message) => {
      const hub = await open([tell, echo]);
      const refusal = hub.client.startNew(tell, { instanceId: "x", input: value });
      await expect(refusal).rejects.toMatchObject({
        code: "InvalidValue",
        message: textLike(message),
      });
      expect(await hub.client.getStatus("x")).toBeUndefined();
    },
  );

  test.each(refused)(
    "%s: is refused at each call of an orchestrator that passes it",
    async (_what, value, message) => {
      const refusedAt: string[] = [];
      const passes = orchestration("passes", async (ctx) => {
        const calls: Record<string, () => unknown> = {
          "the input of activity": () => ctx.callActivity(echo, value),
          "the input of sub-orchestration": () => ctx.callSubOrchestrator(tell, value),
          "the input of orchestration": () => ctx.startNew(tell, value),
          "the data of event": () => ctx.sendEvent("x", "e", value),
          "the input of continueAsNew": () => ctx.continueAsNew(value),
          "the custom status": () => ctx.setCustomStatus(value),
        };
        for (const [what, call] of Object.entries(calls)) {
          try {
            call();
          } catch (error) {
            if (error instanceof Error && error.message.includes(what) && message.test(error.message))
              refusedAt.push(what);
          }
        }
        return "went on";
      });
      const hub = await open([passes, tell, echo], { replayEveryTurn: false });
      const start = await hub.client.startNew(passes);
      await hub.idle();
      expect(await start.result(NOW)).toBe("went on");
      expect(refusedAt).toHaveLength(6);
    },
  );

  test("that an activity or an orchestrator must not return fail it, with the path", async () => {
    const badResult = activity("badResult", () => ({ when: new Date(0) }));
    const badOutput = orchestration("badOutput", async () => ({ n: [Number.NaN] }));
    const caller = orchestration("caller", async (ctx) => ctx.callActivity(badResult));
    const hub = await open([caller, badOutput, badResult]);
    const first = await hub.client.startNew(caller);
    const second = await hub.client.startNew(badOutput);
    await hub.idle();
    expect((await first.waitForCompletion(NOW)).failure?.inner).toMatchObject({
      type: "InvalidValueError",
      message: textWith('the result of activity "badResult": when is a Date'),
    });
    expect((await second.waitForCompletion(NOW)).failure).toMatchObject({
      type: "InvalidValueError",
      message: textWith('the output of orchestration "badOutput": n[0] is NaN'),
    });
  });

  test("above 4 MB are refused by name of the limit", async () => {
    const hub = await open([tell, echo]);
    const input = "x".repeat(4 * 1024 * 1024);
    await expect(hub.client.startNew(tell, { input })).rejects.toMatchObject({
      code: "LimitExceeded",
      limit: "payload",
    });
  });

  test("of 3 MB travel", async () => {
    const size = orchestration("size", async (ctx, text: string) => {
      const back: unknown = await ctx.callActivity(echo, text);
      return back === text;
    });
    const hub = await open([size, echo]);
    const start = await hub.client.startNew(size, { input: "x".repeat(3 * 1024 * 1024) });
    await hub.idle();
    expect(await start.result(NOW)).toBe(true);
  });
});
