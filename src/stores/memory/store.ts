import type { Command, CommandAnswer } from "../../core/command.js";
import { StoreClosedError, StoreHeldError } from "../../core/errors.js";
import {
  type Execution,
  type Instance,
  type InstanceRecord,
  isLive,
  payloadLengthOf,
  runtimeStatusOf,
} from "../../core/instance.js";
import type { Message } from "../../core/message.js";
import { shardOf } from "../../core/shard.js";
import type {
  ChangeHint,
  CommitResult,
  DueTimer,
  DueTimers,
  ExecutionsPage,
  ExecutionsQuery,
  Head,
  ListFilter,
  ListPage,
  ListQuery,
  LoadedInstance,
  Refusal,
  Shards,
  ShownWorker,
  Store,
  StoredHistory,
  Strike,
  TurnCommit,
  WorkerInfo,
} from "../../core/store.js";
import { MemoryDatabase } from "./database.js";
import {
  chunksOf,
  currentExecution,
  deleteExecutions,
  type Hub,
  type Row,
  type Subscription,
} from "./hub.js";
import { type MemoryLeaseOptions, MemoryLeases } from "./leases.js";
import { MemoryTasks } from "./tasks.js";

/** Opens a task hub that lives in this process's memory and is gone with it. */
export function openMemoryStore(
  options: {
    /** `default` by default. */
    readonly taskHub?: string;
    /** Data to share with other memory stores; its own by default. */
    readonly database?: MemoryDatabase;
    /** Lets several engines share the hub, as on a server. Without it, one engine at a time owns it. */
    readonly leases?: MemoryLeaseOptions;
  } = {},
): MemoryStore {
  const { taskHub = "default", database = new MemoryDatabase(), leases } = options;
  return new MemoryStore(database.hub(taskHub), leases);
}

/** A handle on a task hub in memory. Several may be open on the same data, as on a file. */
export class MemoryStore implements Store {
  readonly taskHub: string;
  readonly description: string;
  readonly secret: string;
  readonly lateMessagesMs = 0;
  readonly leases?: MemoryLeases;
  readonly tasks?: MemoryTasks;

  readonly #hub: Hub;
  #worker: WorkerInfo | undefined;
  #closed = false;

