import { randomBytes } from "node:crypto";
import type { Worker } from "node:worker_threads";
import type { Pool } from "pg";
import type { Command, CommandAnswer } from "../../core/command.js";
import {
  EngineFaultError,
  InvalidArgumentError,
  StoreClosedError,
  StoreHeldError,
  TenureError,
} from "../../core/errors.js";
import type { Execution, InstanceRecord } from "../../core/instance.js";
import type { Leases } from "../../core/leases.js";
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
  type ShownWorker,
  type Store,
  type StoredHistory,
  type Strike,
  showsInStatus,
  type TurnBoard,
  type TurnCommit,
  type WorkerInfo,
} from "../../core/store.js";
import type { Tasks } from "../../core/task.js";
import { mayHaveChanged, mayHaveEnded } from "../changed.js";
import { Failure, GroupCommit } from "../group-commit.js";
import { beginNewRuns, isNewStart, type NewStart } from "./begin-new.js";
import { type Capabilities, capabilitiesOf } from "./capabilities.js";
import { Changed } from "./changed.js";
import { answersFromRead, executeCommands, type ReadBefore } from "./commands.js";
import { type CommandLane, Database, type DatabaseOptions } from "./database.js";
import { durabilityWarnings } from "./durability.js";
import { sweepOrphans, sweepWaiters } from "./end-run.js";
import { pruneExecutions } from "./executions.js";
import { DatabaseFault, publicErrorOf } from "./fault.js";
import { Hints } from "./hints.js";
import { type HubRow, openHub } from "./hubs.js";
import { LEASE_SILENCE_MS, type LeaseTimes, parseLeaseTimes } from "./lease-times.js";
import { PostgresLeases } from "./leases.js";
import { listInstances } from "./list.js";
import { DEFAULT_SCHEMA, type Location, parseLocation, parseSchema } from "./location.js";
import { PostgresLockSession } from "./lock-session.js";
import { type Write, writeAroundLocks } from "./locked-rows.js";
import { migrate } from "./migrate.js";
import { OwnShards } from "./own-shards.js";
import type { Query } from "./query.js";
import { ReadBatch } from "./read-batch.js";
import {
  dueTimers,
  executionsOf,
  getInstances,
  headsOf,
  historyOf,
  loadInstances,
  pollMessages,
  unfinishedInstances,
} from "./reads.js";
import { listRefusals, recordRefusals } from "./refusals.js";
import { sweepRemains } from "./remains.js";
import { changeSetting, readSetting } from "./settings.js";
import { clearStrikes, listStrikes, recordStrike } from "./strikes.js";
import { PostgresTasks, sweepTasks } from "./tasks.js";
import { newNotice } from "./transaction.js";
import { commitTurns, REFUSED } from "./turns.js";
import { startWatch } from "./watch.js";
import { shownWorkers } from "./workers.js";
import { Writers } from "./writers.js";

/** How many thousand messages one sweep looks at, in search of those that nobody will read. */
const ORPHAN_STEPS = 20;

export interface PostgresStoreOptions {
  /** `postgres://user:password@host:port/database?schema=…&pooled=…&leaseMs=…`. This, or `pool`. */
  readonly url?: string;
  /**
   * The application's own pool of `pg`, which it also closes. It is used as one through a pooling proxy would be:
   * nothing is kept in its sessions.
   */
  readonly pool?: Pool;
  /** Beside `pool`: the deployment's schema, `tenure` by default. */
  readonly schema?: string;
  /** Which hub in the schema; `default` by default. */
  readonly taskHub?: string;
  /** What may be used; everything that the connection allows by default. */
  readonly capabilities?: Partial<Capabilities>;
  /** How long leases last, and how often they are renewed; before what the URL says. */
  readonly leaseTimes?: Partial<LeaseTimes>;
  /** Hears how what is acknowledged could be lost with this server's settings. */
  readonly onWarning?: (message: string) => void;
}

/**
 * Opens a task hub on a PostgreSQL server, and brings its schema up to date. Any number of stores may be open on a
 * hub, and join it.
 *
 * @throws StoreUnusableError, SchemaTooNewError, InvalidArgumentError.
 */
