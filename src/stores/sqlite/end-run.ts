import type { RunEnd } from "../../core/command.js";
import { EngineFaultError } from "../../core/errors.js";
import type { Instance, ParentLink } from "../../core/instance.js";
import { Row, STATUS_CODES } from "../rows.js";
import { mailAnswer, type Waiting } from "./messages.js";
import type { Transaction } from "./transaction.js";

/** Ends a live run from outside: one more commit of its generation, though no worker made it. */
export function endRunFromOutside(
  transaction: Transaction,
  instance: Instance,
  end: RunEnd,
  atMs: number,
): void {
  const { connection, hub } = transaction;
  const { iid, generation, sequence } = instance;
  const { changes } = connection
    .sql(
      `update inst set status = ?, sequence = sequence + 1, activities = 0, parked = null, updated = ?
       where iid = ? and hub = ? and generation = ? and sequence = ? and status < 2`,
    )
    .run(STATUS_CODES[end.status], atMs, iid, hub, generation, sequence);
  if (Number(changes) !== 1) throw new EngineFaultError("a run was to be ended that is no longer live");
  if (end.chunk !== undefined) {
    connection
      .sql("insert into hist (iid, generation, sequence, chunk) values (?, ?, ?, ?)")
      .run(iid, generation, sequence + 1, end.chunk);
  }
  finishRun(transaction, instance, end, atMs);
}

/**
 * What every end has in common, from outside or by the last turn, once the row says that the run has
 * ended: nothing of the run is left behind, and everyone who waits is told.
 */
export function finishRun(
  transaction: Transaction,
  { iid, run, generation, parent }: Pick<Instance, "iid" | "run" | "generation"> & { parent?: ParentLink },
  end: RunEnd,
  atMs: number,
): void {
  const { connection } = transaction;
  // Events and commands count as dropped; results and starts were nobody's to lose.
  const mail = connection
    .sql("delete from message where iid = ? returning run is not null as accepted")
    .all(iid);
  const dropped = mail.reduce<number>((count, row) => count + new Row(row).integer(), 0);
  connection
    .sql(
      `update execution set status = ?, updated = ?, ended = ?, dropped = ?, output = ?, failure = ?
       where iid = ? and generation = ?`,
    )
    .run(
      STATUS_CODES[end.status],
      atMs,
      atMs,
      dropped,
      end.output ?? null,
      end.failure === undefined ? null : JSON.stringify(end.failure),
      iid,
      generation,
    );
  connection.sql("delete from timer where iid = ?").run(iid);
  if (parent !== undefined) mailAnswer(transaction, parent, end.answer);
  answerWaiters(transaction, iid, end);
  if (end.terminateChildren !== undefined) terminateChildren(transaction, iid, run, end.terminateChildren);
}

function answerWaiters(transaction: Transaction, iid: number, end: RunEnd): void {
  const waiters = transaction.connection
    .sql("delete from waiter where iid = ? returning n, waiting_iid, waiting_generation, waiting_task")
    .all(iid)
    .map(waiterOf)
    .sort((a, b) => a.n - b.n);
  for (const waiter of waiters) mailAnswer(transaction, waiter, end.answer);
}

function waiterOf(row: unknown): Waiting & { readonly n: number } {
  const columns = new Row(row);
  return {
    n: columns.integer(),
    iid: columns.integer(),
    generation: columns.integer(),
    task: columns.integer(),
  };
}

/** Withdraws the starts that were not carried out yet, and asks every live child to end. */
function terminateChildren(
  { connection, hub, notice }: Transaction,
  iid: number,
  run: number,
  body: string,
): void {
  connection.sql("delete from message where sender_iid = ? and sender_run = ?").run(iid, run);
  const { changes } = connection
    .sql(
      `insert into message (hub, shard, target, body, deduplication_key)
       select hub, shard, id, ?, 'end:' || parent_iid || ':' || parent_run || ':' || execution_id from inst
       where parent_iid = ? and parent_run = ? and hub = ? and status < 2
       order by iid`,
    )
    .run(body, iid, run, hub);
  if (Number(changes) > 0) notice.messages = true;
}
