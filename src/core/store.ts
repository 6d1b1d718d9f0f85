import type { Command, CommandAnswer, OutboundRequest, RunEnd, TimerRow } from "./command.js";
import type { TenureError } from "./errors.js";
import type { Chunk } from "./history-codec.js";
import type {
  Execution,
  Holder,
  InstanceRecord,
  InstanceStatus,
  Parked,
  RuntimeStatus,
  Tags,
} from "./instance.js";
import type { Leases } from "./leases.js";
import type { Mail, Message } from "./message.js";
import type { Payload } from "./payload.js";
import type { StartPolicy } from "./start-policy.js";
import type { QueuedActivity, Tasks } from "./task.js";

/**
 * Where a task hub lives. A store writes what it is given and never looks inside an event: core's
 * pure functions decide ({@link decide} in a command's transaction, `applyTurn` before a commit).
 * Safety is in each store's own conditional statements; the conformance suite holds every store to it.
 *
 * Every method rejects with StoreClosedError after `close`, and with StoreConflictError when nothing
 * was written and the call may be tried again.
 */
export interface Store {
  /** For messages and logs, e.g. `sqlite:/data/hub.db`. */
  readonly description: string;
  readonly taskHub: string;
  /** Signs continuation tokens: made once per hub, kept in the store. */
  readonly secret: string;
  /**
   * How long after a message has been handed over one with a lower number may still appear, at most. 0 where
   * numbers rise in the order of commits.
   */
  readonly lateMessagesMs: number;
  /** Where several workers share the hub's shards. Absent: one engine at a time owns them all. */
  readonly leases?: Leases;
  /**
   * Resolves, with why, should the store fail so that this process must not go on with it (StoreFailedError,
   * StoreDamagedError): its engine stops. Absent where that cannot be.
   */
  readonly failure?: Promise<TenureError>;
  /** Work that processes other than an instance's owner do. Absent where one engine does it all. */
  readonly tasks?: Tasks;

  /**
   * Makes this process an engine of the hub and shows its worker to others until `close`.
   *
   * @throws StoreHeldError at once where the store allows one engine and another one runs.
   */
  join(worker: WorkerInfo): Promise<void>;
  /** The workers that are alive now. */
  workers(): Promise<readonly ShownWorker[]>;

  /** Carries out commands, each in a transaction of its own; answers in the same order. */
  execute(commands: readonly Command[]): Promise<readonly CommandAnswer[]>;
  /**
   * Commits turns, each whole or not at all; results in the same order. Written only if the row is
   * live and its generation and sequence are the expected ones, every consumed message still exists,
   * every timer that has fired is still set, and, for a turn that ends the run, `mail` is the expected one.
   */
  commit(turns: readonly TurnCommit[]): Promise<readonly CommitResult[]>;

  /** What a worker needs to run these instances; absent ones are left out. One consistent read each. */
  load(iids: readonly number[]): Promise<readonly LoadedInstance[]>;
  /** Messages with n above `after`, in order of n. */
  poll(query: {
    readonly shards: Shards;
    readonly after: number;
    readonly limit: number;
  }): Promise<readonly Message[]>;
  /** Timers due up to a time, oldest first, and when the next one after that time is due. */
  due(query: {
    readonly shards: Shards;
    readonly untilMs: number;
    readonly limit: number;
  }): Promise<DueTimers>;
  /** Live instances with activities in flight or parked, in order of iid: a new owner goes on with these. */
  unfinished(query: {
    readonly shards: Shards;
    readonly afterIid: number;
    readonly limit: number;
  }): Promise<readonly number[]>;
  /** The deciding numbers of these instances; absent ones are left out. */
  heads(iids: readonly number[]): Promise<readonly Head[]>;

  get(instanceId: string): Promise<InstanceRecord | undefined>;
  /** Ordered by creation. Examines at most `examine` rows, so that a page may be short. */
  list(query: ListQuery): Promise<ListPage>;
  /** Executions of an ID that are kept, newest first, a page at a time; none where there is no such instance. */
  executions(query: ExecutionsQuery): Promise<ExecutionsPage>;
  /** The history of an execution, of the current one by default. */
  history(instanceId: string, executionId?: string): Promise<StoredHistory | undefined>;

  /** Deletes past executions (never an instance's current one) that ended before a time; returns how many. */
  pruneExecutions(query: {
    readonly status: Execution["status"];
    readonly endedBeforeMs: number;
    readonly limit: number;
  }): Promise<number>;

  /** Adds refusals in one batch; keeps at most 100 rows per ID and 10,000 per hub, then counts. */
  recordRefusals(refusals: readonly Refusal[]): Promise<void>;
  /** Refusals, newest first. */
  refusals(query: { readonly instanceId?: string; readonly limit: number }): Promise<readonly Refusal[]>;

