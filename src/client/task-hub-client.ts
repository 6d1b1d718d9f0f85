import {
  checkOptions,
  parseFilterText,
  parseLabel,
  parseName,
  parseOptionalText,
  parseReason,
  parseStatuses,
  parseTags,
  parseTime,
} from "../core/arguments.js";
import type { Command, CommandAnswer, StartAccepted, StartCommand } from "../core/command.js";
import type { InputOption, OrchestrationDefinition } from "../core/definition.js";
import type { Env, Logger } from "../core/env.js";
import {
  EngineFaultError,
  InstanceEndedError,
  InstanceHeldError,
  InstanceNotFoundError,
  InvalidArgumentError,
  InvalidStateError,
  InvalidTokenError,
  MailboxFullError,
  UnregisteredNameError,
  WaitTimeoutError,
  WorkerNotFoundError,
} from "../core/errors.js";
import type { HistoryEvent } from "../core/history.js";
import { decodeChunk } from "../core/history-codec.js";
import {
  ENDED_STATUSES,
  type EndedStatus,
  type Execution,
  type Instance,
  type InstanceRecord,
  isEnded,
  isLive,
  type RuntimeStatus,
  runtimeStatusOf,
  type Tags,
} from "../core/instance.js";
import { parseInstanceId } from "../core/instance-id.js";
import { MAIL_LIMIT } from "../core/mail-limit.js";
import { Pace } from "../core/pace.js";
import { decodeValue, encodeValue, type Payload, type PayloadCodec } from "../core/payload.js";
import { parseRetention, RETENTION_SETTING, type Retention } from "../core/retention.js";
import { rewindCommand } from "../core/rewind-command.js";
import { type IfEnded, type IfLive, startPolicy } from "../core/start-policy.js";
import type { ListCursor, ListFilter, Refusal, ShownWorker, Store, WorkerInfo } from "../core/store.js";
import type { Moment } from "./change-log.js";
import { type Awaited, ChangeWaiter, type WaitLimit } from "./change-waiter.js";
import { type OrchestrationHandle, resultOf } from "./orchestration-handle.js";
import { MAX_PAGE_LENGTH, readPage } from "./page.js";
import { PageTokens } from "./page-token.js";
import { RefusalLog } from "./refusal-log.js";
import { type ExecutionStatus, executionStatusOf, type OrchestrationStatus, statusOf } from "./status.js";

/** The options of a start: which ID, and the two answers for when it is taken (README, "Starting"). */
export interface StartNewOptions {
  /** The caller-chosen ID. Left out: a generated one. */
  readonly instanceId?: string;
  /** What to do when the ID is held. Default `reject`. */
  readonly ifLive?: IfLive;
  /** What to do when the ID was used before and has ended. Default `start`. */
  readonly ifEnded?: IfEnded;
  /** A retried start with the same request ID gets the first one's answer, for 24 h. */
  readonly requestId?: string;
  /** Not before this time; the instance is Pending until then. */
  readonly startAt?: Date;
  readonly version?: string;
  readonly tags?: Tags;
  /** Accept a name that no live worker has registered: the instance waits, visibly. */
  readonly allowUnregistered?: boolean;
  /** Who asks, as shown with a refusal. Default: this process. */
  readonly requester?: string;
}

/** The options of a start, with its input: they can be left out where the orchestrator needs none. */
export type StartArguments<I> = undefined extends I
  ? [options?: StartNewOptions & InputOption<I>]
  : [options: StartNewOptions & InputOption<I>];

/** The filters of a list; all that are given must hold. */
export interface ListOptions {
  readonly runtimeStatus?: readonly RuntimeStatus[];
  readonly name?: string;
  readonly createdTimeFrom?: Date;
  readonly createdTimeTo?: Date;
  readonly lastUpdatedFrom?: Date;
  readonly lastUpdatedTo?: Date;
  readonly instanceIdPrefix?: string;
  readonly tags?: Tags;
  /** Instances per page, 1 to 1000. Default 100. */
  readonly top?: number;
  /** From the page before. */
  readonly continuationToken?: string;
}

export interface InstancePage {
  readonly instances: readonly OrchestrationStatus[];
  /** Absent on the last page. A page may be short, even empty, and have one. */
  readonly continuationToken: string | undefined;
}

