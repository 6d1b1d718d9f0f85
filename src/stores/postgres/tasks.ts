import { randomBytes } from "node:crypto";
import {
  type ClaimedTask,
  type HeldTask,
  type OfferedTask,
  type TaskQuery,
  type TaskResult,
  type TaskState,
  type Tasks,
  TURN_TASK,
} from "../../core/task.js";
import { Row } from "../rows.js";
import { keyed, unindexed } from "./keyed.js";
import type { Query } from "./query.js";

/** What tasks need from the store. */
export interface TaskParts {
  /** Runs each statement in a transaction of its own, again where its answer was lost. */
  readonly query: Query;
  /** For statements that only read: never in a line with those that write. */
  readonly read: Query;
  readonly hub: number;
  /** Whether claimers may pass over rows that another one is about to take. */
  readonly skipLocked: boolean;
  /** There is something to claim that was not before. */
  readonly onOffered: () => void;
  /** There are messages for these shards. */
  readonly onAnswered: (shards: ReadonlySet<number>) => void;
}

/** A claim of which rows may have been taken that nobody was told of. */
interface DoubtfulClaim {
  readonly worker: string;
  readonly claim: string;
  /** What was told, by number. */
  readonly told: readonly number[];
  readonly untilMs: number;
}

/** Whoever runs a statement again has paused longer than this before. */
const SURELY_ONCE_MS = 20;

/** A statement whose connection was lost is over by then: the server gives it up after five seconds. */
const DOUBT_MS = 15_000;

/** How many rows a statement writes at once that has no limit by itself. */
const BATCH = 1000;

/** The rows of `@task`. What is current and who lives is decided in each statement. */
export class PostgresTasks implements Tasks {
  readonly #parts: TaskParts;
  #doubtful: readonly DoubtfulClaim[] = [];

  constructor(parts: TaskParts) {
    this.#parts = parts;
  }

  async offer(tasks: readonly OfferedTask[], holder?: string): Promise<void> {
    if (tasks.length === 0) return;
    const { query, hub, onOffered } = this.#parts;
    // One statement must not write the same row twice.
    const distinct = [...new Map(tasks.map((task) => [keyOf(task), task])).values()];
    await query(OFFER, [
      hub,
      distinct.map(({ iid }) => iid),
      distinct.map(({ generation }) => generation),
      distinct.map(({ task }) => task),
      distinct.map(({ name }) => name),
      distinct.map(({ queue }) => queue ?? ""),
      distinct.map(({ input }) => input ?? null),
      holder ?? null,
    ]);
    if (holder === undefined) onOffered();
  }

  async claim(wanted: TaskQuery): Promise<readonly ClaimedTask[]> {
    const { query, hub, onOffered } = this.#parts;
    if (wanted.limit < 1 || (wanted.activities.length === 0 && wanted.orchestrations.length === 0)) return [];
    const { worker } = wanted;
    const found = await this.#lookAround(worker);
    if (found.untold) await this.#freeUntold(worker);
    const freed = found.ofDead && (await freeTasksOfDead(query, hub, worker));
    if (freed || found.untold) onOffered();
    return freed || found.untold || found.free ? this.#take(wanted) : [];
  }

  async finish(worker: string, results: readonly TaskResult[]): Promise<readonly boolean[]> {
    if (results.length === 0) return [];
    const { query, hub, onAnswered } = this.#parts;
    const rows = await query(FINISH, [
      hub,
      worker,
      results.map(({ iid }) => iid),
      results.map(({ generation }) => generation),
      results.map(({ task }) => task),
      results.map(({ events }) => events),
    ]);
    const answered = new Set<number>();
    const shards = new Set<number>();
    for (const columns of rows) {
      const row = new Row(columns);
      answered.add(row.integer() - 1);
      shards.add(row.integer());
    }
    if (shards.size > 0) onAnswered(shards);
    return results.map((_, place) => answered.has(place));
  }

  async letGo(worker: string, tasks: readonly HeldTask[]): Promise<void> {
    if (tasks.length === 0) return;
    const { query, hub, onOffered } = this.#parts;
    const freed = await query(LET_GO, [
      hub,
      worker,
      tasks.map(({ iid }) => iid),
      tasks.map(({ generation }) => generation),
      tasks.map(({ task }) => task),
      tasks.map(({ offers }) => offers ?? null),
    ]);
    if (freed.length > 0) onOffered();
  }

  async of(iids: readonly number[]): Promise<readonly TaskState[]> {
    if (iids.length === 0) return [];
    const { read, hub } = this.#parts;
    const rows = await read(TASKS_OF, [hub, iids]);
    return rows.map((columns) => {
      const row = new Row(columns);
      const state = { iid: row.integer(), generation: row.integer(), task: row.integer() };
      const holder = row.optionalText();
      return holder === undefined ? state : { ...state, holder };
    });
  }

