import { EngineFaultError } from "../../core/errors.js";
import type { InstanceRecord } from "../../core/instance.js";
import type { Mail, Message } from "../../core/message.js";
import type {
  DueTimer,
  DueTimers,
  ExecutionsPage,
  ExecutionsQuery,
  Head,
  LoadedInstance,
  Shards,
  StoredHistory,
} from "../../core/store.js";
import {
  EXECUTION_COLUMNS,
  executionOf,
  INSTANCE_COLUMNS,
  MESSAGE_COLUMNS,
  messageOf,
  Row,
  recordOf,
} from "../rows.js";
import { keyed, unindexed } from "./keyed.js";
import type { Columns, Query, SqlValue } from "./query.js";

// A statement at READ COMMITTED reads one snapshot: each of these is one statement.

/** What {@link INSTANCE_COLUMNS} reads. */
export const INSTANCE_TABLES = `@inst i left join @writer w on ${keyed("w.writer", "i.writer")}`;

/** An instance beside its current execution, for {@link recordOf}. */
export const RECORDS = `select ${INSTANCE_COLUMNS}, ${EXECUTION_COLUMNS} from ${INSTANCE_TABLES}
  join @execution e on ${keyed("e.iid", "i.iid")} and e.generation = i.generation`;

/** The chunks of execution `e`, oldest first, as JSON: the one form of a list that needs no parser of ours. */
const CHUNKS = `(
  select json_agg(h.chunk order by h.sequence)::text from @hist h
  where h.iid = e.iid and h.generation = e.generation
)`;

/** The messages are put in order apart from any index: in the order of one, all that there are would be read. */
const LOADED = `
  select ${INSTANCE_COLUMNS}, ${EXECUTION_COLUMNS}, ${CHUNKS} as chunks, (
    select json_agg(json_build_array(${MESSAGE_COLUMNS}) order by ${unindexed("n")})::text
    from @message where iid = i.iid
  ) as messages
  from ${INSTANCE_TABLES}
  join @execution e on ${keyed("e.iid", "i.iid")} and e.generation = i.generation
  where ${unindexed("i.hub")} = $1 and i.iid = any($2::bigint[])`;

/** In the order that was asked for; absent ones are left out. */
export async function loadInstances(
  query: Query,
  hub: number,
  iids: readonly number[],
): Promise<LoadedInstance[]> {
  if (iids.length === 0) return [];
  const loaded = (await query(LOADED, [hub, iids])).map(loadedOf);
  return inOrder(iids, loaded, ({ instance }) => instance.iid);
}

function loadedOf(columns: Columns): LoadedInstance {
  const row = new Row(columns);
  const record = recordOf(row);
  const chunks = textsOf(row.optionalText());
  const { generation } = record.instance;
  const messages = listOf(row.optionalText())
    .map((message) => messageOf(new Row(message)))
    .filter(isMail)
    // A result that was on its way when its generation ended is nobody's.
    .filter((mail) => mail.generation === undefined || mail.generation === generation);
  return { ...record, chunks, messages };
}

function isMail(message: Message): message is Mail {
  return message.kind === "mail";
}

/** A walk along the primary key. */
export async function pollMessages(
  query: Query,
  hub: number,
  { shards, after, limit }: { readonly shards: Shards; readonly after: number; readonly limit: number },
): Promise<Message[]> {
  if (shards.length === 0) return [];
  const rows = await query(
    `select ${MESSAGE_COLUMNS} from @message where hub = $1 and n > $2 ${inShards(shards, 4)} order by n limit $3`,
    [hub, after, limit, ...shardValues(shards)],
  );
  return rows.map((row) => messageOf(new Row(row)));
}

export async function dueTimers(
  query: Query,
  hub: number,
  { shards, untilMs, limit }: { readonly shards: Shards; readonly untilMs: number; readonly limit: number },
): Promise<DueTimers> {
  if (shards.length === 0) return { timers: [] };
  const rows = await query(
    `(
       select due, iid, generation, task from @timer where hub = $1 and due <= $2 ${inShards(shards, 4)}
       order by due, iid, generation, task limit $3
     ) union all (
       select due, null, null, null from @timer where hub = $1 and due > $2 ${inShards(shards, 4)}
       order by due limit 1
     )`,
    [hub, untilMs, limit, ...shardValues(shards)],
  );
  const timers: DueTimer[] = [];
  let next: { nextDueMs: number } | undefined;
  for (const columns of rows) {
    const row = new Row(columns);
    const dueMs = row.integer();
    const iid = row.optionalInteger();
    if (iid === undefined) next = { nextDueMs: dueMs };
    else timers.push({ iid, generation: row.integer(), task: row.integer(), dueMs });
  }
  return { timers, ...next };
}

/** A walk along inst_live. */
export async function unfinishedInstances(
  query: Query,
  hub: number,
  { shards, afterIid, limit }: { readonly shards: Shards; readonly afterIid: number; readonly limit: number },
): Promise<number[]> {
  if (shards.length === 0) return [];
  const rows = await query(
    `select iid from @inst
     where hub = $1 and status < 2 and iid > $2 and (activities > 0 or parked is not null) ${inShards(shards, 4)}
     order by iid limit $3`,
    [hub, afterIid, limit, ...shardValues(shards)],
  );
  return rows.map((row) => new Row(row).integer());
}

