import type { Change } from "../../core/store.js";
import type { Begun } from "./notices.js";

/** At most one notification in this time, whatever is written. */
const WORK_MS = 10;

/** A client that waits for an outcome elsewhere can wait a little longer than work that lies about. */
const STATUS_MS = 25;

/**
 * Where this many instances were told of at once, the next ones wait that long, too: each notification wakes all
 * processes and their connections, and what they then read and start comes in groups of its size.
 */
const MANY = 8;

/** What others are to be told. */
export interface News extends Omit<Change, "messages" | "began" | "loaded" | "onlyBegan"> {
  /** Shards that have new messages, beside those of `began`. */
  readonly shards: readonly number[];
  /** New instances that have begun. */
  readonly began?: readonly Begun[];
}

/**
 * Gathers what others are to be told, and says it in one go: soon where there is work for them, a little later where
 * only somebody's status has changed. Never within a transaction: a notification slows down all that commit with it.
 */
export class Announcer {
  readonly #say: (news: News) => Promise<void>;
  #shards = new Set<number>();
  #began: Begun[] = [];
  /** Which instances have changed; whether they may have ended. */
  #ended = new Map<string, boolean>();
  #nextDueMs: number | undefined;
  #tasks = false;
  #members = false;
  #saidMany = false;
  #timer: NodeJS.Timeout | undefined;
  #dueMs = 0;
  #busy: Promise<void> | undefined;

  constructor(say: (news: News) => Promise<void>) {
    this.#say = say;
  }

  tell({ shards, began = [], instanceIds, alive = [], nextDueMs, tasks, members }: News): void {
    const isAlive = new Set(alive);
    for (const id of instanceIds) this.#ended.set(id, this.#ended.get(id) === true || !isAlive.has(id));
    for (const shard of shards) this.#shards.add(shard);
    this.#began.push(...began);
    if (nextDueMs !== undefined) this.#nextDueMs = Math.min(nextDueMs, this.#nextDueMs ?? nextDueMs);
    this.#tasks ||= tasks === true;
    this.#members ||= members === true;
    if (shards.length > 0 || began.length > 0) this.#wake(this.#saidMany ? STATUS_MS : WORK_MS);
    else if (this.#hasNews()) this.#wake(STATUS_MS);
  }

  /** Says what is left. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#busy;
    await this.#sayAll();
  }

  #hasNews(): boolean {
    return (
      this.#shards.size > 0 ||
      this.#began.length > 0 ||
      this.#ended.size > 0 ||
      this.#nextDueMs !== undefined ||
      this.#tasks ||
      this.#members
    );
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
    if (!this.#hasNews()) return;
    const ended = [...this.#ended];
    const news: News = {
      shards: [...this.#shards],
      ...(this.#began.length === 0 ? {} : { began: this.#began }),
      instanceIds: ended.map(([id]) => id),
      alive: ended.flatMap(([id, hasEnded]) => (hasEnded ? [] : [id])),
      ...(this.#nextDueMs === undefined ? {} : { nextDueMs: this.#nextDueMs }),
      ...(this.#tasks ? { tasks: true } : {}),
      ...(this.#members ? { members: true } : {}),
    };
    this.#saidMany = ended.length + this.#began.length >= MANY;
    this.#shards = new Set();
    this.#began = [];
    this.#ended = new Map();
    this.#nextDueMs = undefined;
    this.#tasks = false;
    this.#members = false;
    // Lost, it is found by those who look for themselves.
    await this.#say(news).catch(() => {});
  }
}
