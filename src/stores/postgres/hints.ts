import type { ChangeHint } from "../../core/store.js";
import { Announcer } from "./announcer.js";
import type { Database } from "./database.js";
import { Listener } from "./listener.js";
import { LookAround } from "./look-around.js";
import { channelOf, decodeWord, encodeWord } from "./notices.js";
import type { Notice } from "./transaction.js";

export interface HintParts {
  readonly database: Database;
  readonly taskHub: string;
  /** Unique per store that is open. */
  readonly sender: string;
  /** Whether this process runs the turns of a shard. */
  readonly owns: (shard: number) => boolean;
}

/** How long it is believed that nobody listens. Whoever begins to listen says so. */
const ALONE_MS = 1_000;

/**
 * Tells this process what it wrote itself, and that others wrote; and others that this one did. Nothing depends on
 * it: without NOTIFY, everybody looks for themselves at intervals that grow while nothing happens.
 */
export class Hints {
  readonly #parts: HintParts;
  readonly #channel: string;
  readonly #listeners = new Set<(hint: ChangeHint) => void>();
  readonly #announcer: Announcer | undefined;
  readonly #lookAround = new LookAround(() => this.#tell({ from: "elsewhere" }));
  #listener: Listener | undefined;
  #aloneUntilMs = 0;
  #wroteMessages = false;
  #closed = false;

  constructor(parts: HintParts) {
    this.#parts = parts;
    this.#channel = channelOf(parts.database.schema, parts.taskHub);
    if (parts.database.capabilities.notify) {
      this.#announcer = new Announcer((shards, status) => this.#announce(shards, status));
    }
  }

  subscribe(listener: (hint: ChangeHint) => void): () => void {
    // A function of its own, so that one listener may subscribe twice.
    const subscription = (hint: ChangeHint): void => listener(hint);
    this.#listeners.add(subscription);
    if (this.#listeners.size === 1) this.#lookAround.set(true);
    if (this.#announcer !== undefined) this.#listener ??= this.#listen();
    return () => {
      if (this.#listeners.delete(subscription) && this.#listeners.size === 0) this.#lookAround.set(false);
    };
  }

  /** This process has written: what users see of these instances may have changed. */
  wrote(instanceIds: ReadonlySet<string>, { shards, nextDueMs, tasks }: Notice): void {
    const others = [...shards].filter((shard) => !this.#parts.owns(shard));
    if (shards.size > 0) this.#wroteMessages = true;
    if (instanceIds.size > 0) this.#announcer?.status();
    if (others.length > 0) {
      this.#announcer?.messages(others);
      // Whoever gives others something to do may soon be answered.
      this.#lookAround.sawSomething();
    }
    if (tasks === true) {
      this.#announcer?.status();
      this.#lookAround.sawSomething();
    }
    if (this.#listeners.size === 0) return;
    if (instanceIds.size === 0 && shards.size === 0 && nextDueMs === undefined && tasks === undefined) return;
    const hint: ChangeHint = {
      from: "here",
      instanceIds: [...instanceIds],
      messages: shards.size > 0,
      ...(nextDueMs === undefined ? {} : { nextDueMs }),
      ...(tasks === undefined ? {} : { tasks }),
    };
    // Later, so that a listener never runs inside somebody's write.
    queueMicrotask(() => this.#tell(hint));
  }

  /** Something was written that nobody sees by himself: leases. */
  stirred(): void {
    this.#announcer?.status();
    queueMicrotask(() => this.#tell({ from: "elsewhere" }));
  }

  /** Messages were read. If this process has written none, others did, and will again. */
  polled(found: boolean): void {
    if (found && !this.#wroteMessages) this.#lookAround.sawSomething();
    this.#wroteMessages = false;
  }

  /** Says to others what is left to say. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#listeners.clear();
    this.#lookAround.set(false);
    await this.#announcer?.close();
    await this.#listener?.close();
  }

  #tell(hint: ChangeHint): void {
    for (const listener of this.#listeners) listener(hint);
  }

  #listen(): Listener {
    const { database } = this.#parts;
    return new Listener({
      newClient: () => database.newClient(),
      channel: this.#channel,
      marks: database.capabilities.advisoryLocks,
      onWord: (payload) => this.#heard(payload),
      onConnected: (isConnected) => this.#connected(isConnected),
    });
  }

  #connected(isConnected: boolean): void {
    if (this.#closed) return;
    this.#lookAround.hears(isConnected);
    if (!isConnected) return;
    // What was said before went unheard; and others, who believed that they were alone, must know.
    this.#tell({ from: "elsewhere" });
    this.#announce([], false).catch(() => {});
  }

  #heard(payload: string): void {
    const word = decodeWord(payload);
    if (this.#closed || word?.sender === this.#parts.sender) return;
    this.#aloneUntilMs = 0;
    if (word !== undefined && !word.status && !word.shards.some((shard) => this.#parts.owns(shard))) return;
    this.#tell({ from: "elsewhere" });
  }

  /** Listeners hold a shared lock, so that whoever is alone need not say anything. */
  async #announce(shards: readonly number[], status: boolean): Promise<void> {
    const { database, sender } = this.#parts;
    if (performance.now() < this.#aloneUntilMs) return;
    const word = encodeWord({ sender, shards, status });
    if (!database.capabilities.advisoryLocks) {
      await database.read("select pg_notify($1, $2)::text", [this.#channel, word]);
      return;
    }
    const heard = await database.read(
      `select pg_notify($1, $2)::text where exists (
         select 1 from pg_catalog.pg_locks l
         where l.locktype = 'advisory' and l.objsubid = 1 and l.mode = 'ShareLock' and l.pid <> $3
           and (l.classid::bigint << 32) | l.objid::bigint = hashtextextended($1::text, 0))`,
      [this.#channel, word, this.#listener?.pid ?? 0],
    );
    if (heard.length === 0) this.#aloneUntilMs = performance.now() + ALONE_MS;
  }
}
