import { ANY_MAIL, type TurnCommit } from "../../core/store.js";
import { optionalRow, parentOf, Row, STATUS_CODES } from "../rows.js";
import { continueAsNew } from "./continue-as-new.js";
import type { SqlValue } from "./driver.js";
import { finishRun } from "./end-run.js";
import { sendRequests, setTimers } from "./messages.js";
import type { Transaction } from "./transaction.js";

/** A turn as the database needs it. The row is found by its integer ID. */
export type Turn = Omit<TurnCommit, "instanceId" | "executionId">;

/** What {@link commitTurn} answers for a turn that was refused, in place of a fencing token. */
export const REFUSED = -1;

/**
 * Commits a turn, whole or not at all. The guard is in the one statement that writes the row; when that
 * finds nothing, nothing was written. Returns the fencing token after the commit, or {@link REFUSED}.
 */
export function commitTurn(transaction: Transaction, turn: Turn): number {
  const { connection } = transaction;
  const { iid, generation } = turn;
  const writer = transaction.writerOf(turn.writer);
  if (!updateInstance(transaction, turn, writer)) return tokenIfCommitted(transaction, turn, writer);
  if (turn.chunk !== undefined) {
    connection
      .sql(
        "insert into hist (iid, generation, sequence, writer, commit_number, chunk) values (?, ?, ?, ?, ?, ?)",
      )
      .run(iid, generation, turn.sequence + 1, writer, turn.commitNumber, turn.chunk);
  }
  if (turn.consumed.length > 0) deleteConsumed(transaction, turn.consumed);
  if (hasEffects(turn)) return writeEffects(transaction, turn);
  return new Row(connection.sql("select token from inst where iid = ?").get(iid)).integer();
}

/** Most turns of a sequence of activities write no more than the row and a chunk. */
function hasEffects(turn: Turn): boolean {
  return (
    turn.timersCleared.length > 0 ||
    turn.timersFired !== undefined ||
    turn.timersSet.length > 0 ||
    turn.requests.length > 0 ||
    turn.customStatus !== undefined ||
    turn.end !== undefined ||
    turn.next !== undefined
  );
}

function writeEffects(transaction: Transaction, turn: Turn): number {
  const { connection } = transaction;
  const { iid, generation, atMs } = turn;
  const row = new Row(
    connection.sql("select token, run, shard, mail, parent from inst where iid = ?").get(iid),
  );
  const token = row.integer();
  const run = row.integer();
  const shard = row.integer();
  const mail = row.integer();
  const parent = row.optionalText();
  if (turn.customStatus !== undefined) {
    connection
      .sql("update execution set custom_status = ? where iid = ? and generation = ?")
      .run(turn.customStatus, iid, generation);
  }
  for (const task of [...(turn.timersFired ?? []), ...turn.timersCleared]) {
    connection
      .sql("delete from timer where iid = ? and generation = ? and task = ?")
      .run(iid, generation, task);
  }
  setTimers(transaction, { iid, generation, shard }, turn.timersSet);
  sendRequests(transaction, { iid, run }, turn.requests);
  if (turn.end !== undefined) {
    const ended = {
      iid,
      run,
      generation,
      ...(parent === undefined ? {} : { parent: parentOf(parent) }),
    };
    finishRun(transaction, ended, turn.end, atMs);
  }
  if (turn.next !== undefined) {
    const to = {
      iid,
      shard,
      run,
      generation: generation + 1,
      mail,
      token,
    };
    continueAsNew(transaction, to, turn.next, atMs);
  }
  return token;
}

function deleteConsumed({ connection }: Transaction, consumed: readonly number[]): void {
  const [first] = consumed;
  if (consumed.length === 1 && first !== undefined)
    connection.sql("delete from message where n = ?").run(first);
  else {
    connection
      .sql("delete from message where n in (select value from json_each(?))")
      .run(JSON.stringify(consumed));
  }
}

/**
 * The guarded statement; false when the guard refused. It returns no columns, because a `returning`
 * costs more than reading the row again (3.4 against 2.9 µs). SQLite rewrites an index entry as soon as a column of the index is named after
 * `set`, even with the value that it has: a turn that leaves the status alone must not name it.
 */
