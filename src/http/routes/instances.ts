import { z } from "zod";
import type { OrchestrationStatus } from "../../client/status.js";
import { InstanceNotFoundError, InvalidArgumentError } from "../../core/errors.js";
import { type EndedStatus, isEnded, type RuntimeStatus } from "../../core/instance.js";
import {
  executionBody,
  executionSchema,
  historySchema,
  purgedSchema,
  statusBody,
  statusSchema,
} from "../bodies.js";
import { type AggregatedEvent, aggregatedHistory, eventBody } from "../history-events.js";
import {
  flag,
  instanceId,
  optionalMoment,
  purgeTop,
  run,
  runtimeStatuses,
  tag,
  tags,
  tagsOf,
  text,
  top,
} from "../parameters.js";
import { problem, problemResponse } from "../problem.js";
import { jsonResponse } from "../responses.js";
import { type Call, type Route, route } from "../route.js";
import { MANAGEMENT_PATH } from "../urls.js";

const INSTANCES = `${MANAGEMENT_PATH}/instances`;
const INSTANCE = `${INSTANCES}/{instanceId}`;
const one = z.object({ instanceId });

/** How soon a caller should look at a live instance again, in seconds. Durable Functions' value. */
const STATUS_RETRY_SECONDS = 5;

/** The header that leads to a list's next page, in both directions. */
const TOKEN_HEADER = "x-ms-continuation-token";

const notFound = { description: "No instance has this ID." };
const badRequest = { description: "An ID or a parameter cannot be read." };

const show = {
  showHistory: flag(false, "Add historyEvents, except while Pending."),
  showHistoryOutput: flag(false, "Add results to historyEvents."),
  showInput: flag(true, "Show the input."),
};

const matching = {
  createdTimeTo: optionalMoment("Created at this time or before."),
  runtimeStatus: runtimeStatuses,
  instanceIdPrefix: text("The beginning of the ID, compared byte for byte."),
  name: text("The orchestrator's name."),
  tag,
  tags,
};

