// The process under load: an engine in a file, and in the same process those who give it work, as in production.
// Started by run.ts with --expose-gc, and killed by it.
import { setMaxListeners } from "node:events";
import { readdirSync } from "node:fs";
import type { Logger } from "../src/core/env.js";
import {
  InstanceHeldError,
  InstanceNotFoundError,
  StoreClosedError,
  StoreConflictError,
} from "../src/core/errors.js";
import { isEnded } from "../src/core/instance.js";
import type { Store } from "../src/core/store.js";
import { openSqliteStore } from "../src/stores/sqlite/store.js";
import { TaskHub } from "../src/task-hub.js";
import { fastEnv, virtualNowMs } from "./clock.js";
import { type FromEngine, isToEngine, type Job, type Lateness, type Life } from "./messages.js";
import { ERROR } from "./report.js";
import { ETERNAL, ETERNALS, functionsOf, KINDS, type Kind } from "./workload.js";

/** How long a stormy engine runs before it is closed without having drained, in virtual time. */
const REOPEN_MS = 30 * 60_000;

/** How long ended instances are kept, at least, in virtual and in real time: the tally must see them before. */
const KEEP_MS = 60 * 60_000;
const KEEP_REAL_MS = 30_000;

/** One call of the store in so many is told to try again later. */
const CALLS_PER_CONFLICT = 500;

/** How long whoever starts instances rests between two, at most. */
const MAX_PAUSE_MS = 60_000;

/** The run is over: everything has to end within this time. The longest timer is shorter. */
const LAST_HOURS_MS = 3 * 3_600_000;

/** Aborted once nothing new is to begin. */
const ending = new AbortController();

process.on("message", (message) => {
  if (!isToEngine(message)) return;
  if (message.kind === "live") live(message);
  else ending.abort();
});

// Whoever watches is gone.
process.on("disconnect", () => process.exit());