/** Which executions of an ID a page shows. */
export interface ExecutionsOptions {
  /** Those of this run only: its first execution, and what continue-as-new and rewind made of it. */
  readonly run?: number;
  /** Executions per page, 1 to 1000. Default 100. */
  readonly top?: number;
  /** From the page before, with the same run. */
  readonly continuationToken?: string;
}

export interface ExecutionPage {
  readonly executions: readonly ExecutionStatus[];
  /** Absent on the last page. */
  readonly continuationToken: string | undefined;
}

/** Which ended instances to purge. */
export interface PurgeFilter {
  readonly createdTimeFrom?: Date;
  readonly createdTimeTo?: Date;
  readonly name?: string;
  readonly instanceIdPrefix?: string;
  readonly tags?: Tags;
  /** Default: every ended status. */
  readonly runtimeStatus?: readonly EndedStatus[];
  readonly recursive?: boolean;
  /** Called after each batch with the number purged so far. */
  readonly onProgress?: (instancesDeleted: number) => void;
}

/** What one page of a purge takes. */
export interface PurgePageOptions extends Omit<PurgeFilter, "onProgress"> {
  /** How many instances are deleted at most, 1 to 1000 and apart from children. Default 500. */
  readonly top?: number;
  /** From the page before, with the same filter. */
  readonly continuationToken?: string;
}

export interface PurgedPage {
  readonly instancesDeleted: number;
  /** Absent once everything was looked at. */
  readonly continuationToken: string | undefined;
}

export interface HistoryResult {
  readonly status: OrchestrationStatus;
  readonly execution: ExecutionStatus;
  readonly events: readonly HistoryEvent[];
}

/** How a client is put together; a TaskHub does it. */
export interface TaskHubClientParts {
  readonly store: Store;
  readonly env: Env;
  readonly codec: PayloadCodec;
  readonly logger: Logger;
  /** Who this process is, as shown with refusals. */
  readonly requester: string;
  /** Where refused starts are collected. Default: a log of this client's own. */
  readonly refusals?: RefusalLog;
  /** Where the IDs of instances come from that nobody chose one for. Default: any. */
  readonly ids?: InstanceIds;
}

/** Draws the IDs of instances that nobody chose one for. */
export interface InstanceIds {
  next(): string;
  /** A start is under way. */
  startBegins(): void;
  /** It is answered. */
  startEnds(): void;
}

/** How many rows one page of a list examines at most. */
const LIST_EXAMINES = 5000;

/** How many instances one page of a purge deletes, and how many of them at a time: other work waits for no more. */
const PURGE_PAGE = 500;
const PURGE_BATCH = 25;

/** What somebody who knows Durable Functions 2.x may mean who hands in a text instead of options. */
const STRAY_OPTIONS = ": startNew(name, { instanceId, input })";

/** The most that is kept of who asked, in UTF-16 code units. */
const MAX_REQUESTER_LENGTH = 512;

/** Live workers' names may be this old before an unknown name is looked up again. */
const WORKERS_FRESH_MS = 1000;

/**
 * Starts, queries and steers orchestrations of a task hub. Everything goes through the store, so a
 * client works beside the engine's process as well as inside it.
 */
export class TaskHubClient {
  readonly #store: Store;
  readonly #env: Env;
  readonly #codec: PayloadCodec;
  readonly #requester: string;
  readonly #waiter: ChangeWaiter;
  readonly #refusals: RefusalLog;
  readonly #tokens: PageTokens;
  readonly #ids: InstanceIds;
  #workers: { readonly readAtMs: number; readonly list: readonly WorkerInfo[] } | undefined;

  constructor({ store, env, codec, logger, requester, refusals, ids }: TaskHubClientParts) {
    this.#store = store;
    this.#env = env;
    this.#codec = codec;
    this.#requester = requester;
    this.#waiter = new ChangeWaiter(env, store);
    this.#refusals = refusals ?? new RefusalLog(env, store, logger);
    this.#tokens = new PageTokens(env, store);
    this.#ids = ids ?? { next: () => env.id(), startBegins: () => {}, startEnds: () => {} };
  }

  get taskHub(): string {
    return this.#store.taskHub;
  }

