import type { Command, CommandAnswer } from "../src/core/command.js";
import { StoreConflictError, StoreHeldError, StoreUnusableError } from "../src/core/errors.js";
import type { Message } from "../src/core/message.js";
import type {
  ChangeHint,
  CommitResult,
  ShownWorker,
  Store,
  TurnCommit,
  WorkerInfo,
} from "../src/core/store.js";
import { mayHaveChanged } from "../src/stores/changed.js";
import type { CallFault, Faults } from "./faults.js";
import type { Ground } from "./ground.js";
import { LATE_MS } from "./late-numbers.js";
import { type SimProcess, START_MS } from "./process.js";
import type { Random } from "./random.js";
import type { Actor, Scheduler } from "./scheduler.js";

/** A write that took effect, as the checker is told of it: in the order of the store's transactions. */
export type Effect = {
  /**
   * By the clock that timers go by: the store's, which is virtual time; where one engine works alone its own, at the
   * latest that it has ever shown.
   */
  readonly atMs: number;
  readonly process: string;
  /** Which client's command: several may share a process. */
  readonly client?: number;
  /** How many steps had been taken by then. */
  readonly step: number;
  /** It arrived a second time: a repeated call, or one whose answer was lost on the way. */
  readonly again: boolean;
} & (
  | { readonly kind: "command"; readonly command: Command; readonly answer: CommandAnswer }
  | { readonly kind: "turn"; readonly turn: TurnCommit; readonly result: CommitResult }
);

/**
 * How workers share a hub: by leases; or each takes itself for the owner of everything, as if leases were worth nothing;
 * or there are no leases, and one works alone, as on a SQLite file.
 */
export type Sharing = "leases" | "divided" | "one engine";

export interface StoreLineParts {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly faults: Faults;
  readonly ground: Ground;
  readonly sharing: Sharing;
  readonly onEffect: (effect: Effect) => void;
  /** These IDs are about to be purged, if they have ended. */
  readonly onPurge: (store: Store, instanceIds: readonly string[]) => Promise<void>;
  readonly onCrash: (process: SimProcess) => void;
  /** A process did what it must not do. */
  readonly onProblem: (problem: string) => void;
}

/** A process dies or stands still for as long as this: longer than any lease of the simulation. */
const LONG_MS = [4_000, 15_000] as const;

/** For how long a worker does not learn that its lease has ended. */
const UNTOLD_MS = [1_000, 3_000] as const;

/** For how long a store that is down, or full, stays so. */
const OUTAGE_MS = [200, 8_000] as const;

const HOUR_MS = 3_600_000;

/** How far a wall clock is off, once it has been set. */
const SKEW_MS = [-HOUR_MS, 2 * HOUR_MS] as const;

/** The same where timers go by it: a schedule must last until they are due. */
const ENGINE_SKEW_MS = [-10_000, 20_000] as const;

/** What becomes of a call. */
type Outcome<T> = { readonly value: T } | { readonly error: Error };

/** A call on its way. */
interface Arrival<T> {
  readonly process: SimProcess;
  readonly point: Point;
  readonly effect: () => Promise<T>;
  readonly reply: (outcome: Outcome<T>, delayMs?: number) => void;
  /** The store has begun anew since it was sent. */
  readonly isLost: () => boolean;
}

/** Where a fault may strike: what is at stake differs. */
interface Point {
  readonly label: string;
  readonly writes: boolean;
  /** An answer that is lost can be asked for again. */
  readonly repeatable: boolean;
  /** A second arrival is recognised. */
  readonly recognised: boolean;
  /** Ends the lease that this call has renewed. */
  readonly endLease?: () => void;
}

/**
 * The line between processes and the store. A call is a step when it arrives, takes effect whole, and is another step
 * when its answer arrives; between the two, and at both, things go wrong. Hints go their own ways.
 */
export class StoreLine {
  readonly #parts: StoreLineParts;
  readonly #network: Actor = { name: "network", dead: false, pausedUntilMs: 0 };
  readonly #listeners = new Map<(hint: ChangeHint) => void, SimProcess>();
  readonly #accepted = new Set<string>();
  /** From when on workers whose leases have ended may renew them. */
  readonly #renewFrom = new Map<SimProcess, number>();
  /** Until when a worker may take for granted what it was last told that it owns: from when it asked. */
  readonly #leaseUntil = new Map<SimProcess, number>();
  #hints: ChangeHint[] = [];
  #sharing: Sharing;
  /** The one engine of a hub without leases. */
  #engine: { readonly process: SimProcess; readonly worker: WorkerInfo } | undefined;
  #downUntilMs = 0;
  #fullUntilMs = 0;
  /** How often the store has begun anew: what is from before that is lost. */
  #restarts = 0;
  #settlesAtMs = 0;
  #heldUntilMs = Number.NEGATIVE_INFINITY;