function updateInstance({ connection, hub }: Transaction, turn: Turn, writer: number): boolean {
  const { end, next, consumed } = turn;
  const status = end?.status ?? turn.status;
  const parked = end === undefined ? turn.parked : null;
  const ends = end !== undefined;
  const values: SqlValue[] = [
    ends || next !== undefined ? 0 : turn.activities,
    writer,
    turn.commitNumber,
    turn.atMs,
  ];
  if (status !== undefined) values.push(STATUS_CODES[status]);
  if (parked !== undefined) values.push(parked === null ? null : JSON.stringify(parked));
  if (next !== undefined) values.push(next.executionId);
  const raises = (turn.raiseToken === true ? 1 : 0) + (next === undefined ? 0 : 1);
  values.push(turn.iid, hub, turn.generation, turn.sequence);
  // A turn that ends the run without saying which mail it has seen has seen none.
  if (ends) values.push(turn.mail ?? -1);
  const [first] = consumed;
  if (consumed.length === 1 && first !== undefined) values.push(first);
  else if (consumed.length > 1) values.push(JSON.stringify(consumed), consumed.length);
  const { timersFired = [] } = turn;
  if (timersFired.length > 0) values.push(JSON.stringify(timersFired), timersFired.length);
  const sql = updateSql({
    status: status !== undefined,
    parked: parked !== undefined,
    next: next !== undefined,
    raises,
    ends,
    consumes: Math.min(consumed.length, 2),
    fires: timersFired.length > 0,
  });
  return Number(connection.sql(sql).run(...values).changes) === 1;
}

interface Shape {
  readonly status: boolean;
  readonly parked: boolean;
  readonly next: boolean;
  readonly raises: number;
  readonly ends: boolean;
  /** 0, 1, or 2 for more. */
  readonly consumes: number;
  readonly fires: boolean;
}

const statements = new Map<number, string>();

function updateSql(shape: Shape): string {
  const key =
    (shape.status ? 1 : 0) |
    (shape.parked ? 2 : 0) |
    (shape.next ? 4 : 0) |
    (shape.ends ? 8 : 0) |
    (shape.raises << 4) |
    (shape.consumes << 6) |
    (shape.fires ? 1 << 8 : 0);
  let sql = statements.get(key);
  if (sql === undefined) {
    sql = buildUpdate(shape);
    statements.set(key, sql);
  }
  return sql;
}

const CONSUMED_EXIST = [
  "",
  " and exists (select 1 from message m where m.n = ? and m.iid = inst.iid)",
  ` and (select count(*) from message m
         where m.n in (select value from json_each(?)) and m.iid = inst.iid) = ?`,
];

const FIRED_EXIST = `
      and (select count(*) from timer t
           where t.iid = inst.iid and t.generation = inst.generation
             and t.task in (select value from json_each(?))) = ?`;

function buildUpdate({ status, parked, next, raises, ends, consumes, fires }: Shape): string {
  return `
    update inst set
      sequence = ${next ? "0, generation = generation + 1" : "sequence + 1"},
      activities = ?, writer = ?, commit_number = ?, updated = ?
      ${status ? ", status = ?" : ""}
      ${parked ? ", parked = ?" : ""}
      ${next ? ", execution_id = ?" : ""}
      ${raises > 0 ? `, token = token + ${raises}` : ""}
    where iid = ? and hub = ? and generation = ? and sequence = ? and status < 2
      ${ends ? ` and ? in (mail, ${ANY_MAIL})` : ""}
      ${CONSUMED_EXIST[consumes] ?? ""}
      ${fires ? FIRED_EXIST : ""}`;
}

/**
 * The token where this very commit was accepted before and only its answer was lost. The row tells of the last
 * commit, also of one that began a generation; the chunk of any. The row's token is for the last commit only: any
 * other is told the one that its execution began with, and never one that somebody else has drawn since.
 */
function tokenIfCommitted({ connection, hub }: Transaction, turn: Turn, writer: number): number {
  const { iid, generation, commitNumber } = turn;
  const sequence = turn.sequence + 1;
  const reached = turn.next === undefined ? generation : generation + 1;
  const row = optionalRow(
    connection
      .sql(
        `select case when i.generation = ? and i.writer = ? and i.commit_number = ? then i.token else (
           select max(e.token) from execution e where e.iid = i.iid and e.generation between ? and ?
         ) end
         from inst i
         where i.iid = ? and i.hub = ? and (
           (i.writer = ? and i.commit_number = ? and (
             (i.generation = ? and i.sequence = ?) or (i.generation = ? and i.sequence = 0)
           ))
           or exists (
             select 1 from hist h
             where h.iid = i.iid and h.generation = ? and h.sequence = ? and h.writer = ? and h.commit_number = ?
           )
         )`,
      )
      .get(
        reached,
        writer,
        commitNumber,
        generation,
        reached,
        iid,
        hub,
        writer,
        commitNumber,
        generation,
        sequence,
        generation + 1,
        generation,
        sequence,
        writer,
        commitNumber,
      ),
  );
  return row?.optionalInteger() ?? REFUSED;
}
