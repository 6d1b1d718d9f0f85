import { TaskFailedError } from "../core/errors.js";
import { nextRetryDelayMs, type RetryPolicy } from "../core/retry.js";
import type { OrchestrationRun } from "./orchestration-run.js";
import { Task } from "./task.js";

/** One task over several attempts with durable timers between them. */
export function retrying(
  run: OrchestrationRun,
  retry: RetryPolicy,
  attempt: () => Task<unknown>,
): Task<unknown> {
  const outer = new Task<unknown>(run);
  const beganAtMs = run.atMs;
  const next = (failedAttempts: number): void => {
    const inner = attempt();
    inner.onSettled(() => {
      if (!inner.isFaulted) return outer.complete(inner.result());
      const error = errorOf(inner);
      const delayMs = delayAfter(error, failedAttempts + 1);
      if (delayMs.kind === "give up") return outer.fail(delayMs.error);
      if (delayMs.ms === 0) return next(failedAttempts + 1);
      run.createTimer(run.atMs + delayMs.ms).onSettled(() => next(failedAttempts + 1));
    });
  };
  const delayAfter = (error: unknown, failedAttempts: number): Delay => {
    if (!(error instanceof TaskFailedError)) return { kind: "give up", error };
    try {
      const ms = nextRetryDelayMs(retry, failedAttempts, run.atMs - beganAtMs, error.failure);
      return ms === undefined ? { kind: "give up", error } : { kind: "wait", ms };
    } catch (thrown) {
      return { kind: "give up", error: thrown }; // the user's `when` failed: that is the news
    }
  };
  next(0);
  return outer;
}

type Delay =
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "give up"; readonly error: unknown };

function errorOf(task: Task<unknown>): unknown {
  try {
    task.result();
    return undefined;
  } catch (error) {
    return error;
  }
}
