import { setMaxListeners } from "node:events";
import type { Random } from "./random.js";

/** Somebody whose steps are scheduled: a process, or the network. */
export interface Actor {
  readonly name: string;
  /** None of its steps is taken any more. */
  readonly dead: boolean;
  /** None of its steps is taken before this time. */
  readonly pausedUntilMs: number;
}

/** Something that may happen next. */
interface Step {
  readonly actor: Actor;
  readonly label: string;
  readonly notBeforeMs: number;
  readonly run: () => void | Promise<void>;
}

/** How the next step is chosen among those that may be taken. */
export type Strategy = "uniform" | "priority" | "starve";

export interface SchedulerOptions {
  readonly random: Random;
  readonly strategy: Strategy;
  /** How often time moves on although somebody could still do something. */
  readonly hurry: number;
  /** Told of every step that is taken. */
  readonly onStep: (nowMs: number, actor: string, label: string) => void;
}

/** Time moves on past those who could do something by this much at most: more is a fault, drawn elsewhere. */
const MAX_HURRY_MS = 2_000;

/** After so many steps, on average, priorities are drawn anew. */
const PRIORITY_STEPS = 40;

/** How rarely a starved actor gets its turn while others could have it. */
const STARVED_TURN = 0.02;

/** How the loop ended: `done`, nothing is left that could ever happen, or the limit of steps was reached. */
export type Stop = "done" | "idle" | "limit";

/**
 * One thread, one clock, one seed: every process of the simulation does one step at a time, and which one comes
 * next is drawn. Time stands still while somebody works, and jumps when nobody can go on (or sometimes before).
 */
export class Scheduler {
  readonly #options: SchedulerOptions;
  #steps: Step[] = [];
  #sleepers: Step[] = [];
  readonly #priorities = new Map<Actor, number>();
  #starved: Actor | undefined;
  #calm = false;
  #nowMs = 0;
  #taken = 0;

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  /** Virtual time since the beginning. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Steps taken so far. */
  get taken(): number {
    return this.#taken;
  }

  /** From now on everybody gets a turn, and time waits for all. */
  calm(): void {
    this.#calm = true;
  }

  /** Adds a step that may be taken from now on, or from a later time. */
  add(actor: Actor, label: string, run: () => void | Promise<void>, notBeforeMs = 0): void {
    const step = { actor, label, run, notBeforeMs };
    if (notBeforeMs > this.#nowMs) this.#sleepers.push(step);
    else this.#steps.push(step);
  }

  /** Resolves after this much virtual time, or once the signal aborts. In a dead process it never does. */
  sleep(actor: Actor, ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const step: Step = {
        actor,
        label: "wake",
        notBeforeMs: this.#nowMs + Math.max(ms, 0),
        run: () => wake(),
      };
      const wake = (): void => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      };
      const onAbort = (): void => {
        if (!this.#withdraw(step)) return;
        this.add(actor, "wake early", wake);
      };
      if (signal?.aborted === true) {
        this.add(actor, "wake early", resolve);
        return;
      }
      if (signal !== undefined) {
        setMaxListeners(0, signal); // many may wait for one end
        signal.addEventListener("abort", onAbort, { once: true });
      }
      if (ms > 0) this.#sleepers.push(step);
      else this.#steps.push(step);
    });
  }

  #withdraw(step: Step): boolean {
    const asleep = this.#sleepers.indexOf(step);
    if (asleep >= 0) this.#sleepers.splice(asleep, 1);
    const ready = this.#steps.indexOf(step);
    if (ready >= 0) this.#steps.splice(ready, 1);
    return asleep >= 0 || ready >= 0;
  }

  /** Takes steps until `isDone`, or until so many have been taken in all. */
  async run(isDone: () => boolean, maxSteps: number): Promise<Stop> {
    for (;;) {
      await microtasks();
      if (isDone()) return "done";
      if (this.#taken >= maxSteps) return "limit";
      const step = this.#next();
      if (step === undefined) return "idle";
      this.#taken += 1;
      this.#options.onStep(this.#nowMs, step.actor.name, step.label);
      await step.run();
    }
  }

  #next(): Step | undefined {
    const { random, hurry } = this.#options;
    for (;;) {
      this.#wakeDue();
      const ready = this.#ready();
      const jump = this.#nextMoment();
      const hurries = random.next() < hurry && !this.#calm;
      if (ready.length > 0 && !(hurries && jump - this.#nowMs <= MAX_HURRY_MS))
        return this.#take(this.#choose(ready));
      if (jump === Number.POSITIVE_INFINITY) return undefined;
      this.#nowMs = jump;
    }
  }

  #wakeDue(): void {
    this.#steps = this.#steps.filter(({ actor }) => !actor.dead);
    const due = this.#sleepers.filter(({ notBeforeMs }) => notBeforeMs <= this.#nowMs);
    if (due.length > 0) {
      this.#sleepers = this.#sleepers.filter(({ notBeforeMs }) => notBeforeMs > this.#nowMs);
      this.#steps.push(...due.filter(({ actor }) => !actor.dead));
    }
  }

  #ready(): Step[] {
    return this.#steps.filter(({ actor }) => actor.pausedUntilMs <= this.#nowMs);
  }

  #nextMoment(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { actor, notBeforeMs } of this.#sleepers) {
      if (!actor.dead) next = Math.min(next, Math.max(notBeforeMs, actor.pausedUntilMs));
    }
    for (const { actor } of this.#steps) {
      if (actor.pausedUntilMs > this.#nowMs) next = Math.min(next, actor.pausedUntilMs);
    }
    return next;
  }

  #choose(ready: readonly Step[]): Step {
    const { random, strategy } = this.#options;
    const any = (): Step => at(ready, random.below(ready.length));
    switch (this.#calm ? "uniform" : strategy) {
      case "uniform":
        return any();
      case "priority": {
        if (random.below(PRIORITY_STEPS) === 0) this.#priorities.clear();
        for (const { actor } of ready)
          if (!this.#priorities.has(actor)) this.#priorities.set(actor, random.next());
        const rank = ({ actor }: Step): number => this.#priorities.get(actor) ?? 0;
        return ready.reduce((best, step) => (rank(step) > rank(best) ? step : best));
      }
      case "starve": {
        const first = any();
        this.#starved ??= first.actor;
        if (this.#starved.dead) this.#starved = undefined;
        if (first.actor !== this.#starved || random.next() < STARVED_TURN) return first;
        return ready.find(({ actor }) => actor !== this.#starved) ?? first;
      }
    }
  }

  #take(step: Step): Step {
    this.#steps.splice(this.#steps.indexOf(step), 1);
    return step;
  }
}

function at<T>(list: readonly T[], index: number): T {
  const found = list[index];
  if (found === undefined) throw new RangeError(`no element ${index}`);
  return found;
}

/** Once everything has run that follows from the last step without another one. */
function microtasks(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
