import { InvalidArgumentError } from "./errors.js";
import type { Failure } from "./failure.js";

/** When and how often a failed activity or sub-orchestration is tried again, by durable timers. */
export interface RetryPolicy {
  /** The wait before the second attempt. */
  readonly firstIntervalMs: number;
  /** Attempts in all, the first included. */
  readonly maxAttempts: number;
  /** Each wait is this many times the one before. Default 1. */
  readonly backoffCoefficient?: number;
  /** No wait is longer. Default: one hour. */
  readonly maxIntervalMs?: number;
  /** No attempt begins later than this after the first one. Default: no such bound. */
  readonly timeoutMs?: number;
  /** Only failures for which this returns true are tried again. It must be deterministic. */
  readonly when?: (failure: Failure) => boolean;
}

const DEFAULT_MAX_INTERVAL_MS = 3_600_000;

/** @throws InvalidArgumentError naming the member that cannot be. */
export function checkRetryPolicy(retry: RetryPolicy): void {
  atLeast("retry.firstIntervalMs", retry.firstIntervalMs, 0);
  atLeast("retry.maxAttempts", retry.maxAttempts, 1);
  if (!Number.isInteger(retry.maxAttempts))
    throw new InvalidArgumentError("retry.maxAttempts", "must be a whole number");
  if (retry.backoffCoefficient !== undefined)
    atLeast("retry.backoffCoefficient", retry.backoffCoefficient, 1);
  if (retry.maxIntervalMs !== undefined) atLeast("retry.maxIntervalMs", retry.maxIntervalMs, 0);
  if (retry.timeoutMs !== undefined) atLeast("retry.timeoutMs", retry.timeoutMs, 0);
}

/**
 * How long to wait before the next attempt, or undefined when there is none.
 *
 * @param attempt how many attempts have failed.
 * @param elapsedMs since the first attempt began, by the orchestration's clock.
 */
export function nextRetryDelayMs(
  retry: RetryPolicy,
  attempt: number,
  elapsedMs: number,
  failure: Failure,
): number | undefined {
  if (failure.nonRetriable === true || attempt >= retry.maxAttempts) return undefined;
  if (retry.when !== undefined && !retry.when(failure)) return undefined;
  const growth = (retry.backoffCoefficient ?? 1) ** (attempt - 1);
  // Growth may have become infinite, and a wait of nothing stays one.
  const grownMs = retry.firstIntervalMs === 0 ? 0 : retry.firstIntervalMs * growth;
  const delayMs = Math.min(grownMs, retry.maxIntervalMs ?? DEFAULT_MAX_INTERVAL_MS);
  if (retry.timeoutMs !== undefined && elapsedMs + delayMs > retry.timeoutMs) return undefined;
  return Math.ceil(delayMs);
}

function atLeast(parameter: string, value: number, least: number): void {
  if (typeof value !== "number" || !(value >= least))
    throw new InvalidArgumentError(parameter, `must be a number of at least ${least}, not ${String(value)}`);
}
