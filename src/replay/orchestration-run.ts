import type { Action } from "../core/action.js";
import type { Env, Logger } from "../core/env.js";
import {
  ContextMisuseError,
  ForeignAwaitError,
  NonDeterminismError,
  TaskFailedError,
  type TenureError,
  TimerCanceledError,
} from "../core/errors.js";
import type { TurnOutcome } from "../core/executor.js";
import { describeFailure, type Failure } from "../core/failure.js";
import type { ActionEvent, HistoryEvent, IncomingEvent } from "../core/history.js";
import type { Execution, Instance, Tags } from "../core/instance.js";
import { decodeValue, encodeValue, type Payload, type PayloadCodec } from "../core/payload.js";
import { reviveError } from "../core/revive.js";
import type { StartPolicy } from "../core/start-policy.js";
import { eventOf } from "../core/turn.js";
import type { OrchestratorFunction } from "./definitions.js";
import { drive } from "./drive.js";
import { KeptEvents } from "./kept-events.js";
import { OrchestrationContext } from "./orchestration-context.js";
import { CancelableTask, Task, type TaskScope } from "./task.js";

/** What a run needs from its surroundings. */
export interface RunParts {
  readonly orchestrator: OrchestratorFunction;
  readonly execution: Execution;
  readonly env: Env;
  readonly codec: PayloadCodec;
  readonly logger: Logger;
}

interface EventWait {
  readonly key: string;
  readonly task: CancelableTask<unknown>;
}

interface OpenTask {
  readonly task: Task<unknown>;
  /** What it calls, for errors. */
  readonly name: string;
}

interface ChildStart {
  readonly name: string;
  readonly input: Payload | undefined;
  readonly instanceId: string | undefined;
  readonly policy: StartPolicy;
  readonly version: string | undefined;
  readonly tags: Tags | undefined;
}

type Settled =
  | { readonly kind: "returned"; readonly output: unknown }
  | { readonly kind: "threw"; readonly error: unknown };

/** Between deliveries, a long turn lets other work of the process run this often. */
const YIELD_AFTER_MS = 5;

/** The last moment that a Date can hold. */
const MAX_DATE_MS = 8.64e15;

/** How many deliveries go by between looks at the clock. */
const DELIVERIES_PER_CLOCK_LOOK = 64;

/**
 * One execution of an orchestrator function, driven event by event: deliver one, let every
 * continuation run, deliver the next, in the order of the history. Live turns and replay take the
 * same road, so that what the function sees cannot depend on how events were batched.
 */
export class OrchestrationRun implements TaskScope {
  /** The time of the current turn. */
  atMs = 0;
  isReplaying = false;

  readonly #parts: RunParts;
  readonly #context: OrchestrationContext;
  // Many instances wait, and most for one thing: what most do not need is made when it is needed.
  /** Open tasks, and what they call, by the ID of their action. */
  #open: Map<number, OpenTask> | undefined;
  /** Waits for external events, first come first served, by lower-cased name. */
  #waits: EventWait[] | undefined;
  /** External events that no wait has taken. */
  #untaken: KeptEvents | undefined;
  /** How many pending tasks something awaits. */
  #awaited = 0;
  /** What came in while suspended; delivered, in order, at the resume. */
  #held: IncomingEvent[] | undefined;
  #suspended = false;
  /** What came in after the function had ended: external events among it go to the next generation. */
  #late: IncomingEvent[] | undefined;
  #actions: Action[] = [];
  #nextActionId = 0;
  #guids = 0;
  #firstExecutionId: string | undefined;
  #customStatus: Payload | null | undefined;
  #continuation: { readonly input: Payload | undefined; readonly version: string | undefined } | undefined;
  #started = false;
  #settled: Settled | undefined;
  #turnOpen = false;
  #fault: TenureError | undefined;

  /** @param instance as it is at the first turn; it is not kept, because each turn makes a new one. */
  constructor(instance: Instance, parts: RunParts) {
    this.#parts = parts;
    this.#context = new OrchestrationContext(this, instance, parts.execution, parts.codec);
  }

