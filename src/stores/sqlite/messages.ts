import type { OutboundRequest, TimerRow } from "../../core/command.js";
import type { Chunk } from "../../core/history-codec.js";
import { shardOf } from "../../core/shard.js";
import { noticeDue, type Transaction } from "./transaction.js";

/** A row of `inst` as far as its mail needs it. */
export interface Addressee {
  readonly iid: number;
  readonly shard: number;
  readonly run: number;
  readonly generation: number;
  readonly mail: number;
}

/** The first mail of a generation. It does not raise the mail counter: whoever wrote the generation knows of it. */
export function mailGeneration({ connection, hub, notice }: Transaction, to: Addressee, events: Chunk): void {
  connection
    .sql("insert into message (hub, shard, iid, generation, mail, body) values (?, ?, ?, ?, ?, ?)")
    .run(hub, to.shard, to.iid, to.generation, to.mail, events);
  notice.messages = true;
}

/** An event or a command for a run, whatever its generation will be. */
export function mailRun({ connection, hub, notice }: Transaction, to: Addressee, events: Chunk): void {
  connection
    .sql("insert into message (hub, shard, iid, run, mail, body) values (?, ?, ?, ?, ?, ?)")
    .run(hub, to.shard, to.iid, to.run, to.mail, events);
  notice.messages = true;
}

/** Who waits for an answer, and with which of its tasks. */
export interface Waiting {
  readonly iid: number;
  readonly generation: number;
  readonly task: number;
}

/** Answers a waiter, if it still waits: its generation must be the current one of a live run. */
export function mailAnswer({ connection, hub, notice }: Transaction, to: Waiting, events: Chunk): void {
  const { changes } = connection
    .sql(
      `insert into message (hub, shard, iid, generation, task, body)
       select hub, shard, iid, generation, ?, ? from inst
       where iid = ? and hub = ? and generation = ? and status < 2`,
    )
    .run(to.task, events, to.iid, hub, to.generation);
  if (Number(changes) > 0) notice.messages = true;
}

/** Requests to other IDs; those that start a child can be withdrawn by the sender's run. */
export function sendRequests(
  { connection, hub, notice }: Transaction,
  sender: { readonly iid: number; readonly run: number },
  requests: readonly OutboundRequest[],
): void {
  for (const { instanceId, body, deduplicationKey, startsChild } of requests) {
    connection
      .sql(
        `insert into message (hub, shard, target, body, deduplication_key, sender_iid, sender_run)
         values (?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(
        hub,
        shardOf(instanceId),
        instanceId,
        body,
        deduplicationKey,
        startsChild ? sender.iid : null,
        startsChild ? sender.run : null,
      );
    notice.messages = true;
  }
}

/** Timers of a generation. A fraction of a millisecond is rounded up: never early. */
export function setTimers(
  { connection, hub, notice }: Transaction,
  of: { readonly iid: number; readonly generation: number; readonly shard: number },
  timers: readonly TimerRow[],
): void {
  for (const { task, dueMs } of timers) {
    connection
      .sql("insert or replace into timer (iid, generation, task, hub, shard, due) values (?, ?, ?, ?, ?, ?)")
      .run(of.iid, of.generation, task, hub, of.shard, Math.ceil(dueMs));
    noticeDue(notice, dueMs);
  }
}
