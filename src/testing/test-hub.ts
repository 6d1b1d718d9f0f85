import { setImmediate as nextRound, setTimeout as realSleep } from "node:timers/promises";
import type { OrchestrationStatus } from "../client/status.js";
import type { TaskHubClient } from "../client/task-hub-client.js";
import type { Definition } from "../core/definition.js";
import { type Logger, silentLogger } from "../core/env.js";
import { InstanceNotFoundError, InvalidArgumentError, TenureError } from "../core/errors.js";
import { isEnded } from "../core/instance.js";
import type { PayloadCodec } from "../core/payload.js";
import type { Retention } from "../core/retention.js";
import type { Store } from "../core/store.js";
import { TaskHub, type TaskHubConnection } from "../task-hub.js";
import { PROBATION_SETTING } from "../worker/probation.js";
import { StoreSwitch, storeOf } from "./store-lines.js";
import { VirtualClock, VirtualProcess } from "./virtual-clock.js";

/** How a test hub is opened. */
export interface TestHubOptions {
  /** The orchestrations and activities under test. */
  readonly functions: readonly Definition[];
  /** Where the virtual clock begins. Default: 2026-01-01T00:00:00Z. */
  readonly startTime?: Date;
  /** Replays the whole history at every turn, so that non-deterministic code is found at once. Default true. */
  readonly replayEveryTurn?: boolean;
  readonly retention?: Retention;
  readonly logger?: Logger;
  readonly codec?: PayloadCodec;
  readonly maxConcurrentActivities?: number;
  readonly maxResidentInstances?: number;
}

/** What settling waits for. */
export interface SettleOptions {
  /** `wait` (the default) for activities that run, or `leave` them running, e.g. one that a timer is to overtake. */
  readonly activities?: "wait" | "leave";
}

/** The instance waits for something that passing time does not bring. */
export class NothingWillHappenError extends TenureError {
  readonly code = "WaitTimeout";

  constructor(readonly status: OrchestrationStatus) {
    super(
      `Instance '${status.instanceId}' is ${status.runtimeStatus} and no timer is set: it waits for an event, ` +
        `a resume, or a fix${status.parked === undefined ? "" : ` (parked: ${status.parked.message})`}.`,
    );
  }
}

const DEFAULT_START = new Date("2026-01-01T00:00:00Z");

/** Quiet rounds of the event loop after which nothing is left to do. */
const QUIET_ROUNDS = 2;

/** Rounds after which somebody must be doing real I/O: then we look less often. */
const BUSY_ROUNDS = 100;

interface Engine {
  readonly process: VirtualProcess;
  readonly hub: TaskHub;
}

/** A task hub with a virtual clock. The engine is the real one; only its clock and its store are for tests. */
export class TestHub implements AsyncDisposable {
  readonly #options: TestHubOptions;
  readonly #openStore: () => Promise<Store>;
  readonly #clock: VirtualClock;
  readonly #clientProcess: VirtualProcess;
  readonly #line: StoreSwitch;
  readonly #connection: TaskHubConnection;
  #store: Store;
  #engine: Engine | undefined;

  private constructor(parts: {
    readonly options: TestHubOptions;
    readonly openStore: () => Promise<Store>;
    readonly clock: VirtualClock;
    readonly clientProcess: VirtualProcess;
    readonly line: StoreSwitch;
    readonly connection: TaskHubConnection;
    readonly store: Store;
  }) {
    this.#options = parts.options;
    this.#openStore = parts.openStore;
    this.#clock = parts.clock;
    this.#clientProcess = parts.clientProcess;
    this.#line = parts.line;
    this.#connection = parts.connection;
    this.#store = parts.store;
  }

  /** Opens a hub on a store; `openStore` opens the same data again after a crash. */
  static async open(options: TestHubOptions, openStore: () => Promise<Store>): Promise<TestHub> {
    const { logger = silentLogger, codec, startTime = DEFAULT_START } = options;
    const clock = new VirtualClock(startTime.getTime());
    const store = await openStore();
    const line = new StoreSwitch(store);
    const clientProcess = new VirtualProcess(clock, logger);
    const connection = await TaskHub.connect({
      store: storeOf(clientProcess, line.store),
      env: clientProcess.env,
      requester: "test",
      logger,
      ...(codec === undefined ? {} : { codec }),
    });
    const hub = new TestHub({ options, openStore, clock, clientProcess, line, connection, store });
    await hub.start();
    return hub;
  }

  /** Starts, queries and steers orchestrations. It outlives a crash of the engine, and so do its handles. */
  get client(): TaskHubClient {
    return this.#connection.client;
  }

