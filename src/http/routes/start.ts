import { z } from "zod";
import type { OrchestrationHandle } from "../../client/orchestration-handle.js";
import { InstanceNotFoundError, InvalidArgumentError, InvalidInstanceIdError } from "../../core/errors.js";
import { checkStatusSchema, statusBody, statusSchema } from "../bodies.js";
import { checkStatusResponse } from "../durable-client.js";
import {
  flag,
  ifEnded,
  ifLive,
  instanceId,
  name,
  optionalMoment,
  seconds,
  tag,
  tags,
  tagsOf,
  text,
} from "../parameters.js";
import { problem, problemResponse } from "../problem.js";
import { jsonResponse } from "../responses.js";
import { type Call, type Route, route } from "../route.js";
import { MANAGEMENT_PATH } from "../urls.js";

const waiting = {
  timeout: seconds("Wait this many seconds for the end; the check-status answer when they run out."),
  pollingInterval: seconds("Accepted for Durable Functions' sake: we wait for the change itself."),
  returnInternalServerErrorOnFailure: flag(false, "Answer 500 where the awaited instance failed."),
};

const waitAnswers = {
  200: { description: "Waited, and it ended: the bare output once Completed, else the status." },
  202: { description: "Accepted. Location says where to look.", schema: checkStatusSchema },
  500: { description: "Waited, it failed, and 500 was asked for.", schema: statusSchema },
};

/** Starting, under the singleton rule of the ID. */
export const startRoutes: readonly Route[] = [
  route({
    method: "POST",
    path: `${MANAGEMENT_PATH}/orchestrators/{functionName}/{instanceId?}`,
    operationId: "startOrchestration",
    tag: "Orchestrations",
    summary: "Starts an orchestration. The body is its input. At most one live instance per ID.",
    params: z.object({ functionName: name, instanceId: instanceId.optional() }),
    query: z.object({
      ...waiting,
      ifLive,
      ifEnded,
      requestId: text("A retried start with the same request ID gets the first one's answer, for 24 h."),
      startAt: optionalMoment("Not before this time; Pending until then."),
      tag,
      tags,
      version: text("The orchestration's version."),
      allowUnregistered: flag(false, "Accept a name that no live worker has registered, and let it wait."),
    }),
    headers: z.object({ "idempotency-key": text("The same as requestId.") }),
    body: z.unknown().meta({ description: "The input: any JSON, or nothing." }),
    responses: {
      ...waitAnswers,
      400: {
        description: "Invalid JSON, ID or parameter, or an orchestrator that no worker has registered.",
      },
      409: { description: "The ID is held, or was used and must not be again; `holder` says by whom." },
    },
    handle: async (call) => {
      const { params, query } = call;
      if (params.instanceId === undefined) refuseEmptyId(call.url);
      const requestId = requestIdOf(query.requestId, call.headers["idempotency-key"]);
      const input = await call.json();
      const handle = await call.client.startNew(params.functionName, {
        ...(params.instanceId === undefined ? {} : { instanceId: params.instanceId }),
        ...(input === undefined ? {} : { input }),
        ...(query.ifLive === undefined ? {} : { ifLive: query.ifLive }),
        ...(query.ifEnded === undefined ? {} : { ifEnded: query.ifEnded }),
        ...(requestId === undefined ? {} : { requestId }),
        ...(query.startAt === undefined ? {} : { startAt: query.startAt }),
        ...(query.version === undefined ? {} : { version: query.version }),
        ...tagsOf(query),
        allowUnregistered: query.allowUnregistered,
      });
      return answerStart(call, handle);
    },
  }),
  route({
    method: "POST",
    path: `${MANAGEMENT_PATH}/instances/{instanceId}/restart`,
    operationId: "restartInstance",
    tag: "Instances",
    summary: "Starts it again with its name, input, version and tags, by default under a new ID.",
    params: z.object({ instanceId }),
    query: z.object({ ...waiting, restartWithNewInstanceId: flag(true, "False: under the same ID.") }),
    responses: {
      ...waitAnswers,
      400: { description: "No instance has this ID (Durable Functions answers 400 here, not 404)." },
      409: { description: "The same ID was asked for, and is live." },
    },
    handle: async (call) => {
      try {
        const newInstanceId = call.query.restartWithNewInstanceId;
        return await answerStart(call, await call.client.restart(call.params.instanceId, { newInstanceId }));
      } catch (error) {
        if (!(error instanceof InstanceNotFoundError)) throw error;
        return problemResponse(problem(error.code, error.message, 400));
      }
    },
  }),
];

/**
 * A slash and nothing after it is what is left of an ID that is empty. Taken for none, it would start under an ID of
 * its own, and a caller whose variable was empty would have no singleton.
 */
function refuseEmptyId(url: URL): void {
  if (!url.pathname.endsWith("/")) return;
  throw new InvalidInstanceIdError("", "it is empty. Leave out the slash before it to have an ID made");
}

type WaitQuery = {
  readonly timeout?: number | undefined;
  readonly pollingInterval?: number | undefined;
  readonly returnInternalServerErrorOnFailure: boolean;
};

/** 202 at once, or what Durable Functions answers after a wait. */
async function answerStart(
  {
    request,
    client,
    services,
    query,
  }: Pick<Call<object, WaitQuery, object>, "request" | "client" | "services" | "query">,
  handle: OrchestrationHandle,
): Promise<Response> {
  const { outcome, instanceId, executionId, run, generation } = handle;
  const { timeout, pollingInterval } = query;
  if (timeout !== undefined) {
    if (pollingInterval !== undefined && pollingInterval > timeout) {
      throw new InvalidArgumentError("pollingInterval", "must not be longer than timeout");
    }
    const status = await services.waits.forEnd(
      (limit) => handle.waitForCompletion(limit),
      timeout * 1000,
      request.signal,
    );
    if (status?.runtimeStatus === "Completed") return jsonResponse(200, status.output);
    if (status !== undefined) {
      const failed = status.runtimeStatus === "Failed" && query.returnInternalServerErrorOnFailure;
      return jsonResponse(failed ? 500 : 200, statusBody(status, { input: true }));
    }
  }
  const payload = client.createHttpManagementPayload(request, instanceId);
  return checkStatusResponse(payload, { outcome, executionId, run, generation });
}

/** The header may be a quoted string, as its draft standard has it. */
function requestIdOf(query: string | undefined, header: string | undefined): string | undefined {
  const key = header === undefined ? undefined : (/^"(.*)"$/.exec(header)?.[1] ?? header);
  if (query !== undefined && key !== undefined && query !== key) {
    throw new InvalidArgumentError("requestId", "differs from the header Idempotency-Key. Send one of them.");
  }
  return query ?? key;
}
