import type { Env, Logger } from "../core/env.js";
import type { Refusal, Store } from "../core/store.js";

/** Batches refusals: a hot loop of refused starts must not write. kill -9 may lose a second's worth, never a start. */
export const REFUSAL_FLUSH_MS = 1000;

/** At most this many distinct refusals wait for a flush; more of the same are counted on the last one. */
const MAX_WAITING = 1000;

/** Collects refused starts in memory and flushes them at most once a second, and at close. */
export class RefusalLog {
  readonly #env: Env;
  readonly #store: Store;
  readonly #logger: Logger;
  readonly #waiting = new Map<string, Refusal>();
  readonly #closed = new AbortController();
  #flusher: Promise<void> | undefined;

  constructor(env: Env, store: Store, logger: Logger) {
    this.#env = env;
    this.#store = store;
    this.#logger = logger;
  }

  add(refusal: Refusal): void {
    const key = JSON.stringify([
      refusal.instanceId,
      refusal.requester,
      refusal.orchestrator,
      refusal.reason,
      refusal.policy,
      refusal.holder.executionId,
    ]);
    const same = this.#waiting.get(key);
    if (same !== undefined) this.#waiting.set(key, { ...refusal, count: same.count + refusal.count });
    else if (this.#waiting.size < MAX_WAITING) this.#waiting.set(key, refusal);
    else this.#countOnLast(refusal.count);
    this.#flusher ??= this.#flushLater();
  }

  /** Writes what waits. */
  async flush(): Promise<void> {
    if (this.#waiting.size === 0) return;
    const batch = [...this.#waiting.values()];
    this.#waiting.clear();
    await this.#store.recordRefusals(batch);
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#flusher;
    await this.flush();
  }

  async #flushLater(): Promise<void> {
    await this.#env.sleep(REFUSAL_FLUSH_MS, this.#closed.signal);
    this.#flusher = undefined;
    try {
      await this.flush();
    } catch (error) {
      // The starts were answered; only their record is lost.
      this.#logger.warn("refused starts could not be recorded", { error });
    }
  }

  #countOnLast(count: number): void {
    const [key, last] = [...this.#waiting.entries()].at(-1) ?? [];
    if (key !== undefined && last !== undefined)
      this.#waiting.set(key, { ...last, count: last.count + count });
  }
}