  /**
   * Starts an orchestration, under the singleton rule of its ID: decided in one transaction, so that of
   * any number of concurrent starts exactly one begins.
   *
   * @throws InstanceHeldError with the holder when `ifLive` or `ifEnded` refuses.
   * @throws UnregisteredNameError when live workers exist and none has registered the name.
   */
  startNew<I, O>(
    orchestrator: OrchestrationDefinition<I, O>,
    ...[options]: StartArguments<I>
  ): Promise<OrchestrationHandle<O>>;
  startNew(
    orchestrator: string,
    options?: StartNewOptions & { readonly input?: unknown },
  ): Promise<OrchestrationHandle>;
  async startNew(
    orchestrator: OrchestrationDefinition | string,
    options: StartNewOptions & { readonly input?: unknown } = {},
  ): Promise<OrchestrationHandle> {
    checkOptions(options, STRAY_OPTIONS);
    const name = parseName("name", typeof orchestrator === "string" ? orchestrator : orchestrator?.name);
    const requester = parseOptionalText("requester", options.requester);
    this.#ids.startBegins();
    try {
      const command = this.#startCommand(name, options);
      if (options.allowUnregistered !== true)
        await this.#checkRegistered(name, typeof orchestrator !== "string");
      const since = this.#waiter.now;
      const answer = await this.#execute(command);
      if (answer.outcome === "refused") throw this.#refuse(command, answer, requester);
      return this.#handle(
        command.instanceId,
        startAccepted(answer),
        isNewRun(command, answer) ? since : undefined,
      );
    } finally {
      this.#ids.startEnds();
    }
  }

  /** The status of an instance, or undefined where there is none. */
  async getStatus(instanceId: string): Promise<OrchestrationStatus | undefined> {
    const record = await this.#store.get(parseInstanceId(instanceId));
    return record === undefined ? undefined : statusOf(record, this.#codec);
  }

  /** Instances in order of creation, a page at a time; a page of large payloads is short. */
  async list(options: ListOptions = {}): Promise<InstancePage> {
    checkOptions(options);
    const filter = listFilter(options);
    const limit = parseTop(options.top);
    const after =
      options.continuationToken === undefined
        ? {}
        : { after: cursorOf(this.#tokens.read(options.continuationToken, filter)) };
    const { records, next } = await readPage(this.#store, {
      filter,
      limit,
      examine: LIST_EXAMINES,
      ...after,
    });
    return {
      instances: records.map((record) => statusOf(record, this.#codec)),
      continuationToken:
        next === undefined ? undefined : this.#tokens.make([next.createdAtMs, next.iid], filter),
    };
  }

  /**
   * Waits until the instance's first turn has committed, or it has ended.
   *
   * @throws WaitTimeoutError, InstanceNotFoundError
   */
  async waitForStart(instanceId: string, limit: WaitLimit = {}): Promise<OrchestrationStatus> {
    checkOptions(limit);
    const isStarted = ({ instance }: InstanceRecord): boolean => instance.status !== "Pending";
    return this.#wait(parseInstanceId(instanceId), limit, { end: false }, isStarted);
  }

  /**
   * Waits until the instance has ended, whatever run of it that is.
   *
   * @throws WaitTimeoutError, InstanceNotFoundError
   */
  async waitForCompletion(instanceId: string, limit: WaitLimit = {}): Promise<OrchestrationStatus> {
    checkOptions(limit);
    const isEnded = ({ instance }: InstanceRecord): boolean => !isLive(instance.status);
    return this.#wait(parseInstanceId(instanceId), limit, { end: true }, isEnded);
  }

  /**
   * Delivers an event to the instance's current run, across continue-as-new, in order of acceptance.
   *
   * @throws InstanceNotFoundError, InstanceEndedError
   * @throws MailboxFullError when too much waits that the instance has not taken in ({@link MAIL_LIMIT}).
   */
  async raiseEvent(instanceId: string, eventName: string, data?: unknown): Promise<void> {
    const name = parseName("eventName", eventName);
    const input = encodeValue(this.#codec, data, `the data of event "${name}"`);
    await this.#signal(`raise event "${name}" for`, {
      kind: "raise",
      ...this.#address(instanceId),
      name,
      ...(input === undefined ? {} : { input }),
      limit: MAIL_LIMIT,
    });
  }

  /**
   * Holds the instance: events and results are kept, its code sees nothing until it is resumed.
   *
   * @throws InstanceNotFoundError, InstanceEndedError
   */
  async suspend(instanceId: string, reason?: string): Promise<void> {
    await this.#signal("suspend", {
      kind: "suspend",
      ...this.#address(instanceId),
      ...reasonOption(parseReason(reason)),
    });
  }

  /**
   * Lets a suspended instance, or a parked one, go on.
   *
   * @throws InstanceNotFoundError, InstanceEndedError
   */
  async resume(instanceId: string, reason?: string): Promise<void> {
    await this.#signal("resume", {
      kind: "resume",
      ...this.#address(instanceId),
      ...reasonOption(parseReason(reason)),
    });
  }

  /**
   * Ends the instance now, whatever state it is in and whether or not a worker runs. Activities in
   * flight are told through their AbortSignal. The reason becomes the output.
   *
   * @throws InstanceNotFoundError, InstanceEndedError
   */
  async terminate(
    instanceId: string,
    reason?: string,
    options: { readonly recursive?: boolean } = {},
  ): Promise<void> {
    checkOptions(options);
    const why = parseReason(reason);
    const output = encodeValue(this.#codec, why, "the reason");
    await this.#signal("terminate", {
      kind: "terminate",
      ...this.#address(instanceId),
      ...reasonOption(why),
      ...(output === undefined ? {} : { output }),
      recurse: options.recursive ?? false,
    });
  }

  /**
   * Puts a failed instance back to before its failure: what had succeeded stands, what failed runs again.
   *
   * @throws InstanceNotFoundError, InvalidStateError when it has not failed.
   */
  async rewind(instanceId: string, reason?: string): Promise<void> {
    const id = parseInstanceId(instanceId);
    const stored = await this.#store.history(id);
    if (stored === undefined) throw new InstanceNotFoundError(id);
    if (stored.instance.status !== "Failed") {
      throw new InvalidStateError(id, runtimeStatusOf(stored.instance), "rewind", "Failed");
    }
    const command = rewindCommand(stored, {
      atMs: this.#env.now(),
      executionId: this.#env.id(),
      ...reasonOption(parseReason(reason)),
    });
    await this.#signal("rewind", command);
  }

  /**
   * Starts an ended instance again with its name, input, version and tags; by default under a new ID,
   * which also copies a live one.
   *
   * @throws InstanceNotFoundError, InstanceHeldError with the same ID while it is live.
   */
  async restart(
    instanceId: string,
    options: { readonly newInstanceId?: boolean; readonly requester?: string } = {},
  ): Promise<OrchestrationHandle> {
    checkOptions(options);
    const id = parseInstanceId(instanceId);
    const record = await this.#store.get(id);
    if (record === undefined) throw new InstanceNotFoundError(id);
    const { execution } = record;
    const command: StartCommand = {
      kind: "start",
      instanceId: (options.newInstanceId ?? true) ? this.#ids.next() : id,
      atMs: this.#env.now(),
      name: execution.name,
      tags: execution.tags,
      executionId: this.#env.id(),
      policy: startPolicy(),
      ...(execution.version === undefined ? {} : { version: execution.version }),
      ...(execution.input === undefined ? {} : { input: execution.input }),
    };
    const answer = await this.#execute(command);
    if (answer.outcome === "refused")
      throw this.#refuse(command, answer, parseOptionalText("requester", options.requester));
    return this.#handle(command.instanceId, startAccepted(answer));
  }

  /**
   * Deletes an ended instance with all its executions; with `recursive`, its ended children too.
   *
   * @returns how many instances were deleted: 0 where there is none.
   * @throws InvalidStateError while it is live.
   */
  async purge(instanceId: string, options: { readonly recursive?: boolean } = {}): Promise<number> {
    checkOptions(options);
    const id = parseInstanceId(instanceId);
    const answer = await this.#execute({ kind: "purge", instanceId: id, atMs: this.#env.now() });
    if (answer.outcome === "notFound") return 0;
    if (answer.outcome === "invalidState")
      throw new InvalidStateError(id, answer.runtimeStatus, "purge", answer.needs);
    if (answer.outcome !== "purged") throw unexpected(answer);
    return options.recursive === true ? 1 + (await this.#purgeChildren(answer.children)) : 1;
  }

  /**
   * Deletes ended instances that match, in small batches with rests between them, so that other work goes on.
   *
   * @returns how many were deleted.
   */
  async purgeBy(filter: PurgeFilter = {}): Promise<number> {
    checkOptions(filter);
    const { onProgress, ...rest } = filter;
    const pace = new Pace(this.#env);
    let instancesDeleted = 0;
    let continuationToken: string | undefined;
    do {
      const page = await this.#purgePage(pace, {
        ...rest,
        ...(continuationToken === undefined ? {} : { continuationToken }),
      });
      instancesDeleted += page.instancesDeleted;
      onProgress?.(instancesDeleted);
      ({ continuationToken } = page);
    } while (continuationToken !== undefined);
    return instancesDeleted;
  }

  /** One page of {@link purgeBy}, for who shows progress from afar. */
  async purgePage(options: PurgePageOptions = {}): Promise<PurgedPage> {
    checkOptions(options);
    return this.#purgePage(new Pace(this.#env), options);
  }

  /** The history of an execution, of the current one by default; undefined where there is none. */
  async getHistory(instanceId: string, executionId?: string): Promise<HistoryResult | undefined> {
    const id = parseInstanceId(instanceId);
    const stored = await this.#store.history(id, parseFilterText("executionId", executionId));
    if (stored === undefined) return undefined;
    return {
      status: statusOf(stored, this.#codec),
      execution: executionStatusOf(stored.of, this.#codec),
      events: stored.chunks.flatMap((chunk) => decodeChunk(chunk)),
    };
  }

  /** The value of a payload in a history event. */
  decodePayload(payload: Payload | undefined): unknown {
    return decodeValue(this.#codec, payload);
  }

  /**
   * The executions of an ID that are kept, newest first: the first page of them, a hundred unless `top` says otherwise
   * and fewer where payloads are large. {@link executionsPage} leads to the rest.
   */
  async listExecutions(
    instanceId: string,
    options: { readonly run?: number; readonly top?: number } = {},
  ): Promise<readonly ExecutionStatus[]> {
    return (await this.executionsPage(instanceId, options)).executions;
  }

  /** One page of the executions of an ID that are kept, newest first; empty where there is no such instance. */
  async executionsPage(instanceId: string, options: ExecutionsOptions = {}): Promise<ExecutionPage> {
    checkOptions(options);
    const { run, continuationToken } = options;
    const question = {
      executionsOf: parseInstanceId(instanceId),
      ...(run === undefined ? {} : { run: parseRun(run) }),
    };
    const [below] = continuationToken === undefined ? [] : this.#tokens.read(continuationToken, question);
    const { executions, next } = await this.#store.executions({
      instanceId: question.executionsOf,
      limit: parseTop(options.top),
      maxLength: MAX_PAGE_LENGTH,
      ...(run === undefined ? {} : { run }),
      ...(below === undefined ? {} : { below }),
    });
    return {
      executions: executions.map((execution) => executionStatusOf(execution, this.#codec)),
      continuationToken: next === undefined ? undefined : this.#tokens.make([next], question),
    };
  }

  /** Starts that were refused, newest first: who asked, when, with which policy, and who held the ID. */
  async listRefusals(
    options: { readonly instanceId?: string; readonly top?: number } = {},
  ): Promise<readonly Refusal[]> {
    checkOptions(options);
    await this.#refusals.flush();
    return this.#store.refusals({
      limit: parseTop(options.top),
      ...(options.instanceId === undefined ? {} : { instanceId: parseInstanceId(options.instanceId) }),
    });
  }

  /** How long ended instances are kept. */
  async getRetention(): Promise<Retention> {
    const stored = await this.#store.setting(RETENTION_SETTING);
    return stored === undefined ? {} : parseRetention(JSON.parse(stored));
  }

  /** @throws InvalidArgumentError naming the member that cannot be. */
  async setRetention(retention: Retention): Promise<void> {
    await this.#store.changeSetting(RETENTION_SETTING, JSON.stringify(parseRetention(retention)));
  }

  /** The workers that are alive now, with what they have registered, and what they hold where they share the hub. */
  async listWorkers(): Promise<readonly ShownWorker[]> {
    return this.#store.workers();
  }

  /**
   * Asks a worker, on whichever machine it runs, to give its shards to the others and to take no more. What it has
   * begun it ends; shards that nobody else is there to take it keeps until somebody is. It stays so until its process
   * ends. Resolves once it is asked; {@link listWorkers} shows how many shards it still holds.
   *
   * @throws WorkerNotFoundError when no live worker has the ID.
   * @throws InvalidArgumentError where one engine owns the whole hub.
   */
  async drainWorker(workerId: string): Promise<void> {
    const { leases } = this.#store;
    if (leases === undefined) {
      throw new InvalidArgumentError(
        "worker",
        `the engine of ${this.#store.description} shares its work with nobody. Stop its process instead`,
      );
    }
    const workers = await this.#store.workers();
    if (!workers.some(({ id }) => id === workerId)) throw new WorkerNotFoundError(workerId);
    await leases.drain(workerId);
  }

  /** Writes what waits to be written, and lets waiting callers go. */
  async close(): Promise<void> {
    this.#waiter.close();
    await this.#refusals.close();
  }

  #startCommand(name: string, options: StartNewOptions & { readonly input?: unknown }): StartCommand {
    const input = encodeValue(this.#codec, options.input, `the input of orchestration "${name}"`);
    return {
      kind: "start",
      instanceId: this.#instanceIdFor(options),
      ...(options.instanceId === undefined && options.requestId === undefined ? { hasNewId: true } : {}),
      atMs: this.#env.now(),
      name,
      tags: parseTags(options.tags),
      executionId: this.#env.id(),
      policy: startPolicy(options.ifLive, options.ifEnded),
      ...(input === undefined ? {} : { input }),
      ...(options.version === undefined ? {} : { version: parseLabel("version", options.version) }),
      ...(options.startAt === undefined ? {} : { startAtMs: parseTime("startAt", options.startAt) }),
      ...(options.requestId === undefined ? {} : { requestId: parseLabel("requestId", options.requestId) }),
    };
  }

  /** A retried start without an ID must find its first attempt: the ID follows from the request ID. */
  #instanceIdFor({ instanceId, requestId }: StartNewOptions): string {
    if (instanceId !== undefined) return parseInstanceId(instanceId);
    return requestId === undefined
      ? this.#ids.next()
      : this.#env.hash("sha256", `start:${parseLabel("requestId", requestId)}`).slice(0, 32);
  }

  async #checkRegistered(name: string, isDefinition: boolean): Promise<void> {
    if (this.#knows(name)) return;
    const readAtMs = this.#env.monotonicMs();
    const list = await this.#store.workers();
    this.#workers = { readAtMs, list };
    // However long the answer took: it is what there is to go by.
    if (list.length === 0 || hasRegistered(list, name)) return;
    const known = [...new Set(list.flatMap((worker) => worker.orchestrations))].toSorted();
    throw new UnregisteredNameError(isDefinition ? `${name} (a definition)` : name, known);
  }

  #knows(name: string): boolean {
    const workers = this.#workers;
    if (workers === undefined || this.#env.monotonicMs() - workers.readAtMs > WORKERS_FRESH_MS) return false;
    return workers.list.length === 0 || hasRegistered(workers.list, name);
  }

  #refuse(
    command: StartCommand,
    answer: CommandAnswer & { readonly outcome: "refused" },
    requester: string | undefined,
  ): InstanceHeldError {
    const { holder, reason } = answer;
    this.#refusals.add({
      instanceId: command.instanceId,
      atMs: command.atMs,
      requester: (requester ?? this.#requester).slice(0, MAX_REQUESTER_LENGTH),
      orchestrator: command.name,
      policy: command.policy,
      reason,
      holder,
      count: 1,
    });
    if (reason !== "otherName") return new InstanceHeldError(holder);
    return new InstanceHeldError(
      holder,
      `The ID '${holder.instanceId}' belongs to an instance of ${holder.name}, which a start of ${command.name} cannot join. Choose another ID.`,
    );
  }

  /** @param since a moment at which the run had not begun. */
  #handle(instanceId: string, accepted: StartAccepted, since?: Moment): OrchestrationHandle {
    const wait = (limit: WaitLimit = {}): Promise<OrchestrationStatus> =>
      this.#waitForRun(instanceId, accepted, limit, since);
    return {
      outcome: accepted.outcome,
      instanceId,
      executionId: accepted.executionId,
      run: accepted.run,
      generation: accepted.generation,
      waitForCompletion: wait,
      result: async (limit) => resultOf(await wait(limit)),
    };
  }

  /** The run may have been followed by another before we look: then its own last execution tells. */
  async #waitForRun(
    instanceId: string,
    accepted: StartAccepted,
    limit: WaitLimit,
    since: Moment | undefined,
  ): Promise<OrchestrationStatus> {
    const { run } = accepted;
    const record = await this.#waitForRecord(
      instanceId,
      limit,
      { end: true, since },
      ({ instance }) => instance.run > run || !isLive(instance.status) || isAnother(instance, accepted),
    );
    if (isAnother(record.instance, accepted)) throw new InstanceNotFoundError(instanceId);
    const status = statusOf(record, this.#codec);
    if (record.instance.generation === accepted.generation) return status;
    const [last] = await this.listExecutions(instanceId, { run, top: 1 });
    // After its run's last execution: where the ID was purged and started anew before we read that, this shows it.
    const first = await this.#executionAt(instanceId, accepted.generation);
    if (last === undefined || (first !== undefined && contradicts(first, accepted)))
      throw new InstanceNotFoundError(instanceId);
    if (record.instance.run === run) return status;
    return {
      ...status,
      name: last.name,
      runtimeStatus: last.runtimeStatus,
      input: last.input,
      customStatus: last.customStatus,
      output: last.output,
      failure: last.failure,
      executionId: last.executionId,
      run: last.run,
      generation: last.generation,
      fencingToken: last.fencingToken,
      version: last.version,
      tags: last.tags,
      createdTime: last.createdTime,
      lastUpdatedTime: last.endedTime ?? last.createdTime,
      scheduledStartTime: undefined,
      parked: undefined,
    };
  }

  /** The execution of this generation, or the one before it where that is not kept. */
  async #executionAt(instanceId: string, generation: number): Promise<Execution | undefined> {
    const { executions } = await this.#store.executions({
      instanceId,
      below: generation + 1,
      limit: 1,
      maxLength: MAX_PAGE_LENGTH,
    });
    return executions[0];
  }

  async #wait(
    instanceId: string,
    limit: WaitLimit,
    awaited: Awaited,
    reached: (record: InstanceRecord) => boolean,
  ): Promise<OrchestrationStatus> {
    return statusOf(await this.#waitForRecord(instanceId, limit, awaited, reached), this.#codec);
  }

  async #waitForRecord(
    instanceId: string,
    limit: WaitLimit,
    awaited: Awaited,
    reached: (record: InstanceRecord) => boolean,
  ): Promise<InstanceRecord> {
    let last: InstanceRecord | undefined;
    const look = async (): Promise<InstanceRecord | undefined> => {
      last = await this.#store.get(instanceId);
      if (last === undefined) throw new InstanceNotFoundError(instanceId);
      return reached(last) ? last : undefined;
    };
    const found = await this.#waiter.until(instanceId, look, limit, awaited);
    if (found !== undefined) return found;
    throw new WaitTimeoutError(
      instanceId,
      limit.timeoutMs ?? 0,
      last === undefined ? "Pending" : runtimeStatusOf(last.instance),
    );
  }

  #address(instanceId: string): { readonly instanceId: string; readonly atMs: number } {
    return { instanceId: parseInstanceId(instanceId), atMs: this.#env.now() };
  }

  async #signal(operation: string, command: Command): Promise<void> {
    const answer = await this.#execute(command);
    switch (answer.outcome) {
      case "done":
        return;
      case "notFound":
        throw new InstanceNotFoundError(command.instanceId);
      case "ended":
        throw new InstanceEndedError(command.instanceId, answer.runtimeStatus, operation);
      case "full":
        throw new MailboxFullError(command.instanceId, answer.runtimeStatus, answer);
      case "invalidState":
        throw new InvalidStateError(command.instanceId, answer.runtimeStatus, operation, answer.needs);
      default:
        throw unexpected(answer);
    }
  }

  async #purgePage(
    pace: Pace,
    { recursive = false, runtimeStatus = ENDED_STATUSES, ...list }: PurgePageOptions,
  ): Promise<PurgedPage> {
    const top = parseTop(list.top ?? PURGE_PAGE);
    for (const status of runtimeStatus) {
      if (!isEnded(status))
        throw new InvalidArgumentError("runtimeStatus", `${String(status)} is not an ended status`);
    }
    let { continuationToken } = list;
    let instancesDeleted = 0;
    for (let left = top; left > 0; ) {
      const asked = Math.min(left, PURGE_BATCH);
      const after = continuationToken === undefined ? {} : { continuationToken };
      const found = await pace.batch(() => this.list({ ...list, runtimeStatus, top: asked, ...after }));
      const ids = found.instances.map((status) => status.instanceId);
      if (ids.length > 0) instancesDeleted += await pace.batch(() => this.#purgeBatch(ids, recursive));
      ({ continuationToken } = found);
      // Fewer than asked for: so many were looked at, and a page looks at no more.
      if (continuationToken === undefined || ids.length < asked) break;
      left -= asked;
    }
    return { instancesDeleted, continuationToken };
  }

  async #purgeChildren(children: readonly string[]): Promise<number> {
    return this.#purgeBatch(children, true);
  }

  async #purgeBatch(instanceIds: readonly string[], recursive: boolean): Promise<number> {
    const atMs = this.#env.now();
    const answers = await this.#store.execute(
      instanceIds.map((instanceId) => ({ kind: "purge", instanceId, atMs }) satisfies Command),
    );
    let deleted = 0;
    for (const answer of answers) {
      if (answer.outcome !== "purged") continue; // gone, or live again since it was listed
      deleted += 1;
      if (recursive) deleted += await this.#purgeChildren(answer.children);
    }
    return deleted;
  }

  async #execute(command: Command): Promise<CommandAnswer> {
    const [answer] = await this.#store.execute([command]);
    if (answer === undefined) throw new EngineFaultError("The store gave no answer to a command.");
    return answer;
  }
}

