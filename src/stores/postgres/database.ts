import type { Client, ClientConfig, Pool, PoolClient } from "pg";
import {
  EngineFaultError,
  StoreClosedError,
  StoreConflictError,
  StoreUnusableError,
} from "../../core/errors.js";
import type { Capabilities } from "./capabilities.js";
import { Connection, Texts } from "./connection.js";
import { type Driver, loadDriver } from "./driver.js";
import { DatabaseFault, publicErrorOf } from "./fault.js";
import { hearOut } from "./hear-out.js";
import { inTime } from "./in-time.js";
import { KEYED_PLANS } from "./keyed.js";
import { LEASE_SILENCE_MS } from "./lease-times.js";
import { areSessions, noSessions } from "./pooler-probe.js";
import type { Query, SqlValue } from "./query.js";
import {
  DROP_RECEIPTS,
  isSurelyKept,
  NEW_RECEIPT,
  newReceipt,
  RECEIPT_BATCH,
  type Receipt,
  SWEEP_RECEIPTS,
} from "./receipt.js";
import { LOSS, OPENING, type Patience, retrying } from "./retry.js";
import { Slots } from "./slots.js";

export interface DatabaseOptions {
  /** For the driver: an address. Of no use beside `pool`. */
  readonly connectionString?: string;
  /** The application's own pool: used as it is, with nothing kept in its sessions, and left open. */
  readonly pool?: Pool;
  readonly schema: string;
  /** Whether a proxy that pools transactions stands between. */
  readonly pooled: boolean;
  /** For messages. */
  readonly description: string;
  readonly capabilities: Capabilities;
  /** How long an answer is waited for; 10 s by default. */
  readonly silenceMs?: number;
}

/**
 * Writes go over one connection for turns, one for commands and, while there are any, one for purges, which delete
 * much at a time: none waits for another.
 */
export type Lane = "turns" | CommandLane;
export type CommandLane = "commands" | "purges";

/** Leases have a connection of their own: whoever renews one must stand behind nobody. */
type Way = Lane | "leases" | "reads" | "lookups";

/**
 * No transaction that inserts messages lives longer: the mailbox counts on it (Store.lateMessagesMs is three times
 * as long). Also how long a statement may wait for another transaction's lock.
 */
const TRANSACTION_CAP_MS = 5_000;

/** When an answer that does not come is given up: the server has given up before, unless it is not there any more. */
const SILENCE_MS = 10_000;

/**
 * A read that takes longer is ended by the server, so that our patience with a host that says nothing need not be
 * longer than with writes. What it has read is in the server's memory then, and the next try is faster.
 */
const READ_TIMEOUT_MS = 8_000;

/** The same for leases. */
const LEASE_TIMEOUT_MS = LEASE_SILENCE_MS - 500;

/** Renewals are due every second: whoever cannot renew tries often, and says so soon. */
const LEASE_PATIENCE: Patience = { tries: 10, limitMs: 5_000, firstMs: 50, longestMs: 500 };

/** Without a limit of ours. */
const ENDLESS_MS = 0;

const CONNECT_TIMEOUT_MS = 5_000;
const READ_CONNECTIONS = 4;
const LOOKUP_CONNECTIONS = 2;
/** After how long a connection that nobody uses is closed; or it is kept. */
const IDLE_MS = 30_000;
const KEPT = 0;
const KEEP_ALIVE_MS = 10_000;

/** How often a process without a worker sweeps receipts. */
const RECEIPT_SWEEP_MS = 60 * 60 * 1000;

const CAPS: readonly (readonly [string, string])[] = [
  ["statement_timeout", String(TRANSACTION_CAP_MS)],
  ["idle_in_transaction_session_timeout", String(TRANSACTION_CAP_MS)],
];

const WRITE_SETTINGS = [...CAPS, ...KEYED_PLANS];

/** Without sessions there are no prepared statements either: each is planned for the values that it is sent with. */
const LOCAL_SETTINGS = WRITE_SETTINGS.filter(([name]) => name !== "plan_cache_mode").map(
  ([name, value]) => `set local ${name} = ${value}`,
);

const READ_SETTINGS: readonly (readonly [string, string])[] = [
  ["statement_timeout", String(READ_TIMEOUT_MS)],
  ["enable_seqscan", "off"],
  ["jit", "off"],
];

