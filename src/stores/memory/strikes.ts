import type { Strike } from "../../core/store.js";

/** Turns that blocked their process, by the process starts (workers) in which they did. */
export class Strikes {
  readonly #workers = new Map<number, Map<number, Set<string>>>();

  add(iid: number, generation: number, worker: string): void {
    const generations = this.#workers.get(iid) ?? new Map<number, Set<string>>();
    const workers = generations.get(generation) ?? new Set<string>();
    this.#workers.set(iid, generations.set(generation, workers.add(worker)));
  }

  clear(iid: number): void {
    this.#workers.delete(iid);
  }

  list(): Strike[] {
    return [...this.#workers].flatMap(([iid, generations]) =>
      [...generations].map(([generation, workers]) => ({ iid, generation, count: workers.size })),
    );
  }
}
