/** At most one notification in this time, whatever is written. */
const MESSAGES_MS = 10;

/** A client that waits for an outcome elsewhere can wait a little longer than work that lies about. */
const STATUS_MS = 25;

/**
 * Gathers what others are to be told, and says it in one go: soon where there is work for them, a little later where
 * only somebody's status has changed. Never within a transaction: a notification slows down all that commit with it.
 */
export class Announcer {
  readonly #say: (shards: readonly number[], status: boolean) => Promise<void>;
  #shards = new Set<number>();
  #status = false;
  #timer: NodeJS.Timeout | undefined;
  #dueMs = 0;
  #busy: Promise<void> | undefined;

  constructor(say: (shards: readonly number[], status: boolean) => Promise<void>) {
    this.#say = say;
  }

  messages(shards: Iterable<number>): void {
    const before = this.#shards.size;
    for (const shard of shards) this.#shards.add(shard);
    if (this.#shards.size > before) this.#wake(MESSAGES_MS);
  }

  status(): void {
    if (this.#status) return;
    this.#status = true;
    this.#wake(STATUS_MS);
  }

  /** Says what is left. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#busy;
    if (this.#shards.size > 0 || this.#status) await this.#sayAll();
  }

  #wake(afterMs: number): void {
    const dueMs = performance.now() + afterMs;
    if (this.#timer !== undefined) {
      if (dueMs >= this.#dueMs) return;
      clearTimeout(this.#timer);
    }
    this.#dueMs = dueMs;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#busy = this.#sayAll();
    }, afterMs);
  }

  async #sayAll(): Promise<void> {
    await this.#busy;
    const shards = [...this.#shards];
    const status = this.#status;
    this.#shards = new Set();
    this.#status = false;
    if (shards.length === 0 && !status) return;
    // Lost, it is found by those who look for themselves.
    await this.#say(shards, status).catch(() => {});
  }
}