/** Reading instances, and deleting ended ones. */
export const instanceRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: INSTANCE,
    operationId: "getStatus",
    tag: "Instances",
    summary: "The status of an instance.",
    params: one,
    query: z.object({
      ...show,
      returnInternalServerErrorOnFailure: flag(false, "Answer 500 where it failed."),
    }),
    responses: {
      200: { description: "It has ended.", schema: statusSchema },
      202: {
        description: "It is live. Location and Retry-After say where and when to look again.",
        schema: statusSchema,
      },
      400: badRequest,
      404: notFound,
      500: { description: "It failed, and 500 was asked for.", schema: statusSchema },
    },
    handle: async (call) => {
      const status = await call.client.getStatus(call.params.instanceId);
      if (status === undefined) throw new InstanceNotFoundError(call.params.instanceId);
      const historyEvents = await historyOf(call, status);
      const body = statusBody(status, {
        input: call.query.showInput,
        ...(historyEvents === undefined ? {} : { historyEvents }),
      });
      if (!isEnded(status.runtimeStatus)) {
        const headers = { location: call.request.url, "retry-after": String(STATUS_RETRY_SECONDS) };
        return jsonResponse(202, body, headers);
      }
      const failed = status.runtimeStatus === "Failed" && call.query.returnInternalServerErrorOnFailure;
      return jsonResponse(failed ? 500 : 200, body);
    },
  }),
  route({
    method: "GET",
    path: INSTANCES,
    operationId: "listInstances",
    tag: "Instances",
    summary: "Instances in order of creation, a page at a time.",
    query: z.object({
      ...matching,
      createdTimeFrom: optionalMoment("Created at this time or later."),
      lastUpdatedTimeFrom: optionalMoment("Last updated at this time or later."),
      lastUpdatedTimeTo: optionalMoment("Last updated at this time or before."),
      top,
      showInput: show.showInput,
    }),
    headers: z.object({ [TOKEN_HEADER]: text("From the page before, with the same filters.") }),
    responses: {
      200: {
        description: `A page. The header ${TOKEN_HEADER} leads to the next; without it this was the last. Pages may be short.`,
        schema: z.array(statusSchema),
      },
      400: { description: "A parameter or the token cannot be read." },
    },
    handle: async ({ client, query, headers }) => {
      const continuationToken = headers[TOKEN_HEADER];
      const page = await client.list({
        ...filterOf(query),
        ...(query.createdTimeFrom === undefined ? {} : { createdTimeFrom: query.createdTimeFrom }),
        ...(query.lastUpdatedTimeFrom === undefined ? {} : { lastUpdatedFrom: query.lastUpdatedTimeFrom }),
        ...(query.lastUpdatedTimeTo === undefined ? {} : { lastUpdatedTo: query.lastUpdatedTimeTo }),
        ...(query.runtimeStatus === undefined ? {} : { runtimeStatus: query.runtimeStatus }),
        ...(query.top === undefined ? {} : { top: query.top }),
        ...(continuationToken === undefined ? {} : { continuationToken }),
      });
      const body = page.instances.map((status) => statusBody(status, { input: query.showInput }));
      const next = page.continuationToken;
      return jsonResponse(200, body, next === undefined ? {} : { [TOKEN_HEADER]: next });
    },
  }),
  route({
    method: "DELETE",
    path: INSTANCE,
    operationId: "purgeInstance",
    tag: "Instances",
    summary: "Deletes an ended instance with all its executions.",
    params: one,
    query: z.object({ recursive: flag(false, "Its ended children too.") }),
    responses: {
      200: { description: "Deleted.", schema: purgedSchema },
      400: badRequest,
      404: notFound,
      412: { description: "It has not ended." },
    },
    handle: async ({ client, params, query }) => {
      const instancesDeleted = await client.purge(params.instanceId, { recursive: query.recursive });
      if (instancesDeleted === 0) throw new InstanceNotFoundError(params.instanceId);
      return jsonResponse(200, { instancesDeleted });
    },
  }),
  route({
    method: "DELETE",
    path: INSTANCES,
    operationId: "purgeInstances",
    tag: "Instances",
    summary: "Deletes the ended instances that match.",
    query: z.object({
      ...matching,
      createdTimeFrom: optionalMoment("Required. Created at this time or later."),
      recursive: flag(false, "Their ended children too."),
      top: purgeTop,
    }),
    headers: z.object({ [TOKEN_HEADER]: text("From the answer before, with the same parameters and top.") }),
    responses: {
      200: {
        description: `Deleted. Where top was given, the header ${TOKEN_HEADER} leads to the rest; without it there is none.`,
        schema: purgedSchema,
      },
      400: { description: "createdTimeFrom is missing, or a parameter or the token cannot be read." },
      404: { description: "No ended instance matches. Not where top was given." },
    },
    handle: async ({ client, query, headers }) => {
      if (query.createdTimeFrom === undefined) {
        throw new InvalidArgumentError(
          "createdTimeFrom",
          "Please provide value for 'createdTimeFrom' parameter.",
        );
      }
      const filter = {
        ...filterOf(query),
        createdTimeFrom: query.createdTimeFrom,
        ...(query.runtimeStatus === undefined ? {} : { runtimeStatus: endedOnly(query.runtimeStatus) }),
        recursive: query.recursive,
      };
      if (query.top !== undefined) {
        const continuationToken = headers[TOKEN_HEADER];
        const page = await client.purgePage({
          ...filter,
          top: query.top,
          ...(continuationToken === undefined ? {} : { continuationToken }),
        });
        const next = page.continuationToken;
        const body = { instancesDeleted: page.instancesDeleted };
        return jsonResponse(200, body, next === undefined ? {} : { [TOKEN_HEADER]: next });
      }
      const instancesDeleted = await client.purgeBy(filter);
      if (instancesDeleted > 0) return jsonResponse(200, { instancesDeleted });
      return problemResponse({
        ...problem("InstanceNotFound", "No ended instance matches."),
        instancesDeleted,
      });
    },
  }),
  route({
    method: "GET",
    path: `${INSTANCE}/executions`,
    operationId: "listExecutions",
    tag: "Instances",
    summary: "The executions of an ID that are kept, newest first, a page at a time.",
    params: one,
    query: z.object({ run, top }),
    headers: z.object({ [TOKEN_HEADER]: text("From the page before, with the same run.") }),
    responses: {
      200: {
        description: `A page; the header ${TOKEN_HEADER} leads to the next. Short where payloads are large.`,
        schema: z.array(executionSchema),
      },
      400: badRequest,
      404: { description: "No instance has this ID, or it has no such run." },
    },
    handle: async ({ client, params, query, headers }) => {
      const continuationToken = headers[TOKEN_HEADER];
      const page = await client.executionsPage(params.instanceId, {
        ...(query.run === undefined ? {} : { run: query.run }),
        ...(query.top === undefined ? {} : { top: query.top }),
        ...(continuationToken === undefined ? {} : { continuationToken }),
      });
      // The rest of a list may have been deleted since.
      if (page.executions.length === 0 && continuationToken === undefined)
        throw new InstanceNotFoundError(params.instanceId);
      const next = page.continuationToken;
      return jsonResponse(
        200,
        page.executions.map(executionBody),
        next === undefined ? {} : { [TOKEN_HEADER]: next },
      );
    },
  }),
  route({
    method: "GET",
    path: `${INSTANCE}/history`,
    operationId: "getHistory",
    tag: "Instances",
    summary: "The history of an execution, event by event.",
    params: one,
    query: z.object({ executionId: text("Default: the current one.") }),
    responses: {
      200: { description: "It.", schema: historySchema },
      400: badRequest,
      404: { description: "No instance has this ID, or it has no such execution." },
    },
    handle: async ({ client, params, query }) => {
      const history = await client.getHistory(params.instanceId, query.executionId);
      if (history === undefined) throw new InstanceNotFoundError(params.instanceId);
      const { name, executionId, run, generation, runtimeStatus } = history.execution;
      return jsonResponse(200, {
        instanceId: params.instanceId,
        name,
        executionId,
        run,
        generation,
        runtimeStatus,
        events: history.events.map((event) => eventBody(event, client.decodePayload)),
      });
    },
  }),
];