  /** Runs the committed turns again. @returns why it cannot go on, if it cannot. */
  async replay(history: readonly HistoryEvent[]): Promise<TurnOutcome | undefined> {
    this.isReplaying = true;
    for (const turn of turnsOf(history)) {
      await this.#deliverTurn(turn.atMs, turn.events);
      this.#compare(turn.actions);
      const parked = this.#parkedOutcome();
      if (parked !== undefined) return parked;
      if (this.#settled !== undefined) {
        return parkedBy(
          new NonDeterminismError("more turns", "end the function", `the turn of ${isoTime(turn.atMs)}`),
        );
      }
      this.#actions = [];
      this.#customStatus = undefined;
    }
    return undefined;
  }

  /** Runs one new turn. */
  async turn(atMs: number, events: readonly IncomingEvent[]): Promise<TurnOutcome> {
    this.isReplaying = false;
    await this.#deliverTurn(atMs, events);
    return this.#parkedOutcome() ?? this.#outcome();
  }

  scheduleActivity(name: string, input: Payload | undefined, queue?: string): Task<unknown> {
    return this.#openTask(name, (id) => ({
      type: "ScheduleTask",
      id,
      name,
      ...inputOf(input),
      ...(queue === undefined ? {} : { queue }),
    }));
  }

  createChild({ name, input, instanceId, policy, version, tags }: ChildStart): Task<unknown> {
    return this.#openTask(name, (id) => ({
      type: "CreateSubOrchestration",
      id,
      name,
      instanceId: instanceId ?? this.#derivedId(id),
      policy,
      detached: false,
      ...inputOf(input),
      ...(version === undefined ? {} : { version }),
      ...(tags === undefined ? {} : { tags }),
    }));
  }

  startDetached(start: ChildStart & { readonly startAtMs: number | undefined }): string {
    const id = this.#nextId("startNew");
    const instanceId = start.instanceId ?? this.#derivedId(id);
    this.#actions.push({
      type: "CreateSubOrchestration",
      id,
      name: start.name,
      instanceId,
      policy: start.policy,
      detached: true,
      ...inputOf(start.input),
      ...(start.version === undefined ? {} : { version: start.version }),
      ...(start.tags === undefined ? {} : { tags: start.tags }),
      ...(start.startAtMs === undefined ? {} : { startAtMs: start.startAtMs }),
    });
    return instanceId;
  }

  createTimer(atMs: number): CancelableTask<void> {
    // Whole milliseconds within the range of dates: a timer is never early, and "for ever" has an end, too.
    const fireAtMs = Math.min(Math.ceil(atMs), MAX_DATE_MS);
    const id = this.#nextId("createTimer");
    const timer = new CancelableTask<void>(this, () => {
      this.#checkTurn("timer.cancel");
      this.#open?.delete(id);
      this.#actions.push({ type: "CancelTimer", timerId: id });
      timer.fail(new TimerCanceledError(id));
    });
    this.#openTasks().set(id, { task: timer, name: "timer" });
    this.#actions.push({ type: "CreateTimer", id, fireAtMs });
    return timer;
  }

  waitForEvent(name: string): CancelableTask<unknown> {
    this.#checkTurn("waitForExternalEvent");
    const key = name.toLowerCase();
    const wait = new CancelableTask<unknown>(this, () => {
      this.#waits = this.#waits?.filter((other) => other.task !== wait);
      wait.fail(
        new ContextMisuseError(`The wait for event "${name}" was cancelled. Do not await it after cancel().`),
      );
    });
    const kept = this.#untaken?.take(key);
    if (kept === undefined) this.#waits = append(this.#waits, { key, task: wait });
    else wait.complete(this.#decode(kept.input));
    return wait;
  }

  sendEvent(instanceId: string, name: string, input: Payload | undefined): void {
    const id = this.#nextId("sendEvent");
    this.#actions.push({ type: "SendEvent", id, instanceId, name, ...inputOf(input) });
  }

  continueAsNew(input: Payload | undefined, version: string | undefined): void {
    this.#checkTurn("continueAsNew");
    this.#continuation = { input, version };
  }

  setCustomStatus(status: Payload | null): void {
    this.#checkTurn("setCustomStatus");
    this.#customStatus = status;
  }

  /** An RFC 9562 UUIDv5 over what replay repeats: execution, turn time and a counter. */
  newGuid(): string {
    this.#checkTurn("newGuid");
    // After a rewind, the turns that stand must give the values that they gave.
    const name = `${this.#firstExecutionId ?? this.#parts.execution.executionId}_${isoTime(this.atMs)}_${this.#guids++}`;
    const hex = this.#parts.env.hash("sha1", `9e952958-5e33-4daf-827f-2fa12937b875${name}`);
    const variant = ((Number.parseInt(hex.slice(16, 18), 16) & 0x3f) | 0x80).toString(16);
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variant}${hex.slice(18, 20)}-${hex.slice(20, 32)}`;
  }

  countAwaited(change: 1 | -1): void {
    this.#awaited += change;
  }

  async #deliverTurn(atMs: number, events: readonly IncomingEvent[]): Promise<void> {
    this.atMs = Math.max(atMs, this.atMs);
    this.#turnOpen = true;
    const { env } = this.#parts;
    let lastYieldMs = env.monotonicMs();
    let deliveries = 0;
    for (const event of events) {
      await this.#deliver(event);
      if (++deliveries % DELIVERIES_PER_CLOCK_LOOK !== 0 || env.monotonicMs() - lastYieldMs < YIELD_AFTER_MS)
        continue;
      await env.yieldNow();
      lastYieldMs = env.monotonicMs();
    }
    this.#checkParkedOnOwnTasks();
    this.#turnOpen = false;
  }

  async #deliver(event: IncomingEvent): Promise<void> {
    if (this.#settled !== undefined) {
      this.#late = append(this.#late, event);
      return;
    }
    if (event.type === "ExecutionResumed") return this.#resume();
    if (event.type === "ExecutionSuspended") {
      this.#suspended = true;
      return;
    }
    if (this.#suspended) {
      this.#held = append(this.#held, event);
      return;
    }
    if (this.#take(event)) await this.#parts.env.drain();
  }

  async #resume(): Promise<void> {
    this.#suspended = false;
    const held = this.#held;
    this.#held = undefined;
    for (const event of held ?? []) await this.#deliver(event);
  }

  /** @returns whether any code may have become ready to run. */
  #take(event: IncomingEvent): boolean {
    switch (event.type) {
      case "ExecutionStarted":
        this.#firstExecutionId = event.firstExecutionId;
        this.#start();
        return true;
      case "TaskCompleted":
      case "SubOrchestrationInstanceCompleted":
        return this.#answer(event.taskScheduledId, ({ task }) => task.complete(this.#decode(event.result)));
      case "TaskFailed":
      case "SubOrchestrationInstanceFailed":
        return this.#answer(event.taskScheduledId, ({ task, name }) => task.fail(taskError(name, event)));
      case "TimerFired":
        return this.#answer(event.timerId, ({ task }) => task.complete(undefined));
      case "EventRaised":
        return this.#raise(event);
      case "ExecutionSuspended":
      case "ExecutionResumed":
      case "ExecutionTerminated":
      case "ExecutionRewound":
        return false;
    }
  }

  #start(): void {
    if (this.#started) return;
    this.#started = true;
    const { orchestrator, execution } = this.#parts;
    // The function checked its input's type where it was written; here it is what was stored.
    const input: unknown = this.#decode(execution.input);
    try {
      const returned: unknown = Reflect.apply(orchestrator, undefined, [this.#context, input]);
      drive(returned, (error) => {
        this.#fault ??= error;
      }).then(
        (output) => this.#finish({ kind: "returned", output }),
        (error: unknown) => this.#finish({ kind: "threw", error }),
      );
    } catch (error) {
      this.#finish({ kind: "threw", error }); // a function that is not async, or its first steps
    }
  }

  #finish(settled: Settled): void {
    if (!this.#turnOpen) this.#fault ??= new ForeignAwaitError(this.#parts.execution.name);
    this.#settled = settled;
  }

  #answer(id: number, settle: (open: OpenTask) => void): boolean {
    const open = this.#open?.get(id);
    if (open === undefined) return false; // answered before, or a timer that was cancelled
    this.#open?.delete(id);
    if (this.#open?.size === 0) this.#open = undefined;
    settle(open);
    return true;
  }

  #raise(event: IncomingEvent & { readonly type: "EventRaised" }): boolean {
    const key = event.name.toLowerCase();
    const wait = takeFirst(this.#waits, (each) => each.key === key);
    if (wait === undefined) {
      this.#untaken ??= new KeptEvents();
      this.#untaken.add(event);
      return false;
    }
    wait.task.complete(this.#decode(event.input));
    return true;
  }

  #openTask(name: string, action: (id: number) => Action): Task<unknown> {
    const id = this.#nextId(`call of "${name}"`);
    const task = new Task<unknown>(this);
    this.#openTasks().set(id, { task, name });
    this.#actions.push(action(id));
    return task;
  }

  #openTasks(): Map<number, OpenTask> {
    this.#open ??= new Map();
    return this.#open;
  }

  #nextId(what: string): number {
    this.#checkTurn(what);
    return this.#nextActionId++;
  }

  #derivedId(action: number): string {
    return `${this.#parts.execution.executionId}:${action}`;
  }

  /** Outside a turn nothing can be recorded: code that got here awaited something foreign. */
  #checkTurn(what: string): void {
    if (this.#turnOpen && this.#settled === undefined) return;
    const error = new ContextMisuseError(
      `The context of '${this.#context.instanceId}' was used (${what}) ` +
        `${this.#settled === undefined ? "outside a turn" : "after the orchestrator had ended"}. ` +
        "Await only what the context gives, and do not keep it beyond the function.",
    );
    if (this.#settled === undefined) this.#fault ??= error;
    throw error;
  }

  #checkParkedOnOwnTasks(): void {
    const waitsForNothing = this.#started && this.#settled === undefined && this.#awaited === 0;
    if (waitsForNothing && !this.#suspended)
      this.#fault ??= new ForeignAwaitError(this.#parts.execution.name);
  }

  /** The recorded actions of a turn, held against what the code did now. */
  #compare(recorded: readonly ActionEvent[]): void {
    const did = this.#actions.flatMap((action) => eventOf(action, this.atMs) ?? []);
    for (let index = 0; index < Math.max(recorded.length, did.length); index++) {
      const [expected, actual] = [describeAction(recorded[index]), describeAction(did[index])];
      if (expected === actual) continue;
      this.#fault = new NonDeterminismError(expected, actual, `the turn of ${isoTime(this.atMs)}`);
      return;
    }
  }

  #parkedOutcome(): TurnOutcome | undefined {
    return this.#fault === undefined ? undefined : parkedBy(this.#fault);
  }

  #outcome(): TurnOutcome {
    const actions = this.#actions;
    const customStatus = this.#customStatus;
    this.#actions = [];
    this.#customStatus = undefined;
    const shared = { actions, ...(customStatus === undefined ? {} : { customStatus }) };
    const settled = this.#settled;
    if (settled === undefined) return { kind: "waiting", ...shared };
    if (settled.kind === "threw")
      return { kind: "failed", ...shared, failure: describeFailure(settled.error) };
    if (this.#continuation !== undefined) {
      const { input, version } = this.#continuation;
      return {
        kind: "continuedAsNew",
        ...shared,
        carryover: this.#carryover(),
        ...inputOf(input),
        ...(version === undefined ? {} : { version }),
      };
    }
    return this.#completed(settled.output, shared);
  }

  #completed(
    output: unknown,
    shared: { readonly actions: readonly Action[]; readonly customStatus?: Payload | null },
  ): TurnOutcome {
    try {
      const what = `the output of orchestration "${this.#parts.execution.name}"`;
      const payload = encodeValue(this.#parts.codec, output, what);
      return { kind: "completed", ...shared, ...(payload === undefined ? {} : { output: payload }) };
    } catch (error) {
      return { kind: "failed", ...shared, failure: describeFailure(error) };
    }
  }

  /** What the next generation must still see: events nobody took, and what came after the function's end. */
  #carryover(): IncomingEvent[] {
    const late = this.#late ?? [];
    const events = late.filter((event) => event.type === "EventRaised");
    const pause = late.findLast(
      (event) => event.type === "ExecutionSuspended" || event.type === "ExecutionResumed",
    );
    const suspension = pause?.type === "ExecutionSuspended" ? [pause] : [];
    return [...suspension, ...(this.#untaken?.inOrder() ?? []), ...events];
  }

  #decode(payload: Payload | undefined): unknown {
    return decodeValue(this.#parts.codec, payload);
  }

  /** Logs once, not again in replay. */
  logger(): Logger {
    const { logger, execution } = this.#parts;
    const fields = {
      instanceId: this.#context.instanceId,
      executionId: execution.executionId,
      orchestration: execution.name,
    };
    const live =
      (level: keyof Logger): Logger["info"] =>
      (message, more) => {
        if (!this.isReplaying) logger[level](message, { ...fields, ...more });
      };
    return { debug: live("debug"), info: live("info"), warn: live("warn"), error: live("error") };
  }
}

interface RecordedTurn {
  readonly atMs: number;
  readonly events: IncomingEvent[];
  readonly actions: ActionEvent[];
}

function turnsOf(history: readonly HistoryEvent[]): RecordedTurn[] {
  const turns: RecordedTurn[] = [];
  for (const event of history) {
    const turn = turns.at(-1);
    switch (event.type) {
      case "OrchestratorStarted":
        turns.push({ atMs: event.atMs, events: [], actions: [] });
        break;
      case "TaskScheduled":
      case "SubOrchestrationInstanceCreated":
      case "TimerCreated":
      case "EventSent":
        turn?.actions.push(event);
        break;
      case "ExecutionCompleted":
        break;
      default:
        turn?.events.push(event);
    }
  }
  return turns;
}

/** What replay compares: kind, name and number. */
function describeAction(event: ActionEvent | undefined): string {
  if (event === undefined) return "nothing more";
  switch (event.type) {
    case "TaskScheduled":
      return `activity "${event.name}" as task ${event.id}`;
    case "SubOrchestrationInstanceCreated":
      return `${event.detached === true ? "start of" : "sub-orchestration"} "${event.name}" as task ${event.id}`;
    case "TimerCreated":
      return `a timer as task ${event.id}`;
    case "EventSent":
      return `event "${event.name}" to '${event.instanceId}' as task ${event.id}`;
  }
}

function taskError(
  name: string,
  { taskScheduledId, failure }: { readonly taskScheduledId: number; readonly failure: Failure },
): TaskFailedError {
  return new TaskFailedError(name, taskScheduledId, failure, reviveError(failure));
}

/** Adds to a list that is made with its first element. */
function append<T>(list: T[] | undefined, element: T): T[] {
  if (list === undefined) return [element];
  list.push(element);
  return list;
}

function takeFirst<T>(list: T[] | undefined, matches: (element: T) => boolean): T | undefined {
  const index = list?.findIndex(matches) ?? -1;
  return index < 0 ? undefined : list?.splice(index, 1)[0];
}

function parkedBy(error: TenureError): TurnOutcome {
  return { kind: "parked", code: error.code, message: error.message };
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

function inputOf(input: Payload | undefined): { readonly input?: Payload } {
  return input === undefined ? {} : { input };
}
