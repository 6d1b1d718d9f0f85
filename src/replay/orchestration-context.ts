import { parseLabel, parseName, parseTags, parseTime } from "../core/arguments.js";
import { type ActivityDefinition, DEFINITION, type OrchestrationDefinition } from "../core/definition.js";
import type { Logger } from "../core/env.js";
import { InvalidArgumentError, LimitExceededError } from "../core/errors.js";
import type { Execution, Instance, Tags } from "../core/instance.js";
import { parseInstanceId } from "../core/instance-id.js";
import { encodeValue, MAX_CUSTOM_STATUS_LENGTH, type PayloadCodec } from "../core/payload.js";
import { checkRetryPolicy, type RetryPolicy } from "../core/retry.js";
import { type IfEnded, type IfLive, startPolicy } from "../core/start-policy.js";
import type { Results, SettledResults, Winner } from "./combinators.js";
import * as combinators from "./combinators.js";
import type { OrchestrationRun } from "./orchestration-run.js";
import { retrying } from "./retry.js";
import type { CancelableTask, Task } from "./task.js";

/** How an activity is called. */
export interface ActivityOptions {
  readonly retry?: RetryPolicy;
  /** Which processes may run it: those that serve this queue. Default: the queue that its definition names, if any. */
  readonly queue?: string;
}

/** How a sub-orchestration is called. */
export interface SubOrchestrationOptions {
  /** Left out: `{parent execution ID}:{task}`. */
  readonly instanceId?: string;
  readonly retry?: RetryPolicy;
  /** What to do when the child's ID is held. Default `reject`: the call fails. `attach` waits for the live one. */
  readonly ifLive?: IfLive;
  /** What to do when the child's ID was used before. Default `start`. */
  readonly ifEnded?: IfEnded;
  readonly version?: string;
  readonly tags?: Tags;
}

/** How an orchestration is started that nobody waits for. */
export interface DetachedStartOptions {
  readonly instanceId?: string;
  readonly ifLive?: IfLive;
  readonly ifEnded?: IfEnded;
  readonly startAt?: Date;
  readonly version?: string;
  readonly tags?: Tags;
}

/** The parent of a sub-orchestration. */
export interface ParentInfo {
  readonly instanceId: string;
  readonly executionId: string;
  readonly name: string;
  readonly taskId: number;
}

type InputArguments<I, Options> = undefined extends I
  ? [input?: I, options?: Options]
  : [input: I, options?: Options];

/**
 * What an orchestrator can do. All of it is recorded and replayed: the function runs again from its
 * beginning after a restart, and everything here answers as it did before. Anything else that changes
 * between runs (the clock, random numbers, I/O) belongs into an activity.
 */
export class OrchestrationContext {
  readonly instanceId: string;
  readonly executionId: string;
  readonly run: number;
  readonly generation: number;
  /** Rises per ID for ever; as drawn when this execution began. Activities get the current one. */
  readonly fencingToken: number;
  readonly version: string | undefined;
  readonly tags: Tags;
  readonly parent: ParentInfo | undefined;
  readonly #run: OrchestrationRun;
  readonly #codec: PayloadCodec;

  constructor(run: OrchestrationRun, instance: Instance, execution: Execution, codec: PayloadCodec) {
    this.instanceId = instance.instanceId;
    this.executionId = execution.executionId;
    this.run = instance.run;
    this.generation = instance.generation;
    this.fencingToken = execution.fencingToken;
    this.version = execution.version;
    this.tags = execution.tags;
    const parent = instance.parent;
    this.parent =
      parent === undefined
        ? undefined
        : {
            instanceId: parent.instanceId,
            executionId: parent.executionId,
            name: parent.name,
            taskId: parent.task,
          };
    this.#run = run;
    this.#codec = codec;
  }