  /** Settings of the hub, by key: JSON text. */
  setting(key: string): Promise<string | undefined>;
  changeSetting(key: string, value: string): Promise<void>;

  /** What instances did to their process, counted once per process start. */
  strikes(): Promise<readonly Strike[]>;
  recordStrike(strike: Omit<Strike, "count"> & { readonly worker: string }): Promise<void>;
  clearStrikes(iid: number): Promise<void>;
  /**
   * Lets the store's own thread, where it has one, watch the worker's turns and record strikes while
   * the main thread is blocked. Returns false where it has none.
   */
  watchTurns?(board: TurnBoard): boolean;
  /**
   * Removes what no statement of the road removes, such as mail that reached an instance as its run ended. Called
   * every half minute or so by one of the hub's workers; works in small batches, and at any time.
   */
  sweep?(): Promise<void>;

  /** Tells the listener that something may have changed. A hint: it may come late, twice or for nothing. */
  subscribe(listener: (hint: ChangeHint) => void): () => void;

  close(): Promise<void>;
}

/** Which shards of the hub a call is about. An embedded engine owns them all. */
export type Shards = "all" | readonly number[];

/** A worker process, unique by construction: its ID is random per process start. */
export interface WorkerInfo {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly sinceMs: number;
  readonly orchestrations: readonly string[];
  readonly activities: readonly string[];
}

/** A worker as others see it. */
export interface ShownWorker extends WorkerInfo {
  /** How many shards it holds, where workers share a hub. */
  readonly shards?: number;
  /** When it last renewed its lease, by the store's clock. */
  readonly renewedAtMs?: number;
  /** When its lease ends, by the same clock, unless it is renewed. */
  readonly leaseEndMs?: number;
  /** It takes nothing new and gives its shards back. */
  readonly draining?: boolean;
}

/**
 * In place of a mail counter: the run ends whatever came. What its last turn has not seen is dropped, and the
 * drop recorded. For a run that could not end because mail never stopped coming.
 */
export const ANY_MAIL = Number.MAX_SAFE_INTEGER;

/** One turn, as data: everything that it causes. */
export interface TurnCommit {
  readonly iid: number;
  readonly instanceId: string;
  readonly executionId: string;
  /** Expected on the row; the commit sets sequence + 1. */
  readonly generation: number;
  readonly sequence: number;
  /** Expected on the row where the turn ends the run; or {@link ANY_MAIL}. */
  readonly mail?: number;
  /** Who commits, and the how-manieth commit of that writer: an unknown outcome is settled by reading these. */
  readonly writer: string;
  readonly commitNumber: number;
  readonly atMs: number;
  /** Messages that this turn took in; each must still exist, and is deleted. */
  readonly consumed: readonly number[];
  /** The status that the row gets; absent: it stays as it is. */
  readonly status?: InstanceStatus;
  /** The events of this turn. Absent where it only parks or raises the token. */
  readonly chunk?: Chunk;
  /** Activities in flight after this turn. */
  readonly activities: number;
  /** New custom status; null clears it, absent leaves it. */
  readonly customStatus?: Payload | null;
  readonly timersSet: readonly TimerRow[];
  readonly timersCleared: readonly number[];
  /** Timers whose firing this turn took in; each must still be set, and is cleared: a timer fires once. */
  readonly timersFired?: readonly number[];
  /** Activities that go to a queue, for whichever process serves it. */
  readonly queued?: readonly QueuedActivity[];
  readonly requests: readonly OutboundRequest[];
  /** Set, cleared (null) or left (absent). */
  readonly parked?: Parked | null;
  /** A new fencing token, because an earlier owner had begun activities. */
  readonly raiseToken?: true;
  /** The run ends: discards its messages, timers and waiters after answering them. */
  readonly end?: RunEnd;
  /** The run goes on as a new generation (continue-as-new). */
  readonly next?: NextGeneration;
}

/**
 * Whether what users see of an instance changes with a turn. Most turns only record progress: nobody
 * needs to look again for those.
 */
export function showsInStatus(turn: TurnCommit): boolean {
  return (
    turn.status !== undefined ||
    turn.end !== undefined ||
    turn.next !== undefined ||
    turn.parked !== undefined ||
    turn.customStatus !== undefined
  );
}

export interface NextGeneration {
  readonly executionId: string;
  readonly input?: Payload;
  readonly version?: string;
  /** The new generation's first mail: ExecutionStarted and the external events that were not taken yet. */
  readonly events: Chunk;
  /** How many generations are kept, this one included: older ones that ended as ContinuedAsNew are deleted. */
  readonly keepExecutions: number;
}

