import { OWN_HEADERS } from "./problem.js";

/** A JSON answer of ours. */
export function jsonResponse(
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return new Response(JSON.stringify(body ?? null), {
    status,
    headers: { ...OWN_HEADERS, "content-type": "application/json", ...headers },
  });
}

/** An answer of ours without a body. */
export function emptyResponse(status: number): Response {
  return new Response(null, { status, headers: OWN_HEADERS });
}
