import type { RunBegin } from "../../core/command.js";
import { shardOf } from "../../core/shard.js";
import { START_TIMER } from "../../core/store.js";
import { Row, statusBits } from "../rows.js";
import { answerLeftWaiters } from "./end-run.js";
import { keyed, unindexed } from "./keyed.js";
import { noticeBegan, noticeDue, type Transaction } from "./transaction.js";

/** A run that is to begin. */
export interface Beginning {
  readonly instanceId: string;
  readonly begin: RunBegin;
  readonly atMs: number;
  /** The locked row that it is put over; absent: the ID was seen to be free. */
  readonly over?: { readonly iid: number };
}

/** The numbers of a run that began. */
export interface Began {
  readonly iid: number;
  readonly run: number;
  readonly generation: number;
}

/**
 * Begins runs of different IDs. One statement decides whether each ID is free: the unique key admits one insert,
 * and a row that is put over must have ended. All else hangs on what it returned. An ID without an entry in
 * the answer is held: somebody else began a run after this ID was seen to be free.
 *
 * The fencing token of a new row is drawn twice. The insert draws it above the shard's floor as that statement's
 * snapshot shows it. But the insert may have waited for a purge of the same ID, whose floor that snapshot
 * lacks. Whatever the unique key has waited for is committed when the insert is done, and until we commit nobody
 * else can have a row of this ID to purge: so the next statement's snapshot has the floor of every purge of this
 * ID, and lifts the token above it, before the execution's row is written with it and before anybody sees it.
 */
export async function beginRuns(
  transaction: Transaction,
  beginnings: readonly Beginning[],
): Promise<ReadonlyMap<string, Began>> {
  if (beginnings.length === 0) return new Map();
  const begun = await writeInstances(transaction, beginnings);
  if (begun.length > 0) await writeFirstSteps(transaction, begun);
  // Whoever came while a turn ended the former run whatever came: of that run's outcome they are told, not of this one's.
  const awaited = begun.filter(({ row }) => row.awaited).map(({ row }) => row.iid);
  if (awaited.length > 0) await answerLeftWaiters(transaction, awaited);
  return new Map(begun.map(({ beginning, row }) => [beginning.instanceId, row]));
}

interface Begun {
  readonly beginning: Beginning;
  readonly row: Began & {
    readonly token: number;
    readonly mail: number;
    /** Somebody still waits for an earlier run. */
    readonly awaited: boolean;
  };
}

async function writeInstances(
  { query, hub }: Transaction,
  beginnings: readonly Beginning[],
): Promise<readonly Begun[]> {
  const rows = await query(WRITE_INSTANCES, [
    hub,
    beginnings.map(({ instanceId }) => instanceId),
    beginnings.map(({ instanceId }) => shardOf(instanceId)),
    beginnings.map(({ begin }) => begin.name),
    beginnings.map(({ begin }) => begin.executionId),
    beginnings.map(({ atMs }) => atMs),
    beginnings.map(({ begin }) => startAtOf(begin)),
    beginnings.map(({ begin }) => begin.parent?.iid ?? null),
    beginnings.map(({ begin }) => begin.parent?.run ?? null),
    beginnings.map(({ begin }) => (begin.parent === undefined ? null : JSON.stringify(begin.parent))),
    beginnings.map(({ over }) => over?.iid ?? null),
    beginnings.map(({ begin }) => statusBits(begin.over)),
  ]);
  const byId = new Map(beginnings.map((beginning) => [beginning.instanceId, beginning]));
  const begun: Begun[] = [];
  for (const columns of rows) {
    const row = new Row(columns);
    const beginning = byId.get(row.text());
    if (beginning === undefined) continue;
    begun.push({
      beginning,
      row: {
        iid: row.integer(),
        run: row.integer(),
        generation: row.integer(),
        token: row.integer(),
        mail: row.integer(),
        awaited: row.integer() === 1,
      },
    });
  }
  return begun;
}

// In order of ID: transactions that insert the same IDs wait for each other in the same order.
const WRITE_INSTANCES = `
  with beginning as (
    select * from unnest(
      $2::text[], $3::smallint[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],
      $10::text[], $11::bigint[], $12::integer[]
    ) as b (id, shard, name, execution_id, at, start_at, parent_iid, parent_run, parent, iid, over)
  ), fresh as (
    insert into @inst (
      hub, id, shard, kind, run, generation, sequence, token, status, suspended, mail, activities,
      name, execution_id, created, updated, start_at, parent_iid, parent_run, parent
    )
    select
      $1, b.id, b.shard, 0, 1, 1, 0, coalesce(s.token, 0) + 1, 0, 0, 0, 0,
      b.name, b.execution_id, b.at, b.at, b.start_at, b.parent_iid, b.parent_run, b.parent
    from beginning b left join @shard s on s.hub = $1 and s.shard = b.shard
    where b.iid is null
    order by b.id
    on conflict (hub, id) do nothing
    returning id, iid, run, generation, token, mail
  ), anew as (
    update @inst i set
      run = i.run + 1, generation = i.generation + 1, sequence = 0, token = i.token + 1,
      status = 0, suspended = 0, activities = 0, writer = null, commit_number = null, parked = null,
      name = b.name, execution_id = b.execution_id, created = b.at, updated = b.at, start_at = b.start_at,
      parent_iid = b.parent_iid, parent_run = b.parent_run, parent = b.parent
    from beginning b
    where ${keyed("i.iid", "b.iid")} and ${unindexed("i.hub")} = $1 and (1 << i.status) & b.over <> 0
    returning i.id, i.iid, i.run, i.generation, i.token, i.mail
  )
  select id, iid, run, generation, token, mail, 0 as awaited from fresh
  union all
  select id, iid, run, generation, token, mail,
    case when exists (select 1 from @waiter w where ${keyed("w.iid", "anew.iid")}) then 1 else 0 end
  from anew`;

