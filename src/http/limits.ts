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
