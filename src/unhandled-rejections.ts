import type { Logger } from "./core/env.js";
import { OrchestrationFailedError, TaskFailedError, TimerCanceledError } from "./core/errors.js";

/** How deep a chain of causes is followed. */
const MAX_CAUSES = 16;

/**
 * Keeps the process alive when an orchestrator does not look, or not yet, at a task that has failed:
 * `const later = helper(); await ctx.sleep(…); await later`. Node ends a process for a promise that is
 * rejected while nobody awaits it, and as the turn replays the same way, it would end every later one,
 * with all other instances in it. Only rejections that stem from a task are held back; any other is the
 * program's own and takes its usual course.
 *
 * @returns a function that ends it.
 */
export function holdBackTaskRejections(logger: Logger): () => void {
  if (loggers.size === 0) process.on("unhandledRejection", onRejection);
  const holder = { logger };
  loggers.add(holder);
  return () => {
    loggers.delete(holder);
    if (loggers.size === 0) process.off("unhandledRejection", onRejection);
  };
}

/** One per open hub; all share one listener. */
const loggers = new Set<{ readonly logger: Logger }>();

function onRejection(reason: unknown): void {
  if (stemsFromTask(reason)) {
    for (const { logger } of loggers) {
      logger.warn("an orchestrator has not (yet) awaited a task that failed", { error: reason });
    }
    return;
  }
  // With a listener there is no default any more: where we are the only one, we do what Node does.
  if (process.listenerCount("unhandledRejection") === 1) throw reason;
}

function stemsFromTask(reason: unknown): boolean {
  let at = reason;
  for (let depth = 0; depth < MAX_CAUSES && at instanceof Error; depth++) {
    if (at instanceof OrchestrationFailedError) return false; // told to a client: that program's own affair
    if (at instanceof TaskFailedError || at instanceof TimerCanceledError) return true;
    at = at instanceof AggregateError ? at.errors.find((error) => stemsFromTask(error)) : at.cause;
  }
  return false;
}