export type CommitResult =
  /** With the token after the commit. */
  | { readonly accepted: true; readonly fencingToken: number }
  /** The row has moved on. Drop what is in memory and reload; never repair it. */
  | { readonly accepted: false };

export interface LoadedInstance extends InstanceRecord {
  /** The current generation's chunks, oldest first. */
  readonly chunks: readonly Chunk[];
  /** The instance's messages, in order of n. All mail up to the row's `mail` counter is in here or consumed. */
  readonly messages: readonly Mail[];
}

export interface DueTimer extends TimerRow {
  readonly iid: number;
  readonly generation: number;
}

/**
 * The task number of the timer that begins a scheduled start. When it is due, `due` reports it like any
 * other; the worker then takes ExecutionStarted in as if it had come by mail, and clears the timer.
 */
export const START_TIMER = -1;

export interface DueTimers {
  readonly timers: readonly DueTimer[];
  readonly nextDueMs?: number;
}

export interface Head {
  readonly iid: number;
  readonly generation: number;
  readonly sequence: number;
  readonly live: boolean;
}

export interface ListFilter {
  readonly runtimeStatus?: readonly RuntimeStatus[];
  readonly name?: string;
  readonly createdFromMs?: number;
  readonly createdToMs?: number;
  readonly updatedFromMs?: number;
  readonly updatedToMs?: number;
  readonly instanceIdPrefix?: string;
  readonly tags?: Tags;
}

/** A place in the order of creation. */
export interface ListCursor {
  readonly createdAtMs: number;
  readonly iid: number;
}

export interface ListQuery {
  readonly filter: ListFilter;
  readonly after?: ListCursor;
  readonly limit: number;
  readonly examine: number;
}

export interface ListPage {
  readonly records: readonly InstanceRecord[];
  /** Where the next page begins; absent when every row was examined. */
  readonly next?: ListCursor;
}

/** Which executions of an ID are asked for, and how many at most: each may have megabytes. */
export interface ExecutionsQuery {
  readonly instanceId: string;
  /** Those of this run only. */
  readonly run?: number;
  /** Those of lower generations than this one only: from the page before. */
  readonly below?: number;
  readonly limit: number;
  /** The page ends with the execution by which its payloads are so long (UTF-16 code units; a store may count bytes). */
  readonly maxLength: number;
}

export interface ExecutionsPage {
  readonly executions: readonly Execution[];
  /** Below which generation the next page begins; absent on the last one. */
  readonly next?: number;
}

export interface StoredHistory extends InstanceRecord {
  /** The execution that the chunks belong to: not always the current one. */
  readonly of: Execution;
  readonly chunks: readonly Chunk[];
}

/** A start that was refused. */
export interface Refusal {
  readonly instanceId: string;
  readonly atMs: number;
  /** Who asked: an address and client name, or `parent:ID`. */
  readonly requester: string;
  readonly orchestrator: string;
  readonly policy: StartPolicy;
  readonly reason: "held" | "used" | "otherName";
  readonly holder: Holder;
  /** How many refusals this row stands for. */
  readonly count: number;
}

export interface Strike {
  readonly iid: number;
  /** Negative where the process ended, and was not blocked: `worker/strikes.ts`. */
  readonly generation: number;
  /** In how many process starts a turn of this generation blocked and never ended; or was under way at the end. */
  readonly count: number;
}

/**
 * Shared memory in which the worker writes which turn runs: `[turn number, iid, generation]`, the
 * turn number rising with each turn and negative between turns.
 */
export interface TurnBoard {
  readonly cells: BigInt64Array;
  readonly worker: string;
}

/** What a write may have changed. */
export interface Change {
  /** What users see of these instances has changed (see {@link showsInStatus}). */
  readonly instanceIds: readonly string[];
  /** Those among them of which no run has ended: whoever waits for an end need not look. */
  readonly alive?: readonly string[];
  /** There are new messages. */
  readonly messages: boolean;
  /** New instances of this process's shards that have begun: their first mail comes with their load. */
  readonly began?: readonly number[];
  /** Those of them, at most, that the store can show as they began: they need not be loaded. */
  readonly loaded?: readonly LoadedInstance[];
  /** There are no other new messages in this process's shards. */
  readonly onlyBegan?: true;
  /** When the first of the timers is due that were set. */
  readonly nextDueMs?: number;
  /** There are tasks that were not there before. */
  readonly tasks?: true;
  /** Workers came or went, or shards have been given back. */
  readonly members?: true;
}

export type ChangeHint =
  /** This process wrote. */
  | ({ readonly from: "here" } & Change)
  /** Another process wrote. Without `change`, anything may have changed. */
  | { readonly from: "elsewhere"; readonly change?: Change };
