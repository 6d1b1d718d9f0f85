import { hostname } from "node:os";
import { RefusalLog } from "./client/refusal-log.js";
import { TaskHubClient, type TaskHubClientParts } from "./client/task-hub-client.js";
import { parseLabel } from "./core/arguments.js";
import { type Definition, isDefinition } from "./core/definition.js";
import { type Env, type Logger, silentLogger } from "./core/env.js";
import { ConfigurationError, InvalidArgumentError, type TenureError } from "./core/errors.js";
import type { LeaseStatus } from "./core/leases.js";
import { jsonCodec, type PayloadCodec } from "./core/payload.js";
import type { Retention } from "./core/retention.js";
import type { Store, TurnBoard, WorkerInfo } from "./core/store.js";
import { createRegistry } from "./replay/definitions.js";
import { LocalExecutor } from "./replay/local-executor.js";
import { isPostgresUrl, withoutPassword } from "./stores/address.js";
import { systemEnv } from "./system-env.js";
import { holdBackTaskRejections } from "./unhandled-rejections.js";
import { TaskHubWorker, type WorkerLoad } from "./worker/task-hub-worker.js";

/** How a task hub is reached. */
export interface ConnectOptions {
  /** `sqlite:FILE`, `postgres://…` (needs the package `pg`), `memory`, or a store of your own. */
  readonly store: string | Store;
  /** Several hubs can share a store; each sees only its own instances. Default `default`. */
  readonly taskHub?: string;
  /** Default: says nothing. */
  readonly logger?: Logger;
  /** Who this process is, as shown with refused starts. Default: its host and pid. */
  readonly requester?: string;
  /** Turns payloads into stored text and back, e.g. to encrypt them. Default: plain JSON. */
  readonly codec?: PayloadCodec;
  /** Everything that is not a pure function: for tests and simulation. */
  readonly env?: Env;
}

/** How a task hub is opened. */
export interface TaskHubOptions extends ConnectOptions {
  /** Orchestrations, activities and HTTP triggers to serve. */
  readonly functions: readonly Definition[];
  /** How long ended instances are kept; kept in the store. Left out: as it was set before. */
  readonly retention?: Retention;
  /** Activities that run at once in this process. Default 1000: they mostly wait. */
  readonly maxConcurrentActivities?: number;
  /** Whose activities this process takes, where processes share a hub. Default: those of every queue. */
  readonly queues?: readonly string[];
  /** Instances kept in memory between turns; others are replayed when they are needed. Default 50,000. */
  readonly maxResidentInstances?: number;
  /**
   * Told when the store has failed so that this process must not go on with it (StoreFailedError, StoreDamagedError);
   * the engine has stopped then. Default: the error is thrown where nobody catches it, so that the process ends.
   */
  readonly onStoreFailure?: (error: TenureError) => void;
  /** For tests: replay the whole history at every turn, to find non-determinism early. */
  readonly replayEveryTurn?: boolean;
}

/** What a hub is doing. */
export interface TaskHubStatus extends WorkerLoad {
  readonly state: "running" | "draining" | "closed";
  readonly worker: WorkerInfo;
  /** How this process holds its share of the hub, where several processes share it. */
  readonly lease?: LeaseStatus;
}

const DEFAULT_CONCURRENT_ACTIVITIES = 1000;
const DEFAULT_RESIDENT_INSTANCES = 50_000;

/** How long `close` lets work under way finish. */
const DEFAULT_DRAIN_MS = 10_000;

/** A client of a task hub whose engine runs elsewhere, or not at the moment. */
export class TaskHubConnection implements AsyncDisposable {
  readonly client: TaskHubClient;
  readonly taskHub: string;
  readonly #store: Store;

  /** Made by {@link TaskHub.connect}. */
  constructor(client: TaskHubClient, store: Store) {
    this.client = client;
    this.taskHub = store.taskHub;
    this.#store = store;
  }

