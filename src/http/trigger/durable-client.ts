import type { TaskHubClient } from "../../client/task-hub-client.js";

/** The URLs with which an instance is watched and steered, named as Durable Functions names them. */
export interface HttpManagementPayload {
  readonly id: string;
  readonly statusQueryGetUri: string;
  /** With the placeholder `{eventName}`. */
  readonly sendEventPostUri: string;
  /** With the placeholder `{text}` for the reason, as the next ones. */
  readonly terminatePostUri: string;
  readonly rewindPostUri: string;
  readonly purgeHistoryDeleteUri: string;
  readonly restartPostUri: string;
  readonly suspendPostUri: string;
  readonly resumePostUri: string;
}

/** How long `waitForCompletionOrCreateCheckStatusResponse` waits. */
export interface WaitForCompletionOptions {
  /** Default 10,000. */
  readonly timeoutInMilliseconds?: number;
  /** Accepted for Durable Functions' sake: we wait for the change itself and do not poll. */
  readonly retryIntervalInMilliseconds?: number;
}

/**
 * The client that an HTTP trigger gets: the task hub's, with the answers that Durable Functions'
 * DurableClient makes from a request. Refused starts are recorded under the caller's address and user agent.
 */
export interface DurableClient extends Omit<TaskHubClient, "close"> {
  /** 202 with the management URLs, `Location` and `Retry-After: 10`. */
  readonly createCheckStatusResponse: (request: Request, instanceId: string) => Response;
  /** The management URLs, under the host that the request was sent to. */
  readonly createHttpManagementPayload: (request: Request, instanceId: string) => HttpManagementPayload;
  /**
   * Waits for the end: 200 with the output once Completed, 500 with the status once Failed, 200 with the
   * status once Terminated or Canceled; when the time runs out, the check-status response.
   */
  readonly waitForCompletionOrCreateCheckStatusResponse: (
    request: Request,
    instanceId: string,
    options?: WaitForCompletionOptions,
  ) => Promise<Response>;
}
