import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { activity, orchestration, TaskHub } from "../../src/index.js";
import { textLike } from "../orchestration/support.js";
import { expectNoPollution, onMemorySqliteAndPostgres, refusalOf, SOON } from "./stores.js";
import { CARRIED_VALUES, HOSTILE_VALUES } from "./values.js";

function hostile(index: number): unknown {
  return HOSTILE_VALUES[index]?.make();
}

const anything = activity("anything", (_ctx, _input: unknown) => "ran");
const returns = activity("returns", (_ctx, index: number) => hostile(index));
const fails = orchestration("fails", async (_ctx, index: number) => hostile(index));
const calls = orchestration("calls", async (ctx, index: number) => ctx.callActivity(returns, index));

/** Tries a value at every call that takes one. @returns what each said. */
const knocks = orchestration("knocks", async (ctx, index: number) => {
  const doors: Record<string, (value: unknown) => unknown> = {
    activity: (value) => ctx.callActivity(anything, value),
    child: (value) => ctx.callSubOrchestrator("none", value),
    detached: (value) => ctx.startNew("none", value),
    event: (value) => ctx.sendEvent("none", "event", value),
    continueAsNew: (value) => ctx.continueAsNew(value),
    customStatus: (value) => ctx.setCustomStatus(value),
  };
  return Object.entries(doors).map(([door, knock]) => {
    try {
      knock(hostile(index));
      return `${door} let it in`;
    } catch (error) {
      return String(error);
    }
  });
});

describe("a value that cannot travel", () => {
  let hub: TaskHub;

  beforeAll(async () => {
    hub = await TaskHub.open({ store: "memory", functions: [knocks, anything, returns, fails, calls] });
  });

  afterAll(async () => {
    await hub.close();
    expectNoPollution();
  });

  const all = HOSTILE_VALUES.map((value, index) => ({ ...value, index }));
  const rows = all.filter(({ costly }) => costly !== true);

  test.each(all)("$what: is refused where a client gives it", async ({ make, says }) => {
    const { client } = hub;
    const { instanceId } = await client.startNew("waits", { allowUnregistered: true });
    const refusals = [
      await refusalOf(() => client.startNew(fails.name, { instanceId: "none", input: make() })),
      await refusalOf(() => client.raiseEvent(instanceId, "event", make())),
    ];
    for (const refusal of refusals) {
      expect(refusal).toMatchObject({ code: textLike(/^(InvalidValue|LimitExceeded)$/) });
      expect(String(refusal)).toMatch(says);
    }
    expect(await client.getStatus("none")).toBeUndefined();
    await client.terminate(instanceId);
  });

  test.each(rows)(
    "$what: is refused at each call of an orchestrator, which goes on",
    async ({ index, says }) => {
      const start = await hub.client.startNew(knocks, { input: index });
      const said = await start.result(SOON);
      expect(said).toEqual(Array.from({ length: 6 }, () => textLike(says)));
    },
  );

  test.each(rows)("$what: fails the orchestrator or activity that returns it", async ({ index, says }) => {
    for (const orchestrator of [fails, calls]) {
      const start = await hub.client.startNew(orchestrator, { input: index });
      const { runtimeStatus, failure } = await start.waitForCompletion(SOON);
      expect(runtimeStatus).toBe("Failed");
      const reason = orchestrator === fails ? failure : failure?.inner;
      expect(reason?.type).toMatch(/^(InvalidValueError|LimitExceededError)$/);
      expect(reason?.message).toMatch(says);
    }
  });
});

const echo = activity("echo", (_ctx, value: unknown) => value);
const child = orchestration("child", async (_ctx, value: unknown) => value);

/** Takes a value on every road that there is, and says whether it stayed the same. */
const carries = orchestration("carries", async (ctx, { index, again }: { index: number; again: unknown }) => {
  const value = CARRIED_VALUES[index]?.[1];
  const same = (other: unknown): boolean => JSON.stringify(other) === JSON.stringify(value);
  if (again !== undefined) return [same(again), value];
  const text = JSON.stringify(value);
  if (text.length <= 16 * 1024) ctx.setCustomStatus(value);
  const roads = [
    await ctx.callActivity(echo, value),
    await ctx.callSubOrchestrator(child, value),
    await ctx.waitForExternalEvent("value"),
  ];
  if (!roads.every(same)) return roads.map(same);
  // Two values, and what is around them: the longest is too long for it.
  if (text.length > 1_000_000 || ctx.instanceId.endsWith("deepest")) return [true];
  ctx.continueAsNew({ index, again: value });
  return undefined;
});

const sized = orchestration("sized", async (ctx, length: number) => {
  try {
    ctx.setCustomStatus("s".repeat(length));
    return "set";
  } catch (error) {
    return String(error).split(",")[0];
  }
});

onMemorySqliteAndPostgres("a strange value", [carries, child, echo, sized], (hub) => {
  test.each(CARRIED_VALUES.map(([what, value], index) => ({ what, value, index })))(
    "$what: arrives as it is, on every road",
    async ({ what, value, index }) => {
      const { client } = hub();
      // Depth 256 has no room for anything around it.
      const instanceId = what === "depth 256" ? "deepest" : `carries ${index}`;
      const start = await client.startNew(carries, { instanceId, input: { index, again: undefined } });
      await client.raiseEvent(instanceId, "value", value);
      const output = await start.result(SOON);
      expect(JSON.stringify(output)).toMatch(/^\[true/);
      expect([`[true]`, `[true,${JSON.stringify(value)}]`]).toContain(JSON.stringify(output));
      const history = await client.getHistory(instanceId);
      expect(history?.status.runtimeStatus).toBe("Completed");
      expectNoPollution();
    },
  );

  test("a custom status has 16 KB of JSON, and a named limit for more", async () => {
    const { client } = hub();
    const most = await client.startNew(sized, { input: 16 * 1024 - 2 });
    expect(await most.result(SOON)).toBe("set");
    expect((await most.waitForCompletion(SOON)).customStatus).toBe("s".repeat(16 * 1024 - 2));
    const more = await client.startNew(sized, { input: 16 * 1024 - 1 });
    expect(await more.result(SOON)).toBe('LimitExceededError: The limit "custom status" is 16384');
  });
});
