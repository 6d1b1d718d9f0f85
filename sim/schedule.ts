import { TaskHubClient } from "../src/client/task-hub-client.js";
import type { LogFields, Logger } from "../src/core/env.js";
import { StoreHeldError, TenureError } from "../src/core/errors.js";
import { jsonCodec } from "../src/core/payload.js";
import type { Store, TurnBoard, WorkerInfo } from "../src/core/store.js";
import { createRegistry } from "../src/replay/definitions.js";
import { LocalExecutor } from "../src/replay/local-executor.js";
import { TaskHubWorker } from "../src/worker/task-hub-worker.js";
import { EVENT, functionsOf, type Testimony } from "./app.js";
import { DirectedFaults } from "./directions.js";
import { DrawnFaults, type FaultKind, type Faults } from "./faults.js";
import type { Ground, Grounds } from "./ground.js";
import { SimProcess, START_MS } from "./process.js";
import { type Random, stream } from "./random.js";
import type { Scene } from "./scene.js";
import { Scheduler, type Strategy } from "./scheduler.js";
import { type Effect, type Sharing, StoreLine } from "./store-line.js";
import { type Operation, perform, type Told, type Workload } from "./workload.js";

/** What a client did, and when by the count of steps: between the two it took effect, if it did. */
export interface Call {
  /** Which process made it. */
  readonly process: string;
  /** Several clients may share a process. */
  readonly client: number;
  readonly operation: Operation;
  readonly calledAt: number;
  returnedAt: number;
  told: Told;
}

/** What is to be tried: all of it follows from the seed, but for what shrinking has left out. */
export interface Plan {
  readonly seed: number;
  readonly workload: Workload;
  /** Faults that are left out, by number. */
  readonly without?: ReadonlySet<number>;
  /** Says what otherwise is drawn, but for the order of steps. */
  readonly scene?: Scene;
}

/** What is looked at while a schedule runs, and after it. */
export interface Observer {
  readonly onEffect: (effect: Effect) => void;
  readonly onActivity: (seen: Testimony) => void;
  /** Nothing goes wrong from now on; much is still under way. */
  readonly onCalm: (store: Store) => Promise<void>;
  /** These IDs are about to be purged, if they have ended. */
  readonly onPurge: (store: Store, instanceIds: readonly string[]) => Promise<void>;
  /** Nothing is under way any more. */
  readonly onEnd: (store: Store) => Promise<void>;
}

export interface Run {
  readonly log: readonly string[];
  readonly calls: readonly Call[];
  readonly bit: ReadonlyMap<FaultKind, number>;
  readonly faultsDrawn: number;
  /** What was to go wrong and did not. */
  readonly missed: readonly string[];
  readonly steps: number;
  /** Up to this step, the clients' calls and what the engine did about them explain each other. */
  readonly begunAgainAt: number;
  readonly refusedCommits: number;
  /** What went wrong for certain. */
  readonly problems: string[];
}

const LEASE = { leaseMs: 3_000, renewMs: 900 };

/** A schedule that takes longer than this is going in circles. */
const MAX_STEPS = 60_000;

/** How long clients wait between their operations, at most: from all at once to one after the other has ended. */
const PACES_MS = [0, 100, 1_000, 3_000] as const;

/** For how long things go on going wrong once the clients have done what they do. */
const LINGERS_MS = [0, 2_000, 10_000] as const;

/** How many rounds everything has to end in once nothing goes wrong any more, */
const HEALING_ROUNDS = 24;
/** and how long a round is. */
const HEALING_ROUND_MS = 6_000;

/** In one of so many schedules nobody pokes anything at first, for a little longer than anything may wait; */
const QUIET = 4;
const QUIET_MS = 4_000;
/** it is looked this often */
const LOOK_MS = 2_000;
/** whether something that is due has waited for longer than this, while nothing went wrong; */
const IDLE_MS = 10_000;
/** or for longer than this, where it may be of a former owner's late commit: after 3 leases, that is looked for after 10. */
const FOUND_LATE_MS = 7 * LEASE.leaseMs + LEASE.leaseMs;

/** How workers share the hub: whatever leases save, nothing may rest on them. */
const SHARINGS: readonly [Sharing, Sharing, Sharing] = ["divided", "one engine", "leases"];