  constructor(parts: StoreLineParts) {
    this.#parts = parts;
    this.#sharing = parts.sharing;
    this.#listen();
  }

  #listen(): void {
    this.#parts.ground.store.subscribe((hint) => this.#hints.push(hint));
  }

  /** When everything that is on its way for long will have come. */
  get settlesAtMs(): number {
    return this.#settlesAtMs;
  }

  /** When the last write takes effect, or has, that was held. */
  get heldUntilMs(): number {
    return this.#heldUntilMs;
  }

  /** Faults that last are over. */
  heal(): void {
    this.#downUntilMs = 0;
    this.#fullUntilMs = 0;
    this.#renewFrom.clear();
    if (this.#sharing === "divided") this.#sharing = "leases";
  }

  /** What is on its way, whoever looks. */
  messages(): Promise<readonly Message[]> {
    return this.#parts.ground.store.poll({ shards: "all", after: 0, limit: 1_000 });
  }

  /**
   * What waits for nothing but a worker, whoever looks: messages, timers that are due, activities that are open. Each is
   * named so that it has another name once something has come of it.
   */
  async workDue(untilMs: number): Promise<readonly string[]> {
    const { store } = this.#parts.ground;
    const { timers } = await store.due({ shards: "all", untilMs, limit: 1_000 });
    const iids = await store.unfinished({ shards: "all", afterIid: 0, limit: 1_000 });
    const unfinished = (await store.load(iids)).map(({ instance }) => instance);
    const parked = new Set(unfinished.filter((each) => each.parked !== undefined).map(({ iid }) => iid));
    const messages = (await this.messages()).filter(
      (message) => message.kind === "request" || !parked.has(message.iid),
    );
    return [
      ...messages.map(({ kind, n }) => `${kind} ${n}`),
      ...timers
        .filter(({ iid }) => !parked.has(iid))
        .map(({ iid, generation, task }) => `timer ${task} of ${iid} ${generation}`),
      ...unfinished
        .filter(({ iid }) => !parked.has(iid))
        .map(
          ({ instanceId, generation, sequence }) => `activities of ${instanceId} ${generation}.${sequence}`,
        ),
    ];
  }

  /** The store as a process has it, or one of the clients in it. */
  storeOf(process: SimProcess, client?: number): Store {
    const { ground } = this.#parts;
    const isAlone = this.#sharing === "one engine";
    const leases = this.#sharing === "divided" ? ground.ownLeases() : ground.leases;
    const tasks = ground.tasks && this.#sharing === "leases" ? ground.store.tasks : undefined;
    const own: Partial<Record<keyof Store, unknown>> = {
      join: (worker: WorkerInfo) =>
        this.#call(process, write("join"), async () =>
          isAlone ? this.#joinAlone(process, worker) : leases.join(worker),
        ),
      workers: () => this.#call(process, read("workers"), isAlone ? this.#engines : ground.workers),
      execute: (commands: readonly Command[]) => this.#execute(process, client, commands),
      commit: (turns: readonly TurnCommit[]) => this.#commit(process, turns),
      leases: isAlone ? undefined : this.#wrap(process, "leases", leases),
      tasks: tasks === undefined ? undefined : this.#wrap(process, "tasks", tasks),
      subscribe: (listener: (hint: ChangeHint) => void) => {
        const subscription = (hint: ChangeHint): void => listener(hint);
        this.#listeners.set(subscription, process);
        return () => void this.#listeners.delete(subscription);
      },
      watchTurns: undefined,
      close: async () => {},
    };
    return new Proxy(ground.store, {
      get: (target, key) => {
        if (Object.hasOwn(own, key)) return Reflect.get(own, key) as unknown;
        const member: unknown = Reflect.get(target, key);
        if (typeof member !== "function") return member;
        const point = WRITES.has(String(key)) ? write(String(key)) : read(String(key));
        return (...args: unknown[]) => {
          if (key === "due") this.#checkLease(process);
          return this.#call(process, point, () => applied(ground.store, key, args));
        };
      },
    });
  }

  /** As the lock of a file: a process has it for as long as it lives. */
  #joinAlone(process: SimProcess, worker: WorkerInfo): void {
    const holder = this.#engine;
    if (holder !== undefined && !holder.process.dead) {
      const { pid, host, sinceMs } = holder.worker;
      throw new StoreHeldError("the simulated store", pid, host, sinceMs);
    }
    this.#engine = { process, worker };
  }

  readonly #engines = async (): Promise<readonly ShownWorker[]> =>
    this.#engine === undefined || this.#engine.process.dead ? [] : [this.#engine.worker];

  /** Who has stood still for longer than his lease lets go of everything first: he asks for nobody's timers. */
  #checkLease(process: SimProcess): void {
    const { scheduler, onProblem } = this.#parts;
    const lateMs = scheduler.nowMs - (this.#leaseUntil.get(process) ?? scheduler.nowMs);
    if (lateMs > 0)
      onProblem(`${process.name} looks after its shards ${lateMs} ms after its lease has ended`);
  }

  /** Leases and tasks: no answer of theirs may be lost after the effect, as the stores see to it themselves. */
  #wrap<T extends object>(process: SimProcess, name: string, door: T): T {
    return new Proxy(door, {
      get: (target, key) => {
        const member: unknown = Reflect.get(target, key);
        if (typeof member !== "function") return member;
        const point = { label: `${name}.${String(key)}`, writes: true, repeatable: false, recognised: false };
        return (...args: unknown[]) => {
          const carryOut = (): Promise<unknown> => applied(target, key, args);
          if (key !== "renew") return this.#call(process, point, carryOut);
          const endLease = (): void => this.#parts.ground.endLease(String(args[0]));
          const untilMs = this.#parts.scheduler.nowMs + this.#parts.ground.leases.leaseMs;
          return this.#call(process, { ...point, endLease }, async () => {
            const membership = await carryOut();
            this.#leaseUntil.set(process, untilMs);
            return membership;
          });
        };
      },
    });
  }

  #execute(
    process: SimProcess,
    client: number | undefined,
    commands: readonly Command[],
  ): Promise<readonly CommandAnswer[]> {
    const { ground, onEffect, onPurge } = this.#parts;
    const label = `execute ${commands.map(({ kind, instanceId }) => `${kind} ${instanceId}`).join(", ")}`;
    return this.#call(process, write(label), async () => {
      const purged = commands.filter(({ kind }) => kind === "purge").map(({ instanceId }) => instanceId);
      if (purged.length > 0) await onPurge(ground.store, purged);
      const answers = await ground.store.execute(commands);
      for (const [index, command] of commands.entries()) {
        const answer = answers[index];
        if (answer !== undefined)
          onEffect({
            kind: "command",
            ...this.#moment(process, false),
            ...(client === undefined ? {} : { client }),
            command,
            answer,
          });
      }
      // Stores may hint at commands that changed nothing, or not: here all do the same, so that all schedules are alike.
      this.#hints = this.#hints.filter(
        (hint) => !("messages" in hint) || hint.messages || hint.nextDueMs !== undefined,
      );
      const told = commands.filter(
        (_, index) => answers[index] !== undefined && mayHaveChanged(answers[index]),
      );
      if (this.#hints.length === 0 && told.length > 0)
        this.#hints.push({
          from: "here",
          instanceIds: told.map(({ instanceId }) => instanceId),
          messages: false,
        });
      return answers;
    });
  }

  #commit(process: SimProcess, turns: readonly TurnCommit[]): Promise<readonly CommitResult[]> {
    const { ground, onEffect } = this.#parts;
    const label = `commit ${turns.map((turn) => `${turn.instanceId} ${turn.generation}.${turn.sequence}`).join(", ")}`;
    return this.#call(process, { ...write(label), recognised: true }, async () => {
      const results = await ground.store.commit(turns);
      let wrote = false;
      for (const [index, turn] of turns.entries()) {
        const result = results[index];
        if (result === undefined) continue;
        const again = this.#isRepeated(turn, result);
        if (result.accepted && !again) wrote = true;
        onEffect({ kind: "turn", ...this.#moment(process, again), turn, result });
      }
      // Stores may hint at a commit that was there already; here none does, so that all schedules are alike.
      if (!wrote) this.#hints = [];
      return results;
    });
  }

  #moment(process: SimProcess, again: boolean): Pick<Effect, "atMs" | "process" | "step" | "again"> {
    const { nowMs, taken } = this.#parts.scheduler;
    const atMs = this.#sharing === "one engine" ? Math.max(nowMs, process.latestMs - START_MS) : nowMs;
    return { atMs, process: process.name, step: taken, again };
  }

  #isRepeated({ writer, commitNumber }: TurnCommit, { accepted }: CommitResult): boolean {
    const commit = `${writer} ${commitNumber}`;
    const was = this.#accepted.has(commit);
    if (accepted) this.#accepted.add(commit);
    return was;
  }

  #call<T>(process: SimProcess, point: Point, effect: () => Promise<T>): Promise<T> {
    const { scheduler } = this.#parts;
    return new Promise<T>((resolve, reject) => {
      const sentAt = this.#restarts;
      const reply = (outcome: Outcome<T>, delayMs = 0): void => {
        const answeredAt = this.#restarts;
        const told = "value" in outcome ? "" : " failed";
        this.#later(process, `${point.label} answered${told}`, delayMs, () => {
          if (answeredAt !== this.#restarts && point.repeatable) reject(lost());
          else if ("value" in outcome) resolve(outcome.value);
          else reject(outcome.error);
        });
      };
      const arrive: Arrival<T> = { process, point, effect, reply, isLost: () => sentAt !== this.#restarts };
      scheduler.add(process, point.label, () => this.#arrive(arrive));
    });
  }

  /** A step after so long; with a delay it is waited for when nothing more goes wrong. */
  #later(actor: Actor, label: string, delayMs: number, run: () => void | Promise<void>): void {
    const { scheduler } = this.#parts;
    const atMs = scheduler.nowMs + delayMs;
    if (delayMs > 0) this.#settlesAtMs = Math.max(this.#settlesAtMs, atMs);
    scheduler.add(actor, label, run, delayMs > 0 ? atMs : 0);
  }

  async #arrive<T>(arrival: Arrival<T>): Promise<void> {
    const { process, point, reply, isLost } = arrival;
    const { scheduler, faults, random, onCrash } = this.#parts;
    const can = (kind: CallFault): boolean => strikes(kind, point);
    const struck = { process: process.name, label: point.label, can, stake: stakeOf(point) };
    const { kind: fault, forMs } = faults.atCall(struck, scheduler.nowMs) ?? {};
    const lasts = (least: number, most: number): number => forMs ?? random.between(least, most);
    if (fault === "store down") await this.#restart(lasts(...OUTAGE_MS));
    if (fault === "disk full") this.#fullUntilMs = scheduler.nowMs + lasts(...OUTAGE_MS);
    const isFull = point.writes && scheduler.nowMs < this.#fullUntilMs;
    if (fault === "lost call" || isFull || isLost() || scheduler.nowMs < this.#downUntilMs) {
      reply({ error: lost() });
      return;
    }
    const renewFromMs = point.endLease === undefined ? 0 : (this.#renewFrom.get(process) ?? 0);
    if (renewFromMs > scheduler.nowMs) {
      this.#hold(arrival, process, renewFromMs - scheduler.nowMs);
      return;
    }
    switch (fault) {
      case "conflict":
        reply({ error: new StoreConflictError("A simulated conflict: nothing was written.") });
        return;
      case "crash before":
        process.kill();
        onCrash(process);
        return;
      case "held call":
        this.#hold(arrival, this.#isWithProcess(point) ? process : this.#network, lasts(...LONG_MS));
        return;
      case "pause":
        process.pausedUntilMs = scheduler.nowMs + lasts(...LONG_MS);
        break;
      case "clock":
        process.skewMs = random.between(...(this.#sharing === "one engine" ? ENGINE_SKEW_MS : SKEW_MS));
        break;
      default:
        break;
    }
    const outcome = await this.#carryOut(arrival);
    switch (fault) {
      case "lease ended":
        point.endLease?.();
        this.#renewFrom.set(process, scheduler.nowMs + lasts(...UNTOLD_MS));
        break;
      case "lost reply":
        reply({ error: new StoreUnusableError("The answer of the simulated store was lost.") });
        return;
      case "crash after":
        process.kill();
        onCrash(process);
        return;
      case "duplicate":
        this.#later(this.#network, `${point.label} again`, forMs ?? random.below(3_000), async () => {
          if (!isLost()) await this.#carryOut(arrival);
        });
        break;
      default:
        break;
    }
    reply(outcome, fault === "held reply" ? lasts(...LONG_MS) : 0);
  }

  /** It is carried out later, unless the store has begun anew by then. */
  #hold<T>(arrival: Arrival<T>, actor: Actor, forMs: number): void {
    const { point, reply, isLost } = arrival;
    if (point.writes) this.#heldUntilMs = Math.max(this.#heldUntilMs, this.#parts.scheduler.nowMs + forMs);
    this.#later(actor, `${point.label} held`, forMs, async () =>
      reply(isLost() ? { error: lost() } : await this.#carryOut(arrival)),
    );
  }

  /** Whether a call ends with its process: one that asks, and every one of an engine that has its store in itself. */
  #isWithProcess({ writes }: Point): boolean {
    return !writes || this.#sharing === "one engine";
  }

  /** The store ends, and begins anew at once; it serves nobody for a while. What was under way is lost. */
  async #restart(downMs: number): Promise<void> {
    const { ground, scheduler } = this.#parts;
    this.#downUntilMs = scheduler.nowMs + downMs;
    this.#restarts += 1;
    const { store } = ground;
    await ground.restart();
    if (ground.store !== store) this.#listen();
  }

  async #carryOut<T>({ process, point, effect }: Arrival<T>): Promise<Outcome<T>> {
    const { ground, faults, random, scheduler } = this.#parts;
    let outcome: Outcome<T>;
    try {
      outcome = { value: await effect() };
    } catch (error) {
      outcome = { error: error instanceof Error ? error : new Error(String(error)) };
    }
    await ground.numbers?.number(() => {
      const by = { process: process.name, label: point.label };
      const late = faults.atMessages(by, scheduler.nowMs);
      return late === undefined ? 0 : (late.forMs ?? random.between(1, LATE_MS));
    });
    await Promise.resolve(); // hints of the memory store come a microtask later
    const hints = this.#hints;
    this.#hints = [];
    for (const hint of hints) this.#spread(process, hint);
    return outcome;
  }

  #spread(writer: SimProcess, hint: ChangeHint): void {
    const { faults, random } = this.#parts;
    for (const [listener, process] of this.#listeners) {
      if (process.dead) {
        this.#listeners.delete(listener);
        continue;
      }
      const told: ChangeHint = process === writer ? hint : { from: "elsewhere" };
      const fault = faults.atHint();
      // An engine that has its store in itself is told by a call, and of others by a look at the file.
      if (fault === "hint lost" && this.#sharing !== "one engine") continue;
      const delayMs = fault === "hint late" ? random.below(5_000) : 0;
      for (let times = fault === "hint twice" ? 2 : 1; times > 0; times--)
        this.#later(process, "hint", delayMs, () => listener(told));
    }
  }
}

