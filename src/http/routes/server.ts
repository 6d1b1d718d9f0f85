import { healthSchema, leaseBody } from "../bodies.js";
import { problem, problemResponse } from "../problem.js";
import { jsonResponse } from "../responses.js";
import { type Route, route } from "../route.js";

/** The paths that ask for no key, compared exactly. */
export const OPEN_PATHS: readonly string[] = ["/healthz", "/readyz"];

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
      "Whether the hub runs and its store answers, and the share of it that this process holds. Asks for no key.",
    responses: {
      200: { description: "It is ready.", schema: healthSchema },
      503: { description: "It is draining or closed, or the store does not answer." },
    },
    handle: async ({ client, services }) => {
      const { state, lease } = services.hubStatus();
      if (state === "running" && (await answers(() => client.listWorkers()))) {
        return jsonResponse(200, {
          status: "ready",
          ...(lease === undefined ? {} : { lease: leaseBody(lease) }),
        });
      }
      const detail = state === "running" ? "The store does not answer." : `The task hub is ${state}.`;
      return problemResponse(problem("NotReady", detail));
    },
  }),
];

async function answers(look: () => Promise<unknown>): Promise<boolean> {
  try {
    await look();
    return true;
  } catch {
    return false; // the reason is in the store's log; a probe only needs the answer
  }
}
