import type { Command } from "../src/core/command.js";
import type { Message } from "../src/core/message.js";
import type { Store, TurnCommit } from "../src/core/store.js";

/** How long after one with a higher number a message may appear: as much less than PostgreSQL's as leases are shorter. */
export const LATE_MS = 3_000;

/** So far apart are two numbers that were drawn at once: between them is room for those that were drawn and not committed. */
const SPREAD = 1024;

/**
 * Message numbers as PostgreSQL has them: drawn when a message is written, and seen when its transaction commits, all at
 * once and by everybody. A transaction that takes long shows a number below those that are there already. Of counted mail
 * they still rise from one to the next: whoever counts it holds its instance's row from before the number is drawn until
 * the commit.
 */
export class LateNumbers {
  /** What is numbered, as everybody sees it. */
  readonly store: Store;
  readonly #inner: Store;
  readonly #now: () => number;
  /** The highest number so far, of the store itself, at each time at which there was one. */
  readonly #marks: { readonly atMs: number; readonly n: number }[] = [];
  /** Numbers that were drawn early, by the store's own, and the other way round. */
  readonly #shown = new Map<number, number>();
  readonly #own = new Map<number, number>();
  /** How many were drawn after each of the store's own and committed late. */
  readonly #used = new Map<number, number>();
  /** The last counted mail of each instance. */
  readonly #counted = new Map<number, number>();

  constructor(inner: Store, now: () => number) {
    this.#inner = inner;
    this.#now = now;
    this.store = this.#numbered();
  }

  /** A write has taken effect: what it has sent is numbered, as of so long ago. Asked only where it has sent something. */
  async number(drawnMsAgo: () => number): Promise<void> {
    const sent = await this.#inner.poll({ shards: "all", after: this.#highest, limit: 10_000 });
    const last = sent.at(-1);
    if (last === undefined) return;
    const agoMs = drawnMsAgo();
    const drawnAtMs = this.#now() - agoMs;
    const before = this.#marks.findLast(({ atMs }) => atMs <= drawnAtMs)?.n ?? 0;
    for (const message of sent) {
      const isCounted = message.kind === "mail" && message.mail !== undefined;
      if (agoMs > 0)
        this.#drawn(message.n, isCounted ? Math.max(before, this.#lastCounted(message.iid)) : before);
      if (isCounted) this.#counted.set(message.iid, message.n);
    }
    this.#marks.push({ atMs: this.#now(), n: last.n });
  }

  get #highest(): number {
    return this.#marks.at(-1)?.n ?? 0;
  }

  /** After which of the store's own numbers the last counted mail of an instance has its place. */
  #lastCounted(iid: number): number {
    return Math.floor(this.#shownOf(this.#counted.get(iid) ?? 0) / SPREAD);
  }

  #drawn(own: number, after: number): void {
    const used = (this.#used.get(after) ?? 0) + 1;
    if (used === SPREAD) return; // no room: it is as if it had come at once
    this.#used.set(after, used);
    const shown = after * SPREAD + used;
    this.#shown.set(own, shown);
    this.#own.set(shown, own);
  }

  #shownOf(own: number): number {
    return this.#shown.get(own) ?? own * SPREAD;
  }

  #ownOf(shown: number): number {
    return this.#own.get(shown) ?? shown / SPREAD;
  }

  #inOrder<M extends Message>(messages: readonly M[]): M[] {
    return messages
      .map((message) => ({ ...message, n: this.#shownOf(message.n) }))
      .toSorted((one, other) => one.n - other.n);
  }

  #numbered(): Store {
    const inner = this.#inner;
    const own: Partial<Store> = {
      lateMessagesMs: LATE_MS,
      poll: async ({ shards, after, limit }) => {
        const messages = await inner.poll({ shards, after: 0, limit: 10_000 });
        return this.#inOrder(messages)
          .filter(({ n }) => n > after)
          .slice(0, limit);
      },
      load: async (iids) =>
        (await inner.load(iids)).map((loaded) => ({ ...loaded, messages: this.#inOrder(loaded.messages) })),
      commit: (turns: readonly TurnCommit[]) =>
        inner.commit(
          turns.map((turn) => ({ ...turn, consumed: turn.consumed.map((shown) => this.#ownOf(shown)) })),
        ),
      execute: (commands: readonly Command[]) =>
        inner.execute(
          commands.map((command) =>
            command.consumes === undefined
              ? command
              : { ...command, consumes: this.#ownOf(command.consumes) },
          ),
        ),
    };
    return new Proxy(inner, {
      get: (target, key) => {
        const member: unknown = Reflect.get(Object.hasOwn(own, key) ? own : target, key);
        return typeof member === "function" ? (member.bind(target) as unknown) : member;
      },
    });
  }
}
