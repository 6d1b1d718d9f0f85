import type { Env, Logger } from "../core/env.js";
import { StoreClosedError } from "../core/errors.js";
import type { Executor } from "../core/executor.js";
import type { LeaseStatus } from "../core/leases.js";
import type { ChangeHint, Refusal, Shards, Store, TurnBoard, WorkerInfo } from "../core/store.js";
import { ActivityRunner } from "./activity-runner.js";
import { Caution } from "./caution.js";
import { Dispatcher } from "./dispatcher.js";
import { Housekeeping } from "./housekeeping.js";
import { Mailbox } from "./mailbox.js";
import { NearIds } from "./near-ids.js";
import { EVERY_SHARD, type OwnedShards } from "./owned-shards.js";
import { persist } from "./persist.js";
import { RequestHandler } from "./request-handler.js";
import { RetentionSweep } from "./retention-sweep.js";
import { ShardKeeper } from "./shard-keeper.js";
import { StoreClock } from "./store-clock.js";
import { Strikes } from "./strikes.js";
import { TaskExchange } from "./task-exchange.js";
import { TimerLoop } from "./timer-loop.js";

/** What a worker is made of. */
export interface TaskHubWorkerParts {
  readonly store: Store;
  readonly executor: Executor;
  readonly env: Env;
  readonly logger: Logger;
  readonly info: WorkerInfo;
  readonly board: TurnBoard;
  readonly maxConcurrentActivities: number;
  /** The queues whose activities it takes; absent: all. */
  readonly queues?: readonly string[];
  readonly maxResidentInstances: number;
  /** A child start was refused. */
  readonly onRefused: (refusal: Refusal) => void;
}

/** A worker's load, for health pages. */
export interface WorkerLoad {
  readonly turns: number;
  readonly activities: number;
  readonly residents: number;
}

/** Unfinished instances are looked after in batches of this size, other work in between. */
const ADOPT_BATCH = 500;

/** How often activities in flight are held against the store, at most. */
const HEADS_CHECK_MS = 250;

/**
 * After how many leases one looks whether a former owner has committed something after we had read it: its last commit
 * may have been on its way for that long.
 */
const LATE_COMMIT_LEASES = [1, 3, 10];

/** How often a drain looks whether it is done. */
const DRAIN_LOOK_MS = 10;

/** Whoever owns this shard does what one worker is to do for the whole hub. */
const CHORES_SHARD = 0;

/**
 * Runs the orchestrations and activities of a hub in this process: takes up what earlier owners of its
 * shards left, then follows messages and timers until it is stopped.
 */
export class TaskHubWorker {
  /** For instances that nobody chose an ID for. */
  readonly ids: NearIds;
  readonly #parts: TaskHubWorkerParts;
  readonly #clock: StoreClock;
  readonly #caution: Caution;
  readonly #dispatcher: Dispatcher;
  readonly #activities: ActivityRunner;
  readonly #exchange: TaskExchange | undefined;
  readonly #mailbox: Mailbox;
  readonly #timers: TimerLoop;
  readonly #requests: RequestHandler;
  readonly #sweep: RetentionSweep;
  readonly #housekeeping: Housekeeping;
  readonly #keeper: ShardKeeper | undefined;
  readonly #loops: Promise<void>[] = [];
  #unsubscribe: () => void = () => {};
  readonly #stopping = new AbortController();
  #stopped = false;
  #checkingHeads = false;

