import type { Env } from "../core/env.js";
import type { ActivityOutcome, ActivityWorkItem, Executor } from "../core/executor.js";
import type { IncomingEvent } from "../core/history.js";
import type { Instance } from "../core/instance.js";
import type { Payload } from "../core/payload.js";
import type { OpenActivity } from "../core/turn.js";
import { FairQueue } from "./fair-queue.js";

/** The instance that an activity belongs to, as far as running it needs. */
export type ActivityInstance = ActivityWorkItem["instance"] & Pick<Instance, "fencingToken">;

/** Tells what came of an activity. Not called for one that was aborted. */
export type ActivityDone = (
  instance: ActivityInstance,
  activity: OpenActivity,
  outcome: ActivityOutcome,
) => void;

/**
 * An activity that runs, or waits for a place to run, in this process. It is the work item itself: an object made for
 * each run, with a getter of its own for the signal, would cost a hidden class each.
 */
export class ActivityCall implements ActivityWorkItem {
  readonly instance: ActivityInstance;
  readonly activity: OpenActivity;
  /** Who is told. */
  done: ActivityDone;
  /**
   * Whether this worker answers for it as the instance's owner. Otherwise it holds a task of it, whoever owns the
   * instance.
   */
  owned: boolean;
  started = false;
  #controller: AbortController | undefined;
  #aborted: Error | undefined;

  constructor(instance: ActivityInstance, activity: OpenActivity, done: ActivityDone, owned: boolean) {
    this.instance = instance;
    this.activity = activity;
    this.done = done;
    this.owned = owned;
  }

  get fencingToken(): number {
    return this.instance.fencingToken;
  }

  get task(): number {
    return this.activity.task;
  }

  get name(): string {
    return this.activity.name;
  }

  get input(): Payload | undefined {
    return this.activity.input;
  }

  get isAborted(): boolean {
    return this.#aborted !== undefined;
  }

  /** Made when first looked at: most activities never do, and it costs more than the call. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#aborted !== undefined) this.#controller.abort(this.#aborted);
    return this.#controller.signal;
  }

  abort(reason: Error): void {
    this.#aborted ??= reason;
    this.#controller?.abort(reason);
  }
}

/** Activities that share a limit: those of one name, or all whose names have none. */
interface Lane {
  readonly limit: number;
  readonly waiting: FairQueue<ActivityCall>;
  running: number;
}

/** After this long of starting activities, other work of the process gets its turn. */
const YIELD_AFTER_MS = 5;

/**
 * Runs activities, so many at a time in all and of each name; instances take turns, and those of one instance
 * start in the order in which they were scheduled.
 */
export class ActivityRunner {
  readonly #env: Env;
  readonly #executor: Executor;
  readonly #limit: number;
  readonly #calls = new Map<number, Map<number, ActivityCall>>();
  readonly #common: Lane = { limit: Number.POSITIVE_INFINITY, waiting: new FairQueue(), running: 0 };
  readonly #limited: ReadonlyMap<string, Lane>;
  /** They take turns, too. */
  readonly #lanes: Lane[];
  #running = 0;
  #starting = false;
  #started = 0;
  #yieldedMs = Number.NEGATIVE_INFINITY;
  #stopped = false;

  constructor(env: Env, executor: Executor, limit: number) {
    this.#env = env;
    this.#executor = executor;
    this.#limit = limit;
    this.#limited = new Map(
      [...(executor.maxConcurrent ?? [])].map(([name, most]) => [
        name,
        { limit: most, waiting: new FairQueue(), running: 0 },
      ]),
    );
    this.#lanes = [this.#common, ...this.#limited.values()];
  }

  /** How many run or wait to run. */
  get size(): number {
    return this.#running + this.#lanes.reduce((waiting, lane) => waiting + lane.waiting.size, 0);
  }

  /** How many more could begin at once: in all, and of a name that has a limit of its own. */
  room(name?: string): number {
    const room = this.#limit - this.size;
    const lane = name === undefined ? undefined : this.#limited.get(name);
    return lane === undefined ? room : Math.min(room, lane.limit - lane.running - lane.waiting.size);
  }