function live(life: Life): void {
  new Engine(life).run().then(
    () => process.disconnect(),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
}

function tell(message: FromEngine): void {
  process.send?.(message);
}

class Engine {
  readonly #life: Life;
  readonly #env;
  readonly #logger: Logger;
  readonly #open: Map<string, Life["open"][number]>;
  #counts: Record<string, number> = {};
  #lateness: { [K in keyof Lateness]: number[] } = { steady: [], acrossOutage: [] };
  #openedAtMs = 0;
  #turns = 0;
  #jobs = 0;
  #hub: TaskHub | undefined;

  constructor(life: Life) {
    this.#life = life;
    this.#open = new Map(life.open.map((each) => [each.job.id, each]));
    const count = (level: string) => (message: string) => this.#count(level + inGeneral(message));
    this.#logger = { debug: () => {}, info: () => {}, warn: count("warning: "), error: count(ERROR) };
    this.#env = fastEnv(life.clock, this.#logger);
  }

  async run(): Promise<void> {
    const sampler = this.#sampleForEver();
    while (!ending.signal.aborted) await this.#runEngine();
    await this.#finish();
    sampler.stop();
    this.#sample();
    tell({ kind: "finished" });
  }

  /** From opening the hub to closing it, which in calm weather is the end of everything. */
  async #runEngine(): Promise<void> {
    const over = new AbortController();
    setMaxListeners(0, over.signal); // every caller listens
    const hub = await this.#persist(() => this.#openHub());
    const lanes = this.#lanes(hub, over.signal);
    const refused = this.#startWhatIsHeld(hub, over.signal);
    const closesAtMs = this.#env.now() + REOPEN_MS;
    while (!ending.signal.aborted && (this.#life.weather === "calm" || this.#env.now() < closesAtMs)) {
      await this.#env.sleep(1000);
    }
    if (ending.signal.aborted) {
      await refused;
      await this.#lastHours(hub);
      over.abort();
      this.#openMustBeNone();
    }
    over.abort();
    this.#hub = undefined;
    await hub.close({ drainMs: 0 });
    await Promise.all([...lanes, refused]);
    this.#count("engine closed without having drained");
  }

  async #openHub(): Promise<TaskHub> {
    const keepMs = Math.max(KEEP_MS, KEEP_REAL_MS * this.#life.clock.speed);
    const store = this.#unreliable(await openSqliteStore({ file: this.#life.file }));
    const hub = await TaskHub.open({
      store,
      env: this.#env,
      logger: this.#logger,
      functions: functionsOf({
        sleep: (ms, signal) => this.#env.sleep(ms, signal),
        onTimer: (dueMs, firedMs) => {
          const list = dueMs < this.#openedAtMs ? this.#lateness.acrossOutage : this.#lateness.steady;
          list.push(firedMs - dueMs);
        },
      }),
      retention: { completedMs: keepMs, failedMs: keepMs, terminatedMs: keepMs },
    });
    this.#openedAtMs = this.#env.now();
    this.#hub = hub;
    return hub;
  }

  /** A store that now and then is busy, as one is whose file somebody else holds locked. It counts the turns, too. */
  #unreliable(store: Store): Store {
    return new Proxy(store, {
      get: (target, key) => {
        const member: unknown = Reflect.get(target, key);
        if (typeof member !== "function") return member;
        const reliably = (...args: unknown[]): unknown => Reflect.apply(member, target, args);
        if (key === "close" || key === "subscribe" || key === "join" || key === "watchTurns") return reliably;
        return async (...args: unknown[]): Promise<unknown> => {
          if (Math.random() * CALLS_PER_CONFLICT < 1 && !ending.signal.aborted) {
            this.#count("fault: store busy");
            throw new StoreConflictError("The file is locked, says the soak.");
          }
          const answer: unknown = await reliably(...args);
          if (key === "commit" && Array.isArray(answer)) this.#turns += answer.filter(isAccepted).length;
          return answer;
        };
      },
    });
  }

  // --- who gives it work -----------------------------------------------------------------------------------------

  #lanes(hub: TaskHub, over: AbortSignal): Promise<void>[] {
    const left = [...this.#open.values()];
    const ofKind = KINDS.flatMap((kind) => {
      const resumed = left.filter(({ job }) => job.kind === kind.name).map(({ job }) => job);
      const lanes = Math.max(resumed.length, Math.round(kind.lanes * this.#life.load));
      return Array.from({ length: lanes }, (_, lane) => this.#lane(hub, kind, over, resumed[lane]));
    });
    return [...ofKind, this.#keepEternal(hub, over), this.#read(hub, over)];
  }

  /** One instance after the other; first, one that was left unfinished. */
  async #lane(hub: TaskHub, kind: Kind, over: AbortSignal, left: Job | undefined): Promise<void> {
    const isOver = (): boolean => over.aborted || ending.signal.aborted;
    if (left !== undefined) await this.#untilOver(over, () => this.#see(hub, kind, left, over));
    while (!isOver()) {
      await this.#env.sleep(Math.random() * MAX_PAUSE_MS, over);
      if (isOver()) return;
      const job = this.#newJob(kind);
      await this.#untilOver(over, () => this.#begin(hub, job).then(() => this.#see(hub, kind, job, over)));
    }
  }

  #newJob({ name, status, output }: Kind): Job {
    const input = Math.floor(Math.random() * 100_000);
    const id = `${name}-${this.#life.number}-${++this.#jobs}`;
    return { id, kind: name, input, status, ...(output === undefined ? {} : { output: output(input) }) };
  }

  async #begin({ client }: TaskHub, job: Job): Promise<void> {
    this.#open.set(job.id, { job, accepted: false });
    tell({ kind: "asking", job });
    const options = { instanceId: job.id, input: job.input, ifLive: "attach", ifEnded: "return" } as const;
    // Joins what an attempt that we heard nothing of may have begun.
    await this.#persist(() => client.startNew(job.kind, options));
    this.#open.set(job.id, { job, accepted: true });
    tell({ kind: "accepted", id: job.id });
    this.#count(`started: ${job.kind}`);
  }

  /** Until it has ended, or the engine is closed. */
  async #see({ client }: TaskHub, { steer }: Kind, job: Job, over: AbortSignal): Promise<void> {
    try {
      if (steer !== undefined) {
        await this.#persist(() => steer(client, job.id, (ms) => this.#env.sleep(ms, over)));
      }
      const status = await this.#persist(() => client.waitForCompletion(job.id, { signal: over }));
      this.#open.delete(job.id);
      tell({ kind: "ended", id: job.id, status: status.runtimeStatus, output: status.output });
    } catch (error) {
      const isLost = error instanceof InstanceNotFoundError && !over.aborted;
      if (!isLost) throw error;
      if (this.#open.get(job.id)?.accepted === true) {
        tell({ kind: "broken", promise: `${job.id} was accepted, and is not there` });
      } else tell({ kind: "neverBegan", id: job.id });
      this.#open.delete(job.id);
    }
  }

  async #keepEternal({ client }: TaskHub, over: AbortSignal): Promise<void> {
    for (let n = 0; n < ETERNALS; n++) {
      const options = { instanceId: `${ETERNAL}-${n}`, input: 0, ifLive: "attach" } as const;
      await this.#untilOver(over, () =>
        this.#persist(async () => {
          const { outcome } = await client.startNew(ETERNAL, options);
          this.#count(`eternal ${outcome}`);
        }),
      );
    }
  }

  /** Starts on IDs that are taken: each must be refused. */
  async #startWhatIsHeld({ client }: TaskHub, over: AbortSignal): Promise<void> {
    for (let n = 0; !over.aborted && !ending.signal.aborted; n = (n + 1) % ETERNALS) {
      await this.#env.sleep(2000, over);
      await this.#untilOver(over, async () => {
        const instanceId = `${ETERNAL}-${n}`;
        const isLive = (await client.getStatus(instanceId))?.runtimeStatus === "Running";
        if (!isLive || ending.signal.aborted) return;
        try {
          await client.startNew(ETERNAL, { instanceId, input: 0 });
          tell({ kind: "broken", promise: `a second start of ${instanceId} was not refused` });
        } catch (error) {
          if (!(error instanceof InstanceHeldError)) throw error;
          this.#count("start refused");
        }
      });
    }
  }

  async #read({ client }: TaskHub, over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      await this.#env.sleep(5000, over);
      await this.#untilOver(over, async () => {
        const page = await client.list({ top: 50 });
        const any = page.instances[Math.floor(Math.random() * page.instances.length)];
        if (any !== undefined) await client.getHistory(any.instanceId);
        await client.listRefusals({ top: 10 });
        this.#count("queries");
      });
    }
  }

  /** Asks again while the store is busy, as a caller would. */
  async #persist<T>(call: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await call();
      } catch (error) {
        if (!(error instanceof StoreConflictError)) throw error;
        await this.#env.sleep(1000);
      }
    }
  }

  /** What fails because the engine is closed under it is nobody's fault; all else is told. */
  async #untilOver(over: AbortSignal, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (over.aborted || error instanceof StoreClosedError) return;
      if (error instanceof StoreConflictError) return;
      tell({ kind: "broken", promise: `a caller was told: ${describe(error)}` });
    }
  }

  // --- the end -----------------------------------------------------------------------------------------------------

  /** Nothing new begins; what is under way ends, and what is eternal is ended. */
  async #lastHours({ client }: TaskHub): Promise<void> {
    const endMs = this.#env.now() + LAST_HOURS_MS;
    for (let n = 0; n < ETERNALS; n++) {
      const id = `${ETERNAL}-${n}`;
      const status = await client.getStatus(id);
      if (status === undefined || isEnded(status.runtimeStatus)) {
        tell({ kind: "broken", promise: `${id} is ${status?.runtimeStatus ?? "gone"}` });
        continue;
      }
      if (status.generation < 3) tell({ kind: "broken", promise: `${id} came no further` });
      await client.terminate(id, "the soak is over");
    }
    while (this.#open.size > 0 && this.#env.now() < endMs) await this.#env.sleep(10_000);
    await client.purgeBy();
  }

  #openMustBeNone(): void {
    for (const { job } of this.#open.values()) {
      tell({ kind: "broken", promise: `${job.id} has not ended, hours after it should have` });
    }
  }

  /** Rests until the threads and timers of the engine are gone. */
  async #finish(): Promise<void> {
    await this.#env.sleep(60_000);
  }

  // --- what is measured --------------------------------------------------------------------------------------------

  #sampleForEver(): { stop(): void } {
    this.#sample();
    const timer = setInterval(() => this.#sample(), this.#life.sampleMs);
    return { stop: () => clearInterval(timer) };
  }

  #sample(): void {
    globalThis.gc?.();
    const { heapUsed, external, rss } = process.memoryUsage();
    const active = process.getActiveResourcesInfo();
    const timers = active.filter((type) => type === "Timeout" || type === "Immediate").length;
    const descriptors = openDescriptors();
    tell({
      kind: "sample",
      sample: {
        virtualMs: virtualNowMs(this.#life.clock),
        turns: this.#turns,
        heapBytes: heapUsed,
        externalBytes: external,
        rssBytes: rss,
        residents: this.#hub?.status().residents ?? 0,
        resources: active.length - timers,
        timers,
        lateness: this.#lateness,
        counts: this.#counts,
        ...(descriptors === undefined ? {} : { descriptors }),
      },
    });
    this.#lateness = { steady: [], acrossOutage: [] };
    this.#counts = {};
  }

  #count(what: string): void {
    this.#counts[what] = (this.#counts[what] ?? 0) + 1;
  }
}

/** The beginning of a message, without the names in it: many become one. */
function inGeneral(message: string): string {
  return message.replaceAll(/'[^']*'/g, "'…'").slice(0, 80);
}

function isAccepted(result: unknown): boolean {
  return typeof result === "object" && result !== null && "accepted" in result && result.accepted === true;
}

function openDescriptors(): number | undefined {
  return process.platform === "linux" ? readdirSync("/proc/self/fd").length : undefined;
}

function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
