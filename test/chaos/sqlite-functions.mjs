// What engines on a SQLite file run in the chaos tests: jobs of a shared hub, so that the same counting holds for both.
import { orchestration } from "../../dist/index.js";
import { jobs } from "../postgres/jobs.mjs";

/** How long "blocks" keeps the event loop, beyond what the watchdog waits before it speaks. */
const BLOCKS_MS = 3000;

/** @param witness the file that the activity writes to whenever it runs. */
export function functionsFor(witness) {
  const { step, part, job, hold } = jobs(witness);
  return [
    step,
    part,
    job,
    hold,
    /** Keeps the event loop between two steps, once. */
    orchestration("blocks", async (ctx) => {
      const before = await ctx.callActivity(step, {});
      if (!ctx.isReplaying) blockEventLoop();
      return { results: [before, await ctx.callActivity(step, {})], part: null };
    }),
    /** A step in each of its executions. */
    orchestration("again", async (ctx, times) => {
      const result = await ctx.callActivity(step, {});
      if (times > 1) ctx.continueAsNew(times - 1);
      return { results: [result], part: null };
    }),
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
