import type { Action } from "./action.js";
import { answerEvents, type OutboundRequest, type RunEnd, type TimerRow } from "./command.js";
import { LimitExceededError } from "./errors.js";
import type { TurnOutcome } from "./executor.js";
import { describeFailure } from "./failure.js";
import {
  type ActionEvent,
  type HistoryEvent,
  type IncomingEvent,
  MAX_HISTORY_EVENTS,
  MAX_HISTORY_LENGTH,
  MAX_PENDING_TASKS,
} from "./history.js";
import { encodeChunk } from "./history-codec.js";
import type { Execution, Instance } from "./instance.js";
import { encodeRequest } from "./request.js";
import { KEPT_GENERATIONS } from "./retention.js";
import type { TurnCommit } from "./store.js";
import type { QueuedActivity } from "./task.js";

/** An activity that an orchestration waits for. */
export interface OpenActivity {
  readonly task: number;
  readonly name: string;
  readonly input?: string;
  /** The queue that it waits on, or runs from: not this worker's to start. */
  readonly queue?: string;
}

/** What a turn begins from: the committed state of one instance. */
export interface TurnState {
  readonly instance: Instance;
  readonly execution: Execution;
  readonly openActivities: ReadonlyMap<number, OpenActivity>;
  /** Timers and sub-orchestrations that have not answered. */
  readonly otherOpenTasks: number;
  /** Events and text recorded in this generation so far. */
  readonly historyEvents: number;
  readonly historyLength: number;
  /** The highest mail counter whose message this turn, or an earlier one, has taken in. */
  readonly mailSeen: number;
}

/** What a turn took in. */
export interface TurnInput {
  readonly atMs: number;
  readonly events: readonly IncomingEvent[];
  /** The messages that brought some of the events. */
  readonly consumed: readonly number[];
  /** The timers whose firing is among the events. */
  readonly firedTimers: readonly number[];
}

/** Who commits, and with which commit of theirs. */
export interface Writer {
  readonly id: string;
  readonly commitNumber: number;
  /** The next generation's execution ID. Needed where the turn continues as new. */
  readonly nextExecutionId?: string;
}

/** A turn's commit, and what follows once it is durable. */
export interface AppliedTurn {
  readonly commit: TurnCommit;
  /** To be started after the commit was accepted, and not before. */
  readonly scheduled: readonly OpenActivity[];
  /** Activities whose results this turn took in. */
  readonly closed: readonly number[];
  readonly after: Pick<TurnState, "otherOpenTasks" | "historyEvents" | "historyLength">;
}

/**
 * Turns what an orchestrator did into everything that this causes, as one commit: history, status,
 * timers, activities, messages. Pure: nothing of it happens before, or beside, the commit.
 */
export function applyTurn(
  state: TurnState,
  input: TurnInput,
  outcome: TurnOutcome,
  writer: Writer,
): AppliedTurn {
  if (outcome.kind === "parked") return parkedTurn(state, input, outcome, writer);
  const applied = recordTurn(state, input, outcome, writer);
  const broken = brokenLimit(state.instance, applied);
  if (broken === undefined) return applied;
  const failure = { ...describeFailure(broken), nonRetriable: true };
  return recordTurn(state, input, { kind: "failed", actions: [], failure }, writer);
}

type ActivityResult = { readonly type: "TaskCompleted" | "TaskFailed" };

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

type RecordedOutcome = Exclude<TurnOutcome, { kind: "parked" }>;