/** A planner that may choose plans a batch of two anew for its two keys each time, as dearly as it reads them. */
const LOOKUP_SETTINGS: readonly (readonly [string, string])[] = [
  ["statement_timeout", String(READ_TIMEOUT_MS)],
  ...KEYED_PLANS,
];

const LEASE_SETTINGS: readonly (readonly [string, string])[] = [
  ["statement_timeout", String(LEASE_TIMEOUT_MS)],
  ["enable_seqscan", "off"],
  ["jit", "off"],
];

/** Of an application's pool: one connection for each lane and one for leases, before reads and look-ups get any but one. */
const BEFORE_READS = 4;

/**
 * Connections to one schema: what is asked of them is carried out whole or fails with a public error. Lost
 * connections and transactions that met are tried again; whether a commit happened is never guessed.
 *
 * Directly connected, sessions are kept: statements are prepared, settings made once. Through a pooling proxy, or
 * on the application's own pool, nothing outlives a transaction.
 */
export class Database {
  readonly description: string;
  readonly capabilities: Capabilities;
  /** Whether sessions may be kept. */
  readonly direct: boolean;

  /** For a connection beside these; undefined where an application's pool is used. */
  readonly connectionString: string | undefined;

  readonly #options: DatabaseOptions;
  readonly #driver: Driver;
  readonly #texts: Texts;
  readonly #ways: Readonly<Record<Way, Door>>;
  readonly #inFlight = new Set<Promise<unknown>>();
  /** Of our own transactions, whose outcome is known. The next one takes them along. */
  #usedReceipts: string[] = [];
  #sweepReceiptsAtMs = performance.now() + Math.random() * RECEIPT_SWEEP_MS;
  #closed = false;
  #roundTrips = 0;
  /** How often a connection has become silent, in all, and before each connection was made. */
  #silences = 0;
  readonly #silencesBefore = new WeakMap<PoolClient, number>();

