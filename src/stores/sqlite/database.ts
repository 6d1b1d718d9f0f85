import { randomBytes } from "node:crypto";
import type { Execution, InstanceRecord } from "../../core/instance.js";
import type { Message } from "../../core/message.js";
import type {
  DueTimers,
  ExecutionsPage,
  ExecutionsQuery,
  Head,
  ListPage,
  ListQuery,
  LoadedInstance,
  Refusal,
  Shards,
  StoredHistory,
  Strike,
  WorkerInfo,
} from "../../core/store.js";
import { Row } from "../rows.js";
import type { BlockedTurn } from "../turn-watch.js";
import { type BatchResult, type Operation, runBatch } from "./batch.js";
import { Connection } from "./connection.js";
import { type DriverConstructor, loadDriver } from "./driver.js";
import { EngineLock } from "./engine-lock.js";
import { pruneExecutions } from "./executions.js";
import { DatabaseFault, faultOf } from "./fault.js";
import { listInstances } from "./list.js";
import {
  dueTimers,
  executionsOf,
  getInstance,
  headsOf,
  historyOf,
  loadInstances,
  pollMessages,
  unfinishedInstances,
} from "./reads.js";
import { listRefusals, recordRefusals } from "./refusals.js";
import { migrate } from "./schema.js";
import { changeSetting, readSetting } from "./settings.js";
import { clearStrikes, listStrikes, recordStrike, withdrawStrike } from "./strikes.js";
import { heldBy, shownWorkers, showWorker } from "./workers.js";
import { Writers } from "./writers.js";

/** Which file, and which hub in it. */
export interface DatabaseOptions {
  /** An absolute path. */
  readonly file: string;
  readonly taskHub: string;
}

/**
 * The first SQLite whose write-ahead log is safe when several connections write and checkpoint at once
 * (the "WAL-reset" bug of 3.7.0 to 3.51.2 can damage the file, https://sqlite.org/wal.html#walresetbug).
 * With an older one a store holds the engine lock for as long as it is open, so that it has the file to
 * itself; whoever comes second is told so, with StoreHeldError.
 */
const FIRST_SHAREABLE_SQLITE = [3, 51, 3] as const;

/** Opens a hub's database; every failure is a {@link DatabaseFault}. */
export async function openDatabase(options: DatabaseOptions): Promise<SqliteDatabase> {
  const driver = await loadDriver();
  try {
    return new SqliteDatabase(driver, options);
  } catch (error) {
    throw new DatabaseFault(faultOf(error, `sqlite:${options.file}`));
  }
}

/**
 * One task hub in a SQLite file: synchronous, on one connection, in whichever thread it was made.
 * What it throws is turned into public errors by its host.
 */
export class SqliteDatabase {
  readonly secret: string;

  readonly #connection: Connection;
  readonly #lock: EngineLock;
  readonly #hub: number;
  readonly #writers: Writers;
  #joined = false;

