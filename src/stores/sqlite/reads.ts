import { type Execution, type InstanceRecord, payloadLengthOf } from "../../core/instance.js";
import type { Message } from "../../core/message.js";
import type {
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
  INSTANCE_TABLES,
  MESSAGE_COLUMNS,
  messageOf,
  optionalRow,
  Row,
  recordOf,
} from "../rows.js";
import type { Connection } from "./connection.js";

/** An instance beside its current execution, for {@link recordOf}. */
export const RECORDS = `select ${INSTANCE_COLUMNS}, ${EXECUTION_COLUMNS} from ${INSTANCE_TABLES}
  join execution e on e.iid = i.iid and e.generation = i.generation`;

export function loadInstances(
  connection: Connection,
  hub: number,
  iids: readonly number[],
): LoadedInstance[] {
  return connection.snapshot(() => iids.map((iid) => loadInstance(connection, hub, iid)).filter(isPresent));
}

function loadInstance(connection: Connection, hub: number, iid: number): LoadedInstance | undefined {
  const row = optionalRow(connection.sql(`${RECORDS} where i.iid = ? and i.hub = ?`).get(iid, hub));
  if (row === undefined) return undefined;
  const record = recordOf(row);
  const messages = connection
    .sql(`select ${MESSAGE_COLUMNS} from message where iid = ? order by n`)
    .all(iid)
    .map((message) => messageOf(new Row(message)))
    .filter((message) => message.kind === "mail");
  return { ...record, chunks: chunksOf(connection, iid, record.instance.generation), messages };
}

function chunksOf(connection: Connection, iid: number, generation: number): string[] {
  return connection
    .sql("select chunk from hist where iid = ? and generation = ? order by sequence")
    .all(iid, generation)
    .map((row) => new Row(row).text());
}

export function pollMessages(
  connection: Connection,
  hub: number,
  { shards, after, limit }: { readonly shards: Shards; readonly after: number; readonly limit: number },
): Message[] {
  return connection
    .sql(
      `select ${MESSAGE_COLUMNS} from message where n > ? and hub = ? ${inShards(shards)} order by n limit ?`,
    )
    .all(after, hub, ...shardValues(shards), limit)
    .map((row) => messageOf(new Row(row)));
}

export function dueTimers(
  connection: Connection,
  hub: number,
  { shards, untilMs, limit }: { readonly shards: Shards; readonly untilMs: number; readonly limit: number },
): DueTimers {
  return connection.snapshot(() => {
    const timers = connection
      .sql(
        `select iid, generation, task, due from timer where hub = ? and due <= ? ${inShards(shards)}
         order by due, iid, generation, task limit ?`,
      )
      .all(hub, untilMs, ...shardValues(shards), limit)
      .map((timer) => {
        const row = new Row(timer);
        return {
          iid: row.integer(),
          generation: row.integer(),
          task: row.integer(),
          dueMs: row.integer(),
        };
      });
    const next = optionalRow(
      connection
        .sql(`select due from timer where hub = ? and due > ? ${inShards(shards)} order by due limit 1`)
        .get(hub, untilMs, ...shardValues(shards)),
    );
    return next === undefined ? { timers } : { timers, nextDueMs: next.integer() };
  });
}

export function unfinishedInstances(
  connection: Connection,
  hub: number,
  { shards, afterIid, limit }: { readonly shards: Shards; readonly afterIid: number; readonly limit: number },
): number[] {
  return connection
    .sql(
      `select iid from inst indexed by inst_live
       where hub = ? and status < 2 and iid > ? and (activities > 0 or parked is not null) ${inShards(shards)}
       order by iid limit ?`,
    )
    .all(hub, afterIid, ...shardValues(shards), limit)
    .map((row) => new Row(row).integer());
}

export function headsOf(connection: Connection, hub: number, iids: readonly number[]): Head[] {
  return iids
    .map((iid) => {
      const row = optionalRow(
        connection
          .sql("select generation, sequence, status < 2 as live from inst where iid = ? and hub = ?")
          .get(iid, hub),
      );
      return (
        row && {
          iid,
          generation: row.integer(),
          sequence: row.integer(),
          live: row.integer() === 1,
        }
      );
    })
    .filter(isPresent);
}

export function getInstance(
  connection: Connection,
  hub: number,
  instanceId: string,
): InstanceRecord | undefined {
  const row = optionalRow(connection.sql(`${RECORDS} where i.hub = ? and i.id = ?`).get(hub, instanceId));
  return row && recordOf(row);
}

/** Newest first. */
export function executionsOf(
  connection: Connection,
  hub: number,
  { instanceId, run, below = Number.MAX_SAFE_INTEGER, limit, maxLength }: ExecutionsQuery,
): ExecutionsPage {
  return connection.snapshot(() => {
    // Found without their payloads, with one beyond the page, and read one by one until these are long enough.
    const found = connection
      .sql(
        `select e.iid, e.generation from inst i join execution e on e.iid = i.iid
         where i.hub = ? and i.id = ? and e.generation < ? ${run === undefined ? "" : "and e.run = ?"}
         order by e.generation desc limit ?`,
      )
      .all(hub, instanceId, below, ...(run === undefined ? [] : [run]), limit + 1);
    const executions: Execution[] = [];
    let length = 0;
    let next: number | undefined;
    for (const place of found) {
      if (executions.length === limit || length >= maxLength)
        return { executions, ...(next === undefined ? {} : { next }) };
      const row = new Row(place);
      const iid = row.integer();
      next = row.integer();
      const execution = executionOf(new Row(connection.sql(EXECUTION).get(iid, next)));
      executions.push(execution);
      length += payloadLengthOf(execution);
    }
    return { executions };
  });
}

const EXECUTION = `select ${EXECUTION_COLUMNS} from inst i join execution e on e.iid = i.iid
  where i.iid = ? and e.generation = ?`;

export function historyOf(
  connection: Connection,
  hub: number,
  instanceId: string,
  executionId: string | undefined,
): StoredHistory | undefined {
  return connection.snapshot(() => {
    const record = getInstance(connection, hub, instanceId);
    if (record === undefined) return undefined;
    const { iid } = record.instance;
    const row = optionalRow(
      connection
        .sql(
          `select ${EXECUTION_COLUMNS} from inst i join execution e on e.iid = i.iid
           where i.iid = ? and e.execution_id = ?`,
        )
        .get(iid, executionId ?? record.instance.executionId),
    );
    if (row === undefined) return undefined;
    const of = executionOf(row);
    return { ...record, of, chunks: chunksOf(connection, iid, of.generation) };
  });
}

/** An embedded engine owns all shards; the rest is for completeness. */
function inShards(shards: Shards): string {
  return shards === "all" ? "" : "and shard in (select value from json_each(?))";
}

function shardValues(shards: Shards): string[] {
  return shards === "all" ? [] : [JSON.stringify(shards)];
}

function isPresent<T>(value: T | undefined): value is T {
  return value !== undefined;
}
