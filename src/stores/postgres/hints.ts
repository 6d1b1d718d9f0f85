import { shardOf } from "../../core/shard.js";
import type { Change, ChangeHint } from "../../core/store.js";
import { Announcer, type News } from "./announcer.js";
import type { Changed } from "./changed.js";
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

/** How long it is believed that somebody listens after he has said something. */
const COMPANY_MS = 1_000;

/** Where others are heard, every so many looks around are carried out: for what somebody died before he could say. */
const LOOKS_IF_HEARD = 4;

/**
 * Tells this process what it wrote itself, and that others wrote; and others that this one did. Nothing depends on
 * it: without NOTIFY, everybody looks for themselves at intervals that grow while nothing happens.
 */
export class Hints {
  readonly #parts: HintParts;
  readonly #channel: string;
  readonly #listeners = new Set<(hint: ChangeHint) => void>();
  readonly #announcer: Announcer | undefined;
  readonly #lookAround = new LookAround(() => this.#look());
  #listener: Listener | undefined;
  #aloneUntilMs = 0;
  #inCompanyUntilMs = 0;
  #hears = false;
  #looks = 0;
  #wroteMessages = false;
  #closed = false;

  constructor(parts: HintParts) {
    this.#parts = parts;
    this.#channel = channelOf(parts.database.schema, parts.taskHub);
    if (parts.database.capabilities.notify) {
      this.#announcer = new Announcer((news) => this.#announce(news));
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
  wrote(changed: Changed, { shards, nextDueMs, tasks, began = new Map(), loaded = [] }: Notice): void {
    const { owns } = this.#parts;
    if (shards.size > 0) this.#wroteMessages = true;
    const ours = [...began].flatMap(([iid, shard]) => (owns(shard) ? [iid] : []));
    const change: Change = {
      instanceIds: changed.instanceIds,
      alive: changed.alive,
      messages: shards.size > 0 || began.size > 0,
      ...(ours.length === 0 ? {} : { began: ours }),
      ...(ours.length === 0
        ? {}
        : { loaded: loaded.filter(({ instance }) => owns(shardOf(instance.instanceId))) }),
      ...(shards.size === 0 && began.size > 0 ? { onlyBegan: true } : {}),
      ...(nextDueMs === undefined ? {} : { nextDueMs }),
      ...(tasks === undefined ? {} : { tasks }),
    };
    this.#tellOthers(change, shards, began);
    if (this.#listeners.size === 0) return;
    const { instanceIds, messages } = change;
    if (instanceIds.length === 0 && !messages && nextDueMs === undefined && tasks === undefined) return;
    // Later, so that a listener never runs inside somebody's write.
    queueMicrotask(() => this.#tell({ from: "here", ...change }));
  }

  #tellOthers(
    { instanceIds, alive, nextDueMs, tasks }: Change,
    shards: ReadonlySet<number>,
    began: ReadonlyMap<number, number>,
  ): void {
    const { owns } = this.#parts;
    const others = [...shards].filter((shard) => !owns(shard));
    const begunElsewhere = [...began].flatMap(([iid, shard]) => (owns(shard) ? [] : [{ iid, shard }]));
    // Who sets timers for an instance shows in its status with them, unless he owns it.
    const isDueElsewhere =
      nextDueMs !== undefined && instanceIds.some((instanceId) => !owns(shardOf(instanceId)));
    this.#announcer?.tell({
      shards: others,
      ...(begunElsewhere.length === 0 ? {} : { began: begunElsewhere }),
      instanceIds,
      ...(alive === undefined ? {} : { alive }),
      ...(isDueElsewhere ? { nextDueMs } : {}),
      ...(tasks === undefined ? {} : { tasks }),
    });
    // Whoever gives others something to do may soon be answered.
    if (others.length > 0 || begunElsewhere.length > 0 || tasks === true) this.#lookAround.sawSomething();
  }

  /** Something was written that nobody sees by himself: leases. */
  stirred(): void {
    const change = { instanceIds: [], members: true } as const;
    this.#announcer?.tell({ ...change, shards: [] });
    queueMicrotask(() => this.#tell({ from: "elsewhere", change: { ...change, messages: false } }));
  }

  /** Messages were read, up to this number. If this process has written none, others did, and will again. */
  polled(highest: number | undefined): void {
    this.#lookAround.sawMessages(highest, this.#wroteMessages);
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

  /** Looks for what nobody has told of. Workers also look by themselves every second. */
  #look(): void {
    this.#looks += 1;
    if (!this.#hears || this.#looks % LOOKS_IF_HEARD === 0) this.#tell({ from: "elsewhere" });
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
    this.#hears = isConnected;
    this.#lookAround.hears(isConnected);
    if (!isConnected) return;
    // What was said before went unheard; and others, who believed that they were alone, must know.
    this.#tell({ from: "elsewhere" });
    this.#announce({ shards: [], instanceIds: [] }).catch(() => {});
  }

  #heard(payload: string): void {
    const word = decodeWord(payload);
    if (this.#closed || word.sender === this.#parts.sender) return;
    this.#aloneUntilMs = 0;
    this.#inCompanyUntilMs = performance.now() + COMPANY_MS;
    if (!("shards" in word)) return this.#tell({ from: "elsewhere" });
    const { sender: _, shards, began = [], ...change } = word;
    const { owns } = this.#parts;
    const ours = began.filter(({ shard }) => owns(shard)).map(({ iid }) => iid);
    const mailed = shards.some(owns);
    this.#tell({
      from: "elsewhere",
      change: {
        ...change,
        messages: mailed || ours.length > 0,
        ...(ours.length === 0 ? {} : { began: ours }),
        ...(ours.length > 0 && !mailed ? { onlyBegan: true } : {}),
      },
    });
  }

  /** Listeners hold a shared lock, so that whoever is alone need not say anything. */
  async #announce(news: News): Promise<void> {
    const { database, sender } = this.#parts;
    const nowMs = performance.now();
    if (nowMs < this.#aloneUntilMs) return;
    const words = encodeWord({ ...news, sender });
    if (!database.capabilities.advisoryLocks || nowMs < this.#inCompanyUntilMs) {
      await database.read(NOTIFY, [this.#channel, words]);
      return;
    }
    const heard = await database.read(
      `${NOTIFY} where exists (
         select 1 from pg_catalog.pg_locks l
         where l.locktype = 'advisory' and l.objsubid = 1 and l.mode = 'ShareLock' and l.pid <> $3
           and (l.classid::bigint << 32) | l.objid::bigint = hashtextextended($1::text, 0))`,
      [this.#channel, words, this.#listener?.pid ?? 0],
    );
    if (heard.length === 0) this.#aloneUntilMs = performance.now() + ALONE_MS;
  }
}

const NOTIFY = "select pg_notify($1, word)::text from unnest($2::text[]) as word";
