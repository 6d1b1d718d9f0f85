import type { Command, CommandAnswer } from "../src/core/command.js";
import { StoreConflictError, StoreUnusableError } from "../src/core/errors.js";
import type { Message } from "../src/core/message.js";
import type { ChangeHint, CommitResult, Store, TurnCommit, WorkerInfo } from "../src/core/store.js";
import { mayHaveChanged } from "../src/stores/changed.js";
import type { CallFault, Faults } from "./faults.js";
import type { Ground } from "./ground.js";
import { type SimProcess, START_MS } from "./process.js";
import type { Random } from "./random.js";
import type { Actor, Scheduler } from "./scheduler.js";

/** A write that took effect, as the checker is told of it: in the order of the store's transactions. */
export type Effect = {
  /** Virtual time. */
  readonly atMs: number;
  readonly process: string;
  /** How many steps had been taken by then. */
  readonly step: number;
  /** It arrived a second time: a repeated call, or one whose answer was lost on the way. */
  readonly again: boolean;
} & (
  | { readonly kind: "command"; readonly command: Command; readonly answer: CommandAnswer }
  | { readonly kind: "turn"; readonly turn: TurnCommit; readonly result: CommitResult }
);

export interface StoreLineParts {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly faults: Faults;
  readonly ground: Ground;
  /** Every worker takes itself for the owner of everything, as if leases were worth nothing. */
  readonly divided: boolean;
  readonly onEffect: (effect: Effect) => void;
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

/** What becomes of a call. */
type Outcome<T> = { readonly value: T } | { readonly error: Error };

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
  #divided: boolean;
  #downUntilMs = 0;
  #fullUntilMs = 0;

