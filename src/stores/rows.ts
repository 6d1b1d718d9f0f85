import { EngineFaultError } from "../core/errors.js";
import { type Failure, isFailure } from "../core/failure.js";
import type {
  Execution,
  Instance,
  InstanceRecord,
  InstanceStatus,
  ParentLink,
  Parked,
  Tags,
} from "../core/instance.js";
import type { Message } from "../core/message.js";

/** The numbers that status columns hold. They never change their meaning; live ones are below 2. */
export const STATUS_CODES = {
  Pending: 0,
  Running: 1,
  Completed: 2,
  Failed: 3,
  Terminated: 4,
  Canceled: 5,
  /** Never stored: the `suspended` flag of a live instance, as filters see it. */
  Suspended: 6,
  /** On past executions only. */
  ContinuedAsNew: 7,
} as const;

const STATUSES: readonly InstanceStatus[] = [
  "Pending",
  "Running",
  "Completed",
  "Failed",
  "Terminated",
  "Canceled",
];

/** A set of statuses as bits, for `(1 << status) & ?`. */
export function statusBits(statuses: readonly (keyof typeof STATUS_CODES)[]): number {
  return statuses.reduce((bits, status) => bits | (1 << STATUS_CODES[status]), 0);
}

/**
 * One row that a statement returned: the only place where what SQLite gives becomes typed. Columns are
 * read one after the other, in the order of the statement's list: reading by name costs twice as much.
 * Their names must differ all the same, for drivers that give objects.
 */
export class Row {
  readonly #values: readonly unknown[];
  #next = 0;

  constructor(row: unknown) {
    if (typeof row !== "object" || row === null) throw damaged("a row", row);
    this.#values = Array.isArray(row) ? row : Object.values(row);
  }

  integer(): number {
    const value = this.#values[this.#next++];
    if (typeof value !== "number") throw damaged("an integer", value);
    return value;
  }

  text(): string {
    const value = this.#values[this.#next++];
    if (typeof value !== "string") throw damaged("text", value);
    return value;
  }

  optionalInteger(): number | undefined {
    const value = this.#values[this.#next++];
    if (value === null) return undefined;
    if (typeof value !== "number") throw damaged("an integer", value);
    return value;
  }

  optionalText(): string | undefined {
    const value = this.#values[this.#next++];
    if (value === null) return undefined;
    if (typeof value !== "string") throw damaged("text", value);
    return value;
  }

  json(): unknown {
    return JSON.parse(this.text());
  }

  status(): InstanceStatus {
    const code = this.integer();
    const status = STATUSES[code];
    if (status === undefined) throw damaged("a status", code);
    return status;
  }
}

/** The row that a statement returned, if it returned one. */
export function optionalRow(row: unknown): Row | undefined {
  return row === undefined ? undefined : new Row(row);
}

/** Built up member by member: Node 20 takes 9 µs to spread optional ones into an object of this size. */
export type Building<T> = { -readonly [K in keyof T]: T[K] };

/** The columns that {@link instanceOf} reads, of {@link INSTANCE_TABLES}. */
export const INSTANCE_COLUMNS = `
  i.iid, i.id, i.name, i.execution_id, i.run, i.generation, i.sequence, i.token, i.status, i.suspended,
  i.mail, i.activities, i.created, i.updated, w.name as worker, i.parked, i.start_at, i.parent`;

export const INSTANCE_TABLES = "inst i left join writer w on w.writer = i.writer";

export function instanceOf(row: Row): Instance {
  const instance: Building<Instance> = {
    iid: row.integer(),
    instanceId: row.text(),
    kind: "orchestration",
    name: row.text(),
    executionId: row.text(),
    run: row.integer(),
    generation: row.integer(),
    sequence: row.integer(),
    fencingToken: row.integer(),
    status: row.status(),
    suspended: row.integer() === 1,
    mail: row.integer(),
    activities: row.integer(),
    createdAtMs: row.integer(),
    updatedAtMs: row.integer(),
  };
  const worker = row.optionalText();
  const parked = row.optionalText();
  const startAtMs = row.optionalInteger();
  const parent = row.optionalText();
  if (worker !== undefined) instance.worker = worker;
  if (parked !== undefined) instance.parked = parkedOf(parked);
  if (startAtMs !== undefined) instance.startAtMs = startAtMs;
  if (parent !== undefined) instance.parent = parentOf(parent);
  return instance;
}

