import { z } from "zod";
import { InvalidArgumentError, WorkerNotFoundError } from "../../core/errors.js";
import { parseRetention } from "../../core/retention.js";
import {
  refusalBody,
  refusalSchema,
  retentionBody,
  retentionSchema,
  workerBody,
  workerSchema,
} from "../bodies.js";
import { instanceId, top } from "../parameters.js";
import { HttpError } from "../problem.js";
import { jsonResponse } from "../responses.js";
import { type Route, route } from "../route.js";
import { MANAGEMENT_PATH } from "../urls.js";

/** Of the hub as a whole: refusals, retention, workers. */
export const taskHubRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: `${MANAGEMENT_PATH}/refusals`,
    operationId: "listRefusals",
    tag: "Task hub",
    summary: "Refused starts, newest first: who asked, when, how, and who held the ID.",
    query: z.object({ top, instanceId: instanceId.optional() }),
    responses: {
      200: { description: "Them.", schema: z.array(refusalSchema) },
      400: { description: "A parameter cannot be read." },
    },
    handle: async ({ client, query }) => {
      const refusals = await client.listRefusals({
        ...(query.top === undefined ? {} : { top: query.top }),
        ...(query.instanceId === undefined ? {} : { instanceId: query.instanceId }),
      });
      return jsonResponse(200, refusals.map(refusalBody));
    },
  }),
  route({
    method: "GET",
    path: `${MANAGEMENT_PATH}/instances/{instanceId}/refusals`,
    operationId: "listRefusalsOfInstance",
    tag: "Instances",
    summary: "Refused starts of this ID, newest first. Empty for an ID that nobody was refused.",
    params: z.object({ instanceId }),
    query: z.object({ top }),
    responses: {
      200: { description: "Them.", schema: z.array(refusalSchema) },
      400: { description: "The ID cannot be." },
    },
    handle: async ({ client, params, query }) => {
      const refusals = await client.listRefusals({
        instanceId: params.instanceId,
        ...(query.top === undefined ? {} : { top: query.top }),
      });
      return jsonResponse(200, refusals.map(refusalBody));
    },
  }),
  route({
    method: "GET",
    path: `${MANAGEMENT_PATH}/retention`,
    operationId: "getRetention",
    tag: "Task hub",
    summary: "How long ended instances are kept.",
    responses: { 200: { description: "It.", schema: retentionSchema } },
    handle: async ({ client }) => jsonResponse(200, retentionBody(await client.getRetention())),
  }),
  route({
    method: "PUT",
    path: `${MANAGEMENT_PATH}/retention`,
    operationId: "setRetention",
    tag: "Task hub",
    summary: "Replaces how long ended instances are kept.",
    body: retentionSchema,
    responses: {
      200: { description: "What holds now.", schema: retentionSchema },
      400: { description: "A member cannot be." },
    },
    handle: async ({ client, json }) => {
      const body = await json();
      if (Array.isArray(body)) throw new InvalidArgumentError("retention", "must be an object");
      const retention = parseRetention(body);
      await client.setRetention(retention);
      return jsonResponse(200, retentionBody(retention));
    },
  }),
  route({
    method: "GET",
    path: `${MANAGEMENT_PATH}/workers`,
    operationId: "listWorkers",
    tag: "Task hub",
    summary:
      "The workers that are alive, with what they have registered and which share of the hub they hold.",
    responses: { 200: { description: "Them.", schema: z.array(workerSchema) } },
    handle: async ({ client }) => jsonResponse(200, (await client.listWorkers()).map(workerBody)),
  }),
  route({
    method: "POST",
    path: `${MANAGEMENT_PATH}/workers/{workerId}/drain`,
    operationId: "drainWorker",
    tag: "Task hub",
    summary:
      "Asks a worker, wherever it runs, to give its shards to the others and to take no more until its process ends.",
    params: z.object({ workerId: z.string() }),
    responses: {
      202: { description: "It is asked: this is how it stands.", schema: workerSchema },
      400: { description: "One engine owns the whole hub." },
      404: { description: "No live worker has this ID." },
    },
    handle: async ({ client, params: { workerId } }) => {
      await client.drainWorker(workerId);
      const worker = (await client.listWorkers()).find(({ id }) => id === workerId);
      if (worker === undefined) throw new WorkerNotFoundError(workerId);
      return jsonResponse(202, workerBody(worker));
    },
  }),
  route({
    method: "POST",
    path: `${MANAGEMENT_PATH}/makeprimary`,
    operationId: "makePrimary",
    tag: "Task hub",
    summary: "Durable Functions' app lease, which we do not have: ownership moves by itself.",
    responses: { 400: { description: "Always." } },
    handle: () => {
      throw new InvalidArgumentError(
        "makeprimary",
        "Cannot make current app primary. This app is not using the AppLease feature.",
      );
    },
  }),
];

const notYet = (): never => {
  throw new HttpError("NotSupported", "Entities are not supported yet.");
};

const entityResponses = { 501: { description: "Entities are not supported yet." } };
const entity = z.object({ entityName: z.string(), entityKey: z.string() });

/** Durable Functions' entity routes: named, so that callers learn that they are not served yet. */
export const entityRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: `${MANAGEMENT_PATH}/entities/{entityName?}`,
    operationId: "listEntities",
    tag: "Entities",
    summary: "Not yet.",
    params: z.object({ entityName: z.string().optional() }),
    responses: entityResponses,
    handle: notYet,
  }),
  route({
    method: "GET",
    path: `${MANAGEMENT_PATH}/entities/{entityName}/{entityKey}`,
    operationId: "readEntity",
    tag: "Entities",
    summary: "Not yet.",
    params: entity,
    responses: entityResponses,
    handle: notYet,
  }),
  route({
    method: "POST",
    path: `${MANAGEMENT_PATH}/entities/{entityName}/{entityKey}`,
    operationId: "signalEntity",
    tag: "Entities",
    summary: "Not yet.",
    params: entity,
    responses: entityResponses,
    handle: notYet,
  }),
  route({
    method: "DELETE",
    path: `${MANAGEMENT_PATH}/entities/{entityName}/{entityKey}`,
    operationId: "deleteEntity",
    tag: "Entities",
    summary: "Not yet.",
    params: entity,
    responses: entityResponses,
    handle: notYet,
  }),
];
