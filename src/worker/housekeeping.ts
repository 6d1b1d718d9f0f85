import type { Env, Logger } from "../core/env.js";
import { StoreClosedError } from "../core/errors.js";
import type { Store } from "../core/store.js";
import { Pulse } from "./pulse.js";

/** How often a store that asks for it is swept. */
const SWEEP_MS = 30_000;

/** Lets the store remove what is left over, where it has something to remove; one worker does it for all. */
export class Housekeeping {
  readonly #env: Env;
  readonly #store: Store;
  readonly #logger: Logger;
  readonly #isOurs: () => boolean;
  readonly #pulse: Pulse;

  constructor(env: Env, store: Store, logger: Logger, isOurs: () => boolean) {
    this.#env = env;
    this.#store = store;
    this.#logger = logger;
    this.#isOurs = isOurs;
    this.#pulse = new Pulse(env);
  }

  stop(): void {
    this.#pulse.stop();
  }

  async run(): Promise<void> {
    if (this.#store.sweep === undefined) return;
    while (!this.#pulse.stopped) {
      // Not all at the same time, where many hubs live in one database.
      await this.#pulse.rest(SWEEP_MS * (0.9 + 0.2 * this.#env.random()));
      if (!this.#pulse.stopped && this.#isOurs()) await this.#sweep();
    }
  }

  async #sweep(): Promise<void> {
    try {
      await this.#store.sweep?.();
    } catch (error) {
      if (error instanceof StoreClosedError) this.#pulse.stop();
      else this.#logger.warn("the store could not be swept; trying again later", { error });
    }
  }
}
