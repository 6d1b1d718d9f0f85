import { InstanceHeldError } from "./errors.js";
import type { Failure } from "./failure.js";
import { describeFailure } from "./failure.js";
import type { IncomingEvent } from "./history.js";
import { type Chunk, encodeChunk } from "./history-codec.js";
import {
  type EndedStatus,
  type Execution,
  type Holder,
  holderOf,
  type Instance,
  isLive,
  type ParentLink,
  type RuntimeStatus,
  runtimeStatusOf,
  type Tags,
} from "./instance.js";
import type { BrokenMailLimit, MailLimit } from "./mail-limit.js";
import type { Payload } from "./payload.js";
import { encodeRequest } from "./request.js";
import { decideStart, replaceableStatuses, type StartPolicy } from "./start-policy.js";

/**
 * Commands end, pause or start an instance from outside: no worker is needed. A store runs
 * {@link decide} in its own transaction, under the row's lock, and writes the {@link Change} that
 * comes out with conditional statements.
 */
export type Command =
  | StartCommand
  | RaiseCommand
  | SuspendCommand
  | ResumeCommand
  | TerminateCommand
  | RewindCommand
  | PurgeCommand;

interface Addressed {
  readonly instanceId: string;
  readonly atMs: number;
  /** The request message that carried this command: deleted in the same transaction, or the command is void. */
  readonly consumes?: number;
}

export interface StartCommand extends Addressed {
  readonly kind: "start";
  readonly name: string;
  readonly version?: string;
  readonly tags: Tags;
  readonly input?: Payload;
  /** The ID that the new execution gets, should there be one: 32 hex digits. */
  readonly executionId: string;
  readonly startAtMs?: number;
  readonly policy: StartPolicy;
  /** A retried start with the same request ID gets the first one's answer, for 24 h. */
  readonly requestId?: string;
  /** The instance ID was drawn for this start: nobody has it, and looking would be of no use. */
  readonly hasNewId?: true;
  /** Who waits for the outcome: set when an orchestration starts a child. */
  readonly parent?: ParentLink;
}

export interface RaiseCommand extends Addressed {
  readonly kind: "raise";
  readonly name: string;
  readonly input?: Payload;
  /** What may wait for the instance at most. Absent for what orchestrations send: nobody could be told. */
  readonly limit?: MailLimit;
}

export interface SuspendCommand extends Addressed {
  readonly kind: "suspend";
  readonly reason?: string;
}

export interface ResumeCommand extends Addressed {
  readonly kind: "resume";
  readonly reason?: string;
}

export interface TerminateCommand extends Addressed {
  readonly kind: "terminate";
  readonly reason?: string;
  /** The reason as the execution's output, as Durable Functions shows it. */
  readonly output?: Payload;
  readonly recurse: boolean;
  /** Only if it is still the child of this run of its parent. */
  readonly onlyChildOf?: { readonly iid: number; readonly run: number };
}

/** Goes on with a failed execution from a history without the failure; see `rewindHistory`. */
export interface RewindCommand extends Addressed {
  readonly kind: "rewind";
  /** The execution that the rewritten history was made from. */
  readonly expectedExecutionId: string;
  readonly executionId: string;
  /** The rewritten history, as the new generation's first chunk: the row's sequence becomes 1. */
  readonly history: Chunk;
  /** Activities in that history without a result: they run again. */
  readonly activities: number;
  /** Open timers in that history. */
  readonly timers: readonly TimerRow[];
  /** What comes in at once, as the new generation's first mail: ExecutionRewound, and kept results. */
  readonly mail: Chunk;
  /** Sub-orchestrations to rewind, or to start again where they are gone. */
  readonly requests: readonly OutboundRequest[];
  /** The parent that waits again, where this is a rewound child. */
  readonly parent?: ParentLink;
  /** What to do instead where the instance is no longer as it was read: the parent must hear of something. */
  readonly orElse?: StartCommand;
}

export interface PurgeCommand extends Addressed {
  readonly kind: "purge";
}

export interface TimerRow {
  readonly task: number;
  readonly dueMs: number;
}

/** A message to an ID that may not exist. Its owner carries it out and answers by message. */
export interface OutboundRequest {
  readonly instanceId: string;
  readonly body: string;
  /** Unique per sent request: a receiver on another database must not carry it out twice. */
  readonly deduplicationKey: string;
  /** Whether it starts a child of the sender; such a request is withdrawn when the sender's children are ended. */
  readonly startsChild: boolean;
}

