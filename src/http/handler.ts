import type { TaskHubClient } from "../client/task-hub-client.js";
import type { Definition } from "../core/definition.js";
import { type Logger, silentLogger } from "../core/env.js";
import { ConfigurationError, InvalidArgumentError } from "../core/errors.js";
import { readJson } from "./body.js";
import { durableClient } from "./durable-client.js";
import { MAX_BODY_BYTES } from "./limits.js";
import { openApiDocument, triggerSegments } from "./openapi.js";
import { HttpError, type Problem, problemOf, problemResponse, UNEXPECTED } from "./problem.js";
import { type Connection, requesterOf } from "./requester.js";
import { jsonResponse } from "./responses.js";
import { type HubStatus, hubParameters, parseQuery, type Route, route, type Services } from "./route.js";
import { type Arrival, createRouter, type Endpoint } from "./router.js";
import { instanceRoutes } from "./routes/instances.js";
import { OPEN_PATHS, SERVER_PATHS, serverRoutes } from "./routes/server.js";
import { signalRoutes } from "./routes/signals.js";
import { startRoutes } from "./routes/start.js";
import { entityRoutes, taskHubRoutes } from "./routes/task-hub.js";
import { runTrigger } from "./run-trigger.js";
import { hostGuard, keyCheck, originGuard, unauthorized } from "./security.js";
import { withoutTrailingSlashes } from "./slashes.js";
import { StoreProbe } from "./store-probe.js";
import { parseRoute } from "./trigger/route-template.js";
import { type HttpTriggerDefinition, isHttpTrigger } from "./trigger.js";
import { MANAGEMENT_PATH, rootOf, type UrlBase } from "./urls.js";
import { Waits } from "./waits.js";

/** What is served: a TaskHub, or a client with the triggers beside it. */
export interface HttpHub {
  readonly client: TaskHubClient;
  readonly functions: readonly Definition[];
  status?(): HubStatus;
}

/** How a hub is served. */
export interface HttpHandlerOptions {
  /** Asked for on every route but /healthz and /readyz. Left out: nothing is asked for. */
  readonly key?: string;
  /**
   * Host names to serve beside localhost, 127.0.0.1 and [::1]: `name`, `name:port`, or `*` for any.
   * Needed when the handler is mounted in a server that is reached under other names.
   */
  readonly allowedHosts?: readonly string[];
  /** The path under which the handler is mounted, e.g. `/tenure`. */
  readonly basePath?: string;
  /**
   * The server's root as callers see it, behind a proxy. URLs in answers are made from it; forwarding
   * headers are never believed.
   */
  readonly publicUrl?: string;
  /** Default 1 MiB. */
  readonly maxBodyBytes?: number;
  readonly logger?: Logger;
}

/** Answers web-standard requests; mount it in any server that speaks them. It never rejects. */
export interface HttpHandler {
  (request: Request, connection?: Connection): Promise<Response>;
  /** Whether a key is asked for: without one, a server must not be bound beyond loopback. */
  readonly asksForKey: boolean;
}

/** The route table, but for the document that is made from it. */
export const ROUTES: readonly Route[] = [
  ...startRoutes,
  ...instanceRoutes,
  ...signalRoutes,
  ...taskHubRoutes,
  ...entityRoutes,
  ...serverRoutes,
];

/**
 * Durable Functions' HTTP API over a task hub, the app's triggers under `/api`, health, and the OpenAPI
 * document. See docs/http.md.
 *
 * @throws ConfigurationError for an empty key, a base path or public URL that cannot be, or two triggers
 * with one method and route.
 */
export function createHttpHandler(hub: HttpHub, options: HttpHandlerOptions = {}): HttpHandler {
  const { maxBodyBytes = MAX_BODY_BYTES, logger = silentLogger } = options;
  const publicUrl = parsePublicUrl(options.publicUrl);
  const urls: UrlBase = { publicUrl, basePath: parseBasePath(options.basePath), taskHub: hub.client.taskHub };
  const probe = new StoreProbe(() => hub.client.listWorkers());
  const services: Services = {
    urls,
    waits: new Waits(),
    hubStatus: () => hub.status?.() ?? { state: "running" },
    storeAnswers: () => probe.answers(),
  };
  const triggers = hub.functions.filter(isHttpTrigger);
  checkTriggers(triggers);

  const asksForKey = options.key !== undefined;
  const givesKey = options.key === undefined ? undefined : keyCheck(options.key);
  const checkHost = hostGuard([
    ...(options.allowedHosts ?? []),
    ...(publicUrl === undefined ? [] : [publicUrl.host]),
  ]);
  const checkOrigin = originGuard(publicUrl);

  const routes = [...ROUTES];
  routes.push(documentRoute(() => openApiDocument(routes, triggers, { asksForKey, openPaths: OPEN_PATHS })));
  const clientFor = ({ requester }: Arrival) => durableClient(hub.client, { ...services, requester });
  const routed = createRouter([
    ...routes.map(
      (each): Endpoint => ({
        methods: [each.method],
        segments: parseRoute(each.path),
        handle: async (arrival, params) => {
          if (each.path.startsWith(MANAGEMENT_PATH)) checkTaskHub(arrival.url, urls.taskHub);
          const { request, url, hasKey } = arrival;
          const json = (): Promise<unknown> => readJson(request, maxBodyBytes);
          return each.run({ request, url, params, hasKey, json, services, client: clientFor(arrival) });
        },
      }),
    ),
    ...triggers.map(
      (trigger): Endpoint => ({
        methods: trigger.methods,
        segments: triggerSegments(trigger),
        handle: (arrival, params) =>
          runTrigger(trigger, arrival.request, {
            params,
            client: clientFor(arrival),
            maxBodyBytes,
            log: logger,
          }),
      }),
    ),
  ]);

  const answer = async (request: Request, connection: Connection | undefined): Promise<Response> => {
    const url = new URL(request.url);
    checkHost(request, url);
    const path = pathBelow(url, urls.basePath);
    checkOrigin(request, url, mayBeFollowed(path));
    const hasKey = givesKey?.(request, url) ?? true;
    if (!hasKey && !OPEN_PATHS.includes(path)) throw unauthorized();
    checkText(url);
    return routed({
      request,
      url,
      path: withoutTrailingSlashes(path) || "/",
      hasKey,
      requester: requesterOf(request, connection),
    });
  };
  const tell = (request: Request, { status, code, detail }: Problem, error: unknown): void => {
    // Without the query: it may hold the key.
    const where = { method: request.method, path: pathOf(request), code };
    if (status < 500) {
      logger.debug("a request was refused", { ...where, detail });
      return;
    }
    try {
      logger.error("a request failed", { ...where, error });
    } catch {
      logger.error("a request failed with an error that cannot be read", where);
    }
  };
  const handler = async (request: Request, connection?: Connection): Promise<Response> => {
    try {
      return await answer(request, connection);
    } catch (error) {
      const { problem, response } = refusalOf(error);
      tell(request, problem, error);
      return response;
    }
  };
  return Object.assign(handler, { asksForKey });
}

