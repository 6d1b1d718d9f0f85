import type { Env } from "../core/env.js";

/** Given as the reason of an abort: without one, each abort builds an exception with a stack. */
const WOKEN = "woken";

/** A loop's rest: ends after a time, or when somebody wakes or stops it; a wake while it works is not lost. */
export class Pulse {
  readonly #env: Env;
  #awake = false;
  #stopped = false;
  #resting: AbortController | undefined;

  constructor(env: Env) {
    this.#env = env;
  }

  /** Whether the loop is to end. */
  get stopped(): boolean {
    return this.#stopped;
  }

  stop(): void {
    this.#stopped = true;
    this.wake();
  }

  wake(): void {
    this.#awake = true;
    this.#resting?.abort(WOKEN);
  }

  async rest(ms: number): Promise<void> {
    if (!this.#awake && ms > 0) {
      this.#resting = new AbortController();
      await this.#env.sleep(ms, this.#resting.signal);
      this.#resting = undefined;
    }
    this.#awake = false;
  }
}