  /** The time of the current turn: the same in replay. */
  get currentUtcDateTime(): Date {
    return new Date(this.#run.atMs);
  }

  /** Whether what runs now was committed before. */
  get isReplaying(): boolean {
    return this.#run.isReplaying;
  }

  /** Logs once, not again in replay. */
  get log(): Logger {
    return this.#run.logger();
  }

  /** A UUID that is the same in replay. */
  newGuid(): string {
    return this.#run.newGuid();
  }

  /**
   * Schedules an activity. It starts once the scheduling is durable, runs at least once, and gives one result.
   *
   * @throws InvalidValueError, at the call, for an input that cannot travel.
   */
  callActivity<I, O>(
    activity: ActivityDefinition<I, O>,
    ...[input, options]: InputArguments<I, ActivityOptions>
  ): Task<O>;
  callActivity<O = unknown>(activity: string, input?: unknown, options?: ActivityOptions): Task<O>;
  callActivity(
    activity: ActivityDefinition | string,
    input?: unknown,
    options: ActivityOptions = {},
  ): Task<unknown> {
    const name = nameOf(activity, "activity");
    const payload = encodeValue(this.#codec, input, `the input of activity "${name}"`);
    const queue = options.queue ?? (typeof activity === "string" ? undefined : activity.queue);
    if (queue !== undefined) parseLabel("queue", queue);
    return this.#retried(options.retry, () => this.#run.scheduleActivity(name, payload, queue));
  }

  /**
   * Starts a child and waits for its output. A child whose ID is held by a live instance fails the
   * call with an InstanceHeldError as its cause; a retry replaces the ended child.
   *
   * @throws InvalidInstanceIdError, InvalidValueError at the call.
   */
  callSubOrchestrator<I, O>(
    orchestrator: OrchestrationDefinition<I, O>,
    ...[input, options]: InputArguments<I, SubOrchestrationOptions>
  ): Task<O>;
  callSubOrchestrator<O = unknown>(
    orchestrator: string,
    input?: unknown,
    options?: SubOrchestrationOptions,
  ): Task<O>;
  callSubOrchestrator(
    orchestrator: OrchestrationDefinition | string,
    input?: unknown,
    options: SubOrchestrationOptions = {},
  ): Task<unknown> {
    const name = nameOf(orchestrator, "orchestration");
    const payload = encodeValue(this.#codec, input, `the input of sub-orchestration "${name}"`);
    const { instanceId, retry } = options;
    const { version, tags } = labelsOf(options);
    if (instanceId !== undefined) parseChildId(instanceId, this.instanceId);
    const policy = startPolicy(options.ifLive, options.ifEnded);
    return this.#retried(retry, () =>
      this.#run.createChild({ name, input: payload, instanceId, policy, version, tags }),
    );
  }

  /**
   * Starts an orchestration that nobody waits for.
   *
   * @returns its instance ID.
   */
  startNew(
    orchestrator: OrchestrationDefinition | string,
    input?: unknown,
    options: DetachedStartOptions = {},
  ): string {
    const name = nameOf(orchestrator, "orchestration");
    const payload = encodeValue(this.#codec, input, `the input of orchestration "${name}"`);
    const { instanceId, startAt } = options;
    const { version, tags } = labelsOf(options);
    if (instanceId !== undefined) parseChildId(instanceId, this.instanceId);
    const policy = startPolicy(options.ifLive, options.ifEnded);
    const startAtMs = startAt === undefined ? undefined : parseTime("startAt", startAt);
    return this.#run.startDetached({ name, input: payload, instanceId, policy, version, tags, startAtMs });
  }

  /** A durable timer. A time that has passed fires at once. It can be cancelled. */
  createTimer(at: Date): CancelableTask<void> {
    return this.#run.createTimer(parseTime("at", at));
  }

  /** A durable timer this many milliseconds from now, by the orchestration's clock. */
  sleep(ms: number): CancelableTask<void> {
    if (typeof ms !== "number" || !(ms >= 0))
      throw new InvalidArgumentError("ms", `must be a number of 0 or more, not ${String(ms)}`);
    return this.#run.createTimer(this.#run.atMs + ms);
  }

  /**
   * Waits for an external event by name, without regard to case. Events that came earlier were kept, in
   * order; of several waits for one name the first is served first. Cancel a wait that lost a race, or
   * it takes the next event.
   */
  waitForExternalEvent<T = unknown>(name: string): CancelableTask<T>;
  waitForExternalEvent(name: string): CancelableTask<unknown> {
    return this.#run.waitForEvent(parseName("name", name));
  }

  /** Sends an event to another instance; dropped where there is none, or where it has ended. */
  sendEvent(instanceId: string, name: string, data?: unknown): void {
    const eventName = parseName("name", name);
    const payload = encodeValue(this.#codec, data, `the data of event "${eventName}"`);
    this.#run.sendEvent(parseInstanceId(instanceId), eventName, payload);
  }

  /** Promise.all over tasks. */
  all<const T extends readonly Task<unknown>[]>(tasks: T): Task<Results<T>>;
  all(tasks: readonly Task<unknown>[]): Task<unknown> {
    return combinators.all(this.#run, tasks);
  }

  /** Promise.allSettled over tasks. */
  allSettled<const T extends readonly Task<unknown>[]>(tasks: T): Task<SettledResults<T>>;
  allSettled(tasks: readonly Task<unknown>[]): Task<unknown> {
    return combinators.allSettled(this.#run, tasks);
  }

  /** Promise.any over tasks. */
  any<T extends Task<unknown>>(tasks: readonly T[]): Task<Awaited<T>>;
  any(tasks: readonly Task<unknown>[]): Task<unknown> {
    return combinators.any(this.#run, tasks);
  }

  /** Promise.race over tasks. */
  race<T extends Task<unknown>>(tasks: readonly T[]): Task<Awaited<T>>;
  race(tasks: readonly Task<unknown>[]): Task<unknown> {
    return combinators.race(this.#run, tasks);
  }

  /** Durable Functions' Task.any: which task settled first. */
  whenAny<T extends Task<unknown>>(tasks: readonly T[]): Task<Winner<T>> {
    return combinators.whenAny(this.#run, tasks);
  }

  /**
   * When the function returns, begins again with this input and an empty history, under the same ID and
   * run. External events that were not taken are kept.
   */
  continueAsNew(input?: unknown, options: { readonly version?: string } = {}): void {
    const payload = encodeValue(this.#codec, input, "the input of continueAsNew");
    this.#run.continueAsNew(payload, labelsOf(options).version);
  }

  /** Shows this value in the instance's status; at most 16 KB of JSON. undefined clears it. */
  setCustomStatus(value: unknown): void {
    const payload = encodeValue(this.#codec, value, "the custom status");
    if (payload !== undefined && payload.length > MAX_CUSTOM_STATUS_LENGTH) {
      throw new LimitExceededError(
        "custom status",
        MAX_CUSTOM_STATUS_LENGTH,
        payload.length,
        "the custom status",
      );
    }
    this.#run.setCustomStatus(payload ?? null);
  }

  #retried(retry: RetryPolicy | undefined, attempt: () => Task<unknown>): Task<unknown> {
    if (retry === undefined) return attempt();
    checkRetryPolicy(retry);
    return retrying(this.#run, retry, attempt);
  }
}

function nameOf(
  definition: OrchestrationDefinition | ActivityDefinition | string,
  kind: "orchestration" | "activity",
): string {
  if (typeof definition === "string") return parseName("name", definition);
  if (definition?.[DEFINITION] === kind) return definition.name;
  throw new InvalidArgumentError("name", `is not the name of an ${kind}, nor what ${kind}() returned`);
}

function labelsOf(options: { readonly version?: string; readonly tags?: Tags }) {
  return {
    version: options.version === undefined ? undefined : parseLabel("version", options.version),
    tags: options.tags === undefined ? undefined : parseTags(options.tags),
  };
}

function parseChildId(instanceId: string, own: string): void {
  if (parseInstanceId(instanceId) === own) {
    throw new InvalidArgumentError("instanceId", "a sub-orchestration's ID must differ from its parent's");
  }
}
