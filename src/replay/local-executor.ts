import type { Env, LogFields, Logger } from "../core/env.js";
import type {
  ActivityOutcome,
  ActivityWorkItem,
  Executor,
  TurnOutcome,
  TurnWorkItem,
} from "../core/executor.js";
import { describeFailure } from "../core/failure.js";
import { decodeValue, encodeValue, type PayloadCodec } from "../core/payload.js";
import type { TurnBoard } from "../core/store.js";
import type { ActivityContext } from "./activity-context.js";
import type { Registry } from "./definitions.js";
import { OrchestrationRun } from "./orchestration-run.js";
import { Turnstile } from "./turnstile.js";

/** A run kept between turns, valid for exactly one committed (generation, sequence). */
interface StickyRun {
  readonly run: OrchestrationRun;
  readonly generation: number;
  readonly nextSequence: number;
}

/** What a local executor is made of. */
export interface LocalExecutorParts {
  readonly registry: Registry;
  readonly env: Env;
  readonly codec: PayloadCodec;
  readonly logger: Logger;
  /** Where the running turn is written for whoever watches for blocked ones. */
  readonly board?: TurnBoard;
  /** For tests: forget every run after its turn, so that each turn replays the whole history. */
  readonly replayEveryTurn?: boolean;
}

/**
 * Runs orchestrators and activities in this process. Between turns it keeps the running function; the
 * committed (generation, sequence) proves that memory valid, and anything else means replay.
 */
export class LocalExecutor implements Executor {
  readonly orchestrations: readonly string[];
  readonly activities: readonly string[];
  readonly maxConcurrent: ReadonlyMap<string, number>;
  readonly #parts: LocalExecutorParts;
  readonly #runs = new Map<number, StickyRun>();
  readonly #turnstile = new Turnstile();
  #turns = 0n;

  constructor(parts: LocalExecutorParts) {
    this.#parts = parts;
    this.orchestrations = [...parts.registry.orchestrations.keys()];
    this.activities = [...parts.registry.activities.keys()];
    this.maxConcurrent = parts.registry.maxConcurrent;
  }

  async runTurn(item: TurnWorkItem): Promise<TurnOutcome> {
    const { iid, generation, sequence } = item.instance;
    const sticky = this.#stickyRun(item);
    const history = sticky === undefined ? await item.history() : [];
    await this.#turnstile.enter();
    this.#showTurn(iid, generation);
    try {
      const run = sticky ?? this.#newRun(item);
      const parked = sticky === undefined ? await run.replay(history) : undefined;
      const outcome = parked ?? (await run.turn(item.atMs, item.newEvents));
      const goesOn = outcome.kind === "waiting" && this.#parts.replayEveryTurn !== true;
      if (goesOn) this.#runs.set(iid, { run, generation, nextSequence: sequence + 1 });
      else this.#runs.delete(iid);
      return outcome;
    } finally {
      this.#showNoTurn();
      this.#turnstile.leave();
    }
  }

  async runActivity(item: ActivityWorkItem): Promise<ActivityOutcome> {
    const activity = this.#parts.registry.activities.get(item.name);
    if (activity === undefined) return { kind: "unregistered" };
    const { codec } = this.#parts;
    try {
      const input: unknown = decodeValue(codec, item.input);
      const context = new LocalActivityContext(item, this.#parts.logger);
      const begin = (): unknown => Reflect.apply(activity, undefined, [context, input]);
      const value = await this.#besideTurns(begin);
      const result = encodeValue(codec, value, `the result of activity "${item.name}"`);
      return { kind: "completed", ...(result === undefined ? {} : { result }) };
    } catch (error) {
      return { kind: "failed", failure: describeFailure(error) };
    }
  }

  forget(iid: number): void {
    this.#runs.delete(iid);
  }

  #stickyRun({ instance }: TurnWorkItem): OrchestrationRun | undefined {
    const sticky = this.#runs.get(instance.iid);
    if (sticky?.generation !== instance.generation || sticky.nextSequence !== instance.sequence)
      return undefined;
    return sticky.run;
  }

  #newRun({ instance, execution }: TurnWorkItem): OrchestrationRun {
    const { registry, env, codec, logger } = this.#parts;
    const orchestrator = registry.orchestrations.get(instance.name);
    if (orchestrator === undefined)
      throw new TypeError(`orchestration "${instance.name}" is not registered here`);
    return new OrchestrationRun(instance, { orchestrator, execution, env, codec, logger });
  }

  #showTurn(iid: number, generation: number): void {
    const cells = this.#parts.board?.cells;
    if (cells === undefined) return;
    this.#turns += 1n;
    Atomics.store(cells, 1, BigInt(iid));
    Atomics.store(cells, 2, BigInt(generation));
    Atomics.store(cells, 0, this.#turns);
  }

  /** A turn waits for its drain while other code begins: what blocks then is not the turn. */
  #besideTurns<T>(call: () => T): T {
    const cells = this.#parts.board?.cells;
    const turn = cells === undefined ? 0n : Atomics.load(cells, 0);
    if (cells === undefined || turn <= 0n) return call();
    this.#showNoTurn();
    try {
      return call();
    } finally {
      Atomics.store(cells, 0, turn);
    }
  }

  #showNoTurn(): void {
    const cells = this.#parts.board?.cells;
    if (cells !== undefined) Atomics.store(cells, 0, -this.#turns);
  }
}

/** Signal and log are made when they are first looked at: most activities use neither. */
class LocalActivityContext implements ActivityContext {
  readonly instanceId: string;
  readonly executionId: string;
  readonly run: number;
  readonly generation: number;
  readonly orchestrationName: string;
  readonly activityName: string;
  readonly taskId: number;
  readonly fencingToken: number;
  readonly #item: ActivityWorkItem;
  readonly #logger: Logger;

  constructor(item: ActivityWorkItem, logger: Logger) {
    const { instance } = item;
    this.instanceId = instance.instanceId;
    this.executionId = instance.executionId;
    this.run = instance.run;
    this.generation = instance.generation;
    this.orchestrationName = instance.name;
    this.activityName = item.name;
    this.taskId = item.task;
    this.fencingToken = item.fencingToken;
    this.#item = item;
    this.#logger = logger;
  }

  get signal(): AbortSignal {
    return this.#item.signal;
  }

  get log(): Logger {
    const { instanceId, activityName, taskId } = this;
    return withFields(this.#logger, { instanceId, activity: activityName, task: taskId });
  }
}

function withFields(logger: Logger, fields: LogFields): Logger {
  return {
    debug: (message, more) => logger.debug(message, { ...fields, ...more }),
    info: (message, more) => logger.info(message, { ...fields, ...more }),
    warn: (message, more) => logger.warn(message, { ...fields, ...more }),
    error: (message, more) => logger.error(message, { ...fields, ...more }),
  };
}