type StatusQuery = {
  readonly showHistory: boolean;
  readonly showHistoryOutput: boolean;
  readonly showInput: boolean;
};

async function historyOf(
  { client, query }: Pick<Call<object, StatusQuery, object>, "client" | "query">,
  status: OrchestrationStatus,
): Promise<AggregatedEvent[] | undefined> {
  if (!query.showHistory || status.runtimeStatus === "Pending") return undefined;
  const history = await client.getHistory(status.instanceId);
  if (history === undefined) return undefined;
  return aggregatedHistory(history, client.decodePayload, {
    input: query.showInput,
    output: query.showHistoryOutput,
  });
}

function filterOf(query: {
  readonly createdTimeTo?: Date | undefined;
  readonly instanceIdPrefix?: string | undefined;
  readonly name?: string | undefined;
  readonly tag?: [string, string][] | undefined;
  readonly tags?: [string, string][] | undefined;
}) {
  return {
    ...(query.createdTimeTo === undefined ? {} : { createdTimeTo: query.createdTimeTo }),
    ...(query.instanceIdPrefix === undefined ? {} : { instanceIdPrefix: query.instanceIdPrefix }),
    ...(query.name === undefined ? {} : { name: query.name }),
    ...tagsOf(query),
  };
}

function endedOnly(statuses: readonly RuntimeStatus[]): EndedStatus[] {
  return statuses.map((status) => {
    if (isEnded(status)) return status;
    throw new InvalidArgumentError(
      "runtimeStatus",
      `${status} is not an ended status, and only ended instances are purged`,
    );
  });
}
