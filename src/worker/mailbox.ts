import type { Env, Logger } from "../core/env.js";
import { StoreClosedError } from "../core/errors.js";
import type { Mail, Message, RequestMessage } from "../core/message.js";
import type { Shards, Store } from "../core/store.js";
import { type MessageCursor, SerialCursor, TrailingCursor } from "./message-cursor.js";
import type { OwnedShards } from "./owned-shards.js";
import { Pulse } from "./pulse.js";

/** Hints wake the loop; this is how late a message can be when every hint was lost. */
const FALLBACK_POLL_MS = 5000;

/** The same where other processes write most of what there is to read. */
const SHARED_POLL_MS = 1000;

/** Messages per poll. */
const POLL_LIMIT = 1000;

/** How often the mark is read from that trails, where messages may come late; in between, from a nearer one. */
const LATE_MS = 1000;

/** How often everything is read from the beginning, where messages may come late or shards come and go. */
const SWEEP_MS = 30_000;

/** Who takes in what is read. */
interface Receivers {
  readonly onMail: (mail: Mail) => void;
  readonly onRequests: (requests: readonly RequestMessage[]) => void;
}

/** Reads the new messages of the shards that this worker owns, each once, in the order of their numbers. */
export class Mailbox {
  readonly #env: Env;
  readonly #store: Store;
  readonly #logger: Logger;
  readonly #owned: OwnedShards;
  readonly #pulse: Pulse;
  readonly #cursor: MessageCursor;
  readonly #shared: boolean;
  /** Shards that became ours and were not read from the beginning yet. */
  readonly #taken = new Set<number>();
  #sweptMs: number;
  #readLateMs = Number.NEGATIVE_INFINITY;

  constructor(env: Env, store: Store, logger: Logger, owned: OwnedShards) {
    this.#env = env;
    this.#store = store;
    this.#logger = logger;
    this.#owned = owned;
    this.#pulse = new Pulse(env);
    this.#shared = store.leases !== undefined || store.lateMessagesMs > 0;
    this.#cursor = this.#shared ? new TrailingCursor(store.lateMessagesMs) : new SerialCursor();
    this.#sweptMs = env.monotonicMs();
  }

  wake(): void {
    this.#pulse.wake();
  }

  stop(): void {
    this.#pulse.stop();
  }

  /** These shards are ours now: what waits there is read from the beginning. */
  take(shards: readonly number[]): void {
    for (const shard of shards) this.#taken.add(shard);
    this.#pulse.wake();
  }

  /** These shards are no longer ours. */
  forget(shards: readonly number[]): void {
    for (const shard of shards) this.#taken.delete(shard);
    this.#cursor.forget(new Set(shards));
  }

  /** These came with the load of their instance: they are not handed over. */
  note(messages: readonly Mail[]): void {
    for (const message of messages) this.#cursor.note(message);
  }

  async run(
    onMail: (mail: Mail) => void,
    onRequests: (requests: readonly RequestMessage[]) => void,
  ): Promise<void> {
    const receivers = { onMail, onRequests };
    while (!this.#pulse.stopped) {
      try {
        await this.#round(receivers);
      } catch (error) {
        if (error instanceof StoreClosedError) this.#pulse.stop();
        else this.#logger.warn("messages could not be read; trying again", { error });
        await this.#env.yieldNow();
      }
      await this.#pulse.rest(this.#shared ? SHARED_POLL_MS : FALLBACK_POLL_MS);
    }
  }

  async #round(receivers: Receivers): Promise<void> {
    const owned = this.#owned.shards;
    if (owned.length === 0) return;
    const beganMs = this.#env.monotonicMs();
    const sweep = this.#shared && beganMs - this.#sweptMs >= SWEEP_MS;
    const reach = sweep ? "sweep" : beganMs - this.#readLateMs >= LATE_MS ? "low" : "near";
    this.#cursor.begin(beganMs, owned, reach);
    if (sweep) this.#taken.clear();
    else await this.#readTaken(receivers);
    const from = { sweep: 0, low: this.#cursor.low, near: this.#cursor.near }[reach];
    await this.#readFrom(from, owned, receivers);
    if (this.#pulse.stopped) return;
    this.#cursor.end(this.#env.monotonicMs());
    if (reach !== "near") this.#readLateMs = beganMs;
    if (sweep) this.#sweptMs = beganMs;
  }

  async #readTaken(receivers: Receivers): Promise<void> {
    if (this.#taken.size === 0) return;
    const shards = [...this.#taken];
    this.#taken.clear();
    try {
      await this.#readFrom(0, shards, receivers);
    } catch (error) {
      for (const shard of shards) if (this.#owned.owns(shard)) this.#taken.add(shard);
      throw error;
    }
  }

  /** Page by page, until there is no more: a full page must not hide what comes after it. */
  async #readFrom(from: number, shards: Shards, receivers: Receivers): Promise<void> {
    for (let after = from; !this.#pulse.stopped; ) {
      const page = await this.#store.poll({ shards, after, limit: POLL_LIMIT });
      this.#handOver(page, receivers);
      const last = page.at(-1);
      if (last === undefined || page.length < POLL_LIMIT) return;
      after = last.n;
    }
  }

  #handOver(page: readonly Message[], { onMail, onRequests }: Receivers): void {
    const taken = page.filter((message) => this.#owned.owns(message.shard) && this.#cursor.take(message));
    const requests = taken.filter((message) => message.kind === "request");
    if (requests.length > 0) onRequests(requests);
    for (const message of taken) if (message.kind === "mail") onMail(message);
  }
}
