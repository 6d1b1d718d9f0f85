import { randomBytes } from "node:crypto";
import type { Client, ClientConfig, Pool } from "pg";
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
import { KEYED_PLANS } from "./keyed.js";
import type { Query, SqlValue } from "./query.js";
import { LOSS, OPENING, type Patience, retrying } from "./retry.js";

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
}

/** Writes go over one connection for turns and one for commands; neither waits for the other. */
export type Lane = "turns" | "commands";

/**
 * No transaction that inserts messages lives longer: the mailbox counts on it (Store.lateMessagesMs is three times
 * as long). Also how long a statement may wait for another transaction's lock.
 */
const TRANSACTION_CAP_MS = 5_000;

/** When an answer that does not come is given up: the server has given up before, unless it is not there any more. */
const SILENCE_MS = 10_000;

/** A list of many instances may take longer than a write. */
const READ_TIMEOUT_MS = 30_000;

const CONNECT_TIMEOUT_MS = 5_000;
const READ_CONNECTIONS = 6;
const READ_IDLE_MS = 30_000;
const KEEP_ALIVE_MS = 10_000;

/** A receipt that was left behind by a process that died is of no use after its transactions are over. */
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

const NEW_RECEIPT = "insert into @receipt (id) values ($1) on conflict (id) do nothing returning id";

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

  readonly #options: DatabaseOptions;
  readonly #driver: Driver;
  readonly #texts: Texts;
  readonly #pools: { readonly turns: Pool; readonly commands: Pool; readonly reads: Pool };
  readonly #inFlight = new Set<Promise<unknown>>();
  /** Of our own transactions, whose outcome is known. The next one takes them along. */
  #usedReceipts: string[] = [];
  #sweepReceiptsAtMs = performance.now() + Math.random() * RECEIPT_SWEEP_MS;
  #closed = false;
  #roundTrips = 0;

  private constructor(driver: Driver, options: DatabaseOptions) {
    this.#driver = driver;
    this.#options = options;
    this.description = options.description;
    this.capabilities = options.capabilities;
    this.direct = !options.pooled && options.pool === undefined;
    this.#texts = new Texts(options.schema);
    const own = options.pool;
    own?.on("acquire", hearOut);
    this.#pools = {
      turns: own ?? this.#newPool(1, WRITE_SETTINGS, SILENCE_MS),
      commands: own ?? this.#newPool(1, WRITE_SETTINGS, SILENCE_MS),
      reads: own ?? this.#newPool(READ_CONNECTIONS, READ_SETTINGS, READ_TIMEOUT_MS + SILENCE_MS),
    };
  }

  /** @throws StoreUnusableError where the database cannot be reached, or does not let us in. */
  static async open(options: DatabaseOptions): Promise<Database> {
    const database = new Database(await loadDriver(), options);
    try {
      await database.#using("commands", (connection) => connection.command("select 1"), OPENING);
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

  /** How often something was sent and an answer awaited. */
  get roundTrips(): number {
    return this.#roundTrips;
  }

  get schema(): string {
    return this.#options.schema;
  }

  /** A statement that only reads, or may be carried out twice. On one of several connections. */
  readonly read: Query = (sql, values) => this.#using("reads", (connection) => connection.query(sql, values));

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
   */
  commandTransaction<T>(work: (query: Query) => Promise<T>): Promise<T> {
    return this.#tracked(async () => {
      for (let losses = 1; ; losses++) {
        const { outcome, receipt } = await retrying(() => this.#withReceipt(work));
        const happened = outcome.lost === undefined || (await this.#happened(receipt));
        this.#usedReceipts.push(receipt);
        this.#sweepReceipts();
        if (happened) return outcome.result;
        if (losses === LOSS.tries) throw outcome.lost;
      }
    });
  }

  async #withReceipt<T>(
    work: (query: Query) => Promise<T>,
  ): Promise<{ outcome: Outcome<T>; receipt: string }> {
    const receipt = randomBytes(16).toString("hex");
    const used = this.#usedReceipts;
    this.#usedReceipts = [];
    const { text: table } = this.#texts.of("@receipt");
    // Receipts are hex digits that we made.
    let opening = `insert into ${table} (id) values ('${receipt}')`;
    if (used.length > 0) opening += `; delete from ${table} where id in ('${used.join("', '")}')`;
    try {
      const outcome = await this.#with("commands", (connection) =>
        this.#inTransaction(connection, opening, work),
      );
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
    if (this.#options.pool !== undefined) return this.#using("reads", (connection) => work(connection.query));
    return this.#tracked(() => retrying(() => this.#onNewConnection(work)));
  }

  async #onNewConnection<T>(work: (query: Query) => Promise<T>): Promise<T> {
    const client = new this.#driver.Client(this.#config([], 0));
    // Whoever waits for an answer is told that the connection is gone.
    client.on("error", () => {});
    try {
      await client.connect().catch((error: unknown) => {
        throw new DatabaseFault(error);
      });
      return await work(new Connection(client, this.#texts, false, this.#count).query);
    } finally {
      await client.end().catch(() => {});
    }
  }

  /** A client for a connection of its own, not connected yet, for what lives in a session: LISTEN, advisory locks. */
  newClient(): Client {
    if (!this.direct) throw new EngineFaultError(`${this.description} keeps no sessions.`);
    return new this.#driver.Client(this.#config([], SILENCE_MS));
  }

  /** Waits for what is under way, and takes no more. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#inFlight);
    this.#options.pool?.off("acquire", hearOut);
    if (this.#options.pool !== undefined) return;
    await Promise.all(Object.values(this.#pools).map((pool) => pool.end()));
  }

  /**
   * Whether a transaction happened whose commit was not answered. Its receipt is inserted once more, which waits
   * for a transaction that is still under way: either it is there, or, now that ours is, it never will be.
   */
  async #happened(receipt: string): Promise<boolean> {
    try {
      const inserted = await retrying(() =>
        this.#with("commands", (connection) => connection.query(NEW_RECEIPT, [receipt])),
      );
      return inserted.length === 0;
    } catch (cause) {
      throw new StoreUnusableError(
        `The connection to ${this.description} was lost during a commit and did not come back: whether these commands ` +
          "were carried out is not known. Look at the instances before you repeat them.",
        { cause },
      );
    }
  }

  /** Now and then, those of processes that have died. */
  #sweepReceipts(): void {
    if (this.#closed || performance.now() < this.#sweepReceiptsAtMs) return;
    this.#sweepReceiptsAtMs = performance.now() + RECEIPT_SWEEP_MS;
    this.read(
      `delete from @receipt where id in (
         select id from @receipt where created < now() - interval '1 hour' limit 1000)`,
    ).catch(() => {
      // The next one will do.
    });
  }

  #using<T>(
    on: Lane | "reads",
    work: (connection: Connection) => Promise<T>,
    patience: Patience = LOSS,
  ): Promise<T> {
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

  async #with<T>(on: Lane | "reads", work: (connection: Connection) => Promise<T>): Promise<T> {
    const client = await this.#pools[on].connect().catch((error: unknown) => {
      throw new DatabaseFault(error);
    });
    const connection = new Connection(client, this.#texts, this.direct, this.#count);
    try {
      return await work(connection);
    } finally {
      client.release(connection.broken);
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
      if (error instanceof DatabaseFault && error.kind === "lost") return { result, lost: error };
      throw error;
    }
  }

  #newPool(max: number, settings: readonly (readonly [string, string])[], silenceMs: number): Pool {
    const pool = new this.#driver.Pool({
      ...this.#config(settings, silenceMs),
      max,
      idleTimeoutMillis: max === 1 ? 0 : READ_IDLE_MS,
    });
    // Connections that are lost while nobody uses them: the pool has already dropped them.
    pool.on("error", () => {});
    pool.on("acquire", hearOut);
    return pool;
  }

  #config(settings: readonly (readonly [string, string])[], silenceMs: number): ClientConfig {
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
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: silenceMs,
      ...(all.length === 0 ? {} : { options: all.join(" ") }),
    };
  }
}

/** What came of a transaction. With `lost` nobody knows whether it happened. */
interface Outcome<T> {
  readonly result: T;
  readonly lost: DatabaseFault | undefined;
}