  /** Instances with activities in this process. */
  instances(): number[] {
    return [...this.#calls.keys()];
  }

  /** The IDs of those for whose activities this worker answers as their owner. */
  *ownedInstanceIds(): Iterable<string> {
    for (const calls of this.#calls.values()) {
      for (const { instance, owned } of calls.values()) {
        if (!owned) continue;
        yield instance.instanceId;
        break;
      }
    }
  }

  /** The calls of tasks that this worker holds. */
  heldTasks(): readonly ActivityCall[] {
    return [...this.#calls.values()].flatMap((calls) => [...calls.values()]).filter(({ owned }) => !owned);
  }

  /** Whether this activity runs here, or is about to. */
  has(iid: number, generation: number, task: number): boolean {
    return this.#calls.get(iid)?.get(task)?.instance.generation === generation;
  }

  /** Whether any activity of this instance is in this process as its owner's. */
  runsFor(iid: number): boolean {
    const calls = this.#calls.get(iid);
    return calls !== undefined && [...calls.values()].some(({ owned }) => owned);
  }

  /** Whether all activities of this instance that run here belong to this generation. */
  isOf(iid: number, generation: number): boolean {
    const calls = [...(this.#calls.get(iid)?.values() ?? [])];
    return calls.every((call) => call.instance.generation === generation);
  }

  /** Starts activities whose scheduling is durable. */
  start(
    instance: ActivityInstance,
    activities: readonly OpenActivity[],
    done: ActivityDone,
    owned: boolean,
  ): void {
    if (this.#stopped || activities.length === 0) return;
    const calls = this.#calls.get(instance.iid) ?? new Map<number, ActivityCall>();
    this.#calls.set(instance.iid, calls);
    for (const activity of activities) {
      const call = new ActivityCall(instance, activity, done, owned);
      calls.set(activity.task, call);
      this.#laneOf(call).waiting.push(instance.iid, call);
    }
    this.#startNext();
  }

  /** The results of this instance's activities can no longer be used. */
  abort(iid: number, reason: string): void {
    const calls = this.#calls.get(iid);
    if (calls === undefined) return;
    this.#calls.delete(iid);
    const error = new Error(reason);
    for (const call of calls.values()) call.abort(error);
  }

  /** The same for what this worker runs as the owner of some instances; returns how many. */
  abortOwned(isLost: (instance: ActivityInstance) => boolean, reason: string): number {
    const error = new Error(reason);
    const lost = this.#owned(isLost);
    for (const call of lost) {
      this.#remove(call);
      call.abort(error);
    }
    return lost.length;
  }

  /**
   * Gives up answering for activities of some instances as their owner. Those that have begun go on, as tasks that
   * this worker holds: {@link ActivityCall.done} may be changed at once. The others are not run here.
   */
  disown(isLost: (instance: ActivityInstance) => boolean): readonly ActivityCall[] {
    const lost = this.#owned(isLost);
    for (const call of lost) {
      call.owned = false;
      if (call.started) continue;
      this.#remove(call);
      call.abort(new Error("Another worker runs this activity."));
    }
    return lost;
  }

  /** Starts no more; what runs goes on. */
  stop(): void {
    this.#stopped = true;
    for (const lane of this.#lanes) {
      for (let call = lane.waiting.shift(); call !== undefined; call = lane.waiting.shift())
        this.#remove(call);
    }
  }

  abortAll(reason: string): void {
    for (const iid of this.instances()) this.abort(iid, reason);
  }

  #owned(isLost: (instance: ActivityInstance) => boolean): readonly ActivityCall[] {
    const lost: ActivityCall[] = [];
    for (const calls of this.#calls.values()) {
      for (const call of calls.values()) {
        if (call.owned && isLost(call.instance)) lost.push(call);
      }
    }
    return lost;
  }

  #laneOf({ activity }: ActivityCall): Lane {
    return this.#limited.get(activity.name) ?? this.#common;
  }

  #startNext(): void {
    if (this.#starting) return;
    this.#starting = true;
    this.#env.spawn("starting activities", () => this.#startWaiting());
  }

  async #startWaiting(): Promise<void> {
    while (this.#running < this.#limit) {
      const call = this.#nextCall();
      if (call === undefined) break;
      this.#running += 1;
      this.#laneOf(call).running += 1;
      call.started = true;
      this.#env.spawn(`activity "${call.activity.name}"`, () => this.#run(call));
      // Counted across calls: activities that settle at once start one another, and nothing else would get its turn.
      if (++this.#started % 64 !== 0 || this.#env.monotonicMs() - this.#yieldedMs < YIELD_AFTER_MS) continue;
      await this.#env.yieldNow();
      this.#yieldedMs = this.#env.monotonicMs();
    }
    this.#starting = false;
  }

  #nextCall(): ActivityCall | undefined {
    for (let looked = 0; looked < this.#lanes.length; looked++) {
      const [lane] = this.#lanes;
      if (lane === undefined) return undefined;
      if (this.#lanes.length > 1) this.#lanes.push(...this.#lanes.splice(0, 1));
      while (lane.running < lane.limit) {
        const call = lane.waiting.shift();
        if (call === undefined) break;
        if (!call.isAborted) return call;
      }
    }
    return undefined;
  }

  async #run(call: ActivityCall): Promise<void> {
    const outcome = await this.#executor.runActivity(call);
    this.#running -= 1;
    this.#laneOf(call).running -= 1;
    this.#startNext();
    if (this.#remove(call)) call.done(call.instance, call.activity, outcome);
  }

  /** @returns whether it was there: not aborted, nor begun anew. */
  #remove(call: ActivityCall): boolean {
    const { iid } = call.instance;
    const { task } = call.activity;
    const calls = this.#calls.get(iid);
    if (calls?.get(task) !== call) return false;
    calls.delete(task);
    if (calls.size === 0) this.#calls.delete(iid);
    return true;
  }
}

/** An activity's end, as an event for its orchestration. */
export function answerOf(
  task: number,
  outcome: Exclude<ActivityOutcome, { kind: "unregistered" }>,
  atMs: number,
): IncomingEvent {
  return outcome.kind === "failed"
    ? { type: "TaskFailed", atMs, taskScheduledId: task, failure: outcome.failure }
    : {
        type: "TaskCompleted",
        atMs,
        taskScheduledId: task,
        ...(outcome.result === undefined ? {} : { result: outcome.result }),
      };
}
