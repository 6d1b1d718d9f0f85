import { healthSchema, leaseBody } from "../bodies.js";
import { problem, problemResponse } from "../problem.js";
import { jsonResponse } from "../responses.js";
import { type Route, route } from "../route.js";

/** The paths that ask for no key, compared exactly. */
export const OPEN_PATHS: readonly string[] = ["/healthz", "/readyz"];

/** The paths of the server itself. All only show. */
export const SERVER_PATHS: readonly string[] = [...OPEN_PATHS, "/openapi.json"];

/** Whether the process is up, and whether it can serve. */
export const serverRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/healthz",
    operationId: "getHealth",
    tag: "Server",
    summary: "Whether the process answers. Asks for no key.",
    responses: { 200: { description: "It does.", schema: healthSchema } },
    handle: () => jsonResponse(200, { status: "ok" }),
  }),
  route({
    method: "GET",
    path: "/readyz",
    operationId: "getReadiness",
    tag: "Server",
    summary:
      "Whether the hub runs and its store answers; with the key, also the share of it that this process holds.",
    responses: {
      200: { description: "It is ready.", schema: healthSchema },
      503: { description: "It is draining or closed, or the store does not answer." },
    },
    handle: async ({ services, hasKey }) => {
      const { state, lease } = services.hubStatus();
      if (state === "running" && (await services.storeAnswers())) {
        return jsonResponse(200, {
          status: "ready",
          ...(lease === undefined || !hasKey ? {} : { lease: leaseBody(lease) }),
        });
      }
      const detail = state === "running" ? "The store does not answer." : `The task hub is ${state}.`;
      return problemResponse(problem("NotReady", detail));
    },
  }),
];
