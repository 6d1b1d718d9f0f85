import type { Env } from "../core/env.js";
import type { ActivityOutcome, Executor } from "../core/executor.js";
import type { Instance } from "../core/instance.js";
import type { OpenActivity } from "../core/turn.js";

/** An activity that runs, or waits for a place to run, in this process. */
class ActivityCall {
  readonly instance: Instance;
  readonly activity: OpenActivity;
  #controller: AbortController | undefined;
  #aborted: Error | undefined;

  constructor(instance: Instance, activity: OpenActivity) {
    this.instance = instance;
    this.activity = activity;
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

/** An activity whose result this process will not have. */
export interface ActivityInFlight {
  readonly instance: Instance;
  readonly activity: OpenActivity;
}

/** Tells what came of an activity. Not called for one that was aborted. */
export type ActivityDone = (instance: Instance, activity: OpenActivity, outcome: ActivityOutcome) => void;

/** After this long of starting activities, other work of the process gets its turn. */
const YIELD_AFTER_MS = 5;

/** Runs activities, so many at a time, in the order in which they were scheduled. */
export class ActivityRunner {
  readonly #env: Env;
  readonly #executor: Executor;
  readonly #limit: number;
  readonly #done: ActivityDone;
  readonly #calls = new Map<number, Map<number, ActivityCall>>();
  #queue: ActivityCall[] = [];
  #queueHead = 0;
  #running = 0;
  #starting = false;
  #stopped = false;

  constructor(env: Env, executor: Executor, limit: number, done: ActivityDone) {
    this.#env = env;
    this.#executor = executor;
    this.#limit = limit;
    this.#done = done;
  }

  /** How many run or wait to run. */
  get size(): number {
    return this.#running + this.#queue.length - this.#queueHead;
  }

  /** Instances with activities in this process. */
  instances(): number[] {
    return [...this.#calls.keys()];
  }

  /** The same, by their IDs. */
  *instanceIds(): Iterable<string> {
    for (const calls of this.#calls.values()) {
      for (const { instance } of calls.values()) {
        yield instance.instanceId;
        break;
      }
    }
  }

  has(iid: number, generation: number, task: number): boolean {
    return this.#calls.get(iid)?.get(task)?.instance.generation === generation;
  }

  /** Whether all activities of this instance that run here belong to this generation. */
  isOf(iid: number, generation: number): boolean {
    const calls = [...(this.#calls.get(iid)?.values() ?? [])];
    return calls.every((call) => call.instance.generation === generation);
  }

  /** Starts activities whose scheduling is durable. */
  start(instance: Instance, activities: readonly OpenActivity[]): void {
    if (this.#stopped || activities.length === 0) return;
    const calls = this.#calls.get(instance.iid) ?? new Map<number, ActivityCall>();
    this.#calls.set(instance.iid, calls);
    for (const activity of activities) {
      const call = new ActivityCall(instance, activity);
      calls.set(activity.task, call);
      this.#queue.push(call);
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

  /** Lets go of those of some instances. Their signals abort; whoever owns the instances runs them again. */
  lose(isLost: (instanceId: string) => boolean, reason: string): readonly ActivityInFlight[] {
    const lost: ActivityInFlight[] = [];
    for (const [iid, calls] of this.#calls) {
      for (const { instance, activity } of calls.values()) {
        if (!isLost(instance.instanceId)) break; // they are all of one instance
        lost.push({ instance, activity });
      }
      if (lost.at(-1)?.instance.iid === iid) this.abort(iid, reason);
    }
    return lost;
  }

  /** Starts no more; what runs goes on. */
  stop(): void {
    this.#stopped = true;
    for (let call = this.#nextCall(); call !== undefined; call = this.#nextCall()) this.#remove(call);
  }

  abortAll(reason: string): void {
    for (const iid of this.instances()) this.abort(iid, reason);
  }

  #startNext(): void {
    if (this.#starting) return;
    this.#starting = true;
    this.#env.spawn("starting activities", () => this.#startQueued());
  }

  async #startQueued(): Promise<void> {
    let lastYieldMs = this.#env.monotonicMs();
    let started = 0;
    while (this.#running < this.#limit) {
      const call = this.#nextCall();
      if (call === undefined) break;
      this.#running += 1;
      this.#env.spawn(`activity "${call.activity.name}"`, () => this.#run(call));
      if (++started % 64 !== 0 || this.#env.monotonicMs() - lastYieldMs < YIELD_AFTER_MS) continue;
      await this.#env.yieldNow();
      lastYieldMs = this.#env.monotonicMs();
    }
    this.#starting = false;
  }

  #nextCall(): ActivityCall | undefined {
    while (this.#queueHead < this.#queue.length) {
      const call = this.#queue[this.#queueHead++];
      if (this.#queueHead > 1024 && this.#queueHead * 2 > this.#queue.length) {
        this.#queue = this.#queue.slice(this.#queueHead);
        this.#queueHead = 0;
      }
      if (call !== undefined && !call.isAborted) return call;
    }
    this.#queue = [];
    this.#queueHead = 0;
    return undefined;
  }

  async #run(call: ActivityCall): Promise<void> {
    const { instance, activity } = call;
    const outcome = await this.#executor.runActivity({
      instance,
      fencingToken: instance.fencingToken,
      task: activity.task,
      name: activity.name,
      ...(activity.input === undefined ? {} : { input: activity.input }),
      get signal() {
        return call.signal;
      },
    });
    this.#running -= 1;
    this.#startNext();
    if (this.#remove(call)) this.#done(instance, activity, outcome);
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
