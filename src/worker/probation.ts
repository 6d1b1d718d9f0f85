import type { Store } from "../core/store.js";

/** How long a worker is on probation after it has started, or has taken shards. */
export const PROBATION_MS = 60_000;

/** The setting that holds the IDs of the workers on probation, the earliest first. */
export const PROBATION_SETTING = "probation";

/** How many are remembered at most. */
const REMEMBERED = 16;

/**
 * Who is on probation in a hub. A worker that is, and lives no more, has ended uncleanly soon after it had begun:
 * whoever stops in order, or lives for longer, has taken its name off. Two workers that write at the same time may
 * lose one of the names: then it takes one unclean end more to see that they come in a row.
 */
export class Probation {
  readonly #store: Store;
  readonly #worker: string;

  constructor(store: Store, worker: string) {
    this.#store = store;
    this.#worker = worker;
  }

  /** Puts this worker on probation. @returns how many have ended on it since one last passed. */
  async begin(): Promise<number> {
    const { all, living } = await this.#read();
    if (!living.includes(this.#worker)) await this.#write([...all, this.#worker].slice(-REMEMBERED));
    return all.length - living.length;
  }

  /** This worker has lived long enough, or stops in order: those before it did not end in a row with the next. */
  async pass(): Promise<void> {
    const { living } = await this.#read();
    if (living.includes(this.#worker)) await this.#write(living.filter((id) => id !== this.#worker));
  }

  async #read(): Promise<{ readonly all: readonly string[]; readonly living: readonly string[] }> {
    const all = namesOf(await this.#store.setting(PROBATION_SETTING));
    if (all.length === 0) return { all, living: [] };
    const alive = new Set((await this.#store.workers()).map(({ id }) => id));
    return { all, living: all.filter((id) => id === this.#worker || alive.has(id)) };
  }

  async #write(names: readonly string[]): Promise<void> {
    await this.#store.changeSetting(PROBATION_SETTING, JSON.stringify(names));
  }
}

function namesOf(text: string | undefined): readonly string[] {
  const names: unknown = text === undefined ? [] : JSON.parse(text);
  return Array.isArray(names) ? names.filter((name) => typeof name === "string") : [];
}