function recordTurn(
  state: TurnState,
  input: TurnInput,
  outcome: RecordedOutcome,
  writer: Writer,
): AppliedTurn {
  const { instance } = state;
  const ends = outcome.kind === "completed" || outcome.kind === "failed";
  const goesOn = outcome.kind === "waiting";
  const events = withoutLateResults(state, input.events);
  const closed = events.filter(isActivityResult).map(({ taskScheduledId }) => taskScheduledId);
  let otherOpenTasks = state.otherOpenTasks - events.filter(answersOther).length;
  let timers: Map<number, TimerRow> | undefined; // most turns set none
  const cleared: number[] = [];
  const requests: OutboundRequest[] = [];
  const scheduled: OpenActivity[] = [];
  const recorded: HistoryEvent[] = [{ type: "OrchestratorStarted", atMs: input.atMs }, ...events];
  for (const action of outcome.actions) {
    const event = eventOf(action, input.atMs);
    if (event !== undefined) recorded.push(event);
    switch (action.type) {
      case "ScheduleTask":
        scheduled.push(openActivityOf(action));
        break;
      case "CreateTimer":
        timers ??= new Map();
        timers.set(action.id, { task: action.id, dueMs: action.fireAtMs });
        otherOpenTasks += 1;
        break;
      case "CancelTimer":
        if (timers?.delete(action.timerId) !== true) cleared.push(action.timerId);
        otherOpenTasks -= 1;
        break;
      case "CreateSubOrchestration":
        requests.push(childRequest(instance, action, input.atMs));
        if (!action.detached) otherOpenTasks += 1;
        break;
      case "SendEvent":
        requests.push(eventRequest(instance, action));
        break;
    }
  }
  if (!goesOn) recorded.push({ type: "ExecutionCompleted", atMs: input.atMs, status: completionOf(outcome) });
  const started = goesOn ? scheduled : [];
  const chunk = encodeChunk(recorded);
  const end = runEnd(outcome, input.atMs);
  // Assigned member by member: of all that a turn costs here, spreading options was the most.
  const commit: Mutable<TurnCommit> = emptyCommit(instance, input.atMs, writer);
  commit.consumed = input.consumed;
  commit.chunk = chunk;
  commit.activities = goesOn ? state.openActivities.size - closed.length + started.length : 0;
  if (goesOn && timers !== undefined && timers.size > 0) commit.timersSet = [...timers.values()];
  const queued = started.filter(isQueued);
  if (queued.length > 0) commit.queued = queued;
  commit.timersCleared = cleared;
  if (input.firedTimers.length > 0) commit.timersFired = input.firedTimers;
  commit.requests = requests;
  if (instance.status === "Pending" && !ends) commit.status = "Running";
  if (instance.parked !== undefined) commit.parked = null;
  if ("customStatus" in outcome && outcome.customStatus !== undefined)
    commit.customStatus = outcome.customStatus;
  if (end !== undefined) {
    commit.end = end;
    commit.status = end.status;
    commit.mail = state.mailSeen;
  }
  if (outcome.kind === "continuedAsNew") commit.next = nextGeneration(state, input, outcome, writer);
  return {
    commit,
    scheduled: started,
    closed,
    after: {
      otherOpenTasks,
      historyEvents: state.historyEvents + recorded.length,
      historyLength: state.historyLength + chunk.length,
    },
  };
}

/** Nothing is recorded but why it stands: the messages stay, and the history is untouched. */
function parkedTurn(
  state: TurnState,
  { atMs }: TurnInput,
  outcome: TurnOutcome & { readonly kind: "parked" },
  writer: Writer,
): AppliedTurn {
  return {
    commit: parkCommit(state.instance, outcome, atMs, writer),
    scheduled: [],
    closed: [],
    after: state,
  };
}

/** A commit that only says why an instance stands still. */
export function parkCommit(
  instance: Instance,
  { code, message }: { readonly code: string; readonly message: string },
  atMs: number,
  writer: Writer,
): TurnCommit {
  return {
    ...emptyCommit(instance, atMs, writer),
    parked: { code, message, sinceMs: instance.parked?.sinceMs ?? atMs },
  };
}

/** A commit that only draws a new fencing token, before this worker starts what another had begun. */
export function adoptionCommit(instance: Instance, atMs: number, writer: Writer): TurnCommit {
  return { ...emptyCommit(instance, atMs, writer), raiseToken: true };
}