/** Whether the instance was purged and started anew since: runs and generations are then counted from 1 again. */
function isAnother(instance: Instance, accepted: StartAccepted): boolean {
  return (
    instance.run < accepted.run ||
    instance.generation < accepted.generation ||
    contradicts(instance, accepted)
  );
}

function contradicts(
  execution: { readonly generation: number; readonly executionId: string },
  accepted: StartAccepted,
): boolean {
  return execution.generation === accepted.generation && execution.executionId !== accepted.executionId;
}

/** Whether this very call began the run: a start with a request ID may be told of an earlier one. */
function isNewRun({ requestId }: StartCommand, { outcome }: CommandAnswer): boolean {
  return outcome === "started" && requestId === undefined;
}

function startAccepted(answer: CommandAnswer): StartAccepted {
  switch (answer.outcome) {
    case "started":
    case "replaced":
    case "attached":
    case "returned":
      return answer;
    default:
      throw unexpected(answer);
  }
}

function unexpected(answer: CommandAnswer): EngineFaultError {
  return new EngineFaultError(`The store answered "${answer.outcome}" where that cannot be.`);
}

function reasonOption(reason: string | undefined): { readonly reason?: string } {
  return reason === undefined ? {} : { reason };
}

function listFilter(options: ListOptions): ListFilter {
  return {
    ...(options.runtimeStatus === undefined
      ? {}
      : { runtimeStatus: parseStatuses("runtimeStatus", options.runtimeStatus) }),
    ...textFilter("name", options.name),
    ...timeFilter("createdFromMs", "createdTimeFrom", options.createdTimeFrom),
    ...timeFilter("createdToMs", "createdTimeTo", options.createdTimeTo),
    ...timeFilter("updatedFromMs", "lastUpdatedFrom", options.lastUpdatedFrom),
    ...timeFilter("updatedToMs", "lastUpdatedTo", options.lastUpdatedTo),
    ...textFilter("instanceIdPrefix", options.instanceIdPrefix),
    ...(options.tags === undefined ? {} : { tags: parseTags(options.tags) }),
  };
}

