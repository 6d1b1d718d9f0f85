import { z } from "zod";
import { flag, instanceId, name, text } from "../parameters.js";
import { problemOf } from "../problem.js";
import { emptyResponse, jsonResponse } from "../responses.js";
import { type Route, route } from "../route.js";
import { MANAGEMENT_PATH } from "../urls.js";

const INSTANCE = `${MANAGEMENT_PATH}/instances/{instanceId}`;
const one = z.object({ instanceId });
const reason = text("Why; kept in the history.");

const answers = {
  202: { description: "Accepted, and durable." },
  400: { description: "An ID or a parameter cannot be read." },
  404: { description: "No instance has this ID." },
  410: { description: "It has ended." },
};

/** Events and commands for live instances, and rewind. */
export const signalRoutes: readonly Route[] = [
  route({
    method: "POST",
    path: `${INSTANCE}/raiseEvent/{eventName}`,
    operationId: "raiseEvent",
    tag: "Instances",
    summary: "Delivers an event. The body is its data.",
    params: z.object({ instanceId, eventName: name }),
    body: z.unknown().meta({ description: "The event's data: any JSON, or nothing." }),
    responses: {
      ...answers,
      429: { description: "Too much waits that it has not taken in. Try again later." },
    },
    handle: async ({ client, params, json }) => {
      await client.raiseEvent(params.instanceId, params.eventName, await json());
      return emptyResponse(202);
    },
  }),
  route({
    method: "POST",
    path: `${INSTANCE}/terminate`,
    operationId: "terminateInstance",
    tag: "Instances",
    summary: "Ends it now. The reason becomes its output.",
    params: one,
    query: z.object({ reason, recursive: flag(false, "Its sub-orchestrations too.") }),
    responses: answers,
    handle: async ({ client, params, query }) => {
      await client.terminate(params.instanceId, query.reason, { recursive: query.recursive });
      return emptyResponse(202);
    },
  }),
  route({
    method: "POST",
    path: `${INSTANCE}/suspend`,
    operationId: "suspendInstance",
    tag: "Instances",
    summary: "Holds it: events are kept, its code sees nothing. Suspending twice is fine.",
    params: one,
    query: z.object({ reason }),
    responses: answers,
    handle: async ({ client, params, query }) => {
      await client.suspend(params.instanceId, query.reason);
      return emptyResponse(202);
    },
  }),
  route({
    method: "POST",
    path: `${INSTANCE}/resume`,
    operationId: "resumeInstance",
    tag: "Instances",
    summary: "Lets a suspended or parked one go on. Resuming a running one is fine.",
    params: one,
    query: z.object({ reason }),
    responses: answers,
    handle: async ({ client, params, query }) => {
      await client.resume(params.instanceId, query.reason);
      return emptyResponse(202);
    },
  }),
  route({
    method: "POST",
    path: `${INSTANCE}/rewind`,
    operationId: "rewindInstance",
    tag: "Instances",
    summary: "Puts a failed one back to before its failure.",
    params: one,
    query: z.object({ reason }),
    responses: {
      202: answers[202],
      400: answers[400],
      404: answers[404],
      412: {
        description: "It has not failed. Callers that accept text/plain get the message as a JSON string.",
      },
    },
    handle: async ({ client, request, params, query }) => {
      try {
        await client.rewind(params.instanceId, query.reason);
        return emptyResponse(202);
      } catch (error) {
        return rewindRefused(error, request);
      }
    },
  }),
];

/**
 * Durable Functions answers a refused rewind with a JSON string, and its JavaScript SDK (3.5) makes that
 * body the error's message: from an object it would make "[object Object]". That SDK accepts text/plain
 * (axios's default), while a caller that asks for problem details, or for anything, gets those.
 */
function rewindRefused(error: unknown, request: Request): Response {
  const { status, detail } = problemOf(error);
  const wantsText = /\btext\/plain\b/i.test(request.headers.get("accept") ?? "");
  if (wantsText && (status === 404 || status === 412)) return jsonResponse(status, detail);
  throw error;
}
