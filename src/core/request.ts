import type { Command } from "./command.js";
import { EngineFaultError } from "./errors.js";
import type { ParentLink, Tags } from "./instance.js";
import type { Payload } from "./payload.js";
import type { StartPolicy } from "./start-policy.js";

/**
 * What one instance asks of another ID, on its way in a message row. The receiver's owner turns it
 * into a command ({@link commandOf}) and carries it out under the receiver's lock.
 */
export type Request =
  | {
      readonly kind: "start";
      readonly name: string;
      readonly version?: string;
      readonly tags: Tags;
      readonly input?: Payload;
      readonly policy: StartPolicy;
      readonly startAtMs?: number;
      readonly parent?: ParentLink;
    }
  | { readonly kind: "raise"; readonly name: string; readonly input?: Payload }
  | {
      readonly kind: "terminate";
      readonly reason?: string;
      readonly recurse: boolean;
      readonly onlyChildOf?: { readonly iid: number; readonly run: number };
    }
  /** A rewound parent waits again for this child: rewind it, or start it where it is gone. */
  | {
      readonly kind: "rewind";
      readonly reason?: string;
      readonly restart: Request & { readonly kind: "start" };
    };

/** Raised when an old program could misread what a new one sends. */
const REQUEST_FORMAT = 1;

export function encodeRequest(request: Request): string {
  return JSON.stringify({ format: REQUEST_FORMAT, request });
}

/**
 * Reads back what {@link encodeRequest} wrote. The text never leaves our own store.
 *
 * @throws EngineFaultError for a newer format: the row is left for a program that knows it.
 */
export function decodeRequest(body: string): Request {
  const parsed: unknown = JSON.parse(body);
  if (isEnvelope(parsed)) return parsed.request;
  throw new EngineFaultError(
    `A request message is not of format ${REQUEST_FORMAT}, which this program reads. Update tenure.`,
  );
}

/** Within one format, what we read is what we wrote. */
function isEnvelope(value: unknown): value is { readonly format: number; readonly request: Request } {
  return typeof value === "object" && value !== null && "format" in value && value.format === REQUEST_FORMAT;
}

/** The command that carries out a request; rewinds need the receiver's history and are made by the client. */
export function commandOf(
  request: Exclude<Request, { kind: "rewind" }>,
  at: {
    readonly instanceId: string;
    readonly atMs: number;
    readonly consumes: number;
    readonly executionId: string;
  },
): Command {
  const { executionId, ...addressed } = at;
  switch (request.kind) {
    case "start":
      return { ...request, ...addressed, executionId };
    case "raise":
      return { ...request, ...addressed };
    case "terminate":
      return { ...request, ...addressed, output: JSON.stringify(request.reason ?? "") };
  }
}
