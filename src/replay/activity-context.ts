import type { Logger } from "../core/env.js";

/** What an activity knows about its call. */
export interface ActivityContext {
  readonly instanceId: string;
  readonly executionId: string;
  readonly run: number;
  readonly generation: number;
  readonly orchestrationName: string;
  readonly activityName: string;
  readonly taskId: number;
  /**
   * Rises with each execution of the instance's ID and with each new owner. Send it along with what the
   * activity changes, and refuse smaller ones there: a paused predecessor can then do no harm.
   */
  readonly fencingToken: number;
  /** Aborts when the result can no longer be used. */
  readonly signal: AbortSignal;
  readonly log: Logger;
}