  /** Most claims find nothing at all. */
  async #lookAround(worker: string): Promise<Found> {
    const { read, hub } = this.#parts;
    const nowMs = performance.now();
    const { claims, told } = this.#doubts(worker);
    const row = new Row((await read(LOOK_AROUND, [hub, worker, claims, told]))[0]);
    const found = {
      free: row.integer() === 1,
      ofDead: row.integer() === 1,
      untold: row.integer() === 1,
    };
    // What was not there after its time will not come any more.
    if (!found.untold) {
      this.#doubtful = this.#doubtful.filter((each) => each.worker !== worker || each.untilMs > nowMs);
    }
    return found;
  }

  async #take(wanted: TaskQuery): Promise<readonly ClaimedTask[]> {
    const { worker, activities, orchestrations, queues, limit } = wanted;
    const { query, hub, skipLocked } = this.#parts;
    const claim = randomBytes(12).toString("hex");
    const doubt = (told: readonly number[]): void => {
      const doubtful = { worker, claim, told, untilMs: performance.now() + DOUBT_MS };
      this.#doubtful = [...this.#doubtful, doubtful];
    };
    const values = [hub, worker, activities, orchestrations, queues ?? null, limit, claim];
    const begunMs = performance.now();
    try {
      const taken = (await query(skipLocked ? CLAIM_SKIPPING : CLAIM, values))
        .map(takenOf)
        .toSorted((one, other) => one.n - other.n);
      if (performance.now() - begunMs > SURELY_ONCE_MS) doubt(taken.map(({ n }) => n));
      return taken.map(({ task }) => task);
    } catch (error) {
      doubt([]);
      throw error;
    }
  }

  /**
   * A claim whose answer was lost may have been carried out, and may still be: its rows would be held by a worker that
   * lives and does not know of them. Until no such claim can be under way any more, they are let go of again.
   */
  async #freeUntold(worker: string): Promise<void> {
    const { query, hub } = this.#parts;
    const { claims, told } = this.#doubts(worker);
    await query(FREE_UNTOLD, [hub, worker, claims, told]);
  }

  #doubts(worker: string): { readonly claims: readonly string[]; readonly told: readonly number[] } {
    const doubtful = this.#doubtful.filter((each) => each.worker === worker);
    return { claims: doubtful.map(({ claim }) => claim), told: doubtful.flatMap(({ told }) => told) };
  }
}

interface Found {
  /** Something that nobody holds. */
  readonly free: boolean;
  /** Something that another, dead worker holds. */
  readonly ofDead: boolean;
  /** Something that this worker holds and was not told of. */
  readonly untold: boolean;
}

/**
 * Frees what dead workers hold; but not one's own, who may be taken for dead and be busy with it all the same. Returns
 * whether there was anything.
 */
async function freeTasksOfDead(query: Query, hub: number, own: string): Promise<boolean> {
  for (let freed = 0; ; ) {
    const batch = await query(FREE_OF_DEAD, [hub, own]);
    freed += batch.length;
    if (batch.length < BATCH) return freed > 0;
  }
}

/**
 * Frees what dead workers hold, and deletes rows whose generation is over.
 *
 * @returns whether there is something to claim that was not before.
 */
export async function sweepTasks(query: Query, hub: number): Promise<boolean> {
  for (let after: readonly number[] | undefined = [0, 0, Number.MIN_SAFE_INTEGER]; after !== undefined; ) {
    const [last] = await query(SWEEP, [hub, ...after]);
    const row = last && new Row(last);
    after = row && [row.integer(), row.integer(), row.integer()];
  }
  return freeTasksOfDead(query, hub, "");
}

/** The worker of that ID lives, by the database's clock. */
const lives = (worker: string): string =>
  `exists (select 1 from @worker w where w.id = ${worker} and w.hub = $1 and w.lease_until > clock_timestamp())`;

/** A row of `t` is the one that `u` names. */
const SAME = `${keyed("t.iid", "u.iid")} and t.generation = u.generation and t.task = u.task and ${unindexed("t.hub")} = $1`;

/** Who holds `t`, which is found by its key: not by an index of those that are held, or of those that are not. */
const HOLDER = "coalesce(t.worker, '')";

/** `i` is the live instance, in the generation that `u` names. */
const CURRENT = `${keyed("i.iid", "u.iid")} and ${unindexed("i.hub")} = $1 and i.generation = u.generation
  and ${unindexed("i.status")} < 2`;

/**
 * Only for what is live and current; an offer of what is there already is counted. What is not offered by its own turn
 * may have been begun by who owns it, or has owned it: whoever claims it gets a higher fencing token.
 */