/** What a command's caller is told. */
export type CommandAnswer =
  | StartAccepted
  | { readonly outcome: "refused"; readonly reason: "held" | "used" | "otherName"; readonly holder: Holder }
  | { readonly outcome: "done"; readonly runtimeStatus: RuntimeStatus }
  /** A purge was done; these were its children, ended or not. */
  | { readonly outcome: "purged"; readonly children: readonly string[] }
  | { readonly outcome: "notFound" }
  | { readonly outcome: "ended"; readonly runtimeStatus: RuntimeStatus }
  | { readonly outcome: "invalidState"; readonly runtimeStatus: RuntimeStatus; readonly needs: string }
  /** So much waits for the instance that nothing more is let in; nothing was written. */
  | ({ readonly outcome: "full"; readonly runtimeStatus: RuntimeStatus } & BrokenMailLimit)
  /** The request message was carried out before; nothing was written. */
  | { readonly outcome: "void" };

/** What an accepted start led to. Stored with its request ID, so that a retry is told the same. */
export interface StartAccepted {
  readonly outcome: "started" | "replaced" | "attached" | "returned";
  readonly executionId: string;
  readonly run: number;
  readonly generation: number;
}

/**
 * What a command writes. A store carries out the parts that are present, in this order, all in one
 * transaction: endRun, purge, rewind, beginRun, post, wait, answers, remember.
 */
export interface Change {
  /** Ends the live run: only if (generation, sequence) are still the ones that were read. */
  readonly endRun?: RunEnd;
  /** Deletes an ended instance with everything of it, and lifts the floor of its shard's fencing tokens. */
  readonly purge?: true;
  /** Puts a failed instance back to Pending in a new generation: only if (generation, sequence) still match. */
  readonly rewind?: RewindCommand;
  /** A new run: inserted, or put over a row whose status is among `over`. */
  readonly beginRun?: RunBegin;
  /**
   * Adds a message for the live run and raises its mail counter; within the limit, or the command is answered "full"
   * and nothing is written.
   */
  readonly post?: { readonly events: Chunk; readonly suspended?: boolean; readonly limit?: MailLimit };
  /** Adds a waiter for the live run's outcome and raises its mail counter. */
  readonly wait?: ParentLink;
  /** Answers a waiting parent now. Dropped if its generation has passed or its run has ended. */
  readonly answer?: { readonly to: ParentLink; readonly events: Chunk };
  /** Keeps the answer of this start under its request ID. */
  readonly remember?: { readonly requestId: string };
}

/** How a run ends: from outside, or by its last turn. Answers the parent and all waiters. */
export interface RunEnd {
  readonly status: EndedStatus;
  readonly output?: Payload;
  readonly failure?: Failure;
  /** What the history gains. A turn carries its events in its own chunk instead. */
  readonly chunk?: Chunk;
  /** The event that waiters get; each reads its own task into it. */
  readonly answer: Chunk;
  /** A request for every live child of this run; withdraws child starts that were not carried out yet. */
  readonly terminateChildren?: string;
}

/** A new run of an ID. */
export interface RunBegin {
  readonly over: readonly EndedStatus[];
  readonly name: string;
  readonly version?: string;
  readonly tags: Tags;
  readonly input?: Payload;
  readonly executionId: string;
  readonly startAtMs?: number;
  readonly parent?: ParentLink;
  /** The first mail: ExecutionStarted. With `startAtMs` no mail is written but a timer, START_TIMER, due then. */
  readonly events: Chunk;
}

/** What a command finds under the row's lock. */
export interface Found {
  readonly instance: Instance;
  /** Reads the current execution; few decisions need it. */
  readonly execution: () => Execution;
}

export interface Decision {
  /** For a start that begins a run, the store puts in the numbers that its upsert returned. */
  readonly answer: CommandAnswer;
  /** Absent: nothing is written but the deletion of the request message that carried the command. */
  readonly change?: Change;
}

/**
 * Decides a command. Pure: the same rules for every store and every door.
 *
 * @param remembered the stored answer to this start's request ID, if there is one.
 */
export function decide(command: Command, found: Found | undefined, remembered?: StartAccepted): Decision {
  switch (command.kind) {
    case "start":
      return remembered === undefined ? start(command, found) : { answer: remembered };
    case "raise":
      return onLive(found, () => ({
        post: { events: raised(command), ...(command.limit === undefined ? {} : { limit: command.limit }) },
      }));
    case "suspend":
      return suspend(command, found);
    case "resume":
      return resume(command, found);
    case "terminate":
      return terminate(command, found);
    case "rewind":
      return rewind(command, found);
    case "purge":
      return purge(found);
  }
}

