import type { RunBegin } from "../../core/command.js";
import { shardOf } from "../../core/shard.js";
import { START_TIMER } from "../../core/store.js";
import { Row, statusBits } from "../rows.js";
import { type Addressee, mailGeneration, setTimers } from "./messages.js";
import type { Transaction } from "./transaction.js";

/** The numbers of a run that began. */
export type Began = Pick<Addressee, "iid" | "run" | "generation">;

/**
 * Begins a run: one upsert decides whether the ID is free, and all else hangs on what it returned.
 * The fencing token is drawn in it: above the row's, or, for an ID without a row, above all that were
 * purged from its shard. Returns nothing when the ID is held.
 */
export function beginRun(
  transaction: Transaction,
  instanceId: string,
  begin: RunBegin,
  atMs: number,
): Began | undefined {
  const { connection, hub } = transaction;
  const shard = shardOf(instanceId);
  const { parent } = begin;
  const upserted = connection
    .sql(UPSERT)
    .get(
      hub,
      instanceId,
      shard,
      hub,
      shard,
      begin.name,
      begin.executionId,
      atMs,
      atMs,
      begin.startAtMs ?? null,
      parent?.iid ?? null,
      parent?.run ?? null,
      parent === undefined ? null : JSON.stringify(parent),
      statusBits(begin.over),
    );
  if (upserted === undefined) return undefined;
  const row = new Row(upserted);
  const iid = row.integer();
  const run = row.integer();
  const generation = row.integer();
  const token = row.integer();
  const mail = row.integer();
  if (generation > 1) retireExecution(transaction, iid, generation - 1);
  connection
    .sql(INSERT_EXECUTION)
    .run(
      iid,
      generation,
      hub,
      begin.executionId,
      run,
      begin.name,
      begin.version ?? null,
      JSON.stringify(begin.tags),
      token,
      atMs,
      begin.input ?? null,
    );
  const begun = { iid, run, generation, shard, mail };
  if (begin.startAtMs === undefined) mailGeneration(transaction, begun, begin.events);
  else setTimers(transaction, begun, [{ task: START_TIMER, dueMs: begin.startAtMs }]);
  return begun;
}

const UPSERT = `
  insert into inst (
    hub, id, shard, kind, run, generation, sequence, token, status, suspended, mail, activities,
    name, execution_id, created, updated, start_at, parent_iid, parent_run, parent
  ) values (
    ?, ?, ?, 0, 1, 1, 0, coalesce((select token from shard where hub = ? and shard = ?), 0) + 1, 0, 0, 0, 0,
    ?, ?, ?, ?, ?, ?, ?, ?
  )
  on conflict (hub, id) do update set
    run = inst.run + 1, generation = inst.generation + 1, sequence = 0, token = inst.token + 1,
    status = 0, suspended = 0, activities = 0, writer = null, commit_number = null, parked = null,
    name = excluded.name, execution_id = excluded.execution_id,
    created = excluded.created, updated = excluded.updated, start_at = excluded.start_at,
    parent_iid = excluded.parent_iid, parent_run = excluded.parent_run, parent = excluded.parent
  where (1 << inst.status) & ? <> 0
  returning iid, run, generation, token, mail`;

const INSERT_EXECUTION = `
  insert into execution (iid, generation, hub, execution_id, run, name, version, tags, token, created, input)
  values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

/** An execution that another one follows: from now on it may be pruned by age. */
export function retireExecution({ connection }: Transaction, iid: number, generation: number): void {
  connection.sql("update execution set past = 1 where iid = ? and generation = ?").run(iid, generation);
}
