import type { Env } from "../core/env.js";

/** Beyond this, the store's clock was set back, and is followed. */
const SET_BACK_MS = 1000;

/** So many of the store's last answers are remembered: long enough to have a swift one among them. */
const ANSWERS = 8;

/**
 * The store's clock, as far as this process can tell: what is due for one process of a hub is then due for all. Goes
 * by the monotonic clock from what the store told last, and is never ahead of the store's: each answer tells a time that
 * has passed since, and the swiftest the latest.
 */
export class StoreClock {
  readonly #env: Env;
  /** How far the store's clock was ahead of the monotonic one at least, by each of the last answers. */
  #aheadMs: number[] = [];
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
    if (this.#aheadMs.length === 0) return this.#env.now();
    const nowMs = Math.floor(this.#env.monotonicMs() + Math.max(...this.#aheadMs));
    // Turns must not go back because a swift answer is forgotten.
    if (nowMs > this.#lastMs || nowMs < this.#lastMs - SET_BACK_MS) this.#lastMs = nowMs;
    return this.#lastMs;
  }

  /** An answer has just come in, and this was the time when the store gave it. */
  hear(nowMs: number): void {
    const aheadMs = nowMs - this.#env.monotonicMs();
    const wasSetBack = aheadMs < Math.max(...this.#aheadMs) - SET_BACK_MS;
    this.#aheadMs = wasSetBack ? [aheadMs] : [...this.#aheadMs, aheadMs].slice(-ANSWERS);
  }
}