function start(command: StartCommand, found: Found | undefined): Decision {
  const decision = decideStart(found?.instance, command.name, command.policy);
  const remember = command.requestId === undefined ? {} : { remember: { requestId: command.requestId } };
  if (decision.kind === "begin") {
    const replacing = found !== undefined && isLive(found.instance.status);
    return {
      answer: {
        outcome: decision.outcome,
        executionId: command.executionId,
        run: (found?.instance.run ?? 0) + 1,
        generation: (found?.instance.generation ?? 0) + 1,
      },
      change: {
        ...(replacing ? { endRun: endByReplacement(command, found.instance) } : {}),
        beginRun: runBegin(command, replacing),
        ...remember,
      },
    };
  }
  if (found === undefined)
    throw new TypeError(`decideStart answered ${decision.kind} for an absent instance`);
  const { instance } = found;
  if (decision.kind === "refuse") {
    const holder = holderOf(instance);
    const answer: CommandAnswer = { outcome: "refused", reason: decision.reason, holder };
    if (command.parent === undefined) return { answer };
    return {
      answer,
      change: { answer: { to: command.parent, events: childRefused(command, answer.reason, holder) } },
    };
  }
  const accepted: StartAccepted = {
    outcome: decision.kind === "attach" ? "attached" : "returned",
    executionId: instance.executionId,
    run: instance.run,
    generation: instance.generation,
  };
  const tell = command.parent === undefined ? {} : tellParent(decision.kind, command.parent, found);
  const change = { ...tell, ...remember };
  return Object.keys(change).length === 0 ? { answer: accepted } : { answer: accepted, change };
}

/** A child that attaches waits like any other waiter; one that is returned is answered at once. */
function tellParent(
  kind: "attach" | "return",
  parent: ParentLink,
  found: Found,
): Pick<Change, "wait" | "answer"> {
  if (kind === "attach") return { wait: parent };
  const execution = found.execution();
  const status = found.instance.status;
  if (isLive(status)) throw new TypeError("only an ended instance can be returned");
  return {
    answer: {
      to: parent,
      events: answerEvents(execution.updatedAtMs, status, execution.output, execution.failure),
    },
  };
}

function runBegin(command: StartCommand, replacing: boolean): RunBegin {
  const started: IncomingEvent = { type: "ExecutionStarted", atMs: command.atMs };
  const waits = command.startAtMs !== undefined && command.startAtMs > command.atMs;
  return {
    // A replaced run was ended a statement ago in this transaction: its status is Terminated.
    over: replacing ? ["Terminated"] : replaceableStatuses(command.policy),
    name: command.name,
    ...(command.version === undefined ? {} : { version: command.version }),
    tags: command.tags,
    ...(command.input === undefined ? {} : { input: command.input }),
    executionId: command.executionId,
    ...(waits ? { startAtMs: command.startAtMs } : {}),
    ...(command.parent === undefined ? {} : { parent: command.parent }),
    events: encodeChunk([started]),
  };
}

function endByReplacement(command: StartCommand, instance: Instance): RunEnd {
  const reason = `Replaced by a new start of ${command.name} (execution ${command.executionId})`;
  return terminated(instance, command.atMs, reason, JSON.stringify(reason), true);
}

function terminate(command: TerminateCommand, found: Found | undefined): Decision {
  const child = command.onlyChildOf;
  if (child !== undefined) {
    const parent = found?.instance.parent;
    if (parent?.iid !== child.iid || parent.run !== child.run) return { answer: { outcome: "notFound" } };
  }
  return onLive(found, (instance) => ({
    endRun: terminated(instance, command.atMs, command.reason, command.output, command.recurse),
  }));
}

function terminated(
  instance: Instance,
  atMs: number,
  reason: string | undefined,
  output: Payload | undefined,
  recurse: boolean,
): RunEnd {
  const failure: Failure = {
    type: "OrchestrationTerminated",
    message: `Instance '${instance.instanceId}' was terminated${reason === undefined ? "" : `: ${reason}`}`,
    nonRetriable: true,
  };
  return {
    status: "Terminated",
    ...(output === undefined ? {} : { output }),
    chunk: encodeChunk([
      { type: "ExecutionTerminated", atMs, recurse, ...(reason === undefined ? {} : { reason }) },
      { type: "ExecutionCompleted", atMs, status: "Terminated" },
    ]),
    answer: answerEvents(atMs, "Terminated", undefined, failure),
    ...(recurse
      ? {
          terminateChildren: encodeRequest({
            kind: "terminate",
            recurse: true,
            reason: `Its parent '${instance.instanceId}' was ended`,
            onlyChildOf: { iid: instance.iid, run: instance.run },
          }),
        }
      : {}),
  };
}

