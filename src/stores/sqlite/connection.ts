import { Row } from "../rows.js";
import type { Driver, DriverConstructor, Statement } from "./driver.js";
import { commitFault, DatabaseFault, isBusy } from "./fault.js";

/** How long one attempt waits for another process's transaction, in milliseconds. */
const BUSY_TIMEOUT_MS = 5_000;

/** How often a write waits {@link BUSY_TIMEOUT_MS} before its caller is told that the file stayed locked. */
const BUSY_ATTEMPTS = 3;

/** Longest random pause between two attempts: keeps two processes from meeting again in step. */
const BUSY_JITTER_MS = 50;

/**
 * Pages in the write-ahead log before a commit copies them back: 16 MB instead of the usual 4 MB. On a
 * fast disk 1,000 to 10,000 pages cost the same; on a slow one each copying waits for two flushes more.
 */
const CHECKPOINT_PAGES = 4_000;

/** The write-ahead log is cut back to this size after a checkpoint, should it ever have grown beyond. */
const MAX_LOG_BYTES = 64 * 1024 * 1024;

/** Memory for pages, in KiB (the pragma counts these as negative numbers). */
const CACHE_KIB = 32 * 1024;

/**
 * One connection to a hub's file: checked settings, cached statements, transactions. Not to be used
 * from two threads.
 */
export class Connection {
  readonly description: string;
  readonly #driver: Driver;
  readonly #statements = new Map<string, Statement>();
  /** Why nothing may be written any more. */
  #failed: DatabaseFault | undefined;

  constructor(driver: DriverConstructor, file: string) {
    this.description = `sqlite:${file}`;
    this.#driver = new driver(file, { enableForeignKeyConstraints: false });
    try {
      this.#configure();
    } catch (error) {
      this.#driver.close();
      throw error;
    }
  }

  /** The prepared statement of this text, which must be a constant or one of a few. */
  sql(text: string): Statement {
    const known = this.#statements.get(text);
    if (known !== undefined) return known;
    const statement = this.#driver.prepare(text);
    statement.setReturnArrays?.(true);
    this.#statements.set(text, statement);
    return statement;
  }

  exec(sql: string): void {
    this.#driver.exec(sql);
  }

  /** Several reads of one moment. */
  snapshot<T>(read: () => T): T {
    this.sql("begin").run();
    try {
      return read();
    } finally {
      this.sql("commit").run();
    }
  }

  /**
   * A write transaction: `write` is carried out whole, or, when it throws, not at all. After a fault of the kind
   * "failed", which leaves that open, every further one is refused with the same.
   */
  transaction<T>(write: () => T): T {
    if (this.#failed !== undefined) throw this.#failed;
    this.#patiently(() => this.sql("begin immediate").run());
    try {
      const result = write();
      this.#commit();
      return result;
    } catch (error) {
      this.#rollBack();
      throw error;
    }
  }

  /** Changes whenever another connection has committed. */
  dataVersion(): number {
    return new Row(this.sql("pragma data_version").get()).integer();
  }

  /**
   * Copies what the write-ahead log holds into the file, and flushes both, as far as that needs no waiting.
   *
   * The log of a process that ended after a failed flush may be in the system's memory only, where its successor reads
   * it as committed. A flush tried again proves nothing: the system has forgotten that it had something to write.
   */
  checkpoint(): void {
    this.sql("pragma wal_checkpoint(passive)").get();
  }

  close(): void {
    this.#statements.clear();
    this.#driver.close();
  }

  #commit(): void {
    try {
      this.sql("commit").run();
    } catch (error) {
      const fault = commitFault(error, this.description);
      if (fault instanceof DatabaseFault) this.#failed = fault;
      throw fault;
    }
  }

  #rollBack(): void {
    try {
      this.exec("rollback");
    } catch {
      // After a full disk, an I/O error or lack of memory SQLite may have rolled back by itself.
    }
  }

  /** SQLite's own waiting is not enough where a process is frozen, or many write at once. */
  #patiently(attempt: () => void): void {
    for (let attempts = 1; ; attempts++) {
      try {
        attempt();
        return;
      } catch (error) {
        if (!isBusy(error) || attempts === BUSY_ATTEMPTS) throw error;
        pause(Math.random() * BUSY_JITTER_MS);
      }
    }
  }

  /**
   * Settings belong to a connection, not to the file, and builds of SQLite differ in their defaults:
   * set each, and read back those that durability rests on.
   */
  #configure(): void {
    this.exec(`pragma busy_timeout = ${BUSY_TIMEOUT_MS}`);
    // Two processes that switch a new file to WAL at once: one is told "busy" without having waited.
    this.#patiently(() => this.exec("pragma journal_mode = wal"));
    this.exec("pragma synchronous = full");
    this.exec("pragma foreign_keys = off");
    this.exec(`pragma wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
    this.exec(`pragma journal_size_limit = ${MAX_LOG_BYTES}`);
    this.exec("pragma temp_store = memory");
    this.exec(`pragma cache_size = -${CACHE_KIB}`);
    this.#expect("journal_mode", "wal");
    this.#expect("synchronous", 2);
    this.#expect("busy_timeout", BUSY_TIMEOUT_MS);
  }

  #expect(pragma: string, wanted: string | number): void {
    const row = new Row(this.sql(`pragma ${pragma}`).get());
    const actual = typeof wanted === "string" ? row.text() : row.integer();
    if (actual === wanted) return;
    throw new DatabaseFault({
      kind: "unusable",
      message:
        `${this.description}: SQLite answers ${pragma} = ${actual} where ${wanted} was set, and without it an ` +
        "accepted start could be lost. Use a local disk that supports write-ahead logging.",
    });
  }
}

/** Blocks this thread; there is nothing else that it could do. */
function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