function textFilter<K extends "name" | "instanceIdPrefix">(key: K, value: unknown): { [P in K]?: string } {
  const filter: { [P in K]?: string } = {};
  const text = parseFilterText(key, value);
  if (text !== undefined) filter[key] = text;
  return filter;
}

function timeFilter<K extends keyof ListFilter>(
  key: K,
  parameter: string,
  time: Date | undefined,
): { [P in K]?: number } {
  const filter: { [P in K]?: number } = {};
  if (time !== undefined) filter[key] = parseTime(parameter, time);
  return filter;
}

function cursorOf([createdAtMs, iid]: readonly number[]): ListCursor {
  if (createdAtMs === undefined || iid === undefined) throw new InvalidTokenError();
  return { createdAtMs, iid };
}

function parseRun(run: number): number {
  if (!Number.isSafeInteger(run) || run < 1)
    throw new InvalidArgumentError("run", "must be a whole number of at least 1");
  return run;
}

function parseTop(top: number | undefined): number {
  if (top === undefined) return 100;
  if (!Number.isInteger(top) || top < 1 || top > 1000)
    throw new InvalidArgumentError("top", "must be 1 to 1000");
  return top;
}

function hasRegistered(workers: readonly WorkerInfo[], name: string): boolean {
  return workers.some((worker) => worker.orchestrations.includes(name));
}
