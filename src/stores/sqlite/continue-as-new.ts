import type { NextGeneration } from "../../core/store.js";
import { Row, STATUS_CODES } from "../rows.js";
import type { Connection } from "./connection.js";
import { type Addressee, mailGeneration } from "./messages.js";
import type { Transaction } from "./transaction.js";

/** What else a commit writes that goes on as a new generation, once the row has moved to it. */
export function continueAsNew(
  transaction: Transaction,
  to: Addressee & { readonly token: number },
  next: NextGeneration,
  atMs: number,
): void {
  const { connection } = transaction;
  const { iid, generation } = to;
  connection
    .sql("update execution set status = ?, updated = ?, ended = ?, past = 1 where iid = ? and generation = ?")
    .run(STATUS_CODES.ContinuedAsNew, atMs, atMs, iid, generation - 1);
  connection
    .sql(
      // As in the Durable Task Framework, the custom status goes on until it is changed.
      `insert into execution (
         iid, generation, hub, execution_id, run, name, version, tags, token, created, custom_status, input
       )
       select iid, ?, hub, ?, run, name, ?, tags, ?, ?, custom_status, ? from execution
       where iid = ? and generation = ?`,
    )
    .run(
      generation,
      next.executionId,
      next.version ?? null,
      to.token,
      atMs,
      next.input ?? null,
      iid,
      generation - 1,
    );
  connection.sql("delete from timer where iid = ?").run(iid);
  // Results are for the old generation; events and commands are for the run and go on.
  connection.sql("delete from message where iid = ? and run is null").run(iid);
  dropOldGenerations(transaction, iid, generation - next.keepExecutions);
  mailGeneration(transaction, to, next.events);
}

function dropOldGenerations({ connection }: Transaction, iid: number, upTo: number): void {
  const dropped = connection
    .sql("delete from execution where iid = ? and generation <= ? and status = ? returning generation")
    .all(iid, upTo, STATUS_CODES.ContinuedAsNew);
  for (const row of dropped) deleteHistory(connection, iid, new Row(row).integer());
}

/** Deletes the history of one past execution. */
export function deleteHistory(connection: Connection, iid: number, generation: number): void {
  connection.sql("delete from hist where iid = ? and generation = ?").run(iid, generation);
}