/** In the order that was asked for; absent ones are left out. */
export async function headsOf(query: Query, hub: number, iids: readonly number[]): Promise<Head[]> {
  if (iids.length === 0) return [];
  const rows = await query(
    `select iid, generation, sequence, case when status < 2 then 1 else 0 end from @inst
     where ${unindexed("hub")} = $1 and iid = any($2::bigint[])`,
    [hub, iids],
  );
  const heads = rows.map((columns): Head => {
    const row = new Row(columns);
    return {
      iid: row.integer(),
      generation: row.integer(),
      sequence: row.integer(),
      live: row.integer() === 1,
    };
  });
  return inOrder(iids, heads, ({ iid }) => iid);
}

/** One answer per ID, in the order of the IDs. */
export async function getInstances(
  query: Query,
  hub: number,
  instanceIds: readonly string[],
): Promise<(InstanceRecord | undefined)[]> {
  if (instanceIds.length === 0) return [];
  const rows = await query(`${RECORDS} where ${unindexed("i.hub")} = $1 and i.id = any($2::text[])`, [
    hub,
    instanceIds,
  ]);
  const records = rows.map((row) => recordOf(new Row(row)));
  const byId = new Map(records.map((record) => [record.instance.instanceId, record]));
  return instanceIds.map((instanceId) => byId.get(instanceId));
}

/**
 * Sizes first, newest first and with one row beyond the page, then the rows by their key until the payloads before them
 * are long enough: what is not on the page is not read. `octet_length` looks at no text that is stored apart.
 */
const EXECUTIONS = `
  with found as materialized (
    select e.iid, e.generation, coalesce(octet_length(e.input), 0) + coalesce(octet_length(e.output), 0)
      + coalesce(octet_length(e.failure), 0) + coalesce(octet_length(e.custom_status), 0) as length
    from @inst i join @execution e on ${keyed("e.iid", "i.iid")}
    where ${unindexed("i.hub")} = $1 and i.id = $2 and ($3::bigint is null or e.generation < $3)
      and ($4::bigint is null or e.run = $4)
    order by e.generation desc limit $5 + 1
  ), placed as (
    select iid, generation, row_number() over newest as place, sum(length) over newest - length as before
    from found window newest as (order by generation desc)
  )
  select ${EXECUTION_COLUMNS}, (select count(*) from found) as found
  from placed p join @inst i on ${keyed("i.iid", "p.iid")}
  join @execution e on ${keyed("e.iid", "p.iid")} and e.generation = p.generation
  where p.place <= $5 and (p.place = 1 or p.before < $6)
  order by p.place`;

export async function executionsOf(
  query: Query,
  hub: number,
  { instanceId, run, below, limit, maxLength }: ExecutionsQuery,
): Promise<ExecutionsPage> {
  const rows = await query(EXECUTIONS, [hub, instanceId, below ?? null, run ?? null, limit, maxLength]);
  let found = 0;
  const executions = rows.map((columns) => {
    const row = new Row(columns);
    const execution = executionOf(row);
    found = row.integer();
    return execution;
  });
  const last = executions.at(-1);
  return last === undefined || executions.length === found
    ? { executions }
    : { executions, next: last.generation };
}

/** The current execution, and the one that was asked for with its chunks, which may be the same. */
const HISTORY = `
  select ${INSTANCE_COLUMNS}, ${EXECUTION_COLUMNS},
    case when e.execution_id = coalesce($3::text, i.execution_id) then coalesce(${CHUNKS}, '[]') end as chunks
  from ${INSTANCE_TABLES} join @execution e on ${keyed("e.iid", "i.iid")}
  where ${unindexed("i.hub")} = $1 and i.id = $2 and (e.generation = i.generation or e.execution_id = $3::text)`;

export async function historyOf(
  query: Query,
  hub: number,
  instanceId: string,
  executionId: string | undefined,
): Promise<StoredHistory | undefined> {
  let current: InstanceRecord | undefined;
  let asked: Pick<StoredHistory, "of" | "chunks"> | undefined;
  for (const columns of await query(HISTORY, [hub, instanceId, executionId ?? null])) {
    const row = new Row(columns);
    const record = recordOf(row);
    const chunks = row.optionalText();
    if (record.execution.generation === record.instance.generation) current = record;
    if (chunks !== undefined) asked = { of: record.execution, chunks: textsOf(chunks) };
  }
  return current && asked && { ...current, ...asked };
}

/** The condition on `shard`, whose value is parameter number `at`, the last one. */
function inShards(shards: Shards, at: number): string {
  return shards === "all" ? "" : `and shard = any($${at}::smallint[])`;
}

function shardValues(shards: Shards): SqlValue[] {
  return shards === "all" ? [] : [shards];
}

function inOrder<T>(iids: readonly number[], found: readonly T[], iidOf: (of: T) => number): T[] {
  const byIid = new Map(found.map((of) => [iidOf(of), of]));
  return iids.map((iid) => byIid.get(iid)).filter(isPresent);
}

function textsOf(json: string | undefined): string[] {
  return listOf(json).map((text) => {
    if (typeof text !== "string") throw unreadable();
    return text;
  });
}

/** What `json_agg` made; it makes nothing of no rows. */
function listOf(json: string | undefined): unknown[] {
  if (json === undefined) return [];
  const list: unknown = JSON.parse(json);
  if (!Array.isArray(list)) throw unreadable();
  return list;
}

function unreadable(): EngineFaultError {
  return new EngineFaultError("The database gave something else than the list that was asked for.");
}

function isPresent<T>(value: T | undefined): value is T {
  return value !== undefined;
}
