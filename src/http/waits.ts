import type { OrchestrationStatus } from "../client/status.js";
import { InstanceNotFoundError, WaitTimeoutError } from "../core/errors.js";
import { MAX_WAIT_MS, MAX_WAITS } from "./limits.js";

/** Bounds how many requests wait for an end, and for how long. */
export class Waits {
  #waiting = 0;

  /**
   * The status once the instance has ended; undefined where the caller gets the check-status answer
   * instead: the time ran out, the caller left, the instance was purged, or too many wait already.
   */
  async forEnd(
    wait: (limit: { timeoutMs: number; signal: AbortSignal }) => Promise<OrchestrationStatus>,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<OrchestrationStatus | undefined> {
    if (this.#waiting >= MAX_WAITS) return undefined;
    this.#waiting += 1;
    try {
      return await wait({ timeoutMs: Math.min(timeoutMs, MAX_WAIT_MS), signal });
    } catch (error) {
      if (error instanceof WaitTimeoutError || error instanceof InstanceNotFoundError) return undefined;
      throw error;
    } finally {
      this.#waiting -= 1;
    }
  }
}