function emptyCommit(instance: Instance, atMs: number, writer: Writer): TurnCommit {
  return {
    iid: instance.iid,
    instanceId: instance.instanceId,
    executionId: instance.executionId,
    generation: instance.generation,
    sequence: instance.sequence,
    writer: writer.id,
    commitNumber: writer.commitNumber,
    atMs,
    consumed: [],
    activities: instance.activities,
    timersSet: [],
    timersCleared: [],
    requests: [],
  };
}

/** A task has one result: an owner that stood still may send its own when another one's is there. */
function withoutLateResults(state: TurnState, events: readonly IncomingEvent[]): readonly IncomingEvent[] {
  const answered = new Set<number>();
  return events.filter((event) => {
    if (!isActivityResult(event)) return true;
    const { taskScheduledId: task } = event;
    if (!state.openActivities.has(task) || answered.has(task)) return false;
    answered.add(task);
    return true;
  });
}

function isActivityResult(event: IncomingEvent): event is Extract<IncomingEvent, ActivityResult> {
  return event.type === "TaskCompleted" || event.type === "TaskFailed";
}

/** Whether it answers a timer or a sub-orchestration. */
function answersOther({ type }: IncomingEvent): boolean {
  return (
    type === "SubOrchestrationInstanceCompleted" ||
    type === "SubOrchestrationInstanceFailed" ||
    type === "TimerFired"
  );
}

/** The history event that records an action; none for what only withdraws. */
export function eventOf(action: Action, atMs: number): ActionEvent | undefined {
  switch (action.type) {
    case "ScheduleTask":
      return {
        type: "TaskScheduled",
        atMs,
        id: action.id,
        name: action.name,
        ...inputOf(action),
        ...(action.queue === undefined ? {} : { queue: action.queue }),
      };
    case "CreateTimer":
      return { type: "TimerCreated", atMs, id: action.id, fireAtMs: action.fireAtMs };
    case "CreateSubOrchestration":
      return {
        type: "SubOrchestrationInstanceCreated",
        atMs,
        id: action.id,
        name: action.name,
        instanceId: action.instanceId,
        ...inputOf(action),
        ...(action.detached ? { detached: true } : {}),
        ...(action.tags === undefined ? {} : { tags: action.tags }),
        ...(action.version === undefined ? {} : { version: action.version }),
      };
    case "SendEvent":
      return {
        type: "EventSent",
        atMs,
        id: action.id,
        instanceId: action.instanceId,
        name: action.name,
        ...inputOf(action),
      };
    case "CancelTimer":
      return undefined;
  }
}

/** The tasks that a history leaves open: what a new owner must see to. */
export function openTasksOf(
  history: readonly HistoryEvent[],
): Pick<TurnState, "openActivities" | "otherOpenTasks"> {
  const openActivities = new Map<number, OpenActivity>();
  const others = new Set<number>();
  for (const event of history) {
    switch (event.type) {
      case "TaskScheduled":
        openActivities.set(event.id, {
          task: event.id,
          name: event.name,
          ...inputOf(event),
          ...(event.queue === undefined ? {} : { queue: event.queue }),
        });
        break;
      case "TaskCompleted":
      case "TaskFailed":
        openActivities.delete(event.taskScheduledId);
        break;
      case "TimerCreated":
        others.add(event.id);
        break;
      case "SubOrchestrationInstanceCreated":
        if (event.detached !== true) others.add(event.id);
        break;
      case "TimerFired":
        others.delete(event.timerId);
        break;
      case "SubOrchestrationInstanceCompleted":
      case "SubOrchestrationInstanceFailed":
        others.delete(event.taskScheduledId);
        break;
      default:
        break;
    }
  }
  return { openActivities, otherOpenTasks: others.size };
}

function openActivityOf(action: Action & { readonly type: "ScheduleTask" }): OpenActivity {
  return {
    task: action.id,
    name: action.name,
    ...inputOf(action),
    ...(action.queue === undefined ? {} : { queue: action.queue }),
  };
}

function isQueued(activity: OpenActivity): activity is QueuedActivity {
  return activity.queue !== undefined;
}