  async close(): Promise<void> {
    await this.client.close();
    await this.#store.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** A task hub with its engine in this process: it runs the orchestrations and activities given. */
export class TaskHub implements AsyncDisposable {
  readonly client: TaskHubClient;
  readonly taskHub: string;
  /** What this hub serves, HTTP triggers included. */
  readonly functions: readonly Definition[];
  readonly #store: Store;
  readonly #worker: TaskHubWorker;
  readonly #info: WorkerInfo;
  readonly #letRejectionsGo: () => void;
  #state: TaskHubStatus["state"] = "running";
  #closing: Promise<void> | undefined;

  private constructor(parts: {
    readonly client: TaskHubClient;
    readonly functions: readonly Definition[];
    readonly store: Store;
    readonly worker: TaskHubWorker;
    readonly info: WorkerInfo;
    readonly letRejectionsGo: () => void;
  }) {
    this.client = parts.client;
    this.taskHub = parts.store.taskHub;
    this.functions = parts.functions;
    this.#store = parts.store;
    this.#worker = parts.worker;
    this.#info = parts.info;
    this.#letRejectionsGo = parts.letRejectionsGo;
  }

  /**
   * Opens a hub and starts its engine.
   *
   * @throws StoreHeldError when another engine runs on the same file.
   * @throws ConfigurationError when two functions share a name.
   */
  static async open(options: TaskHubOptions): Promise<TaskHub> {
    const functions = parseFunctions(options.functions);
    const maxConcurrentActivities = parseLimit(
      "maxConcurrentActivities",
      options.maxConcurrentActivities ?? DEFAULT_CONCURRENT_ACTIVITIES,
    );
    const maxResidentInstances = parseLimit(
      "maxResidentInstances",
      options.maxResidentInstances ?? DEFAULT_RESIDENT_INSTANCES,
    );
    const registry = createRegistry(functions);
    const parts = await connect(options);
    const { store, env, logger, codec, refusals } = parts;
    const info: WorkerInfo = {
      id: env.id(),
      host: hostname(),
      pid: process.pid,
      sinceMs: env.now(),
      orchestrations: [...registry.orchestrations.keys()],
      activities: [...registry.activities.keys()],
    };
    const board: TurnBoard = { cells: new BigInt64Array(new SharedArrayBuffer(24)), worker: info.id };
    const executor = new LocalExecutor({
      registry,
      env,
      codec,
      logger,
      board,
      replayEveryTurn: options.replayEveryTurn ?? false,
    });
    const worker = new TaskHubWorker({
      store,
      executor,
      env,
      logger,
      info,
      board,
      maxConcurrentActivities,
      maxResidentInstances,
      ...(options.queues === undefined
        ? {}
        : { queues: options.queues.map((queue) => parseLabel("queue", queue)) }),
      onRefused: (refusal) => refusals.add(refusal),
    });
    const client = new TaskHubClient({ ...parts, ids: worker.ids });
    try {
      if (options.retention !== undefined) await client.setRetention(options.retention);
      await worker.start();
    } catch (error) {
      await client.close();
      await store.close();
      throw error;
    }
    const letRejectionsGo = holdBackTaskRejections(logger);
    const hub = new TaskHub({ client, functions, store, worker, info, letRejectionsGo });
    void hub.#endOnFailure(logger, options.onStoreFailure ?? throwUncaught);
    return hub;
  }

  /** Reaches a hub without running an engine: to start, query and signal from other processes. */
  static async connect(options: ConnectOptions): Promise<TaskHubConnection> {
    const parts = await connect(options);
    return new TaskHubConnection(new TaskHubClient(parts), parts.store);
  }

  status(): TaskHubStatus {
    const { lease } = this.#worker;
    return {
      state: this.#state,
      worker: this.#info,
      ...this.#worker.load,
      ...(lease === undefined ? {} : { lease }),
    };
  }

  /** Drains and closes. Turns and activities under way may finish; the rest runs again at the next start. */
  async close(options: { readonly drainMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(options.drainMs ?? DEFAULT_DRAIN_MS);
    await this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Takes part in nothing more once the store has failed: not one turn is written after what is in doubt. */
  async #endOnFailure(logger: Logger, tell: (error: TenureError) => void): Promise<void> {
    const error = await this.#store.failure;
    if (error === undefined || this.#state === "closed") return;
    this.close({ drainMs: 0 }).catch((reason: unknown) => {
      logger.warn("the task hub could not be closed in order after its store had failed", { error: reason });
    });
    logger.error(`The engine stops: ${error.message}`, { error });
    tell(error);
  }

  async #close(drainMs: number): Promise<void> {
    this.#state = "draining";
    await this.#worker.stop(drainMs);
    await this.client.close();
    await this.#store.close();
    this.#letRejectionsGo();
    this.#state = "closed";
  }
}

/** What a client and a worker share. */
async function connect(
  options: ConnectOptions,
): Promise<TaskHubClientParts & { readonly refusals: RefusalLog }> {
  const logger = options.logger ?? silentLogger;
  const env = options.env ?? systemEnv(logger);
  const codec = options.codec ?? jsonCodec;
  const store = await openStore(options.store, parseLabel("taskHub", options.taskHub ?? "default"), logger);
  const refusals = new RefusalLog(env, store, logger);
  const requester = options.requester ?? `${hostname()} pid ${process.pid}`;
  return { store, env, logger, codec, refusals, requester };
}

/** Loads the store's driver when it is first needed. */
async function openStore(store: string | Store, taskHub: string, logger: Logger): Promise<Store> {
  if (typeof store !== "string") return store;
  if (store === "memory") {
    const { openMemoryStore } = await import("./stores/memory/store.js");
    return openMemoryStore({ taskHub });
  }
  if (store.startsWith("sqlite:")) {
    const { openSqliteStore } = await import("./stores/sqlite/store.js");
    return openSqliteStore({ file: store.slice("sqlite:".length), taskHub });
  }
  if (isPostgresUrl(store)) {
    const { openPostgresStore } = await import("./stores/postgres/store.js");
    return openPostgresStore({ url: store, taskHub, onWarning: (message) => logger.warn(message) });
  }
  throw new InvalidArgumentError(
    "store",
    `"${withoutPassword(store)}" is not one. Use "sqlite:FILE", "postgres://…", "memory", or a Store.`,
  );
}

/** A process that serves on without its engine would look alive: better that it ends, and is started again. */
function throwUncaught(error: TenureError): void {
  process.nextTick(() => {
    throw error;
  });
}

function parseLimit(parameter: string, limit: number): number {
  if (limit >= 1) return limit;
  throw new InvalidArgumentError(parameter, `must be 1 or more, not ${limit}`);
}

function parseFunctions(functions: unknown): Definition[] {
  if (!Array.isArray(functions)) throw new ConfigurationError("`functions` is not an array of definitions.");
  return functions.map((each: unknown) => {
    if (isDefinition(each) && typeof each.name === "string") return each;
    throw new ConfigurationError(
      "`functions` holds something that is not a definition. Make each with orchestration(), activity() or httpTrigger().",
    );
  });
}
