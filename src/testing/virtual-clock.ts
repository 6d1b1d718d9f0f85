import { setMaxListeners } from "node:events";
import type { Env, Logger } from "../core/env.js";
import { systemEnv } from "../system-env.js";

interface Sleeper {
  readonly dueMs: number;
  readonly wake: () => void;
}

/**
 * Time that stands still until a test moves it. Several processes (an engine, the one after its
 * crash, a client) live by one clock.
 */
export class VirtualClock {
  readonly #startMs: number;
  #nowMs: number;
  #ids = 0;
  #seed = 1;

  constructor(startMs: number) {
    this.#startMs = startMs;
    this.#nowMs = startMs;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  get elapsedMs(): number {
    return this.#nowMs - this.#startMs;
  }

  /** Time never goes back. Who sleeps is not woken yet: see {@link VirtualProcess.wakeDue}. */
  moveTo(ms: number): void {
    this.#nowMs = Math.max(this.#nowMs, ms);
  }

  /** The shape of a UUIDv7, made of the virtual time and a counter: the same in every run of a test. */
  nextId(): string {
    const time = Math.floor(this.#nowMs).toString(16).padStart(12, "0");
    this.#ids += 1;
    return `${time}70008000${this.#ids.toString(16).padStart(12, "0")}`;
  }

  /** Mulberry32: the same numbers in every run of a test. */
  nextRandom(): number {
    this.#seed = (this.#seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#seed ^ (this.#seed >>> 15), 1 | this.#seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
}

/**
 * The {@link Env} of one simulated process. It knows whether the process has something to do without
 * time passing; and it can be killed: whatever its code waits for then never comes.
 */
export class VirtualProcess {
  readonly env: Env;
  readonly #clock: VirtualClock;
  readonly #sleepers = new Set<Sleeper>();
  #pending = 0;
  #steps = 0;
  #dead = false;
  #hurried = false;

  constructor(clock: VirtualClock, logger: Logger) {
    this.#clock = clock;
    const system = systemEnv(logger);
    this.env = {
      now: () => clock.nowMs,
      monotonicMs: () => clock.elapsedMs,
      random: () => clock.nextRandom(),
      id: () => clock.nextId(),
      hash: (algorithm, text) => system.hash(algorithm, text),
      sleep: (ms, signal) => this.#sleep(ms, signal),
      drain: () => this.track(() => system.drain()),
      yieldNow: () => this.track(() => system.yieldNow()),
      spawn: (name, task) => {
        this.#steps += 1;
        system.spawn(name, task);
      },
    };
  }

  /** Operations under way that need no time to pass. */
  get pending(): number {
    return this.#dead ? 0 : this.#pending;
  }

  /** Rises with everything that the process does. */
  get steps(): number {
    return this.#steps;
  }

  /** Counts an operation as under way until it settles. In a dead process it never does. */
  async track<T>(operation: () => Promise<T>): Promise<T> {
    this.#pending += 1;
    this.#steps += 1;
    try {
      return await operation();
    } finally {
      if (this.#dead) await never();
      this.#pending -= 1;
      this.#steps += 1;
    }
  }

  /** Wakes everybody whose time has come. */
  wakeDue(): void {
    const due = [...this.#sleepers].filter((sleeper) => sleeper.dueMs <= this.#clock.nowMs);
    for (const sleeper of due.toSorted((a, b) => a.dueMs - b.dueMs)) sleeper.wake();
  }

  /** From now on nobody sleeps: for a process that is to end in an orderly way. */
  hurry(): void {
    this.#hurried = true;
    for (const sleeper of this.#sleepers) sleeper.wake();
  }

  /** Ends it as kill -9 would. */
  kill(): void {
    this.#dead = true;
    this.#sleepers.clear();
  }

  #sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
    if (ms <= 0 || this.#hurried || signal?.aborted === true) return this.env.yieldNow();
    this.#steps += 1;
    return new Promise((resolve) => {
      if (this.#dead) return;
      const wake = (): void => {
        this.#sleepers.delete(sleeper);
        signal?.removeEventListener("abort", wake);
        this.#steps += 1;
        if (!this.#dead) resolve();
      };
      const sleeper: Sleeper = { dueMs: this.#clock.nowMs + ms, wake };
      this.#sleepers.add(sleeper);
      if (signal !== undefined) {
        setMaxListeners(0, signal); // many may wait for one end
        signal.addEventListener("abort", wake, { once: true });
      }
    });
  }
}

function never(): Promise<never> {
  return new Promise(() => {});
}
