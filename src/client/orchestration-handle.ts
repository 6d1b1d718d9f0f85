import type { StartAccepted } from "../core/command.js";
import { OrchestrationFailedError } from "../core/errors.js";
import { reviveError } from "../core/revive.js";
import type { WaitLimit } from "./change-waiter.js";
import type { OrchestrationStatus } from "./status.js";

/** What a start led to, and a hold on that run. */
export interface OrchestrationHandle<O = unknown> {
  /** started · replaced (a live run was terminated for it) · attached (to the live one) · returned (the ended one). */
  readonly outcome: StartAccepted["outcome"];
  readonly instanceId: string;
  readonly executionId: string;
  readonly run: number;
  readonly generation: number;
  /**
   * Waits until this run has ended (continue-as-new goes on within a run).
   *
   * @throws WaitTimeoutError after `timeoutMs`; the run goes on.
   * @throws InstanceNotFoundError when it was purged meanwhile.
   */
  waitForCompletion(limit?: WaitLimit): Promise<OrchestrationStatus<O>>;
  /**
   * Waits likewise and returns the output.
   *
   * @throws OrchestrationFailedError, its cause revived, when the run failed or was terminated.
   */
  result(limit?: WaitLimit): Promise<O>;
}

/** The output of an ended orchestration, or its failure thrown. */
export function resultOf<O>(status: OrchestrationStatus<O>): O {
  if (status.runtimeStatus !== "Completed") {
    throw new OrchestrationFailedError(
      status.instanceId,
      status.runtimeStatus,
      status.failure,
      status.failure === undefined ? undefined : reviveError(status.failure),
    );
  }
  // A completed orchestration without output is one whose function returned undefined.
  return outputOf(status);
}

function outputOf<O>(status: { readonly output: O | undefined }): O;
function outputOf(status: { readonly output: unknown }): unknown {
  return status.output;
}