/**
 * The columns that {@link executionOf} reads, of `execution e`, beside `inst i`. The status and the
 * time of the last change of a current execution are its instance's: turns need not write them twice.
 */
export const EXECUTION_COLUMNS = `
  e.execution_id as e_execution_id, e.run as e_run, e.generation as e_generation, e.name as e_name,
  e.tags as e_tags, coalesce(e.status, i.status) as e_status, e.token as e_token, e.created as e_created,
  coalesce(e.updated, i.updated) as e_updated, e.dropped as e_dropped, e.version as e_version,
  e.input as e_input, e.output as e_output, e.failure as e_failure, e.custom_status as e_custom_status,
  e.ended as e_ended`;

export function executionOf(row: Row): Execution {
  const execution: Building<Execution> = {
    executionId: row.text(),
    run: row.integer(),
    generation: row.integer(),
    name: row.text(),
    tags: tagsOf(row.text()),
    status: executionStatusOf(row.integer()),
    fencingToken: row.integer(),
    createdAtMs: row.integer(),
    updatedAtMs: row.integer(),
    droppedMessages: row.integer(),
  };
  const version = row.optionalText();
  const input = row.optionalText();
  const output = row.optionalText();
  const failure = row.optionalText();
  const customStatus = row.optionalText();
  const endedAtMs = row.optionalInteger();
  if (version !== undefined) execution.version = version;
  if (input !== undefined) execution.input = input;
  if (output !== undefined) execution.output = output;
  if (failure !== undefined) execution.failure = failureOf(failure);
  if (customStatus !== undefined) execution.customStatus = customStatus;
  if (endedAtMs !== undefined) execution.endedAtMs = endedAtMs;
  return execution;
}

function executionStatusOf(code: number): Execution["status"] {
  const status = code === STATUS_CODES.ContinuedAsNew ? "ContinuedAsNew" : STATUSES[code];
  if (status === undefined) throw damaged("a status", code);
  return status;
}

/** An instance beside its current execution: both lists of columns, in this order. */
export function recordOf(row: Row): InstanceRecord {
  return { instance: instanceOf(row), execution: executionOf(row) };
}

/** The columns that {@link messageOf} reads, of `message`. */
export const MESSAGE_COLUMNS = "n, shard, body, target, iid, run, generation, task, mail";

export function messageOf(row: Row): Message {
  const n = row.integer();
  const shard = row.integer();
  const body = row.text();
  const instanceId = row.optionalText();
  if (instanceId !== undefined) return { kind: "request", n, shard, instanceId, body };
  const mail: Building<Message & { kind: "mail" }> = {
    kind: "mail",
    n,
    shard,
    iid: row.integer(),
    events: body,
  };
  const run = row.optionalInteger();
  const generation = row.optionalInteger();
  const task = row.optionalInteger();
  const counter = row.optionalInteger();
  if (run !== undefined) mail.run = run;
  if (generation !== undefined) mail.generation = generation;
  if (task !== undefined) mail.task = task;
  if (counter !== undefined) mail.mail = counter;
  return mail;
}

const NO_TAGS: Tags = Object.freeze({});

function tagsOf(text: string): Tags {
  if (text === "{}") return NO_TAGS;
  const tags: unknown = JSON.parse(text);
  if (typeof tags !== "object" || tags === null) throw damaged("tags", tags);
  return Object.fromEntries(Object.entries(tags).map(([key, value]) => [key, String(value)]));
}

// These texts never leave our own store: a look at one member tells damage from what we wrote.

/** The parent of a row. */
export function parentOf(text: string): ParentLink {
  const parent: unknown = JSON.parse(text);
  if (!isParent(parent)) throw damaged("a parent", parent);
  return parent;
}

function isParent(value: unknown): value is ParentLink {
  return typeof value === "object" && value !== null && "iid" in value;
}

function parkedOf(text: string): Parked {
  const parked: unknown = JSON.parse(text);
  if (!isParked(parked)) throw damaged("why an instance is parked", parked);
  return parked;
}

function isParked(value: unknown): value is Parked {
  return typeof value === "object" && value !== null && "sinceMs" in value;
}

function failureOf(text: string): Failure {
  const failure: unknown = JSON.parse(text);
  if (!isFailure(failure)) throw damaged("a failure", failure);
  return failure;
}

function damaged(what: string, value: unknown): EngineFaultError {
  return new EngineFaultError(`The store holds ${typeof value} where ${what} is expected. Restore a backup.`);
}
