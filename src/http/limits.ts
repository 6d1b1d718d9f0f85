/** The largest request body in bytes (1 MiB): far above any start's input, far below what hurts. */
export const MAX_BODY_BYTES = 1024 * 1024;

/** The deepest nesting of a request's JSON. */
export const MAX_JSON_DEPTH = 64;

/** The longest that a request waits for an instance's end: what Azure's front end allows a request in all. */
export const MAX_WAIT_MS = 230_000;

/** How many requests wait for an end at once; further ones are answered 202 without waiting. */
export const MAX_WAITS = 1000;

/** The most instances on one page of a list; `top` above it is taken as it. */
export const MAX_TOP = 1000;

/** Of a caller's user agent, this much is kept with a refusal. */
export const MAX_USER_AGENT_LENGTH = 120;

/** What a server allows a connection. The defaults are {@link SERVER_LIMITS}. */
export interface ServerLimits {
  /** All headers must have come after this long, counted from the connection's or the last request's end. */
  readonly headersTimeoutMs: number;
  /** A whole request, body included, must have come after this long. */
  readonly requestTimeoutMs: number;
  /** Sockets open at once; more are closed as they come. */
  readonly maxConnections: number;
}

/** `maxConnections` stays below common limits of open files. */
export const SERVER_LIMITS: ServerLimits = {
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  maxConnections: 10_000,
};

/** How often a server looks for slow senders, at most: Node's own 30 s would double their time. */
export const TIMEOUT_CHECK_MS = 1000;

/** Far more headers than any client sends. Node would drop those above its own limit and go on without them. */
export const MAX_HEADERS = 100;

/** The most bytes of a request's line and headers, as Node counts them. Said here, so that no flag changes it. */
export const MAX_HEADER_BYTES = 16 * 1024;
