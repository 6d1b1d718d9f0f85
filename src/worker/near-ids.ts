import type { Env } from "../core/env.js";
import { shardOf } from "../core/shard.js";
import type { OwnedShards } from "./owned-shards.js";

/** What drawing IDs needs. */
export interface NearIdsParts {
  readonly env: Pick<Env, "id">;
  readonly owned: OwnedShards;
  /** How many turns and activities are under way here. */
  readonly underWay: () => number;
  /** The {@link NearIds.load} of the others who share the hub, on average; undefined where that is not known. */
  readonly othersLoad: () => number | undefined;
}

/** A worker with this much more to do than the others have on average leaves new instances to chance, */
const SLACK = 4;
/** and so does one with this many times as much. */
const UNEVENNESS = 1.5;

/** With more workers than that, some instances begin elsewhere. */
const MOST_DRAWS = 64;

/**
 * Draws IDs for instances that nobody chose an ID for, so that they lie in a shard of this worker: begun and run in one
 * process, an instance costs half as much as one that others must be told of, must read, and must tell the end of. A
 * worker that has more to do than the others draws from all shards, so that the work of a process which takes in all
 * starts spreads.
 */
export class NearIds {
  readonly #parts: NearIdsParts;
  #starting = 0;

  constructor(parts: NearIdsParts) {
    this.#parts = parts;
  }

  /** What this worker has to do: turns, activities, and starts that are not answered yet. */
  get load(): number {
    return this.#parts.underWay() + this.#starting;
  }

  next(): string {
    const { env, owned } = this.#parts;
    let id = env.id();
    if (!this.#hasRoom()) return id;
    for (let draws = 1; draws < MOST_DRAWS && !owned.owns(shardOf(id)); draws++) id = env.id();
    return id;
  }

  /** A start is under way, wherever its instance is to run. */
  startBegins(): void {
    this.#starting += 1;
  }

  startEnds(): void {
    this.#starting -= 1;
  }

  #hasRoom(): boolean {
    const others = this.#parts.othersLoad() ?? 0;
    return this.load <= others * UNEVENNESS + SLACK;
  }
}
