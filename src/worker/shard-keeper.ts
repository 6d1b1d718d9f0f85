import type { Env, Logger } from "../core/env.js";
import { StoreClosedError } from "../core/errors.js";
import type { LeaseStatus, Leases, Member, Membership } from "../core/leases.js";
import { ownersOf, SHARD_COUNT } from "../core/shard.js";
import type { OwnedShards } from "./owned-shards.js";
import { Pulse } from "./pulse.js";

/** What a keeper is made of. */
export interface ShardKeeperParts {
  readonly env: Env;
  readonly leases: Leases;
  readonly logger: Logger;
  /** The worker's ID. */
  readonly worker: string;
  /** These shards are ours from now on, with whatever waits in them. */
  readonly onTaken: (shards: readonly number[]) => void;
  /** How many starts, turns and activities are under way here. */
  readonly load: () => number;
  /** The store's clock, told just now. */
  readonly onTime: (nowMs: number) => void;
  /**
   * These shards are no longer ours: what is in memory of them is to be dropped. With `handOver` nobody else owns
   * them before they are released, which is when {@link busyShards} shows them no more.
   */
  readonly onLost: (shards: readonly number[], handOver: boolean) => void;
  /** The shards of which a turn or an activity is under way here. */
  readonly busyShards: () => ReadonlySet<number>;
}

/** A lease is given up this much before its end, a tenth of its length at most. */
const MARGIN_MS = 1000;

/** After a renewal that failed. */
const RETRY_MS = 500;

/** Hints come with every write of others: they bring a renewal at most this often, */
const HINTED_MS = 500;
/** and this often while shards that should be ours are still another worker's. */
const AWAITING_MS = 50;

/** How often one looks whether shards that are to be given back have become quiet, */
const LOOK_MS = 10;
/** and after how long a turn under way is not waited for any more: its commit is guarded. */
const LET_GO_MS = 1000;

/**
 * Keeps this worker's share of the hub's shards: renews the lease, takes what should be ours and is free, gives back
 * what should be another's. Trusts the lease only until {@link Leases.leaseMs} after the renewal was sent, by the
 * monotonic clock: a process that was stopped, or cut off from the store, drops everything until a renewal shows
 * what it still owns.
 */
export class ShardKeeper implements OwnedShards {
  readonly #parts: ShardKeeperParts;
  readonly #renewal: Pulse;
  readonly #trust: Pulse;
  readonly #stopping = new AbortController();
  readonly #owned = new Set<number>();
  #trustedUntilMs = Number.NEGATIVE_INFINITY;
  #renewedAtMs: number | undefined;
  #awaiting = false;
  #othersLoad: number | undefined;
  #wanted: { readonly of: readonly string[]; readonly owners: readonly string[] } = { of: [], owners: [] };
  /** Of its own will: everything is given back. */
  #draining = false;
  /** As others see it, too: whoever asked for it. */
  #drains = false;

  constructor(parts: ShardKeeperParts) {
    this.#parts = parts;
    this.#renewal = new Pulse(parts.env);
    this.#trust = new Pulse(parts.env);
  }

  get shards(): readonly number[] {
    return this.#isTrusted() ? [...this.#owned] : [];
  }

  owns(shard: number): boolean {
    return this.#owned.has(shard) && this.#isTrusted();
  }

  /** The load of those who share the hub, on average, when last seen; undefined where none has told. */
  get othersLoad(): number | undefined {
    return this.#othersLoad;
  }