/** One of so many clients works in a worker's process. */
const BESIDE = 3;

/** In one of so many schedules everything is purged in the end, and begins once more. */
const BEGUN_AGAIN = 3;

/** Keeps the worker's memory of instances small enough that replay happens. */
const RESIDENTS = [1, 2, 50] as const;

/** Runs the engine under a plan, on new ground. */
export async function runSchedule(plan: Plan, grounds: Grounds, observer: Observer): Promise<Run> {
  const clock = { nowMs: () => 0 };
  await using ground = await grounds.lay({ now: () => START_MS + clock.nowMs(), ...LEASE });
  const schedule = new Schedule(plan, ground, observer);
  clock.nowMs = () => schedule.nowMs;
  const run = await schedule.run();
  if (run.problems.length === 0) await observer.onEnd(ground.store);
  return run;
}

/** What a store that does not serve lets a worker say: no other error is expected, whatever goes wrong around it. */
const EXPECTED_ERRORS = new Set(["StoreUnusable", "StoreConflict"]);

/** Why an instance may be parked: its worker has ended again and again, soon after it had taken the instance up. */
const EXPECTED_PARKS = new Set(["ProcessEnded"]);

function isExpected(fields: LogFields | undefined): boolean {
  const error = fields?.["error"];
  const code = fields?.["code"];
  const isParked = typeof code === "string";
  if (isParked) return EXPECTED_PARKS.has(code);
  return error === undefined || (error instanceof TenureError && EXPECTED_ERRORS.has(error.code));
}

function told(fields: LogFields | undefined): string {
  const error = fields?.["error"];
  return error instanceof Error ? `${error.name}: ${error.message}` : "";
}

class Schedule {
  readonly #plan: Plan;
  readonly #observer: Observer;
  readonly #random: Random;
  readonly #scheduler: Scheduler;
  readonly #faults: Faults;
  readonly #line: StoreLine;
  readonly #ground: Ground;
  readonly #log: string[] = [];
  readonly #calls: Call[] = [];
  readonly #problems: string[] = [];
  readonly #workers = new Set<SimProcess>();
  readonly #names = new Map<string, number>();
  readonly #paceMs: number;
  readonly #sharing: Sharing;
  readonly #isQuiet: boolean;
  #processes = 0;
  #events = 0;
  #refused = 0;

