import type { Logger } from "../core/env.js";
import { limitBody, readJson } from "./body.js";
import { HttpError, isKnownError } from "./problem.js";
import type { DurableClient } from "./trigger/durable-client.js";
import type { HttpTriggerDefinition } from "./trigger.js";

/**
 * Runs a trigger's handler and makes an answer of what it returns.
 *
 * @throws HttpError TriggerFailed with the cause, for an error that is none of ours.
 */
export async function runTrigger(
  trigger: HttpTriggerDefinition,
  request: Request,
  parts: {
    readonly client: DurableClient;
    readonly params: Readonly<Record<string, string>>;
    readonly maxBodyBytes: number;
    readonly log: Logger;
  },
): Promise<Response> {
  const { client, params, maxBodyBytes, log } = parts;
  const limited = limitBody(request, maxBodyBytes);
  const json = (): Promise<unknown> => readJson(limited, maxBodyBytes);
  try {
    return toResponse(await trigger.run(limited, { client, params, json, log }));
  } catch (cause) {
    if (isKnownError(cause)) throw cause;
    throw new HttpError(
      "TriggerFailed",
      `The trigger '${trigger.name}' failed. The server's log says more.`,
      { cause },
    );
  }
}

/** A Response as it is, a string as text, nothing as 204, anything else as JSON. */
function toResponse(value: unknown): Response {
  if (isResponse(value)) return value;
  if (value === undefined || value === null) return new Response(null, { status: 204 });
  if (typeof value === "string") {
    return new Response(value, {
      headers: { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" },
    });
  }
  return new Response(JSON.stringify(value), {
    headers: { "content-type": "application/json", "x-content-type-options": "nosniff" },
  });
}

/** By its tag too: the app's libraries may bring a Response class of their own. */
function isResponse(value: unknown): value is Response {
  return value instanceof Response || Object.prototype.toString.call(value) === "[object Response]";
}