  constructor(parts: TaskHubWorkerParts) {
    const { store, executor, logger, info, maxConcurrentActivities, maxResidentInstances, onRefused } = parts;
    this.#clock = new StoreClock(parts.env);
    const { env } = this.#clock;
    this.#parts = { ...parts, env };
    this.#keeper = this.#keeperOf(store);
    const owned: OwnedShards = this.#keeper ?? EVERY_SHARD;
    this.ids = new NearIds({
      env,
      owned,
      underWay: () => this.#underWay(),
      othersLoad: () => this.#keeper?.othersLoad,
    });
    const doesChores = (): boolean => owned.owns(CHORES_SHARD);
    this.#timers = new TimerLoop(env, store, logger, owned);
    this.#mailbox = new Mailbox(env, store, logger, owned);
    this.#requests = new RequestHandler(env, store, logger, onRefused);
    this.#sweep = new RetentionSweep(env, store, logger, doesChores);
    this.#housekeeping = new Housekeeping(env, store, logger, doesChores);
    this.#activities = new ActivityRunner(env, executor, maxConcurrentActivities);
    this.#exchange = this.#exchangeOf(store);
    const strikes = new Strikes(env, store, info.id);
    this.#caution = new Caution({ env, logger, store, worker: info.id, strikes });
    this.#dispatcher = new Dispatcher({
      store,
      executor,
      env,
      logger,
      workerId: info.id,
      owned,
      activities: this.#activities,
      strikes,
      caution: this.#caution,
      ...(this.#exchange === undefined ? {} : { exchange: this.#exchange }),
      maxResidentInstances,
      onTimerSettled: (timer, again) => this.#timers.settle(timer, again),
      onTimerPassedOn: (timer) => this.#timers.passOn(timer),
      onInstanceGone: (iid) => this.#timers.forget(iid),
      onLoaded: (messages) => this.#mailbox.note(messages),
    });
  }

  get load(): WorkerLoad {
    return this.#dispatcher.load;
  }

  /** How this worker holds its share of the hub, where several share it. */
  get lease(): LeaseStatus | undefined {
    return this.#keeper?.status;
  }

  /**
   * Joins the hub and starts working.
   *
   * @throws StoreHeldError where another engine holds the store.
   */
  async start(): Promise<void> {
    const { store, info, board } = this.#parts;
    await store.join(info);
    store.watchTurns?.(board);
    await this.#caution.look();
    this.#unsubscribe = store.subscribe((hint) => this.#onHint(hint));
    const keeper = this.#keeper;
    if (keeper === undefined) this.#run("adopting unfinished instances", () => this.#adoptUnfinished("all"));
    else this.#run("keeping shards", () => keeper.run());
    this.#run("reading messages", () =>
      this.#mailbox.run(
        (mail) => this.#dispatcher.deliver(mail),
        (requests) => this.#run("carrying out requests", () => this.#requests.handle(requests)),
      ),
    );
    const exchange = this.#exchange;
    if (exchange !== undefined) this.#run("taking tasks", () => exchange.run());
    this.#run("firing timers", () => this.#timers.run((timer) => this.#dispatcher.fire(timer)));
    this.#run("retention sweep", () => this.#sweep.run());
    this.#run("housekeeping", () => this.#housekeeping.run());
  }

  /**
   * Stops: takes nothing new, lets turns and activities under way finish for so long, then aborts the
   * activities. What was not finished runs again at the next start; or, where others share the hub, there: they
   * get each shard as soon as nothing of it is under way here.
   */
  async stop(drainMs: number): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#stopping.abort("stopped");
    this.#unsubscribe();
    this.#mailbox.stop();
    this.#timers.stop();
    this.#requests.stop();
    this.#caution.stop();
    this.#sweep.stop();
    this.#housekeeping.stop();
    this.#exchange?.stop();
    this.#dispatcher.stopActivities();
    const beganMs = this.#parts.env.monotonicMs();
    await this.#keeper?.handOver(drainMs);
    // Without others to hand over to; or for what is done here for others.
    await this.#untilIdle(drainMs - (this.#parts.env.monotonicMs() - beganMs));
    this.#keeper?.stop();
    const held = this.#activities.heldTasks().map(({ instance, activity }) => ({
      iid: instance.iid,
      generation: instance.generation,
      task: activity.task,
    }));
    this.#dispatcher.abortActivities("The worker stops.");
    await this.#exchange?.close(held);
    await Promise.all(this.#loops);
    await this.#caution.end();
  }

  #run(name: string, loop: () => Promise<void>): void {
    const running = loop().catch((error: unknown) => {
      if (!(error instanceof StoreClosedError)) this.#parts.logger.error(`${name} failed`, { error });
    });
    this.#loops.push(running);
    void running.finally(() => this.#loops.splice(this.#loops.indexOf(running), 1));
  }

  async #untilIdle(patienceMs: number): Promise<void> {
    const { env } = this.#parts;
    const start = env.monotonicMs();
    while (!this.#dispatcher.isIdle() && env.monotonicMs() - start < patienceMs)
      await env.sleep(DRAIN_LOOK_MS);
  }

  #underWay(): number {
    const { turns, activities } = this.#dispatcher.load;
    return turns + activities;
  }

  #keeperOf({ leases }: Store): ShardKeeper | undefined {
    if (leases === undefined) return undefined;
    const { env, logger, info } = this.#parts;
    return new ShardKeeper({
      env,
      leases,
      logger,
      worker: info.id,
      load: () => this.ids.load,
      onTaken: (shards) => this.#takeShards(shards),
      onTime: (nowMs) => this.#clock.hear(nowMs),
      onLost: (shards, handOver) => this.#loseShards(shards, handOver),
      busyShards: () => this.#dispatcher.busyShards(),
    });
  }

  #takeShards(shards: readonly number[]): void {
    // What ended or blocked its former owner must not do so to this process, too: before any of it is loaded.
    const looked = this.#caution.look();
    this.#mailbox.take(shards);
    this.#timers.wake();
    if (shards.includes(CHORES_SHARD)) this.#sweep.wake();
    this.#run("adopting unfinished instances", async () => {
      await looked;
      await this.#adoptUnfinished(shards);
    });
    this.#run("looking for late commits", () => this.#followLateCommits(shards));
  }

  /**
   * A former owner's last commit may take effect after we have read its instance, or seen that nothing of it was under
   * way, and then nobody goes on with what it has begun: to us it is unknown, and the former owner has let go of it.
   */
  async #followLateCommits(shards: readonly number[]): Promise<void> {
    const leaseMs = this.#parts.store.leases?.leaseMs ?? 0;
    let waited = 0;
    for (const leases of LATE_COMMIT_LEASES) {
      await this.#parts.env.sleep((leases - waited) * leaseMs, this.#stopping.signal);
      waited = leases;
      const ours = shards.filter((shard) => this.#keeper?.owns(shard) === true);
      await this.#eachUnfinished(ours, async (iids) =>
        this.#dispatcher.follow(await this.#persist((store) => store.heads(iids))),
      );
      if (this.#stopped) return;
    }
  }

  #loseShards(shards: readonly number[], handOver: boolean): void {
    this.#mailbox.forget(shards);
    this.#dispatcher.loseShards(new Set(shards), handOver);
  }

  #exchangeOf({ tasks }: Store): TaskExchange | undefined {
    if (tasks === undefined) return undefined;
    const { env, logger, store, executor, info, queues } = this.#parts;
    return new TaskExchange({
      env,
      logger,
      store,
      tasks,
      worker: info.id,
      executor,
      activities: this.#activities,
      host: (task) => this.#dispatcher.host(task),
      hosted: () => this.#dispatcher.hosted,
      draining: () => this.lease?.draining === true,
      ...(queues === undefined ? {} : { queues }),
    });
  }

  async #adoptUnfinished(shards: Shards): Promise<void> {
    await this.#eachUnfinished(shards, async (iids) => {
      for (const iid of iids) this.#dispatcher.adopt(iid);
    });
  }

  async #eachUnfinished(shards: Shards, take: (iids: readonly number[]) => Promise<void>): Promise<void> {
    for (let afterIid = 0; !this.#stopped; ) {
      const query = { shards, afterIid, limit: ADOPT_BATCH };
      const iids = await this.#persist((store) => store.unfinished(query));
      await take(iids);
      const last = iids.at(-1);
      if (last === undefined || iids.length < ADOPT_BATCH) return;
      afterIid = last;
      await this.#parts.env.yieldNow();
    }
  }

  #persist<T>(operation: (store: Store) => Promise<T>): Promise<T> {
    const { store, env, logger } = this.#parts;
    return persist({ env, logger, isOver: () => this.#stopped }, () => operation(store));
  }

  #onHint(hint: ChangeHint): void {
    const change = hint.from === "here" ? hint : hint.change;
    for (const loaded of change?.loaded ?? []) this.#dispatcher.expect(loaded);
    for (const iid of change?.began ?? []) this.#dispatcher.adopt(iid);
    if (change === undefined || (change.messages && change.onlyBegan !== true)) this.#mailbox.wake();
    if (change === undefined || change.members === true) this.#keeper?.wake();
    // What a worker that is gone held may be taken.
    if (change === undefined || change.tasks === true || change.members === true) this.#exchange?.wake();
    if (change === undefined) this.#timers.wake();
    else if (change.nextDueMs !== undefined) this.#timers.noticeDue(change.nextDueMs);
    if (change === undefined || change.instanceIds.length > 0) this.#checkHeads();
  }

  /** Somebody may have ended an instance whose activities run here: they must be told. */
  #checkHeads(): void {
    if (this.#checkingHeads || this.#stopped) return;
    if (this.#dispatcher.instancesWithActivities().length === 0) return;
    this.#checkingHeads = true;
    this.#run("looking after running activities", async () => {
      await this.#parts.env.sleep(HEADS_CHECK_MS);
      this.#checkingHeads = false;
      const { iids, found } = await this.#persist(async (store) => {
        const iids = this.#dispatcher.instancesWithActivities();
        return { iids, found: await store.heads(iids) };
      });
      const heads = new Map(found.map((head) => [head.iid, head]));
      for (const iid of iids) {
        const head = heads.get(iid);
        const valid =
          head !== undefined && head.live && this.#dispatcher.runsActivitiesOf(iid, head.generation);
        if (!valid) this.#dispatcher.invalidate(iid);
      }
    });
  }
}