/** Whatever was thrown is answered, also what throws itself when it is looked at. */
function refusalOf(error: unknown): { readonly problem: Problem; readonly response: Response } {
  try {
    const problem = problemOf(error);
    return { problem, response: problemResponse(problem) };
  } catch {
    return { problem: UNEXPECTED, response: problemResponse(UNEXPECTED) };
  }
}

/** Made once, when it is first asked for: it takes longer than all else that a request can ask. */
function documentRoute(make: () => object): Route {
  let made: object | undefined;
  return route({
    method: "GET",
    path: "/openapi.json",
    operationId: "getOpenApiDocument",
    tag: "Server",
    summary: "This document.",
    responses: { 200: { description: "It." } },
    handle: ({ url, services }) => {
      made ??= make();
      return jsonResponse(200, { ...made, servers: [{ url: rootOf(url, services.urls) }] });
    },
  });
}

function checkTriggers(triggers: readonly HttpTriggerDefinition[]): void {
  const seen = new Map<string, string>();
  for (const trigger of triggers) {
    const shape = triggerSegments(trigger).map((segment) =>
      segment.kind === "word" ? segment.text.toLowerCase() : "{}",
    );
    for (const method of trigger.methods) {
      const key = `${method} /${shape.join("/")}`;
      const other = seen.get(key);
      if (other !== undefined && other !== trigger.name) {
        throw new ConfigurationError(
          `The triggers '${other}' and '${trigger.name}' both answer ${key}. Change one route.`,
        );
      }
      seen.set(key, trigger.name);
    }
  }
}

/**
 * A request meant for another hub must not be carried out on this one; names are compared byte for byte, as stores
 * do. A connection's name is only looked at: which store is served is never a caller's choice.
 */
function checkTaskHub(url: URL, taskHub: string): void {
  const { taskHub: asked = taskHub } = parseQuery(hubParameters, url);
  if (asked !== taskHub) throw new InvalidArgumentError("taskHub", `this server serves "${taskHub}"`);
}

/**
 * Text that no part of us could keep as it is. URLSearchParams takes anything: it leaves `%zz` as it stands and makes
 * U+FFFD of every byte that is not UTF-8, so that different queries would become one.
 */
function checkText(url: URL): void {
  decoded("path", url.pathname);
  if (decoded("query", url.search).includes("\0")) {
    throw new HttpError("MalformedRequest", "The query contains a NUL character.");
  }
}

function decoded(part: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw new HttpError(
      "MalformedRequest",
      `The ${part} is not valid percent-encoded UTF-8. Write a percent sign as %25.`,
      { cause },
    );
  }
}

/**
 * Where a link of another site may lead: to what is only shown. Triggers act, and answer GET unless they say
 * otherwise.
 */
function mayBeFollowed(path: string): boolean {
  const lower = path.toLowerCase();
  return lower.startsWith(`${MANAGEMENT_PATH}/`) || SERVER_PATHS.includes(lower);
}

function pathBelow(url: URL, basePath: string): string {
  const { pathname } = url;
  if (basePath === "") return pathname;
  if (pathname === basePath) return "/";
  if (pathname.startsWith(`${basePath}/`)) return pathname.slice(basePath.length);
  throw new HttpError("RouteNotFound", `This server lives under ${basePath}.`);
}

function pathOf(request: Request): string {
  return URL.canParse(request.url) ? new URL(request.url).pathname : "";
}

function parseBasePath(basePath = ""): string {
  const path = withoutTrailingSlashes(basePath);
  if (path === "" || /^(\/[\w.~-]+)+$/.test(path)) return path;
  throw new ConfigurationError(
    `The base path "${basePath}" must begin with a slash and be plain words, like /tenure.`,
  );
}

function parsePublicUrl(text: string | undefined): URL | undefined {
  if (text === undefined) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.search === "" && url.hash === "") return url;
  throw new ConfigurationError(`The public URL "${text}" must be like https://tenure.example.org or …/path.`);
}
