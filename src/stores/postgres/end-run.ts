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
      `delete from @waiter w using unnest($1::bigint[], $2::bigint[]) as u (iid, run)
       where ${keyed("w.iid", "u.iid")} and w.run = u.run
       returning w.n, w.iid, w.waiting_iid, w.waiting_generation, w.waiting_task`,
      [iids, ended.map(({ run }) => run)],
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
 * Answers waiters of these instances whose run has ended without them: they came while a turn ended it whatever came.
 * Each answer is given once, whoever looks.
 */
export async function answerLeftWaiters(transaction: Transaction, iids: readonly number[]): Promise<void> {
  const { query, hub } = transaction;
  for (let after: number | undefined = 0; after !== undefined; ) {
    const rows: readonly Columns[] = await query(LEFT_OF_INSTANCES, [hub, after, iids]);
    const last = await answerLeft(transaction, rows);
    after = rows.length < SWEEP_STEP ? undefined : last;
  }
}

/** The same for all instances of the hub: nobody looked again where a process died right after such a turn. */
export async function sweepWaiters(transaction: Transaction): Promise<void> {
  const { query, hub } = transaction;
  for (let after = 0; ; ) {
    const page = new Row((await query(WAITER_PAGE, [after]))[0]);
    const last = page.optionalInteger();
    if (last === undefined) return;
    await answerLeft(transaction, await query(LEFT_OF_PAGE, [hub, after, last]));
    if (page.integer() < SWEEP_STEP) return;
    after = last;
  }
}

/** Answers those who wait for these; returns the highest number of theirs. */
async function answerLeft(
  { query, hub, notice }: Transaction,
  rows: readonly Columns[],
): Promise<number | undefined> {
  let last: number | undefined;
  const waiters: number[] = [];
  const answers: string[] = [];
  for (const columns of rows) {
    const row = new Row(columns);
    const { status, updatedAtMs, output, failure } = executionOf(row);
    last = row.integer();
    if (!isEnded(status)) continue;
    waiters.push(last);
    answers.push(answerEvents(updatedAtMs, status, output, failure));
  }
  if (waiters.length === 0) return last;
  for (const columns of await query(ANSWER_LEFT, [hub, waiters, answers])) {
    notice.shards.add(new Row(columns).integer());
  }
  return last;
}

const WAITER_PAGE = `
  select max(n), count(*)::integer from (
    select n from @waiter where n > $1 order by n limit ${SWEEP_STEP}
  ) page`;

/** The outcome of a run is that of its last execution, also when another run has begun since. */
const leftWaiters = (which: string): string => `
  select ${EXECUTION_COLUMNS}, w.n as w_n
  from @waiter w
  join @inst i on ${keyed("i.iid", "w.iid")} and ${unindexed("i.hub")} = $1
    and (i.run > w.run or ${unindexed("i.status")} >= ${STATUS_CODES.Completed})
  cross join lateral (
    select * from @execution where iid = w.iid and run = w.run order by generation desc limit 1
  ) e
  where w.n > $2 and ${which}
  order by w.n limit ${SWEEP_STEP}`;

const LEFT_OF_INSTANCES = leftWaiters("w.iid = any($3::bigint[])");
const LEFT_OF_PAGE = leftWaiters("w.n <= $3");

const ANSWER_LEFT = `
  with freed as (
    delete from @waiter w using unnest($2::bigint[], $3::text[]) as u (n, body) where ${keyed("w.n", "u.n")}
    returning w.waiting_iid, w.waiting_generation, w.waiting_task, u.body
  )
  insert into @message (hub, shard, iid, generation, task, body)
  select i.hub, i.shard, i.iid, i.generation, f.waiting_task, f.body
  from freed f join @inst i on ${keyed("i.iid", "f.waiting_iid")}
  where ${unindexed("i.hub")} = $1 and i.generation = f.waiting_generation
    and ${unindexed("i.status")} < ${STATUS_CODES.Completed}
  returning shard`;

/** How far a sweep of orphans came. */
export interface OrphanSweep {
  readonly deleted: number;
  /** The last message that was looked at; undefined where the end was reached. */
  readonly last: number | undefined;
}

/**
 * Looks at some messages after number `after`, and deletes mail that nobody will read: of instances that are not live,
 * and of runs and generations before the current one. Turns leave such mail where it crosses the end of its addressee.
 * Events and commands among it count as dropped by the run that they were for.
 */
export async function sweepOrphans(query: Query, hub: number, after: number): Promise<OrphanSweep> {
  const row = new Row((await query(SWEEP, [hub, after]))[0]);
  const last = row.optionalInteger();
  const seen = row.integer();
  return { last: seen < SWEEP_STEP ? undefined : last, deleted: row.integer() };
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
    returning m.n, m.iid, m.run
  ), left_over as (
    select iid, run, count(*) as n from gone where run is not null group by iid, run
  ), counted as (
    update @execution e set dropped = e.dropped + l.n
    from left_over l cross join lateral (
      select max(generation) as generation from @execution where iid = l.iid and run = l.run
    ) last
    where ${keyed("e.iid", "l.iid")} and e.generation = last.generation
  )
  select (select max(n) from seen), (select count(*)::integer from seen), (select count(*)::integer from gone)`;
