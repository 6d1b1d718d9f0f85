import type { Leases, Membership } from "../../core/leases.js";
import type { ShownWorker, WorkerInfo } from "../../core/store.js";

/** How several stores on one memory database share a hub. */
export interface MemoryLeaseOptions {
  /** The clock of all leases: the same for every store on the data. */
  readonly now: () => number;
  /** Default 10 s. */
  readonly leaseMs?: number;
  /** Default 3 s. */
  readonly renewMs?: number;
}

interface Member {
  readonly info: WorkerInfo;
  leaseEndMs: number;
  draining: boolean;
  load: number | undefined;
}

/** A hub's workers and who holds which shard: what several processes see alike. */
export class LeaseTable {
  readonly #members = new Map<string, Member>();
  readonly #owners = new Map<number, string>();

  join(info: WorkerInfo, leaseEndMs: number): void {
    this.#members.set(info.id, { info, leaseEndMs, draining: false, load: undefined });
  }

  leave(worker: string): void {
    this.release(worker);
    this.#members.delete(worker);
  }

  /** One whose lease has ended is taken for dead: it comes back without the shards that it had. */
  renew(worker: string, nowMs: number, leaseEndMs: number, load: number | undefined): void {
    const member = this.#members.get(worker);
    if (member === undefined) return;
    if (member.leaseEndMs <= nowMs) this.release(worker);
    member.leaseEndMs = leaseEndMs;
    member.load = load;
  }

  drain(worker: string): void {
    const member = this.#members.get(worker);
    if (member !== undefined) member.draining = true;
  }

  claim(worker: string, shards: readonly number[], nowMs: number): readonly number[] {
    if (!this.isAlive(worker, nowMs)) return [];
    const free = shards.filter((shard) => this.#ownerOf(shard, nowMs) === undefined);
    for (const shard of free) this.#owners.set(shard, worker);
    return free;
  }

  /** Gives back these shards of a worker; all of them where none are named. */
  release(worker: string, shards: readonly number[] = [...this.#owners.keys()]): void {
    for (const shard of shards) if (this.#owners.get(shard) === worker) this.#owners.delete(shard);
  }

  isAlive(worker: string, nowMs: number): boolean {
    const member = this.#members.get(worker);
    return member !== undefined && member.leaseEndMs > nowMs;
  }

  /** Ends a worker's lease, as if it had not been renewed in time. */
  expire(worker: string): void {
    const member = this.#members.get(worker);
    if (member !== undefined) member.leaseEndMs = Number.NEGATIVE_INFINITY;
  }

  membership(nowMs: number): Membership {
    const alive = [...this.#members.values()].filter(({ info }) => this.isAlive(info.id, nowMs));
    const workers = alive.map(({ info, draining, load }) => ({
      id: info.id,
      draining,
      ...(load === undefined ? {} : { load }),
    }));
    const ids = new Set(workers.map(({ id }) => id));
    return { nowMs, workers, owners: new Map([...this.#owners].filter(([, owner]) => ids.has(owner))) };
  }

  workers(nowMs: number): readonly ShownWorker[] {
    const { workers, owners } = this.membership(nowMs);
    return workers.flatMap(({ id, draining }) => {
      const member = this.#members.get(id);
      if (member === undefined) return [];
      const shards = [...owners.values()].filter((owner) => owner === id).length;
      return [{ ...member.info, shards, leaseEndMs: member.leaseEndMs, draining }];
    });
  }

  #ownerOf(shard: number, nowMs: number): string | undefined {
    const owner = this.#owners.get(shard);
    return owner !== undefined && this.isAlive(owner, nowMs) ? owner : undefined;
  }
}

/** One store's door to its hub's leases. */
export class MemoryLeases implements Leases {
  readonly leaseMs: number;
  readonly renewMs: number;
  readonly now: () => number;
  readonly #table: () => LeaseTable;
  readonly #tellOthers: () => void;

  /** `table` throws once the store is closed; `tellOthers` gives the hub's other stores a hint. */
  constructor(options: MemoryLeaseOptions, table: () => LeaseTable, tellOthers: () => void) {
    this.now = options.now;
    this.leaseMs = options.leaseMs ?? 10_000;
    this.renewMs = options.renewMs ?? 3_000;
    this.#table = table;
    this.#tellOthers = tellOthers;
  }

  join(worker: WorkerInfo): void {
    this.#table().join(worker, this.now() + this.leaseMs);
    this.#tellOthers();
  }

  async renew(worker: string, load?: number): Promise<Membership> {
    const table = this.#table();
    const nowMs = this.now();
    table.renew(worker, nowMs, nowMs + this.leaseMs, load);
    return table.membership(nowMs);
  }

  async claim(worker: string, shards: readonly number[]): Promise<readonly number[]> {
    return this.#table().claim(worker, shards, this.now());
  }

  async release(worker: string, shards: readonly number[]): Promise<void> {
    this.#table().release(worker, shards);
    this.#tellOthers();
  }

  async drain(worker: string): Promise<void> {
    this.#table().drain(worker);
    this.#tellOthers();
  }
}