/** What a new run has beside its row: its execution, and its first mail or the timer of a scheduled start. */
async function writeFirstSteps({ query, hub, notice }: Transaction, begun: readonly Begun[]): Promise<void> {
  await query(WRITE_FIRST_STEPS, [
    hub,
    begun.map(({ row }) => row.iid),
    begun.map(({ row }) => row.run),
    begun.map(({ row }) => row.generation),
    begun.map(({ row }) => row.token),
    begun.map(({ row }) => row.mail),
    begun.map(({ beginning }) => shardOf(beginning.instanceId)),
    begun.map(({ beginning }) => beginning.begin.executionId),
    begun.map(({ beginning }) => beginning.begin.name),
    begun.map(({ beginning }) => beginning.begin.version ?? null),
    begun.map(({ beginning }) => JSON.stringify(beginning.begin.tags)),
    begun.map(({ beginning }) => beginning.atMs),
    begun.map(({ beginning }) => beginning.begin.input ?? null),
    begun.map(({ beginning }) => startAtOf(beginning.begin)),
    begun.map(({ beginning }) => beginning.begin.events),
  ]);
  for (const { beginning, row } of begun) {
    const startAtMs = startAtOf(beginning.begin);
    const shard = shardOf(beginning.instanceId);
    if (startAtMs !== null) noticeDue(notice, startAtMs);
    // An earlier run may be in its owner's memory: the mail shows that it is over.
    else if (row.generation > 1) notice.shards.add(shard);
    else noticeBegan(notice, row.iid, shard);
  }
}

// Only a new row can lack a floor: one that was there has drawn above what was purged of its ID before.
// Events that came while a turn ended the former run whatever came are still there: they are dropped, and counted, before
// the new run could take them in.
const WRITE_FIRST_STEPS = `
  with begun as (
    select * from unnest(
      $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::smallint[], $8::text[], $9::text[],
      $10::text[], $11::text[], $12::bigint[], $13::text[], $14::bigint[], $15::text[]
    ) with ordinality as b (
      iid, run, generation, token, mail, shard, execution_id, name,
      version, tags, at, input, start_at, events, place
    )
  ), lifted as (
    update @inst i set token = s.token + 1
    from begun b join @shard s on s.hub = $1 and s.shard = b.shard
    where ${keyed("i.iid", "b.iid")} and b.generation = 1 and b.token <= s.token
    returning i.iid, i.token
  ), left_over as (
    delete from @message m using begun b
    where ${keyed("m.iid", "b.iid")} and m.run < b.run and b.run > 1
    returning m.iid
  ), retired as (
    update @execution e set past = 1, dropped = e.dropped + (select count(*) from left_over l where l.iid = b.iid)
    from begun b
    where ${keyed("e.iid", "b.iid")} and e.generation = b.generation - 1 and b.generation > 1
  ), executed as (
    insert into @execution (iid, generation, hub, execution_id, run, name, version, tags, token, created, input)
    select
      b.iid, b.generation, $1, b.execution_id, b.run, b.name, b.version, b.tags, coalesce(l.token, b.token), b.at,
      b.input
    from begun b left join lifted l on l.iid = b.iid
  ), scheduled as (
    insert into @timer (iid, generation, task, hub, shard, due)
    select b.iid, b.generation, ${START_TIMER}, $1, b.shard, b.start_at from begun b where b.start_at is not null
  )
  insert into @message (hub, shard, iid, generation, mail, body)
  select $1, b.shard, b.iid, b.generation, b.mail, b.events from begun b where b.start_at is null
  order by b.place`;

/** When a scheduled run starts. A fraction of a millisecond is rounded up: never early. */
export function startAtOf({ startAtMs }: Pick<RunBegin, "startAtMs">): number | null {
  return startAtMs === undefined ? null : Math.ceil(startAtMs);
}

/** An execution that another one follows: from now on it may be pruned by age. */
export async function retireExecution(
  { query }: Transaction,
  iid: number,
  generation: number,
): Promise<void> {
  await query("update @execution set past = 1 where iid = $1 and generation = $2", [iid, generation]);
}
