/**
 * How several workers share the shards of a hub. Leases only save work: two workers that both believe they own a
 * shard cannot do harm, because every commit is guarded by the row that it writes (docs/architecture.md).
 *
 * All times are the store's own clock; a worker trusts its lease until {@link leaseMs} after it has *sent* the
 * renewal, less a margin, by its monotonic clock.
 */
export interface Leases {
  /** How long a lease lasts from its last renewal. */
  readonly leaseMs: number;
  /** How often to renew. */
  readonly renewMs: number;
  /**
   * Renews the worker's lease and tells how the hub is shared now. Workers that are known to be dead are left out,
   * whether their lease has ended or they can be shown to be gone before that. A worker that was taken for dead by
   * others joins again by this call, without the shards that it had.
   *
   * @param load how much the worker has to do, for the others to see ({@link Member.load}).
   */
  renew(worker: string, load?: number): Promise<Membership>;
  /** Takes those of the shards that nobody holds, or that a dead worker held. Returns what was taken. */
  claim(worker: string, shards: readonly number[]): Promise<readonly number[]>;
  /** Gives back shards that this worker holds, and lets the others know. */
  release(worker: string, shards: readonly number[]): Promise<void>;
  /**
   * Shows others that a worker takes no more shards: it is about to go, or somebody asks it to. Any process may; the
   * worker sees it with its next renewal, and gives its shards to those that stay.
   */
  drain(worker: string): Promise<void>;
}

/** How a worker holds its share of the shards, as far as it knows by itself. */
export interface LeaseStatus {
  /** How many shards it holds. */
  readonly shards: number;
  readonly leaseMs: number;
  readonly renewMs: number;
  /** How long ago it sent the last renewal that was answered; absent before the first. */
  readonly renewalAgeMs?: number;
  /** It takes no more shards, and gives those that it has to others. */
  readonly draining: boolean;
}

/** A worker that lives, as far as its lease tells. */
export interface Member {
  readonly id: string;
  readonly draining: boolean;
  /** It has not renewed when it should have, and may be gone: what is free is not to wait for it. */
  readonly late?: true;
  /** How many starts, turns and activities it had under way at its last renewal; absent where it has not told. */
  readonly load?: number;
}

/** How a hub is shared. */
export interface Membership {
  /** What time it was by the store's clock, the same for every process, when this was seen. */
  readonly nowMs: number;
  /** Workers that live, the caller among them. */
  readonly workers: readonly Member[];
  /** Who holds which shard; a shard without an entry is free, or held by a dead worker. */
  readonly owners: ReadonlyMap<number, string>;
}
