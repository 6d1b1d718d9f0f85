// What the processes of the tests run. Each activity testifies in a file that it ran, before it answers.
import { randomUUID } from "node:crypto";
import { appendFileSync } from "node:fs";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { activity, orchestration } from "../../dist/index.js";

/** Keeps this thread, so that nothing else runs in it: no timer, no renewal, no answer. */
export function block(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** The functions by name. `witness` is the file; without it nothing is written. */
export function jobs(witness) {
  const step = activity("step", async (ctx, { ms = 0, blockMs = 0 } = {}) => {
    const { instanceId, executionId, taskId, fencingToken } = ctx;
    const result = randomUUID();
    // The machine's monotonic clock: one for all processes, and nobody sets it.
    const atMs = Number(process.hrtime.bigint() / 1000n) / 1000;
    const clockMs = Date.now();
    const line = { instanceId, executionId, taskId, fencingToken, result, pid: process.pid, atMs, clockMs };
    // Synchronously, so that the file knows more than anybody.
    if (witness !== undefined) appendFileSync(witness, `${JSON.stringify(line)}\n`);
    // Whoever takes the work over is spared.
    if (blockMs > 0 && fencingToken === 1) block(blockMs);
    if (ms > 0) await sleep(ms);
    return result;
  });

  /** Steps one after the other; then so many events, a child and a timer, where they are asked for. */
  async function work(ctx, { steps = 3, ms = 0, note = false, child = false, pauseMs = 0 } = {}) {
    const results = [];
    for (let index = 0; index < steps; index++) results.push(await ctx.callActivity(step, { ms }));
    const noted = [];
    while (noted.length < Number(note)) noted.push(await ctx.waitForExternalEvent("note"));
    const part = child
      ? await ctx.callSubOrchestrator("part", { ms }, { instanceId: `${ctx.instanceId}-part` })
      : null;
    if (pauseMs > 0) await ctx.sleep(pauseMs);
    return { results, noted, part };
  }

  return {
    step,
    part: orchestration("part", async (ctx, { ms }) => ctx.callActivity(step, { ms })),
    job: orchestration("job", work),
    // The next version of the job under a name of its own: a rolling deploy has processes with and without it.
    "job-2": orchestration("job-2", async (ctx, input) => ({ ...(await work(ctx, input)), version: 2 })),
    /** Lives until it is told to end. */
    hold: orchestration("hold", async (ctx) => ctx.waitForExternalEvent("end")),
    /** Goes on as new until it has had so many rounds, each with a step and a timer. */
    rounds: orchestration("rounds", async (ctx, { left }) => {
      const result = await ctx.callActivity(step, {});
      await ctx.sleep(5);
      if (left > 1) ctx.continueAsNew({ left: left - 1 });
      return { results: [result], part: null };
    }),
    /** A step on each side of a pause. */
    pause: orchestration("pause", async (ctx, { pauseMs }) => {
      const before = await ctx.callActivity(step, {});
      await ctx.sleep(pauseMs);
      return { results: [before, await ctx.callActivity(step, {})], part: null };
    }),
    /** Keeps the thread of its process that long. */
    blocker: orchestration("blocker", async (ctx, { blockMs }) => ({
      results: [await ctx.callActivity(step, { blockMs })],
      part: null,
    })),
  };
}
