import { activity, orchestration, type TaskHub } from "tenure";
import { costOf } from "./measure.js";
import type { Figures } from "./report.js";

/** An activity that does nothing but return: the engine's cost, nobody else's. */
export const noop = activity("noop", async (_ctx, input: number) => input);

/** Five sequential activities: the workload that Microsoft's and the peers' figures are about. */
export const hello5 = orchestration("hello5", async (ctx) => {
  let sum = 0;
  for (let step = 0; step < 5; step++) sum += await ctx.callActivity(noop, step);
  return sum;
});

/** Marks when each activity of `sequence` ran, in this process. */
export const stepTimesMs: number[] = [];

const timed = activity("timed", async (_ctx, input: number) => {
  stepTimesMs.push(performance.now());
  return input;
});

/** Many sequential activities of one instance. */
export const sequence = orchestration("sequence", async (ctx, steps: number) => {
  for (let step = 0; step < steps; step++) await ctx.callActivity(timed, step);
  return steps;
});

/** Many activities at once. */
export const fanOut = orchestration("fanOut", async (ctx, width: number) => {
  const results = await ctx.all(Array.from({ length: width }, (_, index) => ctx.callActivity(noop, index)));
  return results.length;
});

/** Waits for one event. */
export const waiter = orchestration("waiter", async (ctx) => {
  await ctx.waitForExternalEvent("go");
  return "went";
});

const slow = activity("slow", async (_ctx, ms: number) => {
  await new Promise<void>((resolve) => {
    setTimeout(resolve, ms);
  });
  return ms;
});

/** Three slow steps: unfinished whenever it is killed. */
export const slowSteps = orchestration("slowSteps", async (ctx, ms: number) => {
  for (let step = 0; step < 3; step++) await ctx.callActivity(slow, ms);
  return "done";
});

/** When `tick` last ran for an instance in this process, and when first since somebody cleared the map. */
export const lastTicksMs = new Map<string, number>();
export const firstTicksMs = new Map<string, number>();

const tick = activity("tick", async ({ instanceId }) => {
  const nowMs = Date.now();
  lastTicksMs.set(instanceId, nowMs);
  if (!firstTicksMs.has(instanceId)) firstTicksMs.set(instanceId, nowMs);
});

const TICKS_PER_GENERATION = 20;

/** Has something due every 50 ms, for ever: by turns a timer and an activity. */
export const ticker = orchestration("ticker", async (ctx) => {
  for (let ticks = 0; ticks < TICKS_PER_GENERATION; ticks++) {
    await ctx.sleep(50);
    await ctx.callActivity(tick);
  }
  ctx.continueAsNew();
});

export const functions = [noop, hello5, timed, sequence, fanOut, waiter, slow, slowSteps, tick, ticker];

const SEQUENCE_STEPS = 2000;
/** V8 compiles for some seconds: a sequence measured after one other is faster at its end than at its beginning. */
const SEQUENCE_WARM_UPS = 4;
const EDGE_STEPS = 100;

/** What a step of a long sequence costs, and whether the last ones cost more than the first, once the process is warm. */
export async function costOfSequence(hub: TaskHub): Promise<Figures> {
  for (let round = 0; round < SEQUENCE_WARM_UPS; round++) {
    const warm = await hub.client.startNew(sequence, { input: SEQUENCE_STEPS });
    await warm.waitForCompletion();
  }
  stepTimesMs.length = 0;
  const { wallMs } = await costOf(async () => {
    const start = await hub.client.startNew(sequence, { input: SEQUENCE_STEPS });
    await start.waitForCompletion();
  });
  const at = (step: number): number => stepTimesMs[step] ?? Number.NaN;
  const first = (at(EDGE_STEPS) - at(0)) / EDGE_STEPS;
  const last = (at(SEQUENCE_STEPS - 1) - at(SEQUENCE_STEPS - 1 - EDGE_STEPS)) / EDGE_STEPS;
  return {
    stepMs: wallMs / SEQUENCE_STEPS,
    firstStepsMs: first,
    lastStepsMs: last,
    lastToFirst: last / first,
  };
}
