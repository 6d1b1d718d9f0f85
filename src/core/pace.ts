import type { Env } from "./env.js";

/** The longest rest: what took longer was held up by others, whom a longer one would not help. */
const MAX_REST_MS = 1000;

const RESTS_PER_BATCH = 2;

/**
 * Work that nobody waits for, or that takes long anyhow, done batch by batch: between two it rests twice as long as
 * the last one took, so that it leaves two thirds of the time of whatever it uses to others.
 */
export class Pace {
  readonly #env: Env;
  #restMs = 0;

  constructor(env: Env) {
    this.#env = env;
  }

  /** Carries out a batch, after the rest that the one before left. */
  async batch<T>(work: () => Promise<T>): Promise<T> {
    if (this.#restMs < 1) await this.#env.yieldNow();
    else await this.#env.sleep(Math.min(this.#restMs, MAX_REST_MS));
    const fromMs = this.#env.monotonicMs();
    try {
      return await work();
    } finally {
      this.#restMs = (this.#env.monotonicMs() - fromMs) * RESTS_PER_BATCH;
    }
  }
}
