import { answerEvents, type RunEnd } from "../../core/command.js";
import { type Instance, isEnded, type ParentLink } from "../../core/instance.js";
import { EXECUTION_COLUMNS, executionOf, Row, STATUS_CODES } from "../rows.js";
import { keyed, unindexed } from "./keyed.js";
import { mailAnswers, type Waiting } from "./messages.js";
import type { Columns, Query } from "./query.js";
import type { Transaction } from "./transaction.js";

/** A run whose row says, in this transaction, that it has ended. */
export interface EndedRun extends Pick<Instance, "iid" | "run" | "generation"> {
  readonly parent?: ParentLink;
  readonly end: RunEnd;
  readonly atMs: number;
}

/**
 * What every end from outside has in common, once the rows say that the runs have ended: nothing of them is left
 * behind, and everyone who waits is told. Each statement sees all that was committed before the rows were locked.
 */
export async function finishRuns(transaction: Transaction, ended: readonly EndedRun[]): Promise<void> {
  if (ended.length === 0) return;
  const { query } = transaction;
  const iids = ended.map(({ iid }) => iid);
  await recordOutcomes(query, ended, await dropMail(query, iids));
  await query("delete from @timer where iid = any($1::bigint[])", [iids]);
  const waiters = (
    await query(
      `delete from @waiter where iid = any($1::bigint[])
       returning n, iid, waiting_iid, waiting_generation, waiting_task`,
      [iids],
    )
  )
    .map(waiterOf)
    .sort((a, b) => a.n - b.n);
  await mailAnswers(
    transaction,
    ended.flatMap(({ iid, parent, end }) => [
      ...(parent === undefined ? [] : [{ to: parent, events: end.answer }]),
      ...waiters.filter(({ of }) => of === iid).map(({ to }) => ({ to, events: end.answer })),
    ]),
  );
  await terminateChildren(transaction, ended);
}

/** Deletes the mail of the runs. Events and commands count as dropped; results and starts were nobody's to lose. */
async function dropMail(query: Query, iids: readonly number[]): Promise<ReadonlyMap<number, number>> {
  const rows = await query(
    `with gone as (delete from @message where iid = any($1::bigint[]) returning iid, run)
     select iid, count(*)::integer from gone where run is not null group by iid`,
    [iids],
  );
  const dropped = new Map<number, number>();
  for (const columns of rows) {
    const row = new Row(columns);
    dropped.set(row.integer(), row.integer());
  }
  return dropped;
}

async function recordOutcomes(
  query: Query,
  ended: readonly EndedRun[],
  dropped: ReadonlyMap<number, number>,
): Promise<void> {
  await query(
    `update @execution e set
       status = u.status, updated = u.at, ended = u.at, dropped = u.dropped, output = u.output, failure = u.failure
     from unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::bigint[], $5::bigint[], $6::text[], $7::text[])
       as u (iid, generation, status, at, dropped, output, failure)
     where ${keyed("e.iid", "u.iid")} and e.generation = u.generation`,
    [
      ended.map(({ iid }) => iid),
      ended.map(({ generation }) => generation),
      ended.map(({ end }) => STATUS_CODES[end.status]),
      ended.map(({ atMs }) => atMs),
      ended.map(({ iid }) => dropped.get(iid) ?? 0),
      ended.map(({ end }) => end.output ?? null),
      ended.map(({ end }) => (end.failure === undefined ? null : JSON.stringify(end.failure))),
    ],
  );
}

interface Waiter {
  readonly n: number;
  /** The instance whose end is awaited. */
  readonly of: number;
  readonly to: Waiting;
}

function waiterOf(columns: Columns): Waiter {
  const row = new Row(columns);
  return {
    n: row.integer(),
    of: row.integer(),
    to: { iid: row.integer(), generation: row.integer(), task: row.integer() },
  };
}

/**
 * Withdraws the starts that were not carried out yet, and asks every live child to end: in this order, because
 * a start that is being carried out is waited for, and its child is then seen.
 */