const OFFER = `
  insert into @task as t (hub, iid, generation, task, name, queue, input, worker, begun)
  select $1::integer, i.iid, u.generation, u.task, u.name, u.queue, u.input, $8::text, 1
  from unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[])
    as u (iid, generation, task, name, queue, input)
  join @inst i on ${CURRENT}
  order by i.iid, u.task
  on conflict (iid, generation, task) do update set offers = t.offers + 1`;

/** Those who hold something, each once, by leaps through an index. */
const HOLDERS = `
  holder (worker) as (
    (select t.worker from @task t where t.hub = $1 and t.worker is not null order by t.worker limit 1)
    union all
    select next.worker from holder h cross join lateral (
      select t.worker from @task t where t.hub = $1 and t.worker > h.worker order by t.worker limit 1
    ) next
  )`;

/** What this worker holds by claims that are in doubt, but for what it was told of. */
const UNTOLD = "t.hub = $1 and t.worker = $2 and t.claim = any($3::text[]) and t.n <> all($4::bigint[])";

/** One row: whether there is anything to take, dead workers hold something, this one holds what it does not know of. */
const LOOK_AROUND = `
  with recursive ${HOLDERS}
  select case when exists (select 1 from @task t where t.hub = $1 and t.worker is null) then 1 else 0 end as free,
    case when exists (
      select 1 from holder h where h.worker <> $2 and not ${lives("h.worker")}
    ) then 1 else 0 end as of_dead,
    case when exists (select 1 from @task t where ${UNTOLD}) then 1 else 0 end as untold`;

const FREE_UNTOLD = `update @task t set worker = null, claim = null where ${UNTOLD}`;

const CAN_DO = `(
  (t.task = ${TURN_TASK} and t.name = any($4::text[]))
  or (t.task <> ${TURN_TASK} and t.name = any($3::text[])
    and (t.queue = '' or $5::text[] is null or t.queue = any($5::text[])))
)`;

/**
 * First which kinds of task wait, then for each that this worker can do which instances wait, oldest first, then their
 * oldest tasks: all by leaps through one index, past whatever waits for others. What is void is passed by.
 *
 * Fair: a task's rank is how many tasks of its instance are in progress, or waiting before it. A task that was begun
 * before gets a new fencing token, which outranks that of whoever may still be running it.
 */
const claimSql = (order: string, spare: number, lock: string): string => `
  with recursive kind (queue, name) as (
    (select t.queue, t.name from @task t
     where t.hub = $1 and t.worker is null and ${lives("$2")}
     order by t.queue, t.name limit 1)
    union all
    select next.queue, next.name from kind k cross join lateral (
      select t.queue, t.name from @task t
      where t.hub = $1 and t.worker is null and (t.queue, t.name) > (k.queue, k.name)
      order by t.queue, t.name limit 1
    ) next
  ), waiting as materialized (
    select k.queue, k.name, w.iid, w.generation, (
      select count(*) from @task h where h.iid = w.iid and h.generation = w.generation and h.worker is not null
    ) as busy
    from kind k cross join lateral (
      with recursive walk (iid) as (
        (select t.iid from @task t
         where t.hub = $1 and t.worker is null and t.queue = k.queue and t.name = k.name
         order by t.iid limit 1)
        union all
        select next.iid from walk cross join lateral (
          select t.iid from @task t
          where t.hub = $1 and t.worker is null and t.queue = k.queue and t.name = k.name and t.iid > walk.iid
          order by t.iid limit 1
        ) next
      )
      select i.iid, i.generation from walk join @inst i on ${keyed("i.iid", "walk.iid")} and ${unindexed("i.status")} < 2
      limit 2 * $6::bigint + 50
    ) w
    where k.name = any($4::text[])
      or (k.name = any($3::text[]) and (k.queue = '' or $5::text[] is null or k.queue = any($5::text[])))
  ), candidate as (
    select w.busy, t.n, t.iid, t.generation, t.task from waiting w cross join lateral (
      select t.n, t.iid, t.generation, t.task from @task t
      where t.hub = $1 and t.worker is null and t.queue = w.queue and t.name = w.name
        and t.iid = w.iid and t.generation = w.generation and ${CAN_DO}
      order by t.n limit $6::bigint
    ) t
  ), best as (
    select n, iid, generation, task, row_number() over (partition by iid order by n) + busy as rank
    from candidate order by rank, n limit ${spare} * $6::bigint
  ), chosen as (
    select t.iid, t.generation, t.task, t.begun from best u join @task t on ${SAME} and ${HOLDER} = ''
    order by ${order} limit $6::bigint ${lock}
  ), taken as (
    update @task t set worker = $2, claim = $7, begun = 1 from chosen u where ${SAME} and ${HOLDER} = ''
    returning t.n, t.offers, t.iid, t.generation, t.task, t.name, t.queue, t.input, u.begun
  ), raised as (
    update @inst i set token = i.token + 1
    where i.iid = any(array(select iid from taken where begun = 1 and task <> ${TURN_TASK}))
    returning i.iid, i.token
  )
  select k.n, k.offers, k.iid, k.generation, k.task, k.name, nullif(k.queue, '') as queue, k.input,
    i.id, i.execution_id, i.run, i.name as orchestration, coalesce(r.token, i.token) as token
  from taken k join @inst i on ${keyed("i.iid", "k.iid")} left join raised r on r.iid = k.iid`;

