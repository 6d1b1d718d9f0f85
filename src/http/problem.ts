import { STATUS_CODES } from "node:http";
import type { ErrorCode } from "../core/errors.js";
import { holderBody } from "./bodies.js";

/** Reasons for a refusal that only HTTP knows; the others are core's {@link ErrorCode}s. */
export type HttpErrorCode =
  | "BodyTooLarge"
  | "ForbiddenHost"
  | "ForbiddenOrigin"
  | "InvalidJson"
  | "MalformedRequest"
  | "NotReady"
  | "NotSupported"
  | "RouteNotFound"
  | "TooManyHeaders"
  | "TriggerFailed"
  | "Unauthorized"
  | "UnexpectedError"
  | "UnsupportedMediaType";

/** A request that HTTP's own rules refuse. Its message is the answer's `detail`. */
export class HttpError extends Error {
  override readonly name = "HttpError";

  constructor(
    readonly code: HttpErrorCode,
    detail: string,
    options?: ErrorOptions,
  ) {
    super(detail, options);
  }
}

/** The HTTP status of every reason. Clients rely on both; neither changes for a given reason. */
export const STATUS_OF: { readonly [C in ErrorCode | HttpErrorCode]: number } = {
  BodyTooLarge: 413,
  ForbiddenHost: 421,
  ForbiddenOrigin: 403,
  InvalidJson: 400,
  MalformedRequest: 400,
  NotReady: 503,
  NotSupported: 501,
  RouteNotFound: 404,
  TooManyHeaders: 431,
  TriggerFailed: 500,
  Unauthorized: 401,
  UnexpectedError: 500,
  UnsupportedMediaType: 415,

  InstanceHeld: 409,
  InstanceNotFound: 404,
  InstanceEnded: 410,
  InvalidState: 412,
  InvalidInstanceId: 400,
  InvalidValue: 400,
  InvalidArgument: 400,
  InvalidToken: 400,
  LimitExceeded: 413,
  MailboxFull: 429,
  UnregisteredName: 400,
  WorkerNotFound: 404,
  // A trigger that awaits an orchestration's result and lets its failure through.
  OrchestrationFailed: 500,
  TaskFailed: 500,
  TimerCanceled: 500,
  WaitTimeout: 504,
  NonDeterminism: 500,
  ForeignAwait: 500,
  ContextMisuse: 500,
  OrchestratorBlocked: 500,
  ProcessEnded: 500,
  // The store cannot serve now; nothing was written, and the request may be tried again.
  StoreHeld: 503,
  StoreClosed: 503,
  StoreConflict: 503,
  StoreUnusable: 500,
  // Whether it was written is not known, or nothing can be: the server ends, and another one answers.
  StoreFailed: 500,
  StoreDamaged: 500,
  SchemaTooNew: 500,
  HistoryUnreadable: 500,
  AppLoad: 500,
  Configuration: 500,
  EngineFault: 500,
};

/** An error as RFC 9457 problem details, with the `Message` that Durable Functions' clients read. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ErrorCode | HttpErrorCode;
  readonly Message: string;
  readonly [member: string]: unknown;
}

/**
 * Headers of every answer that is ours: not to be stored, not to be guessed at, and where a browser shows it, it
 * runs nothing, loads nothing and stands in nobody's frame.
 */
export const OWN_HEADERS: Readonly<Record<string, string>> = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
};

/** What a thrown value means to the caller. Unknown errors keep their text to themselves. */
export function problemOf(error: unknown): Problem {
  const code = codeOf(error);
  if (code === undefined || !(error instanceof Error) || typeof error.message !== "string") return UNEXPECTED;
  return { ...problem(code, error.message), ...membersOf(error) };
}

/** What callers are told of an error that is none of ours. */
export const UNEXPECTED: Problem = problem(
  "UnexpectedError",
  "The server met an error that it does not know. Its log says more.",
);

/** A problem of this reason. */
export function problem(
  code: ErrorCode | HttpErrorCode,
  detail: string,
  status: number = STATUS_OF[code],
): Problem {
  return {
    type: `urn:tenure:problem:${code}`,
    title: STATUS_CODES[status] ?? code,
    status,
    detail,
    code,
    Message: detail,
  };
}

/** A problem as an answer. */
export function problemResponse(body: Problem): Response {
  return new Response(JSON.stringify(body), {
    status: body.status,
    headers: {
      ...OWN_HEADERS,
      "content-type": "application/problem+json",
      ...(body.status === 401 ? { "www-authenticate": 'ApiKey header="x-functions-key"' } : {}),
      ...(body.status === 503 || body.status === 429 ? { "retry-after": "1" } : {}),
    },
  });
}

/** Whether an error says by itself what to answer. What throws when it is looked at does not. */
export function isKnownError(error: unknown): boolean {
  try {
    return codeOf(error) !== undefined;
  } catch {
    return false;
  }
}

/** By the code and not the class: an app may throw errors of another copy of this package. */
function codeOf(error: unknown): ErrorCode | HttpErrorCode | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  const { code } = error;
  return typeof code === "string" && isKnown(code) ? code : undefined;
}

function isKnown(code: string): code is ErrorCode | HttpErrorCode {
  return Object.hasOwn(STATUS_OF, code);
}

/** What callers can act on beside the text. An app's own error may hold anything under these names. */
function membersOf(error: Error): Record<string, unknown> {
  const members: Record<string, unknown> = {};
  const holder = "holder" in error ? holderBody(error.holder) : undefined;
  if (holder !== undefined) members["holder"] = holder;
  for (const key of [
    "instanceId",
    "runtimeStatus",
    "parameter",
    "knownNames",
    "workerId",
    "limit",
    "allowed",
    "actual",
  ]) {
    const value: unknown = Reflect.get(error, key);
    if (isPlain(value) || (Array.isArray(value) && value.length <= MAX_LISTED && value.every(isPlain)))
      members[key] = value;
  }
  return members;
}

/** Of a list in a problem, so many; an error that lists more is told without it. */
const MAX_LISTED = 10_000;

function isPlain(value: unknown): value is string | number | boolean | null {
  return value === null || ["string", "number", "boolean"].includes(typeof value);
}
