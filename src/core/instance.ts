import type { Failure } from "./failure.js";
import type { Payload } from "./payload.js";

/**
 * The status that users see, in Durable Functions' words. `Suspended` is derived from a flag and
 * `ContinuedAsNew` appears on past executions only: an instance goes on as Running.
 */
export type RuntimeStatus = LiveStatus | "Suspended" | "ContinuedAsNew" | EndedStatus;

/** Statuses in which an instance holds its ID. `Suspended` is one of them, kept as a flag beside. */
export type LiveStatus = "Pending" | "Running";

/** Statuses in which an instance has let go of its ID. `Canceled` is never produced yet, but counts. */
export type EndedStatus = "Completed" | "Failed" | "Terminated" | "Canceled";

/** What an instance row stores as its status. */
export type InstanceStatus = LiveStatus | EndedStatus;

/** The statuses of an instance that has let go of its ID. */
export const ENDED_STATUSES: readonly EndedStatus[] = ["Completed", "Failed", "Terminated", "Canceled"];

/** Every status a user can see or filter by. */
export const RUNTIME_STATUSES: readonly RuntimeStatus[] = [
  "Pending",
  "Running",
  "Suspended",
  "ContinuedAsNew",
  "Completed",
  "Failed",
  "Terminated",
  "Canceled",
];

/** Whether an instance in this status holds its ID. */
export function isLive(status: InstanceStatus): status is LiveStatus {
  return status === "Pending" || status === "Running";
}

/** Whether a status that users see is one in which the instance has ended. */
export function isEnded(status: RuntimeStatus): status is EndedStatus {
  return status === "Completed" || status === "Failed" || status === "Terminated" || status === "Canceled";
}

/** What rules a row: user orchestrations, and, later, entities and built-in reducers under `@` IDs. */
export type InstanceKind = "orchestration";

/** Free-form labels given at the start of an orchestration. */
export type Tags = Readonly<Record<string, string>>;

/** Who waits for a sub-orchestration: the parent's execution and the task within it. */
export interface ParentLink {
  readonly iid: number;
  readonly run: number;
  readonly generation: number;
  readonly task: number;
  readonly instanceId: string;
  readonly executionId: string;
  readonly name: string;
}

/** Why an instance stands still although it is live, until a fixed program or a resume lets it go on. */
export interface Parked {
  readonly code: string;
  readonly message: string;
  readonly sinceMs: number;
}

/**
 * The row that decides: who holds an ID, and what may be committed to it. Everything that merely
 * happened is in {@link Execution} and the history.
 */
export interface Instance {
  /** Internal ID: an integer row ID, never reused, so that nothing old can address a new row. */
  readonly iid: number;
  readonly instanceId: string;
  readonly kind: InstanceKind;
  readonly name: string;
  readonly executionId: string;
  /** +1 at start, restart, recreate and replace. Events and waiters address (iid, run). */
  readonly run: number;
  /** +1 with every new execution ID. Results of activities, timers and children address (iid, generation). */
  readonly generation: number;
  /** Commits of this generation so far. */
  readonly sequence: number;
  /** Rises per ID for ever, also across purge. */
  readonly fencingToken: number;
  readonly status: InstanceStatus;
  readonly suspended: boolean;
  /** Rises with every accepted event, command or waiter; a commit that ends the run must have seen them all. */
  readonly mail: number;
  /** Activities in flight after the last commit; a new owner runs these again. */
  readonly activities: number;
  /** The worker that committed last. */
  readonly worker?: string;
  readonly parked?: Parked;
  /** When this run was accepted; kept by continue-as-new and rewind. */
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  /** A start that waits for its time. */
  readonly startAtMs?: number;
  readonly parent?: ParentLink;
}

/** What happened in one execution of an instance; kept until purged. */
export interface Execution {
  readonly executionId: string;
  readonly run: number;
  readonly generation: number;
  readonly name: string;
  readonly version?: string;
  readonly tags: Tags;
  readonly status: Exclude<RuntimeStatus, "Suspended">;
  /** Drawn when this execution began; orchestrators read this one. */
  readonly fencingToken: number;
  readonly input?: Payload;
  readonly output?: Payload;
  readonly failure?: Failure;
  readonly customStatus?: Payload;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly endedAtMs?: number;
  /** Messages that were accepted but dropped because the run was ended from outside. */
  readonly droppedMessages: number;
}

/** How long the payloads of an execution are together, in UTF-16 code units. */
export function payloadLengthOf({ input, output, customStatus, failure }: Execution): number {
  const texts = [input, output, customStatus, failure?.message, failure?.stack];
  return texts.reduce((sum, text) => sum + (text?.length ?? 0), 0);
}

/** An instance with its current execution. */
export interface InstanceRecord {
  readonly instance: Instance;
  readonly execution: Execution;
}

/** The status that users see for an instance. */
export function runtimeStatusOf(instance: Pick<Instance, "status" | "suspended">): RuntimeStatus {
  return instance.suspended && isLive(instance.status) ? "Suspended" : instance.status;
}

/** Who holds an ID, as told to a caller whose start was refused. */
export interface Holder {
  readonly instanceId: string;
  readonly name: string;
  readonly executionId: string;
  readonly run: number;
  readonly generation: number;
  readonly runtimeStatus: RuntimeStatus;
  readonly sinceMs: number;
  readonly lastProgressMs: number;
  readonly worker?: string;
}

/** The holder's facts, from its row. */
export function holderOf(instance: Instance): Holder {
  return {
    instanceId: instance.instanceId,
    name: instance.name,
    executionId: instance.executionId,
    run: instance.run,
    generation: instance.generation,
    runtimeStatus: runtimeStatusOf(instance),
    sinceMs: instance.createdAtMs,
    lastProgressMs: instance.updatedAtMs,
    ...(instance.worker === undefined ? {} : { worker: instance.worker }),
  };
}