/** More than are wanted are looked at, in place of those that others are about to take. */
const CLAIM_SKIPPING = claimSql("u.rank, u.n", 3, "for update of t skip locked");

/** Rows are locked in this order: two that claim wait for each other, and do not deadlock. */
const CLAIM = claimSql("t.iid, t.generation, t.task", 1, "for update of t");

/** What a worker has begun stays begun. */
const FREE_OF_DEAD = `
  with recursive ${HOLDERS}, u as materialized (
    select t.iid, t.generation, t.task, t.worker
    from holder h join @task t on t.hub = $1 and t.worker = h.worker
    where h.worker <> $2 and not ${lives("h.worker")} limit ${BATCH}
  )
  update @task t set worker = null, claim = null from u where ${SAME} and ${HOLDER} = u.worker
  returning t.n`;

/** The row is deleted and its answer written, both or neither: that is why a result counts once. */
const FINISH = `
  with gone as (
    delete from @task t using unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::text[]) with ordinality
      as u (iid, generation, task, events, place)
    where ${SAME} and ${HOLDER} = $2
    returning t.iid, t.generation, u.events, u.place
  ), wanted as (
    select u.place, u.events, i.shard, i.iid, i.generation from gone u join @inst i on ${CURRENT}
  ), mail as (
    insert into @message (hub, shard, iid, generation, body)
    select $1::integer, shard, iid, generation, events from wanted order by place
  )
  select place, shard from wanted`;

/**
 * A turn that was offered again meanwhile has something more to do; any other is done. Also one that is offered at
 * this very moment: what is not deleted after all is let go of.
 */
const LET_GO = `
  with u as materialized (
    select * from unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[]) as u (iid, generation, task, offers)
  ), done as (
    delete from @task t using u where ${SAME} and ${HOLDER} = $2 and t.task = ${TURN_TASK} and t.offers = u.offers
    returning t.n
  )
  update @task t set worker = null, claim = null from u
  where ${SAME} and ${HOLDER} = $2 and t.n not in (select n from done)
  returning t.n`;

const TASKS_OF = `
  with living as materialized (
    select w.id from @worker w where w.hub = $1 and w.lease_until > clock_timestamp()
  )
  select t.iid, t.generation, t.task, case when t.worker in (select id from living) then t.worker end
  from @task t where t.iid = any($2::bigint[]) and t.hub = $1`;

/** Looks at a page of rows in the order of their key; returns its last one, unless it was short. */
const SWEEP = `
  with page as materialized (
    select t.iid, t.generation, t.task, t.hub from @task t where (t.iid, t.generation, t.task) > ($2, $3, $4)
    order by t.iid, t.generation, t.task limit ${BATCH}
  ), swept as (
    delete from @task t using page u where ${SAME} and u.hub = $1 and not exists (select 1 from @inst i where ${CURRENT})
  )
  select iid, generation, task from page order by iid desc, generation desc, task desc
  limit case when (select count(*) from page) < ${BATCH} then 0 else 1 end`;

/** A task with the number of its row: the older, the lower. */
function takenOf(columns: readonly unknown[]): { readonly n: number; readonly task: ClaimedTask } {
  const row = new Row(columns);
  return { n: row.integer(), task: claimedOf(row) };
}

function claimedOf(row: Row): ClaimedTask {
  const offers = row.integer();
  const where = { iid: row.integer(), generation: row.integer(), task: row.integer() };
  const name = row.text();
  const queue = row.optionalText();
  const input = row.optionalText();
  return {
    ...where,
    offers,
    name,
    ...(queue === undefined ? {} : { queue }),
    ...(input === undefined ? {} : { input }),
    instanceId: row.text(),
    executionId: row.text(),
    run: row.integer(),
    orchestration: row.text(),
    fencingToken: row.integer(),
  };
}

function keyOf({ iid, generation, task }: HeldTask): string {
  return `${iid}/${generation}/${task}`;
}
