import type { OrchestrationHandle } from "../client/orchestration-handle.js";
import type { StartArguments, StartNewOptions, TaskHubClient } from "../client/task-hub-client.js";
import type { OrchestrationDefinition } from "../core/definition.js";
import { InvalidArgumentError } from "../core/errors.js";
import { statusBody } from "./bodies.js";
import { jsonResponse } from "./responses.js";
import type {
  DurableClient,
  HttpManagementPayload,
  WaitForCompletionOptions,
} from "./trigger/durable-client.js";
import { managementPayload, type UrlBase } from "./urls.js";
import type { Waits } from "./waits.js";

/** How soon a caller should look at a started instance, in seconds. Durable Functions' value. */
const CHECK_STATUS_RETRY_SECONDS = 10;

/** 202 with where to watch the instance, and members of ours after it. */
export function checkStatusResponse(payload: HttpManagementPayload, more: object = {}): Response {
  return jsonResponse(
    202,
    { ...payload, ...more },
    { location: payload.statusQueryGetUri, "retry-after": String(CHECK_STATUS_RETRY_SECONDS) },
  );
}

/** The task hub's client for one request: refusals carry the requester, and answers its host. */
export function durableClient(
  client: TaskHubClient,
  { urls, waits, requester }: { readonly urls: UrlBase; readonly waits: Waits; readonly requester: string },
): DurableClient {
  function startNew<I, O>(
    orchestrator: OrchestrationDefinition<I, O>,
    ...[options]: StartArguments<I>
  ): Promise<OrchestrationHandle<O>>;
  function startNew(
    orchestrator: string,
    options?: StartNewOptions & { readonly input?: unknown },
  ): Promise<OrchestrationHandle>;
  function startNew(
    orchestrator: OrchestrationDefinition | string,
    options: StartNewOptions & { readonly input?: unknown } = {},
  ): Promise<OrchestrationHandle> {
    const named = { requester, ...options };
    return typeof orchestrator === "string"
      ? client.startNew(orchestrator, named)
      : client.startNew(orchestrator, named);
  }

  const payloadFor = (request: Request, instanceId: string): HttpManagementPayload =>
    managementPayload(request, urls, instanceId);

  return {
    taskHub: client.taskHub,
    startNew,
    getStatus: client.getStatus.bind(client),
    list: client.list.bind(client),
    waitForStart: client.waitForStart.bind(client),
    waitForCompletion: client.waitForCompletion.bind(client),
    raiseEvent: client.raiseEvent.bind(client),
    suspend: client.suspend.bind(client),
    resume: client.resume.bind(client),
    terminate: client.terminate.bind(client),
    rewind: client.rewind.bind(client),
    restart: (instanceId, options) => client.restart(instanceId, { requester, ...options }),
    purge: client.purge.bind(client),
    purgeBy: client.purgeBy.bind(client),
    purgePage: client.purgePage.bind(client),
    getHistory: client.getHistory.bind(client),
    decodePayload: client.decodePayload.bind(client),
    listExecutions: client.listExecutions.bind(client),
    executionsPage: client.executionsPage.bind(client),
    listRefusals: client.listRefusals.bind(client),
    getRetention: client.getRetention.bind(client),
    setRetention: client.setRetention.bind(client),
    listWorkers: client.listWorkers.bind(client),
    drainWorker: client.drainWorker.bind(client),
    createHttpManagementPayload: payloadFor,
    createCheckStatusResponse: (request, instanceId) => checkStatusResponse(payloadFor(request, instanceId)),
    waitForCompletionOrCreateCheckStatusResponse: async (request, instanceId, options = {}) => {
      const timeoutMs = waitMs(options);
      const status = await waits.forEnd(
        (limit) => client.waitForCompletion(instanceId, limit),
        timeoutMs,
        request.signal,
      );
      if (status === undefined) return checkStatusResponse(payloadFor(request, instanceId));
      if (status.runtimeStatus === "Completed") return jsonResponse(200, status.output);
      return jsonResponse(status.runtimeStatus === "Failed" ? 500 : 200, statusBody(status, { input: true }));
    },
  };
}

function waitMs({
  timeoutInMilliseconds = 10_000,
  retryIntervalInMilliseconds = 1000,
}: WaitForCompletionOptions): number {
  if (!(timeoutInMilliseconds >= 0))
    throw new InvalidArgumentError("timeoutInMilliseconds", "must be 0 or more");
  if (retryIntervalInMilliseconds > timeoutInMilliseconds) {
    throw new InvalidArgumentError(
      "retryIntervalInMilliseconds",
      `Total timeout ${timeoutInMilliseconds} (ms) should be bigger than retry timeout ${retryIntervalInMilliseconds} (ms)`,
    );
  }
  return timeoutInMilliseconds;
}
