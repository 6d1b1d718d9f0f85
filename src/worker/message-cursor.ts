import type { Message } from "../core/message.js";
import { SHARD_COUNT } from "../core/shard.js";
import type { Shards } from "../core/store.js";

/** What a cursor needs to know of a message. */
export type Numbered = Pick<Message, "n" | "shard">;

/** From where a round reads. */
export type Reach = "near" | "low" | "sweep";

/** Which messages a worker has taken in, so that it takes each in once, and from where it reads on. */
export interface MessageCursor {
  /** Every message up to this one, of shards that were read all along, has been taken in. */
  readonly low: number;
  /** Hardly anything new comes below this number: what does can wait for the next round that begins at `low`. */
  readonly near: number;
  /**
   * A round of reading begins: of these shards, everything above `near` or `low`, or everything at all in a sweep.
   */
  begin(nowMs: number, shards: Shards, reach: Reach): void;
  /** Whether this message, which was read, is to be handed over: it was not taken in before. Now it is. */
  take(message: Numbered): boolean;
  /** This message came in by another way: with the load of its instance. */
  note(message: Numbered): void;
  /** The round's end: everything there was has been read. */
  end(nowMs: number): void;
  /** These shards are no longer ours: when they are again, their messages are taken in anew. */
  forget(shards: ReadonlySet<number>): void;
}

/** Where one worker reads everything, and numbers rise in the order of commits: a number says it all. */
export class SerialCursor implements MessageCursor {
  low = 0;
  /** Above `low`, and known from a load. */
  readonly #ahead = new Set<number>();

  get near(): number {
    return this.low;
  }

  begin(): void {}

  take({ n }: Numbered): boolean {
    this.low = n;
    return this.#ahead.size === 0 || !this.#ahead.delete(n);
  }

  note({ n }: Numbered): void {
    if (n > this.low) this.#ahead.add(n);
  }

  /** What was consumed before it was read is never read. */
  end(): void {
    for (const n of this.#ahead) if (n <= this.low) this.#ahead.delete(n);
  }

  forget(): void {}
}

const EVERY_SHARD: readonly number[] = Array.from({ length: SHARD_COUNT }, (_, shard) => shard);

/** How finely the time is noted at which numbers were seen. */
const MARK_MS = 1000;

/** Almost all transactions that insert messages are over this soon. */
const NEAR_MS = 500;

/** Up to this number, something was seen at this time. */
interface Mark {
  readonly sinceMs: number;
  atMs: number;
  n: number;
}

/**
 * Where shards come and go, or a message may appear after one with a higher number. `low` trails: it is a number
 * that was seen so long ago that nothing below it can still appear. What is above it is remembered, and what is
 * below it and waits to be consumed; a sweep shows what no longer does.
 */
export class TrailingCursor implements MessageCursor {
  low = 0;
  #near = 0;
  readonly #lateMs: number;
  /** Above `low`: the shard of each. */
  readonly #recent = new Map<number, number>();
  /** At or below `low`, and not consumed when last looked at. */
  readonly #waiting = new Map<number, number>();
  #marks: Mark[] = [];
  #highest = 0;
  /** Of the round under way: when it began, what it covers, what it found. */
  #beganMs = 0;
  #covered = new Set<number>();
  #reach: Reach = "low";
  #present = new Set<number>();

  constructor(lateMs: number) {
    this.#lateMs = lateMs;
  }

  get near(): number {
    return this.#near;
  }

  /** How many messages it remembers. */
  get size(): number {
    return this.#recent.size + this.#waiting.size;
  }

  begin(nowMs: number, shards: Shards, reach: Reach): void {
    this.#beganMs = nowMs;
    this.#covered = new Set(shards === "all" ? EVERY_SHARD : shards);
    this.#reach = reach;
    this.#near = this.#marks.findLast((mark) => mark.atMs + NEAR_MS <= nowMs)?.n ?? this.low;
    this.#present = new Set();
  }

  take(message: Numbered): boolean {
    const { n } = message;
    this.#present.add(n);
    if (n > this.#highest) this.#highest = n;
    if (this.#recent.has(n) || this.#waiting.has(n)) return false;
    this.note(message);
    return true;
  }

  note({ n, shard }: Numbered): void {
    if (n > this.low) this.#recent.set(n, shard);
    else this.#waiting.set(n, shard);
  }

  end(nowMs: number): void {
    this.#mark(nowMs);
    if (this.#reach === "near") return; // what it has not read proves nothing
    if (this.#reach === "sweep") this.#forgetConsumed(this.#waiting);
    const passed = this.#marks.findLast((mark) => mark.atMs + this.#lateMs <= this.#beganMs);
    if (passed === undefined) return;
    this.#marks = this.#marks.filter((mark) => mark.n > passed.n);
    this.low = passed.n;
    for (const [n, shard] of this.#recent) {
      if (n > this.low) continue;
      this.#recent.delete(n);
      // Read in this round, or of a shard that this round did not read: it may be there still.
      if (this.#present.has(n) || !this.#covered.has(shard)) this.#waiting.set(n, shard);
    }
  }

  forget(shards: ReadonlySet<number>): void {
    // What a round under way finds of them proves nothing about what comes after it.
    for (const shard of shards) this.#covered.delete(shard);
    for (const known of [this.#recent, this.#waiting]) {
      for (const [n, shard] of known) if (shards.has(shard)) known.delete(n);
    }
  }

  #forgetConsumed(known: Map<number, number>): void {
    for (const [n, shard] of known) {
      if (!this.#present.has(n) && this.#covered.has(shard)) known.delete(n);
    }
  }

  #mark(nowMs: number): void {
    const last = this.#marks.at(-1);
    if (this.#highest <= Math.max(this.low, last?.n ?? 0)) return;
    if (last !== undefined && nowMs - last.sinceMs < MARK_MS) {
      last.n = this.#highest;
      last.atMs = nowMs;
    } else {
      this.#marks.push({ sinceMs: nowMs, atMs: nowMs, n: this.#highest });
    }
  }
}
