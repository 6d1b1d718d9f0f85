import { createHash, timingSafeEqual } from "node:crypto";
import { ConfigurationError } from "../core/errors.js";
import { HttpError } from "./problem.js";

/** The header in which a caller sends the server's key. */
export const KEY_HEADER = "x-functions-key";

/** The query parameter in which a caller may send it instead, as Durable Functions' URLs do. */
export const KEY_PARAMETER = "code";

/** Throws an HttpError for a request that must not come in. */
export type Guard = (request: Request, url: URL) => void;

const LOOPBACK_NAMES: readonly string[] = ["localhost", "127.0.0.1", "[::1]"];

/** Whether a server bound to this address is reached from this machine only. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

/**
 * Lets only known host names in: against DNS rebinding, by which a web page reaches a server on the
 * visitor's own machine under the page's name. Loopback names and addresses are always known.
 *
 * @param allowedHosts `name` (any port), `name:port`, or `*` for a server whose names are not its business.
 */
export function hostGuard(allowedHosts: readonly string[]): Guard {
  if (allowedHosts.includes("*")) return () => {};
  const known = new Set([...LOOPBACK_NAMES, ...allowedHosts.map((host) => host.toLowerCase())]);
  return (request, url) => {
    // A server makes the URL from the Host header or from the request line: both must be known.
    for (const host of [request.headers.get("host") ?? url.host, url.host]) {
      const lower = host.toLowerCase();
      const name = /^(\[[0-9a-f:.]+\]|[^:[\]/@\s]+)(?::\d{1,5})?$/.exec(lower)?.[1];
      if (name === undefined || !(known.has(name) || known.has(lower) || isLoopback(name))) {
        throw new HttpError(
          "ForbiddenHost",
          `This server does not serve the host "${host.slice(0, 80)}". Use localhost, or add it to allowedHosts.`,
        );
      }
    }
  };
}

/**
 * Refuses what a browser sends on behalf of another site. There is no CORS: other origins never read
 * an answer, and this keeps them from causing one. A link may be followed to what only shows: as a page of its own,
 * since nobody sees what is sent from a frame.
 */
export function originGuard(
  publicUrl: URL | undefined,
): (request: Request, url: URL, mayBeFollowed: boolean) => void {
  return (request, url, mayBeFollowed) => {
    const origin = request.headers.get("origin");
    if (origin !== null && !isSameOrigin(origin, request, url) && origin !== publicUrl?.origin) {
      throw new HttpError("ForbiddenOrigin", "Requests from the pages of other sites are refused.");
    }
    const site = request.headers.get("sec-fetch-site");
    const followed =
      mayBeFollowed &&
      request.method === "GET" &&
      request.headers.get("sec-fetch-mode") === "navigate" &&
      request.headers.get("sec-fetch-dest") === "document";
    if ((site === "cross-site" || site === "same-site") && !followed) {
      throw new HttpError("ForbiddenOrigin", "Requests from the pages of other sites are refused.");
    }
  };
}

/** By host and port alone: a proxy may have taken the TLS away. */
function isSameOrigin(origin: string, request: Request, url: URL): boolean {
  if (!URL.canParse(origin)) return false;
  const host = request.headers.get("host")?.toLowerCase() ?? url.host;
  return new URL(origin).host === host;
}

/**
 * Whether a request carries the key, in the header or else the query. Only digests are kept and compared, in constant
 * time; the key appears in no message.
 *
 * @throws ConfigurationError for an empty key.
 */
export function keyCheck(key: string): (request: Request, url: URL) => boolean {
  if (key.trim() === "") throw new ConfigurationError("The key is empty. Give one, or leave it out.");
  const expected = digest(key);
  return (request, url) => {
    const given = request.headers.get(KEY_HEADER) ?? url.searchParams.get(KEY_PARAMETER);
    return given !== null && timingSafeEqual(digest(given), expected);
  };
}

/** What whoever does not give the key is told. */
export function unauthorized(): HttpError {
  return new HttpError(
    "Unauthorized",
    `This server asks for its key, in the header ${KEY_HEADER} or the query parameter ${KEY_PARAMETER}.`,
  );
}

function digest(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}