  constructor(parts: StoreLineParts) {
    this.#parts = parts;
    this.#divided = parts.divided;
    parts.ground.store.subscribe((hint) => this.#hints.push(hint));
  }

  /** Faults that last are over. */
  heal(): void {
    this.#downUntilMs = 0;
    this.#fullUntilMs = 0;
    this.#renewFrom.clear();
    this.#divided = false;
  }

  /** What is on its way, whoever looks. */
  messages(): Promise<readonly Message[]> {
    return this.#parts.ground.store.poll({ shards: "all", after: 0, limit: 1_000 });
  }

  /** What waits for nothing but a worker, whoever looks: messages, timers that are due, activities that are open. */
  async workDue(): Promise<readonly string[]> {
    const { ground, scheduler } = this.#parts;
    const { store } = ground;
    const untilMs = START_MS + scheduler.nowMs;
    const { timers } = await store.due({ shards: "all", untilMs, limit: 1_000 });
    const iids = await store.unfinished({ shards: "all", afterIid: 0, limit: 1_000 });
    const unfinished = (await store.load(iids)).filter(({ instance }) => instance.parked === undefined);
    return [
      ...(await this.messages()).map(({ kind, n }) => `${kind} ${n}`),
      ...timers.map(({ task }) => `timer ${task}`),
      ...unfinished.map(({ instance: { instanceId } }) => `activities of ${instanceId}`),
    ];
  }

  /** The store as a process has it. */
  storeOf(process: SimProcess): Store {
    const { ground } = this.#parts;
    const { store, workers } = ground;
    const leases = this.#divided ? ground.ownLeases() : ground.leases;
    const tasks = ground.tasks && !this.#divided ? store.tasks : undefined;
    const own: Partial<Record<keyof Store, unknown>> = {
      join: (worker: WorkerInfo) => this.#call(process, write("join"), async () => leases.join(worker)),
      workers: () => this.#call(process, read("workers"), workers),
      execute: (commands: readonly Command[]) => this.#execute(process, commands),
      commit: (turns: readonly TurnCommit[]) => this.#commit(process, turns),
      leases: this.#wrap(process, "leases", leases),
      tasks: tasks === undefined ? undefined : this.#wrap(process, "tasks", tasks),
      subscribe: (listener: (hint: ChangeHint) => void) => {
        const subscription = (hint: ChangeHint): void => listener(hint);
        this.#listeners.set(subscription, process);
        return () => void this.#listeners.delete(subscription);
      },
      watchTurns: undefined,
      close: async () => {},
    };
    return new Proxy(store, {
      get: (target, key) => {
        if (Object.hasOwn(own, key)) return Reflect.get(own, key) as unknown;
        const member: unknown = Reflect.get(target, key);
        if (typeof member !== "function") return member;
        const point = WRITES.has(String(key)) ? write(String(key)) : read(String(key));
        return (...args: unknown[]) => {
          if (key === "due") this.#checkLease(process);
          return this.#call(process, point, () => applied(member, target, args));
        };
      },
    });
  }

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
          const carryOut = (): Promise<unknown> => applied(member, target, args);
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

  #execute(process: SimProcess, commands: readonly Command[]): Promise<readonly CommandAnswer[]> {
    const { ground, onEffect } = this.#parts;
    const label = `execute ${commands.map(({ kind, instanceId }) => `${kind} ${instanceId}`).join(", ")}`;
    return this.#call(process, write(label), async () => {
      const answers = await ground.store.execute(commands);
      for (const [index, command] of commands.entries()) {
        const answer = answers[index];
        if (answer !== undefined)
          onEffect({ kind: "command", ...this.#moment(process, false), command, answer });
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
    return { atMs: nowMs, process: process.name, step: taken, again };
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
      const reply = (outcome: Outcome<T>, delayMs = 0): void => {
        const told = "value" in outcome ? "" : " failed";
        scheduler.add(
          process,
          `${point.label} answered${told}`,
          () => ("value" in outcome ? resolve(outcome.value) : reject(outcome.error)),
          delayMs === 0 ? 0 : scheduler.nowMs + delayMs,
        );
      };
      scheduler.add(process, point.label, () => this.#arrive(process, point, effect, reply));
    });
  }

  async #arrive<T>(
    process: SimProcess,
    point: Point,
    effect: () => Promise<T>,
    reply: (outcome: Outcome<T>, delayMs?: number) => void,
  ): Promise<void> {
    const { scheduler, faults, random, onCrash } = this.#parts;
    const can = (kind: CallFault): boolean => strikes(kind, point);
    const struck = { process: process.name, label: point.label, can, stake: stakeOf(point) };
    const { kind: fault, forMs } = faults.atCall(struck, scheduler.nowMs) ?? {};
    const lasts = (least: number, most: number): number => forMs ?? random.between(least, most);
    if (fault === "store down") this.#downUntilMs = scheduler.nowMs + lasts(...OUTAGE_MS);
    if (fault === "disk full") this.#fullUntilMs = scheduler.nowMs + lasts(...OUTAGE_MS);
    const isFull = point.writes && scheduler.nowMs < this.#fullUntilMs;
    if (fault === "lost call" || isFull || scheduler.nowMs < this.#downUntilMs) {
      reply({ error: new StoreUnusableError("The simulated store cannot serve now.") });
      return;
    }
    const renewFromMs = point.endLease === undefined ? 0 : (this.#renewFrom.get(process) ?? 0);
    if (renewFromMs > scheduler.nowMs) {
      const late = async (): Promise<void> => reply(await this.#carryOut(process, effect));
      scheduler.add(process, `${point.label} held`, late, renewFromMs);
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
        scheduler.add(
          process,
          `${point.label} held`,
          async () => reply(await this.#carryOut(process, effect)),
          scheduler.nowMs + lasts(...LONG_MS),
        );
        return;
      case "pause":
        process.pausedUntilMs = scheduler.nowMs + lasts(...LONG_MS);
        break;
      case "clock":
        process.skewMs = random.between(-HOUR_MS, 2 * HOUR_MS);
        break;
      default:
        break;
    }
    const outcome = await this.#carryOut(process, effect);
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
        scheduler.add(
          this.#network,
          `${point.label} again`,
          async () => void (await this.#carryOut(process, effect)),
          scheduler.nowMs + (forMs ?? random.below(3_000)),
        );
        break;
      default:
        break;
    }
    reply(outcome, fault === "held reply" ? lasts(...LONG_MS) : 0);
  }

  async #carryOut<T>(process: SimProcess, effect: () => Promise<T>): Promise<Outcome<T>> {
    let outcome: Outcome<T>;
    try {
      outcome = { value: await effect() };
    } catch (error) {
      outcome = { error: error instanceof Error ? error : new Error(String(error)) };
    }
    await Promise.resolve(); // hints of the memory store come a microtask later
    const hints = this.#hints;
    this.#hints = [];
    for (const hint of hints) this.#spread(process, hint);
    return outcome;
  }

  #spread(writer: SimProcess, hint: ChangeHint): void {
    const { scheduler, faults, random } = this.#parts;
    for (const [listener, process] of this.#listeners) {
      if (process.dead) {
        this.#listeners.delete(listener);
        continue;
      }
      const told: ChangeHint = process === writer ? hint : { from: "elsewhere" };
      const fault = faults.atHint();
      if (fault === "hint lost") continue;
      const delayMs = fault === "hint late" ? random.below(5_000) : 0;
      for (let times = fault === "hint twice" ? 2 : 1; times > 0; times--)
        scheduler.add(process, "hint", () => listener(told), delayMs === 0 ? 0 : scheduler.nowMs + delayMs);
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
async function applied(
  // oxlint-disable-next-line typescript/no-unsafe-function-type -- what a proxy finds under a name
  method: Function,
  target: object,
  args: readonly unknown[],
): Promise<unknown> {
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
