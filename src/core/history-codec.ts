import { HistoryUnreadableError } from "./errors.js";
import { type Failure, isFailure } from "./failure.js";
import type { HistoryEvent } from "./history.js";
import type { RuntimeStatus, Tags } from "./instance.js";

/**
 * The text that a store keeps for one commit's events: a JSON array of the format's number and one
 * short positional array per event, `[code, milliseconds since the previous event, …]`. Positional
 * text is a fifth the size of named fields and a third of the CPU (see docs/decisions).
 */
export type Chunk = string;

/** Raised when an old program could misread what a new one writes. */
export const CHUNK_FORMAT = 1;

/** Encodes events. The first event's time is absolute, later ones are relative to their predecessor. */
export function encodeChunk(events: readonly HistoryEvent[]): Chunk {
  let previousMs = 0;
  const encoded: unknown[] = [CHUNK_FORMAT];
  for (const event of events) {
    encoded.push(encodeEvent(event, event.atMs - previousMs));
    previousMs = event.atMs;
  }
  return JSON.stringify(encoded);
}

/**
 * Decodes what {@link encodeChunk} made.
 *
 * @throws HistoryUnreadableError for a newer format or a damaged record.
 */
export function decodeChunk(chunk: Chunk): HistoryEvent[] {
  const parsed = parse(chunk);
  if (!Array.isArray(parsed) || parsed[0] !== CHUNK_FORMAT) {
    throw new HistoryUnreadableError(
      `A history chunk has format ${Array.isArray(parsed) ? String(parsed[0]) : "none"}; this program reads format ${CHUNK_FORMAT}. Update tenure.`,
    );
  }
  let previousMs = 0;
  const events: HistoryEvent[] = [];
  for (let index = 1; index < parsed.length; index++) {
    const event = decodeEvent(new Fields(parsed[index]), previousMs);
    previousMs = event.atMs;
    events.push(event);
  }
  return events;
}

function parse(chunk: Chunk): unknown {
  try {
    return JSON.parse(chunk);
  } catch (cause) {
    throw new HistoryUnreadableError("A history chunk is not JSON: the store is damaged. Restore a backup.", {
      cause,
    });
  }
}

function encodeEvent(event: HistoryEvent, dt: number): unknown[] {
  switch (event.type) {
    case "OrchestratorStarted":
      return [0, dt];
    case "ExecutionStarted":
      return trim([1, dt, event.firstExecutionId]);
    case "TaskScheduled":
      return trim([2, dt, event.id, event.name, event.input, event.queue]);
    case "TaskCompleted":
      return trim([3, dt, event.taskScheduledId, event.result]);
    case "TaskFailed":
      return [4, dt, event.taskScheduledId, event.failure];
    case "SubOrchestrationInstanceCreated":
      return trim([
        5,
        dt,
        event.id,
        event.name,
        event.instanceId,
        event.input,
        event.detached === true ? 1 : undefined,
        event.tags,
        event.version,
      ]);
    case "SubOrchestrationInstanceCompleted":
      return trim([6, dt, event.taskScheduledId, event.result]);
    case "SubOrchestrationInstanceFailed":
      return [7, dt, event.taskScheduledId, event.failure];
    case "TimerCreated":
      return [8, dt, event.id, event.fireAtMs];
    case "TimerFired":
      return [9, dt, event.timerId, event.fireAtMs];
    case "EventSent":
      return trim([10, dt, event.id, event.instanceId, event.name, event.input]);
    case "EventRaised":
      return trim([11, dt, event.name, event.input]);
    case "ExecutionSuspended":
      return trim([12, dt, event.reason]);
    case "ExecutionResumed":
      return trim([13, dt, event.reason]);
    case "ExecutionTerminated":
      return trim([14, dt, event.recurse ? 1 : 0, event.reason]);
    case "ExecutionRewound":
      return trim([15, dt, event.reason]);
    case "ExecutionCompleted":
      return [16, dt, event.status];
  }
}