function childRequest(
  instance: Instance,
  action: Action & { readonly type: "CreateSubOrchestration" },
  atMs: number,
): OutboundRequest {
  return {
    instanceId: action.instanceId,
    deduplicationKey: `${instance.executionId}:${action.id}`,
    startsChild: !action.detached,
    body: encodeRequest({
      kind: "start",
      name: action.name,
      tags: action.tags ?? {},
      policy: action.policy,
      ...inputOf(action),
      ...(action.version === undefined ? {} : { version: action.version }),
      ...(action.startAtMs === undefined || action.startAtMs <= atMs ? {} : { startAtMs: action.startAtMs }),
      ...(action.detached
        ? {}
        : {
            parent: {
              iid: instance.iid,
              run: instance.run,
              generation: instance.generation,
              task: action.id,
              instanceId: instance.instanceId,
              executionId: instance.executionId,
              name: instance.name,
            },
          }),
    }),
  };
}

function eventRequest(instance: Instance, action: Action & { readonly type: "SendEvent" }): OutboundRequest {
  return {
    instanceId: action.instanceId,
    deduplicationKey: `${instance.executionId}:${action.id}`,
    startsChild: false,
    body: encodeRequest({ kind: "raise", name: action.name, ...inputOf(action) }),
  };
}

function runEnd(outcome: RecordedOutcome, atMs: number): RunEnd | undefined {
  switch (outcome.kind) {
    case "waiting":
    case "continuedAsNew":
      return undefined;
    case "completed":
      return {
        status: "Completed",
        answer: answerEvents(atMs, "Completed", outcome.output, undefined),
        ...(outcome.output === undefined ? {} : { output: outcome.output }),
      };
    case "failed":
      return {
        status: "Failed",
        failure: outcome.failure,
        answer: answerEvents(atMs, "Failed", undefined, outcome.failure),
      };
  }
}

function completionOf(outcome: RecordedOutcome): "Completed" | "Failed" | "ContinuedAsNew" {
  switch (outcome.kind) {
    case "completed":
      return "Completed";
    case "failed":
      return "Failed";
    case "continuedAsNew":
      return "ContinuedAsNew";
    case "waiting":
      throw new TypeError("a turn that goes on has no completion");
  }
}

function nextGeneration(
  state: TurnState,
  input: TurnInput,
  outcome: RecordedOutcome & { readonly kind: "continuedAsNew" },
  writer: Writer,
) {
  const version = outcome.version ?? state.execution.version;
  if (writer.nextExecutionId === undefined) throw new TypeError("continue-as-new needs an execution ID");
  // A suspended instance begins suspended: its code must not see even its start before the resume.
  const suspension = outcome.carryover.filter((event) => event.type === "ExecutionSuspended");
  const events = outcome.carryover.filter((event) => event.type !== "ExecutionSuspended");
  const started: IncomingEvent = { type: "ExecutionStarted", atMs: input.atMs };
  return {
    executionId: writer.nextExecutionId,
    events: encodeChunk([...suspension, started, ...events]),
    keepExecutions: KEPT_GENERATIONS,
    ...(outcome.input === undefined ? {} : { input: outcome.input }),
    ...(version === undefined ? {} : { version }),
  };
}

function brokenLimit(
  instance: Instance,
  { commit, after: state }: AppliedTurn,
): LimitExceededError | undefined {
  const what = `instance '${instance.instanceId}'`;
  if (state.historyEvents > MAX_HISTORY_EVENTS) {
    return new LimitExceededError("history events", MAX_HISTORY_EVENTS, state.historyEvents, what);
  }
  if (state.historyLength > MAX_HISTORY_LENGTH) {
    return new LimitExceededError("history size", MAX_HISTORY_LENGTH, state.historyLength, what);
  }
  const pending = commit.activities + state.otherOpenTasks;
  if (pending > MAX_PENDING_TASKS)
    return new LimitExceededError("pending tasks", MAX_PENDING_TASKS, pending, what);
  return undefined;
}

function inputOf(holder: { readonly input?: string }): { readonly input?: string } | undefined {
  return holder.input === undefined ? undefined : { input: holder.input };
}
