import { DEFINITION, type Definition } from "../core/definition.js";
import type { Logger } from "../core/env.js";
import { InvalidArgumentError } from "../core/errors.js";
import type { DurableClient } from "./trigger/durable-client.js";
import { parseRoute, type RouteParams } from "./trigger/route-template.js";

/** The methods that a trigger can answer. A HEAD request is answered like GET, without the body. */
export type HttpMethod = "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS";

/** How a trigger is reached. */
export interface HttpTriggerOptions<R extends string> {
  /** Default GET and POST, as in Azure Functions. */
  readonly methods?: readonly HttpMethod[];
  /** Below `/api`: words and `{parameters}`. Default: the trigger's name. */
  readonly route?: R;
  /**
   * Accepted so that Azure Functions apps read the same. A server with a key asks for it on every
   * trigger, whatever is said here; one without asks on none.
   */
  readonly authLevel?: "anonymous" | "function" | "admin";
}

/** What a trigger's handler gets beside the request. */
export interface HttpTriggerContext<R extends string = string> {
  readonly client: DurableClient;
  /** The route's parameters, percent-decoded. */
  readonly params: RouteParams<R>;
  /** The request's JSON body: undefined when it is empty. A body that cannot be read answers 4xx by itself. */
  readonly json: () => Promise<unknown>;
  readonly log: Logger;
}

/**
 * A trigger's code. What it returns becomes the answer: a Response as it is, a string as text, undefined
 * or null as 204, anything else as JSON. What it throws becomes a problem: InstanceHeldError 409,
 * InstanceNotFoundError 404, and so on as in the management API; anything unknown 500, its text only logged.
 */
export type HttpTriggerHandler<R extends string = string> = (
  request: Request,
  context: HttpTriggerContext<R>,
) => unknown;

/** An HTTP trigger under its name. Made by {@link httpTrigger}. */
export interface HttpTriggerDefinition extends Definition {
  readonly [DEFINITION]: "httpTrigger";
  readonly methods: readonly HttpMethod[];
  readonly route: string;
  /** Runs the handler; `params` hold what was matched by the route. */
  readonly run: (request: Request, context: UntypedContext) => unknown;
}

/** {@link HttpTriggerContext} as the server makes it, which does not know the route's type. */
export interface UntypedContext extends Omit<HttpTriggerContext, "params"> {
  readonly params: Readonly<Record<string, string>>;
}

const METHODS: readonly HttpMethod[] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/**
 * Defines an HTTP trigger: user code that answers requests under `/api`.
 *
 * @throws InvalidArgumentError for a method or a route that cannot be.
 */
export function httpTrigger<const R extends string>(
  name: string,
  options: HttpTriggerOptions<R>,
  handler: HttpTriggerHandler<R>,
): HttpTriggerDefinition {
  if (typeof name !== "string" || name === "")
    throw new InvalidArgumentError("name", "an httpTrigger needs a name");
  if (typeof handler !== "function") throw new InvalidArgumentError(name, "an httpTrigger needs a function");
  const route = options.route ?? name;
  parseRoute(route);
  const definition: HttpTriggerDefinition = {
    [DEFINITION]: "httpTrigger",
    name,
    methods: parseMethods(name, options.methods ?? ["GET", "POST"]),
    route,
    run: (request, context) => handler(request, { ...context, params: matched<R>(context.params) }),
  };
  return Object.freeze(definition);
}

/** Whether a definition is an HTTP trigger, made by this copy of the package or another. */
export function isHttpTrigger(definition: Definition): definition is HttpTriggerDefinition {
  return definition[DEFINITION] === "httpTrigger" && "run" in definition && "route" in definition;
}

function parseMethods(name: string, methods: readonly string[]): readonly HttpMethod[] {
  if (methods.length === 0) throw new InvalidArgumentError(`methods of "${name}"`, "name at least one");
  return methods.map((method) => {
    const known = METHODS.find((one) => one === method.toUpperCase());
    if (known === undefined) {
      throw new InvalidArgumentError(`methods of "${name}"`, `${method} is not one of ${METHODS.join(", ")}`);
    }
    return known;
  });
}

/** The router matched the template, so that every name of its type is there. */
function matched<R extends string>(params: Readonly<Record<string, string>>): RouteParams<R>;
function matched(params: Readonly<Record<string, string>>): unknown {
  return params;
}
