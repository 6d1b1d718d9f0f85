import type { Env, Logger } from "../core/env.js";
import { StoreClosedError } from "../core/errors.js";
import type { DueTimer, DueTimers, Store } from "../core/store.js";
import type { TimerKey } from "./dispatcher.js";
import type { OwnedShards } from "./owned-shards.js";
import { Pulse } from "./pulse.js";

/**
 * The longest rest. Far below what a Node timer can hold, so that timers of any length, a clock that
 * jumps, and daylight saving do not matter: after each rest the clock is looked at again.
 */
const MAX_REST_MS = 60_000;

/** The same where other processes set timers of ours, too, and every hint of it may be lost. */
const SHARED_REST_MS = 1000;

/** After an error, or while everything due is already on its way. */
const RETRY_MS = 100;

/** So long another worker has for a timer that was left to it. */
const PASSED_ON_MS = 60_000;

/** Timers read at once. */
const DUE_LIMIT = 1000;

/** Fires durable timers when they are due, never before, from one table and with one sleeping timer. */
export class TimerLoop {
  readonly #env: Env;
  readonly #store: Store;
  readonly #logger: Logger;
  readonly #owned: OwnedShards;
  readonly #pulse: Pulse;
  readonly #maxRestMs: number;
  /** Fired, but not committed: the store still lists them. */
  readonly #fired = new Set<string>();
  /** Left to others, until when. */
  readonly #passedOn = new Map<string, number>();
  /** The earliest that is known of and was not due when it was read last. */
  #nextDueMs = Number.POSITIVE_INFINITY;
  #reading = false;

  constructor(env: Env, store: Store, logger: Logger, owned: OwnedShards) {
    this.#env = env;
    this.#store = store;
    this.#logger = logger;
    this.#owned = owned;
    this.#maxRestMs = store.leases === undefined ? MAX_REST_MS : SHARED_REST_MS;
    this.#pulse = new Pulse(env);
  }

  /** Looks again at once. */
  wake(): void {
    this.#pulse.wake();
  }

  /** A timer was set. */
  noticeDue(dueMs: number): void {
    if (dueMs >= this.#nextDueMs) return;
    this.#nextDueMs = dueMs;
    if (!this.#reading) this.#pulse.wake();
  }

  /** A fired timer's turn has committed, or, with `again`, will not. */
  settle(timer: TimerKey, again: boolean): void {
    this.#fired.delete(keyOf(timer));
    if (again) this.#pulse.wake();
  }

  /** Another worker sees to a fired timer: should it not, the timer fires here again, later. */
  passOn(timer: TimerKey): void {
    this.#fired.delete(keyOf(timer));
    this.#passedOn.set(keyOf(timer), this.#env.monotonicMs() + PASSED_ON_MS);
  }

  /** An instance is gone, and its timers with it. */
  forget(iid: number): void {
    for (const key of this.#fired) if (key.startsWith(`${iid}:`)) this.#fired.delete(key);
  }

  stop(): void {
    this.#pulse.stop();
  }

  async run(fire: (timer: DueTimer) => void): Promise<void> {
    while (!this.#pulse.stopped) await this.#pulse.rest(await this.#fireDue(fire));
  }

  /** @returns how long to rest. */
  async #fireDue(fire: (timer: DueTimer) => void): Promise<number> {
    try {
      const { shards } = this.#owned;
      if (shards.length === 0) return this.#maxRestMs;
      const nowMs = this.#env.now();
      this.#dropOld();
      const limit = DUE_LIMIT + this.#fired.size + this.#passedOn.size;
      const { timers, nextDueMs = Number.POSITIVE_INFINITY } = await this.#read({
        shards,
        untilMs: nowMs,
        limit,
      });
      for (const timer of timers) {
        const key = keyOf(timer);
        if (this.#fired.has(key) || this.#passedOn.has(key)) continue;
        this.#fired.add(key);
        fire(timer);
      }
      this.#nextDueMs = Math.min(nextDueMs, this.#nextDueMs);
      if (timers.length === limit) return 0;
      return Math.min(Math.max(this.#nextDueMs - this.#env.now(), 0), this.#maxRestMs);
    } catch (error) {
      if (error instanceof StoreClosedError) this.#pulse.stop();
      else this.#logger.warn("due timers could not be read; trying again", { error });
      return RETRY_MS;
    }
  }

  /** What is set meanwhile may not be in the answer: {@link noticeDue} keeps it. */
  async #read(query: Parameters<Store["due"]>[0]): Promise<DueTimers> {
    this.#nextDueMs = Number.POSITIVE_INFINITY;
    this.#reading = true;
    try {
      return await this.#store.due(query);
    } finally {
      this.#reading = false;
    }
  }

  #dropOld(): void {
    const nowMs = this.#env.monotonicMs();
    for (const [key, untilMs] of this.#passedOn) {
      if (untilMs > nowMs) return; // in order of time
      this.#passedOn.delete(key);
    }
  }
}

function keyOf({ iid, generation, task }: TimerKey): string {
  return `${iid}:${generation}:${task}`;
}
