import type { Env } from "../core/env.js";
import type { ChangeHint, Store } from "../core/store.js";
import { ChangeLog, type Moment } from "./change-log.js";

/** Hints are only hints: waiting callers look again at least this often. */
const RECHECK_MS = 10_000;

/** When to give up waiting. */
export interface WaitLimit {
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** For what a caller waits. */
export interface Awaited {
  /** Only an end of a run can bring it. */
  readonly end: boolean;
  /** It was not there at this moment: see {@link ChangeWaiter.now}. */
  readonly since?: Moment | undefined;
}

/** Lets many callers wait for changes of single instances over one subscription and one timer. */
export class ChangeWaiter {
  readonly #env: Env;
  readonly #store: Pick<Store, "subscribe">;
  readonly #waiting = new Map<string, Set<Bell>>();
  /** Ends of runs that were heard of. */
  readonly #ends = new ChangeLog();
  readonly #closed = new AbortController();
  #unsubscribe: (() => void) | undefined;

  constructor(env: Env, store: Pick<Store, "subscribe">) {
    this.#env = env;
    this.#store = store;
  }

  /** This moment, from which on ends of runs are heard of; undefined while nobody listens yet. */
  get now(): Moment | undefined {
    return this.#unsubscribe === undefined ? undefined : this.#ends.now;
  }

  /**
   * Runs `look` until it returns something, again after every hint about this instance.
   *
   * @returns undefined when the time ran out, the signal aborted, or the client was closed first.
   */
  async until<T>(
    instanceId: string,
    look: () => Promise<T | undefined>,
    limit: WaitLimit,
    { end, since }: Awaited,
  ): Promise<T | undefined> {
    const bell = new Bell(end);
    const over = this.#ringAtLimit(bell, limit);
    this.#listen(instanceId, bell);
    try {
      // What has just begun need not be looked at before anything was heard of it.
      const isUnheardOf = end && since !== undefined && !this.#ends.since(since, instanceId);
      if (isUnheardOf && !over.reached()) await bell.arm();
      for (;;) {
        // The bell is armed before looking: a change between the two must not be missed.
        const rung = bell.arm();
        const seen = await look();
        if (seen !== undefined) return seen;
        if (over.reached()) return undefined;
        await rung;
      }
    } finally {
      over.stop();
      this.#forget(instanceId, bell);
    }
  }

  close(): void {
    this.#closed.abort();
    this.#unsubscribe?.();
    this.#ringAll();
  }

  /** Rings when the wait must end, and tells whether it has. */
  #ringAtLimit(bell: Bell, { timeoutMs, signal }: WaitLimit): { reached(): boolean; stop(): void } {
    let expired = false;
    // Given a reason: without one, an abort builds an exception with a stack.
    const stopped = timeoutMs === undefined ? undefined : new AbortController();
    const onAbort = (): void => bell.ring();
    signal?.addEventListener("abort", onAbort, { once: true });
    if (timeoutMs !== undefined) {
      this.#env.spawn("wait timeout", async () => {
        const start = this.#env.monotonicMs();
        // Longer waits than a timer can hold are slept in pieces.
        for (let leftMs = timeoutMs; leftMs > 0 && stopped?.signal.aborted === false; ) {
          await this.#env.sleep(Math.min(leftMs, 60_000), stopped.signal);
          leftMs = timeoutMs - (this.#env.monotonicMs() - start);
        }
        expired = true;
        bell.ring();
      });
    }
    return {
      reached: () => expired || signal?.aborted === true || this.#closed.signal.aborted,
      stop: () => {
        stopped?.abort("no longer waited for");
        signal?.removeEventListener("abort", onAbort);
      },
    };
  }

  #listen(instanceId: string, bell: Bell): void {
    if (this.#unsubscribe === undefined) {
      this.#unsubscribe = this.#store.subscribe((hint) => this.#onHint(hint));
      this.#env.spawn("recheck of waiting callers", () => this.#recheck());
    }
    const bells = this.#waiting.get(instanceId);
    if (bells === undefined) this.#waiting.set(instanceId, new Set([bell]));
    else bells.add(bell);
  }

  #forget(instanceId: string, bell: Bell): void {
    const bells = this.#waiting.get(instanceId);
    bells?.delete(bell);
    if (bells?.size === 0) this.#waiting.delete(instanceId);
  }

  async #recheck(): Promise<void> {
    while (!this.#closed.signal.aborted) {
      await this.#env.sleep(RECHECK_MS, this.#closed.signal);
      this.#ringAll();
    }
  }

  #onHint(hint: ChangeHint): void {
    const change = hint.from === "here" ? hint : hint.change;
    if (change === undefined) {
      this.#ends.addAll();
      return this.#ringAll();
    }
    const alive = new Set(change.alive);
    for (const instanceId of change.instanceIds) {
      const mayHaveEnded = !alive.has(instanceId);
      if (mayHaveEnded) this.#ends.add(instanceId);
      for (const bell of this.#waiting.get(instanceId) ?? []) if (mayHaveEnded || !bell.forEnd) bell.ring();
    }
  }

  #ringAll(): void {
    for (const bells of this.#waiting.values()) for (const bell of bells) bell.ring();
  }
}

/** Remembers a ring that came before anybody waited for it. */
class Bell {
  /** Whether only an end is worth a ring. */
  readonly forEnd: boolean;
  #ring: () => void = () => {};

  constructor(forEnd: boolean) {
    this.forEnd = forEnd;
  }

  arm(): Promise<void> {
    return new Promise((resolve) => {
      this.#ring = resolve;
    });
  }

  ring(): void {
    this.#ring();
  }
}