function suspend(command: SuspendCommand, found: Found | undefined): Decision {
  if (found?.instance.suspended === true && isLive(found.instance.status)) return unchanged(found.instance);
  return onLive(found, () => ({
    post: {
      suspended: true,
      events: encodeChunk([{ type: "ExecutionSuspended", atMs: command.atMs, ...reasonOf(command) }]),
    },
  }));
}

/** Also for an instance that is not suspended: a resume asks a parked one to try again. */
function resume(command: ResumeCommand, found: Found | undefined): Decision {
  if (found !== undefined && isLive(found.instance.status)) {
    if (!found.instance.suspended && found.instance.parked === undefined) return unchanged(found.instance);
  }
  return onLive(found, () => ({
    post: {
      suspended: false,
      events: encodeChunk([{ type: "ExecutionResumed", atMs: command.atMs, ...reasonOf(command) }]),
    },
  }));
}

function rewind(command: RewindCommand, found: Found | undefined): Decision {
  const isAsRead =
    found?.instance.status === "Failed" && found.instance.executionId === command.expectedExecutionId;
  if (!isAsRead && command.orElse !== undefined) return start(command.orElse, found);
  if (found === undefined) return { answer: { outcome: "notFound" } };
  const { instance } = found;
  if (instance.status !== "Failed" || instance.executionId !== command.expectedExecutionId) {
    return { answer: { outcome: "invalidState", runtimeStatus: runtimeStatusOf(instance), needs: "Failed" } };
  }
  return { answer: { outcome: "done", runtimeStatus: "Pending" }, change: { rewind: command } };
}

function purge(found: Found | undefined): Decision {
  if (found === undefined) return { answer: { outcome: "notFound" } };
  const runtimeStatus = runtimeStatusOf(found.instance);
  if (isLive(found.instance.status)) {
    return {
      answer: { outcome: "invalidState", runtimeStatus, needs: "Completed, Failed, Terminated or Canceled" },
    };
  }
  return { answer: { outcome: "purged", children: [] }, change: { purge: true } };
}

function onLive(found: Found | undefined, change: (instance: Instance) => Change): Decision {
  if (found === undefined) return { answer: { outcome: "notFound" } };
  const { instance } = found;
  if (!isLive(instance.status)) return { answer: { outcome: "ended", runtimeStatus: instance.status } };
  return { answer: { outcome: "done", runtimeStatus: runtimeStatusOf(instance) }, change: change(instance) };
}

function unchanged(instance: Instance): Decision {
  return { answer: { outcome: "done", runtimeStatus: runtimeStatusOf(instance) } };
}

function raised(command: RaiseCommand): Chunk {
  return encodeChunk([
    {
      type: "EventRaised",
      atMs: command.atMs,
      name: command.name,
      ...(command.input === undefined ? {} : { input: command.input }),
    },
  ]);
}

function childRefused(command: StartCommand, reason: "held" | "used" | "otherName", holder: Holder): Chunk {
  const why =
    reason === "otherName"
      ? `The ID '${holder.instanceId}' belongs to orchestrator ${holder.name}, not ${command.name}`
      : undefined;
  return encodeChunk([
    {
      type: "SubOrchestrationInstanceFailed",
      atMs: command.atMs,
      taskScheduledId: command.parent?.task ?? -1,
      failure: { ...describeFailure(new InstanceHeldError(holder, why)), stack: "" },
    },
  ]);
}

/** What waiters of an ended run are told. */
export function answerEvents(
  atMs: number,
  status: EndedStatus,
  output: Payload | undefined,
  failure: Failure | undefined,
): Chunk {
  if (status === "Completed") {
    return encodeChunk([
      {
        type: "SubOrchestrationInstanceCompleted",
        atMs,
        taskScheduledId: -1,
        ...(output === undefined ? {} : { result: output }),
      },
    ]);
  }
  return encodeChunk([
    {
      type: "SubOrchestrationInstanceFailed",
      atMs,
      taskScheduledId: -1,
      failure: failure ?? { type: "OrchestrationTerminated", message: `The orchestration is ${status}` },
    },
  ]);
}

function reasonOf(command: { readonly reason?: string }): { reason?: string } {
  return command.reason === undefined ? {} : { reason: command.reason };
}
