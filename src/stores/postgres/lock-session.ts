import { createHash } from "node:crypto";
import type { Client } from "pg";
import { noSessions } from "./pooler-probe.js";

/**
 * A session of the database in which this process holds locks for as long as it lives. The database frees them when
 * the process is gone, however it went: a lock that is free proves it.
 */
export interface LockSession {
  /** Makes sure that this session holds the lock, in a new session where the old one was lost. */
  hold(key: string): Promise<void>;
  /** Whether no session holds the lock now, this one included. */
  isFree(key: string): Promise<boolean>;
  release(key: string): Promise<void>;
  /** Since when there is this session, and whether one before it was lost: others may have lost theirs with it. */
  readonly standing: Standing;
}

export interface Standing {
  /** 0 while there is none. */
  readonly forMs: number;
  readonly anew: boolean;
}

/**
 * Locks of a connection of its own, which must be a direct one: a proxy would lend the session to others. It
 * connects on first use, and again with the first call after the connection was lost.
 */
export class PostgresLockSession implements LockSession {
  readonly #newClient: () => Client;
  readonly #store: string;
  readonly #wanted = new Set<string>();
  #session: Promise<Session> | undefined;
  #standsSinceMs: number | undefined;
  #lostOne = false;
  #closed = false;

  /**
   * @param newClient gives a client that is not connected yet, with a time limit for connecting and for queries.
   * @param store for messages.
   */
  constructor(newClient: () => Client, store: string) {
    this.#newClient = newClient;
    this.#store = store;
  }

  get standing(): Standing {
    const forMs = this.#standsSinceMs === undefined ? 0 : performance.now() - this.#standsSinceMs;
    return { forMs, anew: this.#lostOne };
  }

  async hold(key: string): Promise<void> {
    this.#wanted.add(key);
    await this.#holdIn(await this.#open(), key);
  }

  async isFree(key: string): Promise<boolean> {
    if (this.#wanted.has(key)) return false;
    // Only looks: one who tried to take it would be given it where he has it already, and be in its owner's way.
    return this.#ask(
      await this.#open(),
      `not exists (
         select 1 from pg_catalog.pg_locks l
         where l.locktype = 'advisory' and l.objsubid = 1 and l.granted
           and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
           and ((l.classid::bigint << 32) | l.objid::bigint) = $1::bigint)`,
      key,
    );
  }

  async release(key: string): Promise<void> {
    this.#wanted.delete(key);
    const session = await this.#session?.catch(() => undefined);
    if (session?.held.delete(key) !== true) return;
    // Where the session is lost, so is the lock.
    await this.#ask(session, "pg_advisory_unlock($1)", key).catch(() => {});
  }

  async close(): Promise<void> {
    this.#closed = true;
    const session = this.#session;
    this.#session = undefined;
    // One that never came about, or is lost already, holds nothing.
    await session?.then(({ client }) => client.end()).catch(() => {});
  }

  /**
   * Never waits for the lock: the one who has it is our own earlier session, of which the database does not know yet
   * that it is lost. The next call tries again.
   */
  async #holdIn(session: Session, key: string): Promise<void> {
    const { held } = session;
    if (held.has(key)) return;
    held.add(key); // before the answer comes: taken twice, it would have to be released twice
    if (!(await this.#ask(session, "pg_try_advisory_lock($1)", key))) held.delete(key);
  }

  /** What cannot be asked is lost: the next call opens another session, which holds the same. */
  async #ask({ client, pid, lose }: Session, what: string, key: string): Promise<boolean> {
    try {
      const { rows } = await client.query<{ answer: boolean; pid: number }>(
        `select ${what} as answer, pg_backend_pid() as pid`,
        [lockOf(key)],
      );
      const [row] = rows;
      if (row === undefined || row.pid !== pid) throw noSessions(this.#store);
      return row.answer;
    } catch (error) {
      void client.end().catch(() => {});
      lose();
      throw error;
    }
  }

  #open(): Promise<Session> {
    if (this.#closed) return Promise.reject(new Error("The session is closed."));
    if (this.#session !== undefined) return this.#session;
    const client = this.#newClient();
    const lose = (): void => {
      if (this.#session !== opening) return;
      this.#session = undefined;
      this.#standsSinceMs = undefined;
      this.#lostOne = true;
    };
    client.on("error", lose);
    client.on("end", lose);
    const opening = this.#connect(client, lose);
    opening.catch(() => {
      void client.end().catch(() => {});
      lose();
    });
    this.#session = opening;
    return opening;
  }

  /** All that were held before are held again. */
  async #connect(client: Client, lose: () => void): Promise<Session> {
    await client.connect();
    const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
    const session: Session = { client, pid: rows[0]?.pid, lose, held: new Set() };
    await Promise.all([...this.#wanted].map((key) => this.#holdIn(session, key)));
    this.#standsSinceMs = performance.now();
    return session;
  }
}

interface Session {
  readonly client: Client;
  /** The server's process: a session that has another one all of a sudden is none. */
  readonly pid: number | undefined;
  /** To be called when it is of no more use. */
  readonly lose: () => void;
  /** The keys of locks that this session has. */
  readonly held: Set<string>;
}

/** The number that stands for a key among the locks of a database, which other programs may use as well. */
function lockOf(key: string): string {
  return createHash("sha256").update(`tenure ${key}`).digest().readBigInt64BE().toString();
}