export async function openPostgresStore(options: PostgresStoreOptions): Promise<PostgresStore> {
  const { taskHub = "default", onWarning = () => {} } = options;
  const location = locationOf(options);
  const leaseTimes = parseLeaseTimes({ ...location?.leaseTimes, ...options.leaseTimes });
  const database = await Database.open(databaseOptions(options, location));
  try {
    await database.session((query) =>
      migrate(query, {
        schema: database.schema,
        store: database.description,
        advisoryLocks: database.capabilities.advisoryLocks,
      }),
    );
    const hub = await openHub(database.read, taskHub);
    for (const warning of await durabilityWarnings(database.read)) onWarning(warning);
    return new PostgresStore(database, hub, taskHub, leaseTimes);
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** What the URL says; undefined for a pool, which says nothing. */
function locationOf({ url, pool, schema }: PostgresStoreOptions): Location | undefined {
  if (pool !== undefined) {
    if (url === undefined) return undefined;
    throw new InvalidArgumentError("url", "a PostgreSQL store takes a url or a pool, not both");
  }
  if (url === undefined) throw new InvalidArgumentError("url", "a PostgreSQL store needs a url or a pool");
  if (schema !== undefined)
    throw new InvalidArgumentError("schema", "beside a url it is named in the url: ?schema=NAME");
  return parseLocation(url);
}

function databaseOptions(
  { pool, schema = DEFAULT_SCHEMA, capabilities }: PostgresStoreOptions,
  location: Location | undefined,
): DatabaseOptions {
  if (location === undefined) {
    return {
      ...(pool === undefined ? {} : { pool }),
      schema: parseSchema(schema),
      pooled: true,
      description: `postgres:${schema}`,
      capabilities: capabilitiesOf(true, capabilities),
    };
  }
  const { connectionString, pooled, description } = location;
  return {
    connectionString,
    schema: location.schema,
    pooled,
    description,
    capabilities: capabilitiesOf(pooled, capabilities),
  };
}

/** A task hub on a PostgreSQL server. */
export class PostgresStore implements Store {
  readonly description: string;
  readonly taskHub: string;
  readonly secret: string;
  /** Transactions that insert messages live for five seconds at most, and their clocks may differ from ours a little. */
  readonly lateMessagesMs = 15_000;
  readonly leases: Leases;
  readonly tasks: Tasks;

  readonly #database: Database;
  readonly #hub: number;
  readonly #locks: PostgresLockSession | undefined;
  readonly #leases: PostgresLeases;
  readonly #ownShards: OwnShards;
  readonly #hints: Hints;
  readonly #writers: Writers;
  readonly #turns: GroupCommit<TurnCommit, number>;
  readonly #commands: GroupCommit<Command, CommandAnswer>;
  readonly #purges: GroupCommit<Command, CommandAnswer>;
  readonly #records: ReadBatch<string, InstanceRecord>;
  readonly #loads: ReadBatch<number, LoadedInstance>;
  readonly #heads: ReadBatch<number, Head>;
  /** Many starts may ask at once whether there is a worker for them. */
  readonly #shownWorkers: ReadBatch<"all", ShownWorker[]>;
  #worker: WorkerInfo | undefined;
  #watch: Worker | undefined;
  #closing: Promise<void> | undefined;
  #groups = 0;
  #orphansAfter = 0;

  constructor(database: Database, { hub, secret }: HubRow, taskHub: string, leaseTimes: LeaseTimes) {
    this.description = database.description;
    this.taskHub = taskHub;
    this.secret = secret;
    this.#database = database;
    this.#hub = hub;
    const { read, lookUp } = database;
    this.#locks = database.capabilities.advisoryLocks
      ? new PostgresLockSession(() => database.newClient(LEASE_SILENCE_MS), database.description)
      : undefined;
    this.#leases = new PostgresLeases({
      query: database.lease,
      hub,
      times: leaseTimes,
      changed: () => this.#hints.stirred(),
      ...(this.#locks === undefined ? {} : { locks: this.#locks }),
    });
    this.#ownShards = new OwnShards(this.#leases);
    this.leases = this.#ownShards;
    this.#hints = new Hints({
      database,
      taskHub,
      sender: randomBytes(8).toString("hex"),
      owns: (shard) => this.#ownShards.has(shard),
    });
    this.tasks = new PostgresTasks({
      // Answers are messages, which a lane of writes brings in before its time is up.
      query: (sql, values) => database.statement("commands", sql, values),
      read,
      hub,
      skipLocked: database.capabilities.skipLocked,
      onOffered: () => this.#tasksOffered(),
      onAnswered: (shards) => this.#hints.wrote(new Changed(), { ...newNotice(), shards: new Set(shards) }),
    });
    this.#writers = new Writers(read);
    this.#turns = new GroupCommit((turns) => this.#commitGroup(turns), { far: true });
    this.#commands = new GroupCommit((commands) => this.#executeGroup(commands), { far: true });
    this.#purges = new GroupCommit((purges) => this.#executeAny("purges", purges), { far: true });
    this.#records = new ReadBatch(async (ids) =>
      byKey((await getInstances(lookUp, hub, ids)).filter(isPresent), ({ instance }) => instance.instanceId),
    );
    this.#loads = new ReadBatch(async (iids) =>
      byKey(await loadInstances(lookUp, hub, iids), ({ instance }) => instance.iid),
    );
    this.#heads = new ReadBatch(async (iids) => byKey(await headsOf(lookUp, hub, iids), ({ iid }) => iid));
    this.#shownWorkers = new ReadBatch(async () => new Map([["all", await shownWorkers(read, hub)]]));
  }

  /** How many groups of turns, and how many of commands, were written so far, each in one transaction. */
  get groupsCommitted(): number {
    return this.#groups;
  }

  /** How often something was sent to the server and an answer awaited. */
  get roundTrips(): number {
    return this.#database.roundTrips;
  }

  async join(worker: WorkerInfo): Promise<void> {
    this.#open();
    const joined = this.#worker;
    if (joined !== undefined)
      throw new StoreHeldError(this.description, joined.pid, joined.host, joined.sinceMs);
    this.#worker = worker;
    try {
      await this.#leases.join(worker);
    } catch (error) {
      this.#worker = undefined;
      // The session of the locks has errors of its own.
      throw error instanceof TenureError ? error : publicErrorOf(new DatabaseFault(error), this.description);
    }
  }

  async workers(): Promise<readonly ShownWorker[]> {
    return (await this.#shownWorkers.of(["all"])).flat();
  }

  async execute(commands: readonly Command[]): Promise<readonly CommandAnswer[]> {
    // A start is not to wait until others' histories are deleted.
    const lane = commands.every(({ kind }) => kind === "purge") ? this.#purges : this.#commands;
    return lane.submit(commands);
  }

  async commit(turns: readonly TurnCommit[]): Promise<readonly CommitResult[]> {
    const tokens = await this.#turns.submit(turns);
    return tokens.map((token) =>
      token === REFUSED ? { accepted: false } : { accepted: true, fencingToken: token },
    );
  }

  async load(iids: readonly number[]): Promise<readonly LoadedInstance[]> {
    return this.#loads.of(iids);
  }

  async poll(query: { shards: Shards; after: number; limit: number }): Promise<readonly Message[]> {
    const messages = await pollMessages(this.#open(), this.#hub, query);
    this.#hints.polled(messages.at(-1)?.n);
    return messages;
  }

  async due(query: { shards: Shards; untilMs: number; limit: number }): Promise<DueTimers> {
    return dueTimers(this.#open(), this.#hub, query);
  }

  async unfinished(query: { shards: Shards; afterIid: number; limit: number }): Promise<readonly number[]> {
    return unfinishedInstances(this.#open(), this.#hub, query);
  }

  async heads(iids: readonly number[]): Promise<readonly Head[]> {
    return this.#heads.of(iids);
  }

  async get(instanceId: string): Promise<InstanceRecord | undefined> {
    this.#open();
    if (canNeverBe(instanceId)) return undefined;
    const [record] = await this.#records.of([instanceId]);
    return record;
  }

  async list(query: ListQuery): Promise<ListPage> {
    return listInstances(this.#open(), this.#hub, query);
  }

  async executions(query: ExecutionsQuery): Promise<ExecutionsPage> {
    const read = this.#open();
    return canNeverBe(query.instanceId) ? { executions: [] } : executionsOf(read, this.#hub, query);
  }

  async history(instanceId: string, executionId?: string): Promise<StoredHistory | undefined> {
    const query = this.#open();
    if (canNeverBe(instanceId) || canNeverBe(executionId)) return undefined;
    return historyOf(query, this.#hub, instanceId, executionId);
  }

  async pruneExecutions(query: {
    status: Execution["status"];
    endedBeforeMs: number;
    limit: number;
  }): Promise<number> {
    return pruneExecutions(this.#open(), this.#hub, query);
  }

  async recordRefusals(refusals: readonly Refusal[]): Promise<void> {
    this.#open();
    if (refusals.length === 0) return;
    await this.#database.commandTransaction("commands", (query) =>
      recordRefusals(query, this.#hub, refusals),
    );
  }

  async refusals(query: { instanceId?: string; limit: number }): Promise<readonly Refusal[]> {
    const read = this.#open();
    return canNeverBe(query.instanceId) ? [] : listRefusals(read, this.#hub, query);
  }

  async setting(key: string): Promise<string | undefined> {
    const query = this.#open();
    return canNeverBe(key) ? undefined : readSetting(query, this.#hub, key);
  }

  async changeSetting(key: string, value: string): Promise<void> {
    await changeSetting(this.#open(), this.#hub, key, value);
  }

  async strikes(): Promise<readonly Strike[]> {
    return listStrikes(this.#open(), this.#hub);
  }

  async recordStrike(strike: { iid: number; generation: number; worker: string }): Promise<void> {
    await recordStrike(this.#open(), this.#hub, strike);
  }

  async clearStrikes(iid: number): Promise<void> {
    await clearStrikes(this.#open(), this.#hub, iid);
  }

  async sweep(): Promise<void> {
    const read = this.#open();
    const query: Query = (sql, values) => this.#database.statement("commands", sql, values);
    if (await sweepTasks(query, this.#hub)) this.#tasksOffered();
    const notice = newNotice();
    await sweepWaiters({ query, hub: this.#hub, notice });
    if (notice.shards.size > 0) this.#hints.wrote(new Changed(), notice);
    await this.#sweepOrphans(read);
    await sweepRemains(read, this.#hub);
    await this.#database.sweepReceipts();
  }

  /** Goes on where the last sweep ended. */
  async #sweepOrphans(query: Query): Promise<void> {
    for (let step = 0; step < ORPHAN_STEPS; step++) {
      const { last } = await sweepOrphans(query, this.#hub, this.#orphansAfter);
      this.#orphansAfter = last ?? 0;
      if (last === undefined) return;
    }
  }

  /** Not where an application's pool is used: then the thread would not know the way. */
  watchTurns(board: TurnBoard): boolean {
    this.#open();
    const { connectionString, schema } = this.#database;
    if (connectionString === undefined) return false;
    this.#watch ??= startWatch({ connectionString, schema, hub: this.#hub, board });
    return true;
  }

  subscribe(listener: (hint: ChangeHint) => void): () => void {
    this.#open();
    return this.#hints.subscribe(listener);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await Promise.all(
      [
        this.#turns,
        this.#commands,
        this.#purges,
        this.#records,
        this.#loads,
        this.#heads,
        this.#shownWorkers,
      ].map((each) => each.close()),
    );
    try {
      if (this.#worker !== undefined) await this.#leases.leave(this.#worker.id);
    } catch {
      // Others will see that its lease ends.
    }
    await this.#watch?.terminate();
    await this.#hints.close();
    await this.#locks?.close();
    await this.#database.close();
  }

  #tasksOffered(): void {
    this.#hints.wrote(new Changed(), { ...newNotice(), tasks: true });
  }

  #open(): Query {
    if (this.#closing !== undefined) throw new StoreClosedError();
    return this.#database.read;
  }

  async #commitGroup(turns: readonly TurnCommit[]): Promise<readonly (number | Failure)[]> {
    const notice = newNotice();
    const statement: Query = (sql, values) => this.#database.statement("turns", sql, values);
    const writerOf = (worker: string): Promise<number> => this.#writers.of(worker);
    try {
      const tokens = await commitTurns({ statement, writerOf }, this.#hub, turns, notice);
      this.#groups += 1;
      const changed = new Changed();
      for (const [index, turn] of turns.entries()) {
        if (tokens[index] !== REFUSED && showsInStatus(turn))
          changed.add(turn.instanceId, turn.end !== undefined);
      }
      this.#hints.wrote(changed, notice);
      return tokens;
    } catch (error) {
      return failures(turns.length, error);
    }
  }

  async #executeGroup(commands: readonly Command[]): Promise<readonly (CommandAnswer | Failure)[]> {
    if (!commands.some(isNewStart)) return this.#executeAny("commands", commands);
    const begun = await this.#beginNew(commands.filter(isNewStart));
    const rest = commands.filter((command) => !isNewStart(command));
    const others = rest.length === 0 ? [] : await this.#executeAny("commands", rest);
    const [first, second] = [begun[Symbol.iterator](), others[Symbol.iterator]()];
    return commands.map((command) => {
      const { value, done } = (isNewStart(command) ? first : second).next();
      if (done === true) throw new EngineFaultError("a command was not answered");
      return value;
    });
  }

  async #beginNew(commands: readonly NewStart[]): Promise<readonly (CommandAnswer | Failure)[]> {
    const notice = newNotice();
    const statement: Query = (sql, values) => this.#database.statement("commands", sql, values);
    try {
      const answers = await beginNewRuns(statement, this.#hub, commands, notice);
      this.#groups += 1;
      const changed = new Changed();
      for (const { instanceId } of commands) changed.add(instanceId, false);
      this.#hints.wrote(changed, notice);
      return answers;
    } catch (error) {
      return failures(commands.length, error);
    }
  }

  async #executeAny(
    lane: CommandLane,
    commands: readonly Command[],
  ): Promise<readonly (CommandAnswer | Failure)[]> {
    try {
      const { answers, free } = await this.#answersFromRead(commands);
      const rest = commands.filter((_, index) => answers[index] === undefined);
      const write: Write = (some, lockTimeoutMs) => this.#write(lane, some, free, lockTimeoutMs);
      const written = rest.length === 0 ? [] : await writeAroundLocks(write, rest);
      let next = 0;
      return answers.map((answer) => {
        const told = answer ?? written[next++];
        if (told === undefined) throw new EngineFaultError("a command was not answered");
        return told;
      });
    } catch (error) {
      return failures(commands.length, error);
    }
  }

  /** A command on an ID that an earlier one of the group may write to must wait for that one. */
  async #answersFromRead(commands: readonly Command[]): Promise<ReadBefore> {
    const { answers, free } = await answersFromRead(this.#database.read, this.#hub, commands);
    const written = new Set<string>();
    return {
      answers: commands.map(({ instanceId }, index) => {
        const answer = answers[index];
        if (answer !== undefined && !written.has(instanceId)) return answer;
        written.add(instanceId);
        return undefined;
      }),
      free,
    };
  }

  async #write(
    lane: CommandLane,
    commands: readonly Command[],
    free: ReadonlySet<string>,
    lockTimeoutMs: number | undefined,
  ): Promise<readonly CommandAnswer[]> {
    const { answers, notice } = await this.#database.commandTransaction(
      lane,
      async (query) => {
        const notice = newNotice();
        const answers = await executeCommands({ query, hub: this.#hub, notice }, commands, free);
        return { answers, notice };
      },
      lockTimeoutMs,
    );
    this.#groups += 1;
    const changed = new Changed();
    for (const [index, answer] of answers.entries()) {
      const command = commands[index];
      if (command !== undefined && mayHaveChanged(answer))
        changed.add(command.instanceId, mayHaveEnded(command, answer));
    }
    this.#hints.wrote(changed, notice);
    return answers;
  }
}

/**
 * A fault of ours is thrown: then each operation of the group is tried alone, and only the guilty one fails. All else
 * (the server is gone, its disk is full) would befall each of them again, and each after a long wait.
 */
function failures(count: number, error: unknown): readonly Failure[] {
  if (!(error instanceof TenureError) || error instanceof EngineFaultError) throw error;
  return Array.from({ length: count }, () => new Failure(error));
}

/** The texts of the database cannot hold U+0000, not even in a question. */
function canNeverBe(text: string | undefined): boolean {
  return text?.includes("\0") === true;
}

function byKey<Key, Value>(values: readonly Value[], keyOf: (value: Value) => Key): Map<Key, Value> {
  return new Map(values.map((value) => [keyOf(value), value]));
}

function isPresent<T>(value: T | undefined): value is T {
  return value !== undefined;
}