async function terminateChildren(
  { query, hub, notice }: Transaction,
  ended: readonly EndedRun[],
): Promise<void> {
  const parents = ended.filter(({ end }) => end.terminateChildren !== undefined);
  if (parents.length === 0) return;
  const iids = parents.map(({ iid }) => iid);
  const runs = parents.map(({ run }) => run);
  await query(
    `delete from @message m using unnest($1::bigint[], $2::bigint[]) as u (iid, run) cross join lateral (
       select n from @message where sender_iid = u.iid and sender_run = u.run offset 0
     ) s
     where ${keyed("m.n", "s.n")}`,
    [iids, runs],
  );
  const rows = await query(
    `insert into @message (hub, shard, target, body, deduplication_key)
     select c.hub, c.shard, c.id, u.body,
       'end:' || c.parent_iid || ':' || c.parent_run || ':' || c.execution_id
     from unnest($2::bigint[], $3::bigint[], $4::text[]) as u (iid, run, body)
     cross join lateral (select * from @inst where parent_iid = u.iid and parent_run = u.run offset 0) c
     where c.hub = $1 and c.status < ${STATUS_CODES.Completed}
     order by c.iid
     returning shard`,
    [hub, iids, runs, parents.map(({ end }) => end.terminateChildren ?? null)],
  );
  for (const columns of rows) notice.shards.add(new Row(columns).integer());
}

/** How many rows one step of a sweep looks at: each step is a short transaction of its own. */
const SWEEP_STEP = 1_000;

/**
 * Answers waiters whose run has ended without them: they came while a turn ended it whatever came. Of these
 * instances, or of any. Each answer is given once, whoever looks.
 */
export async function answerLeftWaiters(transaction: Transaction, iids?: readonly number[]): Promise<void> {
  const { query, hub, notice } = transaction;
  const rows = await query(
    `select ${EXECUTION_COLUMNS}, w.n as w_n
     from @waiter w
     join @inst i on ${keyed("i.iid", "w.iid")} and ${unindexed("i.hub")} = $1
       and i.status >= ${STATUS_CODES.Completed}
     join @execution e on ${keyed("e.iid", "i.iid")} and e.generation = i.generation
     ${iids === undefined ? "" : "where w.iid = any($2::bigint[])"}
     order by w.n limit ${SWEEP_STEP}`,
    iids === undefined ? [hub] : [hub, iids],
  );
  if (rows.length === 0) return;
  const waiters: number[] = [];
  const answers: string[] = [];
  for (const columns of rows) {
    const row = new Row(columns);
    const { status, updatedAtMs, output, failure } = executionOf(row);
    if (!isEnded(status)) continue;
    waiters.push(row.integer());
    answers.push(answerEvents(updatedAtMs, status, output, failure));
  }
  const sent = await query(
    `with freed as (
       delete from @waiter w using unnest($2::bigint[], $3::text[]) as u (n, body) where ${keyed("w.n", "u.n")}
       returning w.waiting_iid, w.waiting_generation, w.waiting_task, u.body
     )
     insert into @message (hub, shard, iid, generation, task, body)
     select i.hub, i.shard, i.iid, i.generation, f.waiting_task, f.body
     from freed f join @inst i on ${keyed("i.iid", "f.waiting_iid")}
     where ${unindexed("i.hub")} = $1 and i.generation = f.waiting_generation
       and ${unindexed("i.status")} < ${STATUS_CODES.Completed}
     returning shard`,
    [hub, waiters, answers],
  );
  for (const columns of sent) notice.shards.add(new Row(columns).integer());
}

/**
 * Deletes mail that nobody will read: of instances that are not live, and of runs and generations before the
 * current one. Turns leave such mail where it crosses the end of its addressee. Returns how many were deleted.
 */
export async function sweepOrphans(query: Query, hub: number): Promise<number> {
  let deleted = 0;
  let after: number | undefined = 0;
  while (after !== undefined) {
    const [columns] = await query(SWEEP, [hub, after]);
    const row: Row = new Row(columns);
    const last = row.optionalInteger();
    const seen = row.integer();
    deleted += row.integer();
    after = seen < SWEEP_STEP ? undefined : last;
  }
  return deleted;
}

/** What is an orphan in the snapshot stays one: its instance never goes back to a run or generation. */
const SWEEP = `
  with seen as (
    select n, iid, run, generation from @message where n > $2 and hub = $1 order by n limit ${SWEEP_STEP}
  ), gone as (
    delete from @message m using seen s left join @inst i on ${keyed("i.iid", "s.iid")}
    where ${keyed("m.n", "s.n")} and s.iid is not null and (
      i.iid is null or i.status >= ${STATUS_CODES.Completed} or s.run < i.run or s.generation < i.generation
    )
    returning m.n
  )
  select (select max(n) from seen), (select count(*)::integer from seen), (select count(*)::integer from gone)`;
