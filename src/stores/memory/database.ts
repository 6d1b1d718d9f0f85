import { Hub } from "./hub.js";

/** What several memory stores share when they are handles on the same data, as one file or server would be. */
export class MemoryDatabase {
  readonly #hubs = new Map<string, Hub>();
  readonly #counters: Counters = { iid: 0, n: 0 };

  hub(taskHub: string): Hub {
    const known = this.#hubs.get(taskHub);
    if (known !== undefined) return known;
    const hub = new Hub(taskHub, this.#counters);
    this.#hubs.set(taskHub, hub);
    return hub;
  }
}

/** The last row IDs given out. They only grow, so that no row ID is ever given out twice. */
export interface Counters {
  iid: number;
  n: number;
}
