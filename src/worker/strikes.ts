import type { Env } from "../core/env.js";
import { OrchestratorBlockedError, ProcessEndedError, type TenureError } from "../core/errors.js";
import type { Instance } from "../core/instance.js";
import type { Store, Strike } from "../core/store.js";

/** In how many process starts an instance may block its process for ever, or end it, before it is left alone. */
const MAX_STRIKES = 3;

/**
 * What instances did to the processes before this one: blocked them (recorded by the store's own thread), or ended
 * them (recorded by {@link Caution}, before it happens). The second are kept under the negative generation: the same
 * table, and the two are counted apart.
 */
export class Strikes {
  readonly #env: Env;
  readonly #store: Store;
  readonly #worker: string;
  #known = new Map<number, readonly Strike[]>();

  constructor(env: Env, store: Store, worker: string) {
    this.#env = env;
    this.#store = store;
    this.#worker = worker;
  }

  /** Reads what is known by now. */
  async refresh(): Promise<void> {
    const known = new Map<number, readonly Strike[]>();
    for (const strike of await this.#store.strikes())
      known.set(strike.iid, [...(known.get(strike.iid) ?? []), strike]);
    this.#known = known;
  }

  /** Whether anything is held against an instance. */
  has(iid: number): boolean {
    return this.#known.has(iid);
  }

  /** Why an instance is not run again by itself; undefined where it is. */
  against({ iid, generation, name }: Instance): TenureError | undefined {
    for (const strike of this.#known.get(iid) ?? []) {
      if (strike.count < MAX_STRIKES) continue;
      if (strike.generation === generation) return new OrchestratorBlockedError(name, strike.count);
      if (strike.generation === -generation) return new ProcessEndedError(name, strike.count);
    }
    return undefined;
  }

  /** If this process ends before these are forgiven, it is the instance's doing. */
  async recordEnd({ iid, generation }: Instance): Promise<void> {
    await this.#store.recordStrike({ iid, generation: -generation, worker: this.#worker });
  }

  /** Forgets everything that is held against an instance. */
  async clear(iid: number): Promise<void> {
    this.#known.delete(iid);
    await this.#store.clearStrikes(iid);
  }

  /** The same, if anything is; nobody waits for it. */
  forgive(iid: number): void {
    if (this.#known.has(iid)) this.#env.spawn("clearing strikes", () => this.clear(iid));
  }
}