  constructor(hub: Hub, leases?: MemoryLeaseOptions) {
    this.#hub = hub;
    if (leases !== undefined) {
      this.leases = new MemoryLeases(
        leases,
        () => this.#open().leases,
        () => this.#tellOthers(),
      );
      this.tasks = new MemoryTasks(this.leases, (write) => this.#write(write));
    }
    this.taskHub = hub.taskHub;
    this.description = `memory:${hub.taskHub}`;
    this.secret = hub.secret;
  }

  async join(worker: WorkerInfo): Promise<void> {
    const hub = this.#open();
    const holder = this.leases === undefined ? hub.engine : this.#worker;
    if (holder !== undefined)
      throw new StoreHeldError(this.description, holder.pid, holder.host, holder.sinceMs);
    if (this.leases === undefined) hub.engine = worker;
    else this.leases.join(worker);
    this.#worker = worker;
  }

  async workers(): Promise<readonly ShownWorker[]> {
    const { engine, leases } = this.#open();
    if (this.leases !== undefined) return leases.workers(this.leases.now());
    return engine === undefined ? [] : [engine];
  }

  async execute(commands: readonly Command[]): Promise<readonly CommandAnswer[]> {
    return this.#write((hub) => commands.map((command) => hub.execute(command)));
  }

  async commit(turns: readonly TurnCommit[]): Promise<readonly CommitResult[]> {
    return this.#write((hub) => turns.map((turn) => hub.commit(turn)));
  }

  async load(iids: readonly number[]): Promise<readonly LoadedInstance[]> {
    return this.#present(iids).map((row) => ({
      ...recordOf(row),
      chunks: chunksOf(row, row.instance.generation),
      messages: [...row.mail.values()],
    }));
  }

  async poll(query: { shards: Shards; after: number; limit: number }): Promise<readonly Message[]> {
    return [...this.#open().messages()]
      .filter(({ n, shard }) => n > query.after && isIn(query.shards, shard))
      .slice(0, query.limit);
  }

  async due(query: { shards: Shards; untilMs: number; limit: number }): Promise<DueTimers> {
    const timers = [...this.#open().rows()]
      .filter(({ instance }) => isIn(query.shards, shardOf(instance.instanceId)))
      .flatMap(timersOf)
      .sort((a, b) => a.dueMs - b.dueMs || a.iid - b.iid || a.task - b.task);
    const later = timers.find(({ dueMs }) => dueMs > query.untilMs);
    return {
      timers: timers.filter(({ dueMs }) => dueMs <= query.untilMs).slice(0, query.limit),
      ...(later === undefined ? {} : { nextDueMs: later.dueMs }),
    };
  }

  async unfinished(query: { shards: Shards; afterIid: number; limit: number }): Promise<readonly number[]> {
    return [...this.#open().rows()]
      .map(({ instance }) => instance)
      .filter(({ status, activities, parked }) => isLive(status) && (activities > 0 || parked !== undefined))
      .filter(({ iid, instanceId }) => iid > query.afterIid && isIn(query.shards, shardOf(instanceId)))
      .map(({ iid }) => iid)
      .sort((a, b) => a - b)
      .slice(0, query.limit);
  }

  async heads(iids: readonly number[]): Promise<readonly Head[]> {
    return this.#present(iids).map(({ instance: { iid, generation, sequence, status } }) => ({
      iid,
      generation,
      sequence,
      live: isLive(status),
    }));
  }

  async get(instanceId: string): Promise<InstanceRecord | undefined> {
    const row = this.#open().rowOf(instanceId);
    return row && recordOf(row);
  }

  async list({ filter, after, limit, examine }: ListQuery): Promise<ListPage> {
    const rest = [...this.#open().rows()]
      .map(recordOf)
      .sort((a, b) => inOrderOfCreation(a.instance, b.instance))
      .filter(({ instance }) => after === undefined || inOrderOfCreation(after, instance) < 0);
    const records: InstanceRecord[] = [];
    let examined = 0;
    for (const record of rest) {
      if (examined === examine || records.length === limit) break;
      examined++;
      if (matches(record, filter)) records.push(record);
    }
    const last = rest[examined - 1];
    if (examined === rest.length || last === undefined) return { records };
    return { records, next: { createdAtMs: last.instance.createdAtMs, iid: last.instance.iid } };
  }

  async executions({ instanceId, run, below, limit, maxLength }: ExecutionsQuery): Promise<ExecutionsPage> {
    const found = (this.#open().rowOf(instanceId)?.executions ?? [])
      .filter((execution) => run === undefined || execution.run === run)
      .filter((execution) => below === undefined || execution.generation < below)
      .toReversed();
    const executions: Execution[] = [];
    let length = 0;
    for (const execution of found) {
      if (executions.length === limit || length >= maxLength) break;
      executions.push(execution);
      length += payloadLengthOf(execution);
    }
    const last = executions.at(-1);
    if (last === undefined || executions.length === found.length) return { executions };
    return { executions, next: last.generation };
  }

  async history(instanceId: string, executionId?: string): Promise<StoredHistory | undefined> {
    const row = this.#open().rowOf(instanceId);
    if (row === undefined) return undefined;
    const wanted = executionId ?? row.instance.executionId;
    const of = row.executions.find((execution) => execution.executionId === wanted);
    return of && { ...recordOf(row), of, chunks: chunksOf(row, of.generation) };
  }

  async pruneExecutions(query: {
    status: Execution["status"];
    endedBeforeMs: number;
    limit: number;
  }): Promise<number> {
    const gone = [...this.#open().rows()]
      .flatMap((row) => row.executions.slice(0, -1).map((execution) => ({ row, execution })))
      .filter(({ execution: { status, endedAtMs = Infinity } }) => {
        return status === query.status && endedAtMs < query.endedBeforeMs;
      })
      .sort((a, b) => (a.execution.endedAtMs ?? 0) - (b.execution.endedAtMs ?? 0))
      .slice(0, query.limit);
    for (const { row, execution } of gone) deleteExecutions(row, (other) => other === execution);
    return gone.length;
  }

  async recordRefusals(refusals: readonly Refusal[]): Promise<void> {
    const hub = this.#open();
    for (const refusal of refusals) hub.refusals.add(refusal);
  }

  async refusals(query: { instanceId?: string; limit: number }): Promise<readonly Refusal[]> {
    return this.#open().refusals.list(query.instanceId, query.limit);
  }

  async setting(key: string): Promise<string | undefined> {
    return this.#open().settings.get(key);
  }

  async changeSetting(key: string, value: string): Promise<void> {
    this.#open().settings.set(key, value);
  }

  async strikes(): Promise<readonly Strike[]> {
    return this.#open().strikes.list();
  }

  async recordStrike(strike: { iid: number; generation: number; worker: string }): Promise<void> {
    this.#open().strikes.add(strike.iid, strike.generation, strike.worker);
  }

  async clearStrikes(iid: number): Promise<void> {
    this.#open().strikes.clear(iid);
  }

  subscribe(listener: (hint: ChangeHint) => void): () => void {
    const hub = this.#open();
    const subscription = { owner: this, listener };
    hub.subscriptions.add(subscription);
    return () => void hub.subscriptions.delete(subscription);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#worker !== undefined) this.#leave(this.#worker);
    for (const subscription of this.#hub.subscriptions) {
      if (subscription.owner === this) this.#hub.subscriptions.delete(subscription);
    }
  }

  #leave(worker: WorkerInfo): void {
    if (this.leases === undefined) {
      this.#hub.engine = undefined;
      return;
    }
    this.#hub.leases.leave(worker.id);
    this.#tellOthers();
  }

  #open(): Hub {
    if (this.#closed) throw new StoreClosedError();
    return this.#hub;
  }

  #present(iids: readonly number[]): Row[] {
    const hub = this.#open();
    return iids.map((iid) => hub.row(iid)).filter((row) => row !== undefined);
  }

  #write<T>(write: (hub: Hub) => T): T {
    const hub = this.#open();
    const written = write(hub);
    const hint = hub.takeHint();
    if (hint !== undefined) {
      for (const subscription of hub.subscriptions) {
        this.#tell(subscription, subscription.owner === this ? hint : { from: "elsewhere" });
      }
    }
    return written;
  }

  #tellOthers(): void {
    for (const subscription of this.#hub.subscriptions) {
      if (subscription.owner !== this) this.#tell(subscription, { from: "elsewhere" });
    }
  }

  /** Later, so that a listener never runs inside somebody's write. */
  #tell(subscription: Subscription, hint: ChangeHint): void {
    queueMicrotask(() => {
      if (this.#hub.subscriptions.has(subscription)) subscription.listener(hint);
    });
  }
}