/** What the generic calls write. */
const WRITES = new Set([
  "pruneExecutions",
  "recordRefusals",
  "changeSetting",
  "recordStrike",
  "clearStrikes",
  "sweep",
]);

/** Calls a method whose name is only known at run time; whoever asked for it knows what it returns. */
async function applied(target: object, name: string | symbol, args: readonly unknown[]): Promise<unknown> {
  const method: unknown = Reflect.get(target, name);
  if (typeof method !== "function") throw new TypeError(`no method ${String(name)}`);
  return Reflect.apply(method, target, args) as unknown;
}

function write(label: string): Point {
  return { label, writes: true, repeatable: true, recognised: false };
}

function read(label: string): Point {
  return { label, writes: false, repeatable: true, recognised: false };
}

/** Commits are few among the calls, and what goes wrong with them matters most; renewals tell who may make them. */
function stakeOf({ recognised, endLease }: Point): number {
  return recognised || endLease !== undefined ? 4 : 1;
}

/** What a caller is told whose call, or its answer, did not come through. */
function lost(): StoreUnusableError {
  return new StoreUnusableError("The simulated store cannot serve now.");
}

function strikes(kind: CallFault, { writes, repeatable, recognised, endLease }: Point): boolean {
  switch (kind) {
    case "conflict":
    case "disk full":
      return writes;
    case "lost reply":
      return repeatable;
    case "duplicate":
      return recognised;
    case "lease ended":
      return endLease !== undefined;
    default:
      return true;
  }
}