  constructor(driver: DriverConstructor, { file, taskHub }: DatabaseOptions) {
    this.#lock = new EngineLock(driver, file);
    if (!isShareable(driver) && !this.#lock.take()) {
      throw new DatabaseFault({ kind: "held", store: `sqlite:${file}` });
    }
    try {
      this.#connection = new Connection(driver, file);
      try {
        migrate(this.#connection);
        const { hub, secret } = openHub(this.#connection, taskHub);
        this.#hub = hub;
        this.secret = secret;
      } catch (error) {
        this.#connection.close();
        throw error;
      }
    } catch (error) {
      this.#lock.release();
      throw error;
    }
    this.#writers = new Writers(this.#connection);
  }

  write(operations: readonly Operation[]): BatchResult {
    return runBatch(this.#connection, this.#hub, this.#writers, operations);
  }

  join(worker: WorkerInfo): void {
    const shared = !this.#lock.isHeld;
    if (this.#joined || (shared && !this.#lock.take())) throw heldBy(this.#connection);
    try {
      this.#connection.checkpoint(); // before anything is told, or begun, that rests on it
      showWorker(this.#connection, this.#hub, worker);
    } catch (error) {
      if (shared) this.#lock.release();
      throw error;
    }
    this.#joined = true;
  }

  workers(): WorkerInfo[] {
    // One that holds the lock without having joined only keeps others out; the rows are of a dead engine.
    const runs = this.#lock.isHeld ? this.#joined : this.#lock.isTaken();
    return runs ? shownWorkers(this.#connection, this.#hub) : [];
  }

  load(iids: readonly number[]): LoadedInstance[] {
    return loadInstances(this.#connection, this.#hub, iids);
  }

  poll(query: { readonly shards: Shards; readonly after: number; readonly limit: number }): Message[] {
    return pollMessages(this.#connection, this.#hub, query);
  }

  due(query: { readonly shards: Shards; readonly untilMs: number; readonly limit: number }): DueTimers {
    return dueTimers(this.#connection, this.#hub, query);
  }

  unfinished(query: {
    readonly shards: Shards;
    readonly afterIid: number;
    readonly limit: number;
  }): number[] {
    return unfinishedInstances(this.#connection, this.#hub, query);
  }

  heads(iids: readonly number[]): Head[] {
    return headsOf(this.#connection, this.#hub, iids);
  }

  get(instanceId: string): InstanceRecord | undefined {
    return getInstance(this.#connection, this.#hub, instanceId);
  }

  list(query: ListQuery): ListPage {
    return listInstances(this.#connection, this.#hub, query);
  }

  executions(query: ExecutionsQuery): ExecutionsPage {
    return executionsOf(this.#connection, this.#hub, query);
  }

  history(instanceId: string, executionId?: string): StoredHistory | undefined {
    return historyOf(this.#connection, this.#hub, instanceId, executionId);
  }

  pruneExecutions(query: {
    readonly status: Execution["status"];
    readonly endedBeforeMs: number;
    readonly limit: number;
  }): number {
    return pruneExecutions(this.#connection, this.#hub, query);
  }

  recordRefusals(refusals: readonly Refusal[]): void {
    recordRefusals(this.#connection, this.#hub, refusals);
  }

  refusals(query: { readonly instanceId?: string; readonly limit: number }): Refusal[] {
    return listRefusals(this.#connection, this.#hub, query);
  }

  setting(key: string): string | undefined {
    return readSetting(this.#connection, this.#hub, key);
  }

  changeSetting(key: string, value: string): void {
    changeSetting(this.#connection, this.#hub, key, value);
  }

  strikes(): Strike[] {
    return listStrikes(this.#connection, this.#hub);
  }

  recordStrike(turn: BlockedTurn): void {
    recordStrike(this.#connection, this.#hub, turn);
  }

  withdrawStrike(turn: BlockedTurn): void {
    withdrawStrike(this.#connection, this.#hub, turn);
  }

  clearStrikes(iid: number): void {
    clearStrikes(this.#connection, this.#hub, iid);
  }

  /** For messages: which instance this is. */
  describe(iid: number): { readonly instanceId: string; readonly name: string } | undefined {
    const row = this.#connection
      .sql("select id, name from inst where iid = ? and hub = ?")
      .get(iid, this.#hub);
    if (row === undefined) return undefined;
    const columns = new Row(row);
    return { instanceId: columns.text(), name: columns.text() };
  }

  /** Changes whenever another connection has committed. */
  dataVersion(): number {
    return this.#connection.dataVersion();
  }

  close(): void {
    try {
      this.#connection.close();
    } finally {
      this.#lock.release();
    }
  }
}

function isShareable(driver: DriverConstructor): boolean {
  const memory = new driver(":memory:", { enableForeignKeyConstraints: false });
  const version = new Row(memory.prepare("select sqlite_version() as version").get()).text();
  memory.close();
  const parts = version.split(".").map(Number);
  for (const [index, wanted] of FIRST_SHAREABLE_SQLITE.entries()) {
    const part = parts[index] ?? 0;
    if (part !== wanted) return part > wanted;
  }
  return true;
}

/** Names the hub in the file; its secret is made once. */
function openHub(connection: Connection, taskHub: string): { hub: number; secret: string } {
  const select = "select hub, secret from hub where name = ?";
  const row =
    connection.sql(select).get(taskHub) ??
    connection.transaction(() => {
      connection
        .sql("insert or ignore into hub (name, secret) values (?, ?)")
        .run(taskHub, randomBytes(32).toString("base64url"));
      return connection.sql(select).get(taskHub);
    });
  const columns = new Row(row);
  return { hub: columns.integer(), secret: columns.text() };
}