function recordOf(row: Row): InstanceRecord {
  return { instance: row.instance, execution: currentExecution(row) };
}

function timersOf({ instance: { iid, generation }, timers }: Row): DueTimer[] {
  return [...timers].map(([task, dueMs]) => ({ iid, generation, task, dueMs }));
}

function isIn(shards: Shards, shard: number): boolean {
  return shards === "all" || shards.includes(shard);
}

type Place = Pick<Instance, "createdAtMs" | "iid">;

function inOrderOfCreation(a: Place, b: Place): number {
  return a.createdAtMs - b.createdAtMs || a.iid - b.iid;
}

function matches({ instance, execution }: InstanceRecord, filter: ListFilter): boolean {
  return (
    (filter.runtimeStatus?.includes(runtimeStatusOf(instance)) ?? true) &&
    (filter.name === undefined || instance.name === filter.name) &&
    isBetween(instance.createdAtMs, filter.createdFromMs, filter.createdToMs) &&
    isBetween(instance.updatedAtMs, filter.updatedFromMs, filter.updatedToMs) &&
    instance.instanceId.startsWith(filter.instanceIdPrefix ?? "") &&
    Object.entries(filter.tags ?? {}).every(([key, value]) => execution.tags[key] === value)
  );
}

/** Both ends count as in, as in Durable Functions. */
function isBetween(ms: number, fromMs = -Infinity, toMs = Infinity): boolean {
  return fromMs <= ms && ms <= toMs;
}
