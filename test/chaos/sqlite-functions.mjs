// What engines on a SQLite file run in the chaos tests. Its activity testifies as that of a shared hub's processes
// does (test/postgres/member.mjs), so that the same counting holds for both.
import { randomUUID } from "node:crypto";
import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { activity, orchestration } from "../../dist/index.js";

/** How long "blocks" keeps the event loop, beyond what the watchdog waits before it speaks. */
const BLOCKS_MS = 3000;

/** @param witness the file that the activity writes to whenever it runs. */
export function functionsFor(witness) {
  const step = activity("step", async (ctx, { ms = 0 } = {}) => {
    const result = randomUUID();
    const { instanceId, executionId, taskId, fencingToken } = ctx;
    const line = {
      instanceId,
      executionId,
      taskId,
      fencingToken,
      result,
      pid: process.pid,
      atMs: Date.now(),
    };
    // Synchronously, so that the file knows more than anybody.
    appendFileSync(witness, `${JSON.stringify(line)}\n`);
    if (ms > 0) await sleep(ms);
    return result;
  });

  return [
    step,
    orchestration("part", async (ctx, { ms }) => ctx.callActivity(step, { ms })),
    /** Steps one after the other; an event, a child and a timer after them, where they are asked for. */
    orchestration(
      "job",
      async (ctx, { steps = 3, ms = 0, note = false, child = false, pauseMs = 0, blocks = false } = {}) => {
        const results = [];
        for (let index = 0; index < steps; index++) results.push(await ctx.callActivity(step, { ms }));
        if (blocks && !ctx.isReplaying) blockEventLoop();
        const noted = note ? await ctx.waitForExternalEvent("note") : null;
        const part = child
          ? await ctx.callSubOrchestrator("part", { ms }, { instanceId: `${ctx.instanceId}-part` })
          : null;
        if (pauseMs > 0) await ctx.sleep(pauseMs);
        return { results, noted, part };
      },
    ),
    /** A step in each of its executions. */
    orchestration("again", async (ctx, times) => {
      const result = await ctx.callActivity(step, {});
      if (times > 1) ctx.continueAsNew(times - 1);
      return { results: [result], part: null };
    }),
    /** Lives until it is told to end. */
    orchestration("hold", async (ctx) => ctx.waitForExternalEvent("end")),
    /** When it was due, and when it woke, both by the clock that orchestrators see. */
    orchestration("alarm", async (ctx, { ms }) => {
      const dueMs = ctx.currentUtcDateTime.getTime() + ms;
      await ctx.sleep(ms);
      return { dueMs, wokeMs: ctx.currentUtcDateTime.getTime() };
    }),
  ];
}

/** What no orchestrator should do. */
function blockEventLoop() {
  const until = performance.now() + BLOCKS_MS;
  while (performance.now() < until);
}
