import type { Leases, Membership } from "../../core/leases.js";

/** Leases that remember which shards this process was told that it holds: of no use but to know whom to tell what. */
export class OwnShards implements Leases {
  readonly leaseMs: number;
  readonly renewMs: number;
  readonly #leases: Leases;
  readonly #held = new Set<number>();

  constructor(leases: Leases) {
    this.leaseMs = leases.leaseMs;
    this.renewMs = leases.renewMs;
    this.#leases = leases;
  }

  has(shard: number): boolean {
    return this.#held.has(shard);
  }

  async renew(worker: string, load?: number): Promise<Membership> {
    const membership = await this.#leases.renew(worker, load);
    this.#held.clear();
    for (const [shard, owner] of membership.owners) if (owner === worker) this.#held.add(shard);
    return membership;
  }

  async claim(worker: string, shards: readonly number[]): Promise<readonly number[]> {
    const claimed = await this.#leases.claim(worker, shards);
    for (const shard of claimed) this.#held.add(shard);
    return claimed;
  }

  async release(worker: string, shards: readonly number[]): Promise<void> {
    for (const shard of shards) this.#held.delete(shard);
    await this.#leases.release(worker, shards);
  }

  drain(worker: string): Promise<void> {
    return this.#leases.drain(worker);
  }
}