  get status(): LeaseStatus {
    const { env, leases } = this.#parts;
    return {
      shards: this.shards.length,
      leaseMs: leases.leaseMs,
      renewMs: leases.renewMs,
      ...(this.#renewedAtMs === undefined
        ? {}
        : { renewalAgeMs: Math.round(env.monotonicMs() - this.#renewedAtMs) }),
      draining: this.#draining || this.#drains,
    };
  }

  /** Who shares the hub may have changed. */
  wake(): void {
    this.#renewal.wake();
  }

  /** Keeps the share until it is stopped. */
  async run(): Promise<void> {
    await Promise.all([this.#keep(), this.#watchTrust()]);
  }

  /**
   * Takes nothing more and gives everything back: each shard as soon as nothing of it is under way, and all of them
   * after `drainMs`.
   */
  async handOver(drainMs: number): Promise<void> {
    const { leases, worker, logger } = this.#parts;
    this.#draining = true;
    try {
      await leases.drain(worker);
      await this.#giveBack([...this.#owned], drainMs);
    } catch (error) {
      if (error instanceof StoreClosedError) return;
      logger.warn("shards could not be handed over; others take them when the lease has ended", { error });
    }
  }

  stop(): void {
    this.#stopping.abort("stopped");
    this.#renewal.wake();
    this.#trust.wake();
  }

  get #stopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  async #keep(): Promise<void> {
    const { env, leases } = this.#parts;
    while (!this.#stopped) {
      const beganMs = env.monotonicMs();
      const renewed = await this.#renew();
      await this.#renewal.rest(renewed ? leases.renewMs : RETRY_MS);
      const earliestMs = beganMs + (this.#awaiting ? AWAITING_MS : HINTED_MS);
      const earlyMs = earliestMs - env.monotonicMs();
      if (earlyMs > 0 && !this.#stopped) await env.sleep(earlyMs, this.#stopping.signal);
    }
  }

  /** @returns whether it could. */
  async #renew(): Promise<boolean> {
    const { env, leases, worker, logger } = this.#parts;
    try {
      const sentMs = env.monotonicMs();
      const membership = await leases.renew(worker, this.#parts.load());
      this.#parts.onTime(membership.nowMs);
      this.#dropUntrusted(); // nobody may have looked while this process stood still
      this.#renewedAtMs = sentMs;
      this.#trustedUntilMs = sentMs + leases.leaseMs - Math.min(MARGIN_MS, leases.leaseMs / 10);
      this.#trust.wake();
      await this.#follow(membership);
      return true;
    } catch (error) {
      if (error instanceof StoreClosedError) this.stop();
      else logger.warn("the lease on this worker's shards could not be renewed; trying again", { error });
      return false;
    }
  }

  /** Who should own what changes with who is there, and each renewal asks. */
  #wantedBy(workers: readonly string[]): readonly string[] {
    const same =
      workers.length === this.#wanted.of.length && workers.every((id, at) => id === this.#wanted.of[at]);
    if (!same) this.#wanted = { of: workers, owners: ownersOf(workers) };
    return this.#wanted.owners;
  }

  /** Makes our share what it should be, as far as others let us. */
  async #follow({ workers, owners }: Membership): Promise<void> {
    const { leases, worker } = this.#parts;
    this.#noticeDrain(workers);
    // One that may be gone gets nothing new: what it had been meant to take would wait until its lease ends, too.
    const staying = workers.filter(
      ({ id, draining, late }) => !(draining || late === true || (this.#draining && id === worker)),
    );
    this.#othersLoad = meanLoad(staying.filter(({ id }) => id !== worker));
    // With nobody who stays, everybody keeps what he has: work that nobody does would be worse.
    const wanted = this.#wantedBy(staying.map(({ id }) => id));
    const kept: number[] = [];
    const surplus: number[] = [];
    const free: number[] = [];
    this.#awaiting = false;
    for (let shard = 0; shard < SHARD_COUNT; shard++) {
      const owner = owners.get(shard);
      if (owner === worker) {
        if ((wanted[shard] ?? worker) === worker) kept.push(shard);
        else surplus.push(shard);
      } else if (wanted[shard] === worker) {
        if (owner === undefined) free.push(shard);
        else this.#awaiting = true;
      }
    }
    const held = new Set([...kept, ...surplus]);
    this.#lose(
      [...this.#owned].filter((shard) => !held.has(shard)),
      false,
    );
    if (this.#draining) {
      // What is still owned is handed over as it becomes quiet. What is held beside it we do not know of any more.
      const unknown = [...held].filter((shard) => !this.#owned.has(shard));
      if (unknown.length > 0) await leases.release(worker, unknown);
      return;
    }
    this.#take(kept);
    if (free.length > 0) {
      const claimed = await leases.claim(worker, free);
      if (claimed.length < free.length) this.#awaiting = true;
      this.#take(claimed);
    }
    if (surplus.length > 0) {
      this.#lose(surplus, true);
      await this.#giveBack(surplus, Math.min(LET_GO_MS, leases.renewMs));
    }
  }

  #noticeDrain(workers: Membership["workers"]): void {
    const drains = workers.some(({ id, draining }) => draining && id === this.#parts.worker);
    if (drains && !this.#drains && !this.#draining) {
      this.#parts.logger.info(
        "somebody asked this worker to drain: it gives its shards to others, and takes no more",
      );
    }
    this.#drains = drains;
  }

  /** Releases shards as they become quiet; those that still are not after so long, too. */
  async #giveBack(shards: readonly number[], patienceMs: number): Promise<void> {
    const { env, leases, worker, busyShards } = this.#parts;
    const untilMs = env.monotonicMs() + patienceMs;
    for (let left = shards; left.length > 0; ) {
      const patient = env.monotonicMs() < untilMs && !this.#stopped;
      const busy = patient ? busyShards() : new Set<number>();
      const quiet = left.filter((shard) => !busy.has(shard));
      if (quiet.length > 0) {
        this.#lose(quiet, true);
        await leases.release(worker, quiet);
      }
      left = left.filter((shard) => busy.has(shard));
      if (left.length > 0) await env.sleep(LOOK_MS, this.#stopping.signal);
    }
  }

  #take(shards: readonly number[]): void {
    if (this.#draining || this.#stopped || !this.#isTrusted()) return; // the next renewal shows them again
    const taken = shards.filter((shard) => !this.#owned.has(shard));
    if (taken.length === 0) return;
    for (const shard of taken) this.#owned.add(shard);
    this.#parts.onTaken(taken);
  }

  #lose(shards: readonly number[], handOver: boolean): void {
    const lost = shards.filter((shard) => this.#owned.delete(shard));
    if (lost.length > 0) this.#parts.onLost(lost, handOver);
  }

  /** A lease that was not renewed in time: others may own the shards by now. */
  async #watchTrust(): Promise<void> {
    const { env, leases } = this.#parts;
    while (!this.#stopped) {
      this.#dropUntrusted();
      const leftMs = this.#trustedUntilMs - env.monotonicMs();
      await this.#trust.rest(leftMs > 0 ? leftMs : leases.leaseMs);
    }
  }

  #dropUntrusted(): void {
    if (this.#isTrusted() || this.#owned.size === 0) return;
    this.#parts.logger.warn("the lease on this worker's shards was not renewed in time; they are let go", {
      shards: this.#owned.size,
    });
    this.#lose([...this.#owned], false);
  }

  #isTrusted(): boolean {
    return this.#parts.env.monotonicMs() < this.#trustedUntilMs;
  }
}

function meanLoad(members: readonly Member[]): number | undefined {
  const loads = members.map(({ load }) => load).filter((load) => load !== undefined);
  return loads.length === 0 ? undefined : loads.reduce((sum, load) => sum + load, 0) / loads.length;
}