  private constructor(driver: Driver, options: DatabaseOptions) {
    this.#driver = driver;
    this.#options = options;
    this.description = options.description;
    this.connectionString = options.pool === undefined ? options.connectionString : undefined;
    this.capabilities = options.capabilities;
    this.direct = !options.pooled && options.pool === undefined;
    this.#texts = new Texts(options.schema);
    options.pool?.on("acquire", hearOut);
    const { silenceMs = SILENCE_MS } = options;
    const leaseMs = Math.min(silenceMs, LEASE_SILENCE_MS);
    this.#ways = {
      turns: this.#door(1, WRITE_SETTINGS, silenceMs, CONNECT_TIMEOUT_MS),
      commands: this.#door(1, WRITE_SETTINGS, silenceMs, CONNECT_TIMEOUT_MS),
      purges: this.#door(1, WRITE_SETTINGS, silenceMs, CONNECT_TIMEOUT_MS, IDLE_MS),
      leases: this.#door(1, LEASE_SETTINGS, leaseMs, leaseMs),
      reads: this.#door(READ_CONNECTIONS, READ_SETTINGS, silenceMs, CONNECT_TIMEOUT_MS, IDLE_MS),
      lookups: this.#door(LOOKUP_CONNECTIONS, LOOKUP_SETTINGS, silenceMs, CONNECT_TIMEOUT_MS, IDLE_MS),
    };
  }

  /**
   * @throws StoreUnusableError where the database cannot be reached, does not let us in, or is behind a proxy that
   * keeps no sessions while we were not told so.
   */
  static async open(options: DatabaseOptions): Promise<Database> {
    const database = new Database(await loadDriver(), options);
    try {
      await database.#using("commands", (connection) => connection.command("select 1"), OPENING);
      if (database.direct) await database.#using("commands", (one) => database.#probe(one), OPENING);
      return database;
    } catch (error) {
      await database.close();
      if (!(error instanceof StoreConflictError)) throw error;
      const why = error.cause instanceof Error ? error.cause.message : "";
      throw new StoreUnusableError(
        `${options.description} cannot be reached (${why}). Start the server, or correct the URL.`,
        { cause: error.cause },
      );
    }
  }

  async #probe(one: Connection): Promise<void> {
    const kept = await this.#with("turns", (other) => areSessions(one.query, other.query));
    if (!kept) throw noSessions(this.description);
  }

  /** How often something was sent and an answer awaited. */
  get roundTrips(): number {
    return this.#roundTrips;
  }

  get schema(): string {
    return this.#options.schema;
  }

  /** A statement that only reads, or may be carried out twice. On one of several connections. */
  readonly read: Query = (sql, values) => this.#using("reads", (connection) => connection.query(sql, values));

  /** The same for what names its rows by their keys: always by one plan. */
  readonly lookUp: Query = (sql, values) =>
    this.#using("lookups", (connection) => connection.query(sql, values));

  /** The same for leases, which behind nothing else can be too late. */
  readonly lease: Query = (sql, values) =>
    this.#using("leases", (connection) => connection.query(sql, values), LEASE_PATIENCE);

  /** One statement, committed by itself. It must be one that may be carried out twice. */
  statement(lane: Lane, sql: string, values?: readonly SqlValue[]): ReturnType<Query> {
    return this.#using(lane, async (connection) => {
      if (this.direct) return connection.query(sql, values);
      const outcome = await this.#inTransaction(connection, "", (query) => query(sql, values));
      if (outcome.lost !== undefined) throw outcome.lost;
      return outcome.result;
    });
  }

  /** Several statements, all or none. `work` must be one that may be carried out twice, also after its commit. */
  transaction<T>(lane: Lane, work: (query: Query) => Promise<T>): Promise<T> {
    return this.#using(lane, async (connection) => {
      const outcome = await this.#inTransaction(connection, "", work);
      if (outcome.lost !== undefined) throw outcome.lost;
      return outcome.result;
    });
  }

  /**
   * Several statements, all or none, and once: where the answer to the commit was lost, the transaction's receipt
   * tells whether it happened. `work` runs again only if it has not.
   *
   * @param lockTimeoutMs how long it may wait for each lock.
   */
  commandTransaction<T>(
    lane: CommandLane,
    work: (query: Query) => Promise<T>,
    lockTimeoutMs?: number,
  ): Promise<T> {
    return this.#tracked(async () => {
      for (let losses = 1; ; losses++) {
        const { outcome, receipt } = await retrying(() => this.#withReceipt(lane, work, lockTimeoutMs));
        const happened = outcome.lost === undefined || (await this.#happened(receipt));
        this.#usedReceipts.push(receipt.id);
        this.#sweepNowAndThen();
        if (happened) return outcome.result;
        if (losses === LOSS.tries) throw outcome.lost;
      }
    });
  }

  async #withReceipt<T>(
    lane: CommandLane,
    work: (query: Query) => Promise<T>,
    lockTimeoutMs: number | undefined,
  ): Promise<{ outcome: Outcome<T>; receipt: Receipt }> {
    const receipt = newReceipt();
    const used = this.#usedReceipts;
    this.#usedReceipts = [];
    const { text: table } = this.#texts.of("@receipt");
    // Receipts are hex digits that we made.
    let opening = `insert into ${table} (id) values ('${receipt.id}')`;
    if (lockTimeoutMs !== undefined) opening = `set local lock_timeout = ${lockTimeoutMs}; ${opening}`;
    if (used.length > 0) opening += `; delete from ${table} where id in ('${used.join("', '")}')`;
    try {
      const outcome = await this.#with(lane, (connection) => this.#inTransaction(connection, opening, work));
      if (outcome.lost !== undefined) this.#usedReceipts.push(...used);
      return { outcome, receipt };
    } catch (error) {
      this.#usedReceipts.push(...used);
      throw error;
    }
  }

  /**
   * Several statements on one connection, each committed as it says itself, and without any limit of ours: for
   * migrations. `work` must be one that may be carried out twice.
   */
  session<T>(work: (query: Query) => Promise<T>): Promise<T> {
    if (this.#options.pool === undefined)
      return this.#tracked(() => retrying(() => this.#onNewConnection(work)));
    return this.#tracked(() =>
      retrying(() => this.#with("reads", (connection) => work(connection.query), ENDLESS_MS)),
    );
  }

  async #onNewConnection<T>(work: (query: Query) => Promise<T>): Promise<T> {
    const client = new this.#driver.Client(this.#config([]));
    // Whoever waits for an answer is told that the connection is gone.
    client.on("error", () => {});
    try {
      await client.connect().catch((error: unknown) => {
        throw new DatabaseFault(error);
      });
      const options = { prepares: false, silenceMs: ENDLESS_MS, count: this.#count };
      return await work(new Connection(client, this.#texts, options).query);
    } finally {
      await client.end().catch(() => {});
    }
  }

  /** A client for a connection of its own, not connected yet, for what lives in a session: LISTEN, advisory locks. */
  newClient(silenceMs = SILENCE_MS): Client {
    if (!this.direct) throw new EngineFaultError(`${this.description} keeps no sessions.`);
    return new this.#driver.Client({ ...this.#config([], silenceMs), query_timeout: silenceMs });
  }

  /** Waits for what is under way, and takes no more. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#inFlight);
    await this.#dropUsedReceipts();
    this.#options.pool?.off("acquire", hearOut);
    if (this.#options.pool !== undefined) return;
    await Promise.all(Object.values(this.#ways).map(({ pool }) => pool.end()));
  }

  /**
   * Whether a transaction happened whose commit was not answered. Its receipt is inserted once more, which waits
   * for a transaction that is still under way: either it is there, or, now that ours is, it never will be.
   */
  async #happened(receipt: Receipt): Promise<boolean> {
    let inserted: Awaited<ReturnType<Query>>;
    try {
      inserted = await retrying(() =>
        this.#with("commands", (connection) => connection.query(NEW_RECEIPT, [receipt.id])),
      );
    } catch (cause) {
      throw this.#notKnown("and did not come back", { cause });
    }
    if (inserted.length === 0) return true;
    if (!isSurelyKept(receipt)) throw this.#notKnown("and came back too late");
    return false;
  }

  #notKnown(how: string, options?: ErrorOptions): StoreUnusableError {
    return new StoreUnusableError(
      `The connection to ${this.description} was lost during a commit ${how}: whether these commands were carried out ` +
        "is not known. Look at the instances before you repeat them.",
      options,
    );
  }

  /** Deletes the receipts that processes left behind which died. */
  async sweepReceipts(): Promise<void> {
    for (;;) {
      const swept = await this.read(SWEEP_RECEIPTS);
      if (swept.length < RECEIPT_BATCH) return;
    }
  }

  /** Where nobody else does it: a hub without workers is never swept. */
  #sweepNowAndThen(): void {
    if (this.#closed || performance.now() < this.#sweepReceiptsAtMs) return;
    this.#sweepReceiptsAtMs = performance.now() + RECEIPT_SWEEP_MS;
    this.sweepReceipts().catch(() => {
      // The next one will do.
    });
  }

  /** Nobody comes after them who would take them along. */
  async #dropUsedReceipts(): Promise<void> {
    if (this.#usedReceipts.length === 0) return;
    try {
      await this.#with("commands", (connection) => connection.query(DROP_RECEIPTS, [this.#usedReceipts]));
    } catch {
      // They are swept in time.
    }
  }

  #using<T>(on: Way, work: (connection: Connection) => Promise<T>, patience: Patience = LOSS): Promise<T> {
    return this.#tracked(() => retrying(() => this.#with(on, work), patience));
  }

  async #tracked<T>(run: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new StoreClosedError();
    const running = run();
    this.#inFlight.add(running);
    try {
      return await running;
    } catch (error) {
      throw publicErrorOf(error, this.description);
    } finally {
      this.#inFlight.delete(running);
    }
  }

  async #with<T>(
    on: Way,
    work: (connection: Connection) => Promise<T>,
    silenceMs = this.#ways[on].silenceMs,
  ): Promise<T> {
    const { client, release } = await this.#taken(this.#ways[on]);
    const options = { prepares: this.direct, silenceMs, count: this.#count };
    const connection = new Connection(client, this.#texts, options);
    try {
      return await work(connection);
    } finally {
      if (connection.silent) this.#silences += 1;
      release(connection.broken);
    }
  }

  /** An application's pool may wait for ever, for a host that says nothing or for one of its connections. */
  async #taken(door: Door): Promise<Taken> {
    const { connectMs } = door;
    const late = ({ release }: Taken): void => release(false);
    try {
      return await inTime(this.#take(door), connectMs, `no connection for ${connectMs / 1000} s`, late);
    } catch (error) {
      throw new DatabaseFault(error);
    }
  }

  async #take({ pool, slots }: Door): Promise<Taken> {
    await slots?.take();
    try {
      const client = await this.#current(pool);
      return {
        client,
        release: (broken) => {
          client.release(broken);
          slots?.giveBack();
        },
      };
    } catch (error) {
      slots?.giveBack();
      throw error;
    }
  }

  /** When one connection has become silent, those made before it are probably so, too: nobody is to wait for each. */
  async #current(pool: Pool): Promise<PoolClient> {
    for (;;) {
      const client = await pool.connect();
      const before = this.#silencesBefore.get(client);
      if (before === undefined) this.#silencesBefore.set(client, this.#silences);
      if ((before ?? this.#silences) === this.#silences) return client;
      client.release(true);
    }
  }

  readonly #count = (): void => {
    this.#roundTrips += 1;
  };

  /**
   * One transaction at READ COMMITTED, whatever the database's default. Rejects where it has not happened; says
   * `lost` where it may have.
   */
  async #inTransaction<T>(
    connection: Connection,
    opening: string,
    work: (query: Query) => Promise<T>,
  ): Promise<Outcome<T>> {
    const begunMs = performance.now();
    const settings = this.direct ? [] : LOCAL_SETTINGS;
    const begin = ["begin isolation level read committed", ...settings, opening].filter(
      (each) => each !== "",
    );
    let result: T;
    try {
      await connection.command(begin.join("; "));
      result = await work(connection.query);
      if (performance.now() - begunMs > TRANSACTION_CAP_MS) {
        throw new StoreConflictError(`${this.description}: a transaction took too long and was taken back.`);
      }
    } catch (error) {
      await connection.rollBack();
      throw error;
    }
    try {
      const done = await connection.command("commit");
      if (done !== "COMMIT")
        throw new TypeError(`a transaction ended with ${done}: an error was swallowed in it`);
      return { result, lost: undefined };
    } catch (error) {
      // Whatever the server says: one that stops itself (PANIC) may find the commit in its log when it recovers.
      if (error instanceof DatabaseFault) return { result, lost: error };
      throw error;
    }
  }

  /** To `max` connections: a pool of ours, or as many of the application's pool as it can spare. */
  #door(
    max: number,
    settings: readonly (readonly [string, string])[],
    silenceMs: number,
    connectMs: number,
    idleMs = KEPT,
  ): Door {
    const pool = this.#options.pool;
    if (pool === undefined)
      return { pool: this.#newPool(max, settings, connectMs, idleMs), silenceMs, connectMs };
    // Neither the reads nor a lane may take all that there is.
    const spare = Math.max(1, pool.options.max - BEFORE_READS);
    return { pool, slots: new Slots(Math.min(max, spare)), silenceMs, connectMs };
  }

  #newPool(
    max: number,
    settings: readonly (readonly [string, string])[],
    connectMs: number,
    idleMs: number,
  ): Pool {
    const pool = new this.#driver.Pool({
      ...this.#config(settings, connectMs),
      max,
      idleTimeoutMillis: idleMs,
    });
    // Connections that are lost while nobody uses them: the pool has already dropped them.
    pool.on("error", () => {});
    pool.on("acquire", hearOut);
    return pool;
  }

  #config(
    settings: readonly (readonly [string, string])[],
    connectMs: number = CONNECT_TIMEOUT_MS,
  ): ClientConfig {
    const url = new URL(this.#options.connectionString ?? "postgres://");
    const options = url.searchParams.get("options");
    url.searchParams.delete("options");
    const ours = this.direct ? settings.map(([name, value]) => `-c ${name}=${value}`) : [];
    const all = [...(options === null ? [] : [options]), ...ours];
    return {
      connectionString: url.href,
      fallback_application_name: "tenure",
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
      connectionTimeoutMillis: Math.min(connectMs, CONNECT_TIMEOUT_MS),
      ...(all.length === 0 ? {} : { options: all.join(" ") }),
    };
  }
}

/** How connections for something are had. */
interface Door {
  readonly pool: Pool;
  /** How many at a time, where the pool has more. */
  readonly slots?: Slots;
  readonly silenceMs: number;
  /** How long a connection is waited for. */
  readonly connectMs: number;
}

interface Taken {
  readonly client: PoolClient;
  readonly release: (broken: boolean) => void;
}

/** What came of a transaction. With `lost` nobody knows whether it happened. */
interface Outcome<T> {
  readonly result: T;
  readonly lost: DatabaseFault | undefined;
}