  /** The virtual time. */
  get now(): Date {
    return new Date(this.#clock.nowMs);
  }

  /** Resolves when nothing is left to do without time passing. */
  async idle({ activities = "wait" }: SettleOptions = {}): Promise<void> {
    let quiet = 0;
    for (let round = 1; quiet < QUIET_ROUNDS; round++) {
      const steps = this.#steps();
      await (round % BUSY_ROUNDS === 0 ? realSleep(1) : nextRound());
      quiet = steps === this.#steps() && !this.#isBusy(activities) ? quiet + 1 : 0;
    }
  }

  /** Moves time on, from one durable timer to the next, and lets everything happen that is due on the way. */
  async advance(ms: number, options: SettleOptions = {}): Promise<void> {
    if (!(ms >= 0)) throw new InvalidArgumentError("ms", `must be 0 or more, not ${ms}`);
    await this.idle(options);
    const targetMs = this.#clock.nowMs + ms;
    for (;;) {
      const dueMs = await this.#nextTimerMs();
      if (dueMs === undefined || dueMs > targetMs) break;
      await this.#moveTo(dueMs, options);
    }
    await this.#moveTo(targetMs, options);
  }

  /** Moves time to the next durable timer. @returns whether there was one. */
  async advanceToNextTimer(options: SettleOptions = {}): Promise<boolean> {
    await this.idle(options);
    const dueMs = await this.#nextTimerMs();
    if (dueMs === undefined) return false;
    await this.#moveTo(dueMs, options);
    return true;
  }

  /**
   * Lets an instance run to its end, skipping the time that it waits.
   *
   * @throws NothingWillHappenError when it waits for something that time does not bring.
   */
  async runToCompletion(instanceId: string): Promise<OrchestrationStatus> {
    do {
      await this.idle();
      const status = await this.#statusOf(instanceId);
      if (isEnded(status.runtimeStatus)) return status;
    } while (await this.advanceToNextTimer());
    throw new NothingWillHappenError(await this.#statusOf(instanceId));
  }

  /**
   * Drops the engine as kill -9 would and starts another one on the same data: with other functions, if
   * given, as after a deploy. Activities that ran go on as ghosts whose results count for nothing.
   */
  async crash(options: { readonly functions?: readonly Definition[] } = {}): Promise<void> {
    await this.stop();
    await this.start(options);
  }

  /** The first half of a crash. The client goes on: what it asks for waits for an engine. */
  async stop(): Promise<void> {
    if (this.#engine === undefined) return;
    this.#engine.process.kill();
    this.#engine = undefined;
    await this.#store.close();
    this.#store = await this.#openStore();
    this.#line.switchTo(this.#store);
    // However often a test crashes the engine, no instance has done it.
    await this.#store.changeSetting(PROBATION_SETTING, "[]");
  }

  /** The second half of a crash. */
  async start(options: { readonly functions?: readonly Definition[] } = {}): Promise<void> {
    const { logger = silentLogger } = this.#options;
    const process = new VirtualProcess(this.#clock, logger);
    const hub = await TaskHub.open({
      replayEveryTurn: true,
      ...this.#options,
      ...options,
      store: storeOf(process, this.#store),
      env: process.env,
      logger,
    });
    this.#engine = { process, hub };
    await this.idle({ activities: "leave" });
  }

  /** Drops everything. */
  async close(): Promise<void> {
    await this.#connection.close();
    this.#engine?.process.hurry();
    await this.#engine?.hub.close({ drainMs: 0 });
    await this.#store.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #moveTo(ms: number, options: SettleOptions): Promise<void> {
    this.#clock.moveTo(ms);
    this.#engine?.process.wakeDue();
    this.#clientProcess.wakeDue();
    await this.idle(options);
  }

  async #nextTimerMs(): Promise<number | undefined> {
    const { nextDueMs } = await this.#store.due({ shards: "all", untilMs: this.#clock.nowMs, limit: 1 });
    return nextDueMs;
  }

  async #statusOf(instanceId: string): Promise<OrchestrationStatus> {
    const status = await this.client.getStatus(instanceId);
    if (status === undefined) throw new InstanceNotFoundError(instanceId);
    return status;
  }

  #steps(): number {
    return this.#clientProcess.steps + (this.#engine?.process.steps ?? 0);
  }

  #isBusy(activities: "wait" | "leave"): boolean {
    if (this.#clientProcess.pending > 0) return true;
    if (this.#engine === undefined) return false;
    const { process, hub } = this.#engine;
    const load = hub.status();
    return process.pending > 0 || load.turns > 0 || (activities === "wait" && load.activities > 0);
  }
}
