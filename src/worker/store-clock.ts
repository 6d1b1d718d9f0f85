import type { Env } from "../core/env.js";

/** Beyond this, the store's clock was set back, and is followed. */
const SET_BACK_MS = 1000;

/**
 * The store's clock, as far as this process can tell: what is due for one process of a hub is then due for all. Goes
 * by the monotonic clock from the last time that the store told, and is never ahead of the store's.
 */
export class StoreClock {
  readonly #env: Env;
  #told: { readonly nowMs: number; readonly heardMs: number } | undefined;
  #lastMs = 0;

  constructor(env: Env) {
    this.#env = env;
  }

  /** The environment in which it is this time. */
  get env(): Env {
    const env = this.#env;
    return {
      now: () => this.now(),
      monotonicMs: () => env.monotonicMs(),
      random: () => env.random(),
      id: () => env.id(),
      hash: (algorithm, text) => env.hash(algorithm, text),
      sleep: (ms, signal) => env.sleep(ms, signal),
      drain: () => env.drain(),
      yieldNow: () => env.yieldNow(),
      spawn: (name, task) => env.spawn(name, task),
    };
  }

  /** The process's own time, until the store has told. */
  now(): number {
    if (this.#told === undefined) return this.#env.now();
    const nowMs = Math.floor(this.#told.nowMs + this.#env.monotonicMs() - this.#told.heardMs);
    // Answers that took longer tell an earlier time; turns must not go back for that.
    if (nowMs > this.#lastMs || nowMs < this.#lastMs - SET_BACK_MS) this.#lastMs = nowMs;
    return this.#lastMs;
  }

  /** An answer has just come in, and this was the time when the store gave it. */
  hear(nowMs: number): void {
    this.#told = { nowMs, heardMs: this.#env.monotonicMs() };
  }
}
