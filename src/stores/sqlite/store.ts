import { realpathSync } from "node:fs";
import { resolve } from "node:path";
import type { Command, CommandAnswer } from "../../core/command.js";
import {
  EngineFaultError,
  StoreClosedError,
  StoreDamagedError,
  StoreFailedError,
  StoreUnusableError,
  type TenureError,
} from "../../core/errors.js";
import type { Execution, InstanceRecord } from "../../core/instance.js";
import type { Message } from "../../core/message.js";
import {
  type ChangeHint,
  type CommitResult,
  type DueTimers,
  type ExecutionsPage,
  type ExecutionsQuery,
  type Head,
  type ListPage,
  type ListQuery,
  type LoadedInstance,
  type Refusal,
  type Shards,
  type Store,
  type StoredHistory,
  type Strike,
  showsInStatus,
  type TurnBoard,
  type TurnCommit,
  type WorkerInfo,
} from "../../core/store.js";
import { mayHaveChanged } from "../changed.js";
import { Failure, GroupCommit } from "../group-commit.js";
import { type FailedOperation, isFailed, type OperationResult } from "./batch.js";
import type { DatabaseOptions, SqliteDatabase } from "./database.js";
import { errorOf } from "./fault.js";
import { createPrivateFile } from "./files.js";
import type { CallName, DatabaseHost } from "./host.js";
import { openInline } from "./inline-host.js";
import { openThread } from "./thread-host.js";
import type { Notice } from "./transaction.js";
import { REFUSED } from "./turns.js";

export interface SqliteStoreOptions {
  /** The hub's file; created, with its folders, where there is none. */
  readonly file: string;
  /** Which hub in the file; `default` by default. One store at a time may join a file, whatever its hub. */
  readonly taskHub?: string;
  /** Runs SQLite in this thread: for simulations, which need every step at its place. */
  readonly inline?: boolean;
}

/**
 * Opens a task hub in a SQLite file. Several stores, in one process or in many, may be open on a file;
 * one of them may `join`.
 *
 * @throws StoreUnusableError, StoreDamagedError, SchemaTooNewError; StoreHeldError where the SQLite at hand is too old for sharing.
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<SqliteStore> {
  const { taskHub = "default", inline = false } = options;
  const listeners = new Set<(hint: ChangeHint) => void>();
  const database: DatabaseOptions = { file: prepareFile(options.file), taskHub };
  const open = inline ? openInline : openThread;
  const host = await open(database, () => tell(listeners, { from: "elsewhere" }));
  return new SqliteStore(database, host, listeners);
}

/** The real path: two names for one file must not lead to two engine locks. */
function prepareFile(file: string): string {
  if (file === "" || file.startsWith(":memory:")) {
    throw new StoreUnusableError("A SQLite store needs a file. For a hub in memory use the memory store.");
  }
  try {
    const path = resolve(file);
    createPrivateFile(path);
    return realpathSync(path);
  } catch (cause) {
    throw new StoreUnusableError(`The file ${file} cannot be created. Check its path and permissions.`, {
      cause,
    });
  }
}

type Operation = Command | TurnCommit;
type Result = CommandAnswer | number;

/** A task hub in a SQLite file. */
export class SqliteStore implements Store {
  readonly description: string;
  readonly taskHub: string;
  readonly secret: string;
  readonly lateMessagesMs = 0;
  readonly failure: Promise<TenureError>;

  readonly #host: DatabaseHost;
  readonly #writes: GroupCommit<Operation, Result>;
  readonly #listeners: Set<(hint: ChangeHint) => void>;
  #closing: Promise<void> | undefined;
  #fail: (error: TenureError) => void = () => {};
  #groups = 0;

  constructor(
    { file, taskHub }: DatabaseOptions,
    host: DatabaseHost,
    listeners: Set<(hint: ChangeHint) => void>,
  ) {
    this.description = `sqlite:${file}`;
    this.taskHub = taskHub;
    this.secret = host.secret;
    this.#host = host;
    this.#listeners = listeners;
    this.failure = new Promise((resolve) => {
      this.#fail = resolve;
    });
    this.#writes = new GroupCommit((group) => this.#write(group));
  }

  /** How many groups of commands and turns were committed so far, each in one transaction. */
  get groupsCommitted(): number {
    return this.#groups;
  }

  async join(worker: WorkerInfo): Promise<void> {
    await this.#call("join", worker);
  }

  async workers(): Promise<readonly WorkerInfo[]> {
    return this.#call("workers");
  }

