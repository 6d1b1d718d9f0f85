import { expect, test } from "vitest";
import { activity, orchestration } from "../../src/index.js";
import { expectNoPollution, onMemorySqliteAndPostgres, SOON } from "./stores.js";
import { THROWN } from "./thrown.js";

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
