import { z } from "zod";
import { InvalidArgumentError } from "../core/errors.js";
import type { LeaseStatus } from "../core/leases.js";
import { text } from "./parameters.js";
import type { DurableClient } from "./trigger/durable-client.js";
import type { UrlBase } from "./urls.js";
import type { Waits } from "./waits.js";

/** Which part of the documentation a route is in. */
export type RouteTag = "Orchestrations" | "Instances" | "Task hub" | "Entities" | "Server";

/** What a status code of a route means, with the schema of its body where it has one. */
export interface ResponseDoc {
  readonly description: string;
  readonly schema?: z.ZodType;
}

/** What a hub tells of itself. */
export interface HubStatus {
  readonly state: string;
  /** Where several processes share the hub. */
  readonly lease?: LeaseStatus;
}

/** What a route needs of the server. */
export interface Services {
  readonly urls: UrlBase;
  readonly waits: Waits;
  /** Whether the hub takes work now, and how it holds its share of it. */
  readonly hubStatus: () => HubStatus;
  /** Whether the store answers, as of a second ago at most. */
  readonly storeAnswers: () => Promise<boolean>;
}

/** A request on its way to a route, its parameters still text. */
export interface RouteRequest {
  readonly request: Request;
  readonly url: URL;
  readonly params: Readonly<Record<string, string>>;
  /** Whether the caller gave the key; true where none is asked for. */
  readonly hasKey: boolean;
  readonly client: DurableClient;
  readonly services: Services;
  /** The JSON body; undefined when it is empty. */
  readonly json: () => Promise<unknown>;
}

/** A request with its parameters read. */
export interface Call<P, Q, H> extends Omit<RouteRequest, "params"> {
  readonly params: P;
  readonly query: Q;
  readonly headers: H;
}

/** One line of the route table: what is routed, and what is written in the OpenAPI document. */
export interface RouteSpec<P extends z.ZodObject, Q extends z.ZodObject, H extends z.ZodObject> {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** Words, in any case, and `{parameters}`; an optional one at the end gives two routes. */
  readonly path: string;
  readonly operationId: string;
  readonly tag: RouteTag;
  readonly summary: string;
  readonly params: P;
  readonly query: Q;
  /** Lower-case names. */
  readonly headers: H;
  /** The schema of the JSON body, where the route takes one. */
  readonly body?: z.ZodType;
  /** Beside the problems that every route may answer. */
  readonly responses: Readonly<Record<number, ResponseDoc>>;
  readonly handle: (call: Call<z.output<P>, z.output<Q>, z.output<H>>) => Promise<Response> | Response;
}

/** A route with its types closed over. */
export interface Route extends Omit<RouteSpec<z.ZodObject, z.ZodObject, z.ZodObject>, "handle"> {
  readonly run: (request: RouteRequest) => Promise<Response>;
}

/** What every management route takes beside its own. */
export const hubParameters = z.object({
  taskHub: text("Refused where it is not the name of this server's hub, letter for letter."),
  connection: text("Accepted for Durable Functions' sake and ignored: a server serves one store."),
});

const none = z.object({});
type None = typeof none;

/**
 * Makes a route whose parameters are read by its schemas before its code runs.
 *
 * `run` throws InvalidArgumentError for parameters that cannot be read.
 */
export function route<
  P extends z.ZodObject = None,
  Q extends z.ZodObject = None,
  H extends z.ZodObject = None,
>(
  spec: Omit<RouteSpec<P, Q, H>, "params" | "query" | "headers"> & {
    readonly params?: P;
    readonly query?: Q;
    readonly headers?: H;
  },
): Route {
  const { handle, params = none, query = none, headers = none, ...rest } = spec;
  return {
    ...rest,
    params,
    query,
    headers,
    run: async (request) =>
      handle({
        ...request,
        params: parse(spec.params, request.params),
        query: parse(spec.query, readQuery(query, request.url)),
        headers: parse(spec.headers, readHeaders(headers, request.request.headers)),
      }),
  };
}

/** The value of a schema that may be left out, for none. */
function parse<S extends z.ZodObject>(schema: S | undefined, values: Record<string, unknown>): z.output<S>;
function parse(schema: z.ZodObject | undefined, values: Record<string, unknown>): unknown {
  if (schema === undefined) return {};
  const result = schema.safeParse(values);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new InvalidArgumentError(issue?.path.join(".") ?? "request", issue?.message ?? "cannot be read");
}

/** Reads parameters of a query. @throws InvalidArgumentError for what cannot be read. */
export function parseQuery<Q extends z.ZodObject>(schema: Q, url: URL): z.output<Q> {
  return parse(schema, readQuery(schema, url));
}

/** Durable Functions compares parameters' names without regard to case, and takes an empty one as none. */
function readQuery(schema: z.ZodObject, url: URL): Record<string, unknown> {
  const given = [...url.searchParams].filter(([, value]) => value !== "");
  return Object.fromEntries(
    Object.keys(schema.shape).flatMap((key) => {
      const values = given
        .filter(([name]) => name.toLowerCase() === key.toLowerCase())
        .map(([, value]) => value);
      if (values.length === 0) return [];
      return [[key, values.length === 1 ? values[0] : values]];
    }),
  );
}

function readHeaders(schema: z.ZodObject, headers: Headers): Record<string, unknown> {
  return Object.fromEntries(
    Object.keys(schema.shape).flatMap((key) => {
      const value = headers.get(key);
      return value === null || value === "" ? [] : [[key, value]];
    }),
  );
}