  async execute(commands: readonly Command[]): Promise<readonly CommandAnswer[]> {
    return (await this.#writes.submit(commands)).map(answerOf);
  }

  async commit(turns: readonly TurnCommit[]): Promise<readonly CommitResult[]> {
    return (await this.#writes.submit(turns)).map(commitResultOf);
  }

  async load(iids: readonly number[]): Promise<readonly LoadedInstance[]> {
    return this.#call("load", iids);
  }

  async poll(query: { shards: Shards; after: number; limit: number }): Promise<readonly Message[]> {
    return this.#call("poll", query);
  }

  async due(query: { shards: Shards; untilMs: number; limit: number }): Promise<DueTimers> {
    return this.#call("due", query);
  }

  async unfinished(query: { shards: Shards; afterIid: number; limit: number }): Promise<readonly number[]> {
    return this.#call("unfinished", query);
  }

  async heads(iids: readonly number[]): Promise<readonly Head[]> {
    return this.#call("heads", iids);
  }

  async get(instanceId: string): Promise<InstanceRecord | undefined> {
    return this.#call("get", instanceId);
  }

  async list(query: ListQuery): Promise<ListPage> {
    return this.#call("list", query);
  }

  async executions(query: ExecutionsQuery): Promise<ExecutionsPage> {
    return this.#call("executions", query);
  }

  async history(instanceId: string, executionId?: string): Promise<StoredHistory | undefined> {
    return this.#call("history", instanceId, executionId);
  }

  async pruneExecutions(query: {
    status: Execution["status"];
    endedBeforeMs: number;
    limit: number;
  }): Promise<number> {
    return this.#call("pruneExecutions", query);
  }

  async recordRefusals(refusals: readonly Refusal[]): Promise<void> {
    if (refusals.length > 0) await this.#call("recordRefusals", refusals);
  }

  async refusals(query: { instanceId?: string; limit: number }): Promise<readonly Refusal[]> {
    return this.#call("refusals", query);
  }

  async setting(key: string): Promise<string | undefined> {
    return this.#call("setting", key);
  }

  async changeSetting(key: string, value: string): Promise<void> {
    await this.#call("changeSetting", key, value);
  }

  async strikes(): Promise<readonly Strike[]> {
    return this.#call("strikes");
  }

  async recordStrike(strike: { iid: number; generation: number; worker: string }): Promise<void> {
    await this.#call("recordStrike", strike);
  }

  async clearStrikes(iid: number): Promise<void> {
    await this.#call("clearStrikes", iid);
  }

  watchTurns(board: TurnBoard): boolean {
    return this.#open().watchTurns(board);
  }

  subscribe(listener: (hint: ChangeHint) => void): () => void {
    const host = this.#open();
    // A function of its own, so that one listener may subscribe twice.
    const subscription = (hint: ChangeHint): void => listener(hint);
    this.#listeners.add(subscription);
    if (this.#listeners.size === 1) host.lookElsewhere(true);
    return () => {
      const was = this.#listeners.delete(subscription);
      if (was && this.#listeners.size === 0 && this.#closing === undefined) host.lookElsewhere(false);
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#writes.close();
    this.#listeners.clear();
    await this.#host.close();
  }

  #open(): DatabaseHost {
    if (this.#closing !== undefined) throw new StoreClosedError();
    return this.#host;
  }

  async #call<M extends CallName>(
    method: M,
    ...args: Parameters<SqliteDatabase[M]>
  ): Promise<ReturnType<SqliteDatabase[M]>> {
    const host = this.#open();
    return this.#watched(() => host.call(method, ...args));
  }

  async #watched<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.#note(error);
      throw error;
    }
  }

  /** Tells by {@link failure} what no engine may go on from. */
  #note(error: unknown): void {
    if (error instanceof StoreFailedError || error instanceof StoreDamagedError) this.#fail(error);
  }

  async #write(group: readonly Operation[]): Promise<readonly (Result | Failure)[]> {
    const { results, notice } = await this.#watched(() => this.#host.write(group));
    this.#groups += 1;
    if (this.#listeners.size > 0) this.#hint(group, results, notice);
    return results.map((result) => (isFailed(result) ? this.#failureOf(result) : result));
  }

  #failureOf({ fault }: FailedOperation): Failure {
    const error = errorOf(fault);
    this.#note(error);
    return new Failure(error);
  }

  #hint(
    group: readonly Operation[],
    results: readonly OperationResult[],
    { messages, nextDueMs }: Notice,
  ): void {
    const changed = new Set<string>();
    for (const [index, operation] of group.entries()) {
      if (!hasChanged(results[index])) continue;
      if (isCommand(operation) || showsInStatus(operation)) changed.add(operation.instanceId);
    }
    if (changed.size === 0 && !messages && nextDueMs === undefined) return;
    const hint: ChangeHint = {
      from: "here",
      instanceIds: [...changed],
      messages,
      ...(nextDueMs === undefined ? {} : { nextDueMs }),
    };
    // Later, so that a listener never runs inside somebody's write.
    queueMicrotask(() => tell(this.#listeners, hint));
  }
}

function tell(listeners: ReadonlySet<(hint: ChangeHint) => void>, hint: ChangeHint): void {
  for (const listener of listeners) listener(hint);
}

function answerOf(result: Result): CommandAnswer {
  if (typeof result === "number") throw new EngineFaultError("a command was answered like a turn");
  return result;
}

function commitResultOf(result: Result): CommitResult {
  if (typeof result !== "number") throw new EngineFaultError("a turn was answered like a command");
  return result === REFUSED ? { accepted: false } : { accepted: true, fencingToken: result };
}

function isCommand(operation: Operation): operation is Command {
  return "kind" in operation;
}

function hasChanged(result: OperationResult | undefined): boolean {
  if (result === undefined) return false;
  if (typeof result === "number") return result !== REFUSED;
  return !isFailed(result) && mayHaveChanged(result);
}