function decodeEvent(fields: Fields, previousMs: number): HistoryEvent {
  const code = fields.number(0);
  const atMs = previousMs + fields.number(1);
  switch (code) {
    case 0:
      return { type: "OrchestratorStarted", atMs };
    case 1:
      return { type: "ExecutionStarted", atMs, ...fields.optional(2, "firstExecutionId") };
    case 2:
      return {
        type: "TaskScheduled",
        atMs,
        id: fields.number(2),
        name: fields.text(3),
        ...fields.optional(4, "input"),
        ...fields.optional(5, "queue"),
      };
    case 3:
      return {
        type: "TaskCompleted",
        atMs,
        taskScheduledId: fields.number(2),
        ...fields.optional(3, "result"),
      };
    case 4:
      return { type: "TaskFailed", atMs, taskScheduledId: fields.number(2), failure: fields.failure(3) };
    case 5:
      return {
        type: "SubOrchestrationInstanceCreated",
        atMs,
        id: fields.number(2),
        name: fields.text(3),
        instanceId: fields.text(4),
        ...fields.optional(5, "input"),
        ...(fields.has(6) ? { detached: true } : {}),
        ...(fields.has(7) ? { tags: fields.tags(7) } : {}),
        ...fields.optional(8, "version"),
      };
    case 6:
      return {
        type: "SubOrchestrationInstanceCompleted",
        atMs,
        taskScheduledId: fields.number(2),
        ...fields.optional(3, "result"),
      };
    case 7:
      return {
        type: "SubOrchestrationInstanceFailed",
        atMs,
        taskScheduledId: fields.number(2),
        failure: fields.failure(3),
      };
    case 8:
      return { type: "TimerCreated", atMs, id: fields.number(2), fireAtMs: fields.number(3) };
    case 9:
      return { type: "TimerFired", atMs, timerId: fields.number(2), fireAtMs: fields.number(3) };
    case 10:
      return {
        type: "EventSent",
        atMs,
        id: fields.number(2),
        instanceId: fields.text(3),
        name: fields.text(4),
        ...fields.optional(5, "input"),
      };
    case 11:
      return { type: "EventRaised", atMs, name: fields.text(2), ...fields.optional(3, "input") };
    case 12:
      return { type: "ExecutionSuspended", atMs, ...fields.optional(2, "reason") };
    case 13:
      return { type: "ExecutionResumed", atMs, ...fields.optional(2, "reason") };
    case 14:
      return {
        type: "ExecutionTerminated",
        atMs,
        recurse: fields.number(2) === 1,
        ...fields.optional(3, "reason"),
      };
    case 15:
      return { type: "ExecutionRewound", atMs, ...fields.optional(2, "reason") };
    case 16:
      return { type: "ExecutionCompleted", atMs, status: fields.completion(2) };
    default:
      throw new HistoryUnreadableError(`A history event has the unknown code ${code}. Update tenure.`);
  }
}

/** JSON writes trailing undefined as null; leave them off. */
function trim(fields: unknown[]): unknown[] {
  let length = fields.length;
  while (length > 0 && fields[length - 1] === undefined) length--;
  return length === fields.length ? fields : fields.slice(0, length);
}

type Completion = Exclude<RuntimeStatus, "Pending" | "Running" | "Suspended">;
const COMPLETIONS: readonly Completion[] = [
  "Completed",
  "Failed",
  "Terminated",
  "Canceled",
  "ContinuedAsNew",
];

/** One event's positional fields, checked as they are read: the store may have been damaged. */
class Fields {
  readonly #fields: readonly unknown[];

  constructor(fields: unknown) {
    if (!Array.isArray(fields)) throw damaged("an event is not an array");
    this.#fields = fields;
  }

  has(index: number): boolean {
    const field = this.#fields[index];
    return field !== undefined && field !== null;
  }

  number(index: number): number {
    const field = this.#fields[index];
    if (typeof field !== "number") throw damaged(`field ${index} is not a number`);
    return field;
  }

  text(index: number): string {
    const field = this.#fields[index];
    if (typeof field !== "string") throw damaged(`field ${index} is not text`);
    return field;
  }

  optional<K extends string>(index: number, key: K): { [P in K]?: string } {
    if (!this.has(index)) return {};
    const present: { [P in K]?: string } = {};
    present[key] = this.text(index);
    return present;
  }

  failure(index: number): Failure {
    const field = this.#fields[index];
    if (!isFailure(field)) throw damaged(`field ${index} is not a failure`);
    return field;
  }

  tags(index: number): Tags {
    const field = this.#fields[index];
    if (typeof field !== "object" || field === null) throw damaged(`field ${index} is not a map`);
    return Object.fromEntries(Object.entries(field).map(([key, value]) => [key, String(value)]));
  }

  completion(index: number): Completion {
    const found = COMPLETIONS.find((status) => status === this.#fields[index]);
    if (found === undefined) throw damaged(`field ${index} is not a status`);
    return found;
  }
}

function damaged(what: string): HistoryUnreadableError {
  return new HistoryUnreadableError(`A history event cannot be read: ${what}. Restore a backup.`);
}
