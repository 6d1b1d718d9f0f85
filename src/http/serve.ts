import { createServer, type IncomingMessage, type Server } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { ConfigurationError } from "../core/errors.js";
import type { HttpHandler } from "./handler.js";
import {
  MAX_HEADER_BYTES,
  MAX_HEADERS,
  SERVER_LIMITS,
  type ServerLimits,
  TIMEOUT_CHECK_MS,
} from "./limits.js";
import { problem, problemResponse } from "./problem.js";
import { isLoopback } from "./security.js";

/** Where to listen. */
export interface ServeOptions {
  /** Default 127.0.0.1. Another address than loopback needs a handler that asks for a key. */
  readonly host?: string;
  /** Default 7071, as `func start`. 0 takes a free one. */
  readonly port?: number;
  /** How long senders may take, and how many there may be. Defaults: 10 s, 30 s, 10,000. */
  readonly limits?: Partial<ServerLimits>;
}

/** A server that listens. */
export interface HttpServer {
  readonly host: string;
  readonly port: number;
  readonly url: string;
  /** Takes no more connections; requests under way may finish for this long (default 5 s), then are cut. */
  close(options?: { readonly graceMs?: number }): Promise<void>;
}

const DEFAULT_GRACE_MS = 5000;
const IDLE_SWEEP_MS = 20;

/**
 * Serves a handler over HTTP/1.1.
 *
 * @throws ConfigurationError when the address is not loopback and the handler asks for no key, or when
 * the port cannot be had.
 */
export async function serveHttp(handler: HttpHandler, options: ServeOptions = {}): Promise<HttpServer> {
  const { host = "127.0.0.1", port = 7071 } = options;
  const { headersTimeoutMs, requestTimeoutMs, maxConnections } = { ...SERVER_LIMITS, ...options.limits };
  if (!isLoopback(host) && !handler.asksForKey) {
    throw new ConfigurationError(
      `Binding to ${host} needs a key, because anyone who reaches it could start and end orchestrations. ` +
        "Set TENURE_KEY or --key-file, or bind to 127.0.0.1.",
    );
  }
  const listener = getRequestListener((request, env) => answer(handler, request, env.incoming), {
    overrideGlobalObjects: false,
  });
  const server = createServer(
    {
      headersTimeout: Math.min(headersTimeoutMs, requestTimeoutMs), // Node throws where it is more
      requestTimeout: requestTimeoutMs,
      connectionsCheckingInterval: Math.min(TIMEOUT_CHECK_MS, headersTimeoutMs),
      maxHeaderSize: MAX_HEADER_BYTES,
    },
    (incoming, outgoing) => void listener(incoming, outgoing),
  );
  server.maxHeadersCount = 0; // counted by us, so that none is dropped unseen
  server.maxConnections = maxConnections;
  const bound = await listen(server, host, port);
  const shown = host.includes(":") ? `[${host}]` : host;
  return {
    host,
    port: bound,
    url: `http://${shown}:${bound}`,
    close: ({ graceMs = DEFAULT_GRACE_MS } = {}) => close(server, graceMs),
  };
}

async function answer(
  handler: HttpHandler,
  request: Request,
  incoming: Pick<IncomingMessage, "rawHeaders" | "url"> & {
    readonly socket: { readonly remoteAddress?: string | undefined };
  },
): Promise<Response> {
  if (incoming.rawHeaders.length > 2 * MAX_HEADERS) {
    return problemResponse(problem("TooManyHeaders", `A request may have ${MAX_HEADERS} headers.`));
  }
  // Making a URL of it has taken such segments away; what was meant can no longer be told.
  if (/(^|[/\\])(\.|%2e){1,2}([/\\?#]|$)/i.test(incoming.url?.split("?")[0] ?? "")) {
    return problemResponse(problem("MalformedRequest", 'A path must not contain "." or ".." as a segment.'));
  }
  return handler(request, { remoteAddress: incoming.socket.remoteAddress });
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      reject(
        new ConfigurationError(`Cannot listen on ${host}:${port}: ${cause.message}. Choose another --port.`, {
          cause,
        }),
      );
    });
    server.listen(port, host, () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}

function close(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), graceMs);
    // A connection that was in use is kept alive after its answer, and would hold the server open.
    const sweep = setInterval(() => server.closeIdleConnections(), IDLE_SWEEP_MS);
    server.close(() => {
      clearTimeout(cut);
      clearInterval(sweep);
      resolve();
    });
  });
}
