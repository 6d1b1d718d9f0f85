import { createHttpHandler, type HttpHandler, type HttpHandlerOptions } from "../src/http/index.js";
import { httpTrigger } from "../src/http/trigger.js";
import { activity, orchestration } from "../src/replay/definitions.js";
import { TaskHub, type TaskHubOptions } from "../src/task-hub.js";

/** Where the management API lives. */
export const BASE = "/runtime/webhooks/durabletask";

/** Completes with what it was given. */
export const echo = orchestration("Echo", async (_ctx, input: unknown) => input);

/** Waits for the event "go" and completes with its data. */
export const waiter = orchestration("Waiter", async (ctx, _input: unknown) => ctx.waitForExternalEvent("go"));

/** Fails. */
export const failing = orchestration("Failing", async (_ctx, _input: unknown): Promise<never> => {
  throw new RangeError("boom");
});

/** An activity. */
export const double = activity("double", async (_ctx, n: number) => 2 * n);

/** An activity that fails. */
export const breaks = activity("breaks", async (_ctx, _input: unknown): Promise<never> => {
  throw new Error("no luck");
});

/** Schedules one activity that succeeds, one that fails, a child and a timer. */
export const busy = orchestration("Busy", async (ctx, n: number) => {
  const doubled = await ctx.callActivity(double, n);
  await ctx.callActivity(breaks, "x").catch(() => undefined);
  await ctx.callSubOrchestrator(echo, { n }, { instanceId: `${ctx.instanceId}-child` });
  await ctx.sleep(1);
  return doubled;
});

/** What {@link call} takes beside method and path. */
export interface CallOptions {
  readonly json?: unknown;
  readonly body?: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly from?: string;
}

/** An answer, its body read. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The parsed body; undefined where it is not JSON. */
  readonly body: unknown;
}

/** A hub in memory with a handler over it. */
export interface HttpKit extends AsyncDisposable {
  readonly hub: TaskHub;
  readonly handler: HttpHandler;
  readonly call: (method: string, path: string, options?: CallOptions) => Promise<Answer>;
}

/** Opens a hub in memory and a handler over it. */
export async function openKit(
  options: HttpHandlerOptions & { readonly functions?: TaskHubOptions["functions"] } = {},
): Promise<HttpKit> {
  const { functions = [], ...handlerOptions } = options;
  const hub = await TaskHub.open({
    store: "memory",
    functions: [echo, waiter, failing, busy, double, breaks, ...functions],
  });
  const handler = createHttpHandler(hub, handlerOptions);
  return {
    hub,
    handler,
    call: (method, path, callOptions) => call(handler, method, path, callOptions),
    [Symbol.asyncDispose]: () => hub.close({ drainMs: 100 }),
  };
}

/** Sends a request to a handler. */
export async function call(
  handler: HttpHandler,
  method: string,
  path: string,
  { json, body, headers = {}, from }: CallOptions = {},
): Promise<Answer> {
  const sent = json === undefined ? body : JSON.stringify(json);
  const request = new Request(new URL(path, "http://localhost:7071"), {
    method,
    headers: { ...(json === undefined ? {} : { "content-type": "application/json" }), ...headers },
    ...(sent === undefined ? {} : { body: sent }),
  });
  const response = await handler(request, from === undefined ? undefined : { remoteAddress: from });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, body: parsed(text) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A member of a body; undefined where there is none. */
export function member(body: unknown, ...path: readonly (string | number)[]): unknown {
  let at = body;
  for (const key of path) at = typeof at === "object" && at !== null ? Reflect.get(at, key) : undefined;
  return at;
}

/** The members of a body, or the items of a list; none where it is neither. */
export function members(body: unknown): [string, unknown][] {
  return typeof body === "object" && body !== null ? Object.entries(body) : [];
}

/** A trigger for tests. */
export { httpTrigger };