  constructor(plan: Plan, ground: Ground, observer: Observer) {
    this.#plan = plan;
    this.#ground = ground;
    this.#observer = observer;
    this.#random = stream(plan.seed, "world");
    const { scene } = plan;
    const strategies: readonly [Strategy, Strategy, Strategy] = ["uniform", "priority", "starve"];
    this.#scheduler = new Scheduler({
      random: stream(plan.seed, "steps"),
      strategy: scene === undefined ? this.#random.pick(strategies) : "uniform",
      hurry: scene === undefined ? this.#random.pick([0, 0.02, 0.1]) : 0,
      onStep: (nowMs, actor, label) => this.#log.push(`${nowMs} ${actor}: ${label}`),
    });
    this.#paceMs = scene === undefined ? this.#random.pick(PACES_MS) : 0;
    const sharing = scene === undefined ? this.#random.pick(SHARINGS) : (scene.sharing ?? "leases");
    // Where work may leave its owner's process, several share the hub.
    this.#sharing = sharing === "one engine" && ground.tasks ? "leases" : sharing;
    this.#isQuiet = scene === undefined && stream(plan.seed, "quiet").below(QUIET) === 0;
    this.#faults =
      scene === undefined
        ? new DrawnFaults(stream(plan.seed, "faults"), plan.without)
        : new DirectedFaults(scene.directions);
    this.#line = new StoreLine({
      scheduler: this.#scheduler,
      random: stream(plan.seed, "line"),
      faults: this.#faults,
      ground,
      sharing: this.#sharing,
      onEffect: (effect) => this.#onEffect(effect),
      onPurge: (store, instanceIds) => observer.onPurge(store, instanceIds),
      onCrash: (process) => this.#onCrash(process),
      onProblem: (problem) => this.#problems.push(problem),
    });
  }

  get nowMs(): number {
    return this.#scheduler.nowMs;
  }

  async run(): Promise<Run> {
    const { scene } = this.#plan;
    const drawn = 2 + this.#random.below(2);
    const workers = scene?.workers ?? (this.#sharing === "one engine" ? drawn - 1 : drawn);
    for (let n = 0; n < workers; n++) this.#startWorker();
    if (scene?.joinsAtMs !== undefined) this.#startWorkerIn(scene.joinsAtMs);
    const working = this.#plan.workload.map((operations, n) => this.#startClient(n, operations));
    let left = working.length;
    for (const each of working) void each.then(() => left--);
    this.#ended(await this.#scheduler.run(() => left === 0, MAX_STEPS), "the clients never came to an end");
    await this.#linger(scene?.lingerMs ?? this.#random.pick(LINGERS_MS));
    if (scene?.inTime === true) await this.#expectEnded();
    await this.#observer.onCalm(this.#ground.store);
    await this.#heal();
    const begunAgainAt = this.#scheduler.taken;
    const beginsAgain = scene === undefined && this.#random.below(BEGUN_AGAIN) === 0;
    if (this.#problems.length === 0 && beginsAgain) {
      await this.#observer.onEnd(this.#ground.store);
      await this.#beginAgain();
    }
    return {
      log: this.#log,
      calls: this.#calls,
      bit: this.#faults.bit,
      faultsDrawn: this.#faults.drawn,
      missed: this.#faults.missed,
      steps: this.#scheduler.taken,
      begunAgainAt,
      refusedCommits: this.#refused,
      problems: this.#problems,
    };
  }

  async #linger(ms: number): Promise<void> {
    let isOver = false;
    void this.#newProcess("supervisor")
      .env.sleep(ms)
      .then(() => {
        isOver = true;
      });
    this.#ended(await this.#scheduler.run(() => isOver, MAX_STEPS), "time stood still");
  }

  #ended(stop: "done" | "idle" | "limit", problem: string): void {
    if (stop !== "done") this.#problems.push(`${problem} (${stop})`);
  }

  // --- processes --------------------------------------------------------------------------------------------------

  #newProcess(kind: string): SimProcess {
    const number = ++this.#processes;
    const name = `${kind}${number}`;
    return new SimProcess(name, number, this.#scheduler, stream(this.#plan.seed, name), this.#loggerOf(name));
  }

  #startWorker(): void {
    const process = this.#newProcess("worker");
    this.#workers.add(process);
    const worker = this.#workerOf(process);
    worker.start().catch((error: unknown) => {
      // As a process that cannot start: it ends, and is started again.
      if (process.dead) return;
      const isHeld = error instanceof StoreHeldError && this.#sharing === "one engine";
      if (!isHeld && !isExpected({ error }))
        this.#problems.push(`${process.name} cannot start: ${told({ error })}`);
      this.#log.push(`${process.name} could not start: ${String(error)}`);
      process.kill();
      this.#onCrash(process);
    });
  }

  #workerOf(process: SimProcess): TaskHubWorker {
    const { env } = process;
    const logger = this.#loggerOf(process.name);
    const registry = createRegistry(functionsOf(process, (seen) => this.#observer.onActivity(seen)));
    const info: WorkerInfo = {
      id: env.id(),
      host: "simulated",
      pid: this.#processes,
      sinceMs: env.now(),
      orchestrations: [...registry.orchestrations.keys()],
      activities: [...registry.activities.keys()],
    };
    const board: TurnBoard = { cells: new BigInt64Array(new SharedArrayBuffer(24)), worker: info.id };
    const { scene } = this.#plan;
    const replayEveryTurn = scene === undefined && this.#random.below(4) === 0;
    const executor = new LocalExecutor({ registry, env, codec: jsonCodec, logger, board, replayEveryTurn });
    return new TaskHubWorker({
      store: this.#line.storeOf(process),
      executor,
      env,
      logger,
      info,
      board,
      maxConcurrentActivities: 10,
      maxResidentInstances: scene?.residents ?? this.#random.pick(RESIDENTS),
      onRefused: () => {},
    });
  }

  #killWorkers(): void {
    for (const worker of this.#workers) worker.kill();
    this.#workers.clear();
  }

  #onCrash(process: SimProcess): void {
    if (!this.#workers.delete(process)) return;
    this.#startWorkerIn(this.#random.between(10, 4_000));
  }

  #startWorkerIn(ms: number): void {
    const keeper = this.#newProcess("supervisor");
    void keeper.env.sleep(ms).then(() => this.#startWorker());
  }

  #clientOf(process: SimProcess, n?: number): TaskHubClient {
    const logger = this.#loggerOf(process.name);
    const store = this.#line.storeOf(process, n);
    return new TaskHubClient({ store, env: process.env, codec: jsonCodec, logger, requester: process.name });
  }

  /** A client, and those that go on with its work where it dies. */
  async #startClient(n: number, operations: readonly Operation[]): Promise<void> {
    const supervisor = this.#newProcess("supervisor");
    const isBeside =
      this.#plan.scene === undefined && stream(this.#plan.seed, `beside ${n}`).below(BESIDE) === 0;
    let process = this.#clientProcess(n, isBeside);
    let client = this.#clientOf(process, n);
    for (const operation of operations) {
      await supervisor.env.sleep(this.#random.below(this.#paceMs + 1));
      const call: Call = {
        process: process.name,
        client: n,
        operation,
        calledAt: this.#scheduler.taken,
        returnedAt: Number.POSITIVE_INFINITY,
        told: { kind: "unknown" },
      };
      this.#calls.push(call);
      const answered = perform(client, process, operation, this.#newEvent()).then((told) => {
        call.told = told;
        if (told.kind === "refused" && told.code === "EngineFault")
          this.#problems.push(`${operation.do}: the engine's own fault`);
        call.returnedAt = this.#scheduler.taken;
        this.#log.push(`${process.name} ${operation.do} was told ${JSON.stringify(told)}`);
        return true;
      });
      for (let isOver = false; !isOver; ) {
        isOver = await Promise.race([answered, supervisor.env.sleep(500).then(() => false)]);
        if (isOver || !process.dead) continue;
        process = this.#clientProcess(n, isBeside);
        client = this.#clientOf(process, n);
        isOver = true;
      }
    }
  }

  /** A process of its own; or one that works, where there is one. */
  #clientProcess(n: number, isBeside: boolean): SimProcess {
    const working = isBeside ? [...this.#workers].find(({ dead }) => !dead) : undefined;
    return working ?? this.#newProcess(`client-${n}-`);
  }

  #newEvent(): string {
    return `event-${++this.#events}`;
  }

  #loggerOf(name: string): Logger {
    const ignore = (): void => {};
    const note = (says: string) => (message: string, fields?: LogFields) => {
      this.#log.push(`${name} ${says}: ${message} ${told(fields)}`);
      if (!isExpected(fields)) this.#problems.push(`${name}: ${message} ${told(fields)}`);
    };
    return { debug: ignore, info: ignore, warn: note("warns"), error: note("complains") };
  }

  /** Row IDs may have gaps, and where is a store's own affair: they are named in the order in which they are met. */
  #named(text: string): string {
    return text.replaceAll(/(\\*"iid\\*":)(\d+)/g, (_, key: string, iid: string) => {
      if (!this.#names.has(iid)) this.#names.set(iid, this.#names.size + 1);
      return `${key}${this.#names.get(iid)}`;
    });
  }

  #onEffect(effect: Effect): void {
    if (effect.kind === "turn" && !effect.result.accepted) this.#refused += 1;
    this.#log.push(`  ${this.#named(JSON.stringify(effect))}`);
    this.#observer.onEffect(effect);
  }

  /** Everything has come to its end by now, as it does unless it is found late. */
  async #expectEnded(): Promise<void> {
    const client = this.#clientOf(this.#newProcess("supervisor"));
    let live: readonly string[] | undefined;
    void this.#liveIds(client).then((ids) => {
      live = ids;
    });
    this.#ended(await this.#scheduler.run(() => live !== undefined, MAX_STEPS), "nobody could look");
    if (live === undefined || live.length === 0) return;
    this.#problems.push(`not at its end in time: ${live.join(", ")}`);
  }

  // --- after the faults -------------------------------------------------------------------------------------------

  /** Nothing goes wrong any more: whatever is live must come to its end, given what it waits for. */
  async #heal(): Promise<void> {
    this.#faults.heal();
    this.#scheduler.calm();
    this.#line.heal();
    for (const worker of this.#workers) worker.pausedUntilMs = 0;
    if (this.#sharing === "divided") this.#killWorkers();
    if (this.#workers.size === 0) this.#startWorker();
    // What was sent before may still come; and then nothing is on its way any more.
    if (this.#line.settlesAtMs > this.nowMs) await this.#linger(this.#line.settlesAtMs - this.nowMs);
    if (this.#isQuiet) await this.#expectNothingIdle();
    const process = this.#newProcess("healer");
    const client = this.#clientOf(process);
    for (let round = 1; ; round++) {
      const healed = this.#healingRound(client, process);
      let live: readonly string[] | undefined;
      void healed.then((left) => {
        live = left;
      });
      this.#ended(await this.#scheduler.run(() => live !== undefined, MAX_STEPS), "the healing stood still");
      if (live === undefined || live.length === 0) return;
      if (round < HEALING_ROUNDS) continue;
      this.#problems.push(`never came to an end, although nothing went wrong any more: ${live.join(", ")}`);
      return;
    }
  }

  /** Without being poked, everything goes on for as long as it waits for nobody but a worker. */
  async #expectNothingIdle(): Promise<void> {
    const dueSince = new Map<string, number>();
    const idleMs = this.nowMs - this.#line.heldUntilMs < FOUND_LATE_MS ? FOUND_LATE_MS : IDLE_MS;
    const endMs = this.nowMs + idleMs + QUIET_MS;
    while (this.nowMs < endMs && this.#problems.length === 0) {
      const due = new Set(await this.#line.workDue(this.#timersNowMs()));
      for (const each of dueSince.keys()) if (!due.has(each)) dueSince.delete(each);
      for (const each of due) if (!dueSince.has(each)) dueSince.set(each, this.nowMs);
      const idle = [...dueSince].filter(([, sinceMs]) => this.nowMs - sinceMs > idleMs);
      if (idle.length > 0)
        this.#problems.push(
          `left undone, although nothing went wrong any more: ${idle.map(([each]) => each).join(", ")}`,
        );
      await this.#linger(LOOK_MS);
    }
  }

  /** By the clock that timers go by; the one that is behind, where there are several. */
  #timersNowMs(): number {
    if (this.#sharing !== "one engine") return START_MS + this.nowMs;
    return Math.min(...[...this.#workers].map(({ env }) => env.now()));
  }

  /** What was purged leaves nothing behind, and what comes after it knows nothing of it. */
  async #beginAgain(): Promise<void> {
    const client = this.#clientOf(this.#newProcess("healer"));
    let isOver = false;
    const again = async (): Promise<void> => {
      for (const { instanceId, name } of (await client.list({ top: 1000 })).instances) {
        await client.purge(instanceId);
        await client.startNew(name, { instanceId, input: { program: [] }, allowUnregistered: true });
      }
    };
    void again().then(() => {
      isOver = true;
    });
    this.#ended(await this.#scheduler.run(() => isOver, MAX_STEPS), "nothing could be begun again");
    await this.#heal();
  }

  /**
   * Gives every live instance what it may wait for; in a scene nothing: there it has it. @returns those that were still
   * live after a while.
   */
  async #healingRound(client: TaskHubClient, process: SimProcess): Promise<readonly string[]> {
    const waiting = this.#plan.scene === undefined ? await this.#liveIds(client) : [];
    for (const id of waiting) {
      for (const act of [() => client.resume(id), () => client.raiseEvent(id, EVENT, this.#newEvent())])
        await act().catch(() => {}); // it may have ended meanwhile
    }
    await process.env.sleep(HEALING_ROUND_MS);
    const onTheirWay = await this.#line.messages();
    return [...(await this.#liveIds(client)), ...onTheirWay.map(({ kind, n }) => `${kind} ${n}`)];
  }

  async #liveIds(client: TaskHubClient): Promise<readonly string[]> {
    const { instances } = await client.list({
      runtimeStatus: ["Pending", "Running", "Suspended"],
      top: 1000,
    });
    return instances.map(({ instanceId }) => instanceId);
  }
}
