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
import type { Query } from "./query.js";

/** What tasks need from the store. */
export interface TaskParts {
  readonly query: Query;
  readonly hub: number;
  /** Whether claimers may pass over rows that another one is about to take. */
  readonly skipLocked: boolean;
  /** Others are to be told of new tasks, or of messages for these shards. */
  readonly onOffered: () => void;
  readonly onAnswered: (shards: ReadonlySet<number>) => void;
}

/** How far a claim looks for tasks that it can do: fairness between instances counts among these. */
const CLAIM_WINDOW = 1000;

/** Whether a worker lives, by the database's clock. */
const LIVES = "exists (select 1 from @worker w where w.id = t.worker and w.lease_until > now())";

/** The rows of `@task`. Each method is one statement, or two that may be separated by a crash. */
export class PostgresTasks implements Tasks {
  readonly #parts: TaskParts;

  constructor(parts: TaskParts) {
    this.#parts = parts;
  }

  async offer(tasks: readonly OfferedTask[], holder?: string): Promise<void> {
    if (tasks.length === 0) return;
    const { query, hub } = this.#parts;
    await query(OFFER, [
      hub,
      tasks.map(({ iid }) => iid),
      tasks.map(({ generation }) => generation),
      tasks.map(({ task }) => task),
      tasks.map(({ name }) => name),
      tasks.map(({ queue }) => queue ?? null),
      tasks.map(({ input }) => input ?? null),
      holder ?? null,
    ]);
    if (holder === undefined) this.#parts.onOffered();
  }

  async claim({
    worker,
    activities,
    orchestrations,
    queues,
    limit,
  }: TaskQuery): Promise<readonly ClaimedTask[]> {
    const { query, hub, skipLocked } = this.#parts;
    if (limit < 1 || (activities.length === 0 && orchestrations.length === 0)) return [];
    const rows = await query(skipLocked ? CLAIM_SKIPPING : CLAIM, [
      hub,
      worker,
      activities,
      orchestrations,
      queues,
      limit,
    ]);
    return rows.map(claimedOf).sort((a, b) => a.n - b.n);
  }

  async finish(worker: string, results: readonly TaskResult[]): Promise<readonly boolean[]> {
    if (results.length === 0) return [];
    const { query, hub, onAnswered } = this.#parts;
    const rows = await query(FINISH, [
      hub,
      worker,
      results.map(({ n }) => n),
      results.map(({ events }) => events),
    ]);
    const answered = new Map(
      rows.map((columns) => {
        const row = new Row(columns);
        return [row.integer(), row.optionalInteger()];
      }),
    );
    const shards = new Set<number>();
    for (const shard of answered.values()) if (shard !== undefined) shards.add(shard);
    if (shards.size > 0) onAnswered(shards);
    return results.map(({ n }) => answered.get(n) !== undefined);
  }

  async letGo(worker: string, tasks: readonly HeldTask[]): Promise<void> {
    if (tasks.length === 0) return;
    const { query, hub } = this.#parts;
    await query(LET_GO, [hub, worker, tasks.map(({ n }) => n), tasks.map(({ offers }) => offers)]);
  }

  async of(iids: readonly number[]): Promise<readonly TaskState[]> {
    const { query, hub } = this.#parts;
    if (iids.length === 0) return [];
    const rows = await query(
      `select t.iid, t.generation, t.task, case when ${LIVES} then t.worker end from @task t
       where t.iid = any($2::bigint[]) and t.hub = $1`,
      [hub, iids],
    );
    return rows.map((columns) => {
      const row = new Row(columns);
      const state = { iid: row.integer(), generation: row.integer(), task: row.integer() };
      const holder = row.optionalText();
      return holder === undefined ? state : { ...state, holder };
    });
  }
}

/**
 * Frees what dead workers hold, and deletes rows whose generation has passed.
 *
 * @returns whether there is something to claim that was not before.
 */
export async function sweepTasks(query: Query, hub: number): Promise<boolean> {
  await query(
    `delete from @task where n in (
       select t.n from @task t left join @inst i on i.iid = t.iid
       where t.hub = $1 and (i.iid is null or i.status >= 2 or i.generation <> t.generation)
       order by t.n limit 1000
     )`,
    [hub],
  );
  const freed = await query(
    `update @task t set worker = null where t.hub = $1 and t.worker is not null and not ${LIVES} returning t.n`,
    [hub],
  );
  return freed.length > 0;
}

/** Only for what is live and current; an offer of what is there already is counted. */
const OFFER = `
  insert into @task as t (hub, iid, generation, task, name, queue, input, worker, begun)
  select $1::integer, i.iid, u.generation, u.task, u.name, u.queue, u.input, $8::text, case when $8::text is null then 0 else 1 end
  from unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[])
    as u(iid, generation, task, name, queue, input)
  join @inst i on i.iid = u.iid and i.hub = $1 and i.generation = u.generation and i.status < 2
  order by i.iid, u.task
  on conflict (iid, generation, task) do update set offers = t.offers + 1`;

/**
 * Fair: a task's rank is how many tasks of its instance are in progress, or waiting before it. A task that was begun
 * before gets a new fencing token, which outranks that of whoever may still be running it.
 */
const claimSql = (lock: string): string => `
  with candidate as (
    select t.n, t.iid, t.generation from @task t
    where t.hub = $1 and t.worker is null and (
      (t.task <> ${TURN_TASK} and t.name = any($3::text[]) and (t.queue is null or t.queue = any($5::text[])))
      or (t.task = ${TURN_TASK} and t.name = any($4::text[]))
    )
    order by t.n limit ${CLAIM_WINDOW}
  ), ranked as (
    select c.n, row_number() over (partition by c.iid order by c.n)
      + (select count(*) from @task h where h.iid = c.iid and h.worker is not null) as rank
    from candidate c join @inst i on i.iid = c.iid and i.generation = c.generation and i.status < 2
  ), chosen as (
    select t.n, t.begun from @task t
    where t.n in (select n from ranked order by rank, n limit $6::bigint) and t.worker is null
    order by t.n ${lock}
  ), taken as (
    update @task t set worker = $2, begun = 1 from chosen c where t.n = c.n and t.worker is null
    returning t.n, t.offers, t.iid, t.generation, t.task, t.name, t.queue, t.input, c.begun
  ), raised as (
    update @inst i set token = i.token + 1
    where i.iid in (select iid from taken where begun = 1 and task <> ${TURN_TASK})
    returning i.iid, i.token
  )
  select k.n, k.offers, k.iid, k.generation, k.task, k.name, k.queue, k.input,
    i.id, i.execution_id, i.run, i.name as orchestration, coalesce(r.token, i.token) as token
  from taken k join @inst i on i.iid = k.iid left join raised r on r.iid = k.iid`;

const CLAIM_SKIPPING = claimSql("for update skip locked");
const CLAIM = claimSql("for update");

/** The row is deleted and its answer written, both or neither: that is why a result counts once. */
const FINISH = `
  with gone as (
    delete from @task t using unnest($3::bigint[], $4::text[]) as u(n, events)
    where t.n = u.n and t.hub = $1 and t.worker = $2
    returning t.n, t.iid, t.generation, u.events
  ), mail as (
    insert into @message (hub, shard, iid, generation, body)
    select i.hub, i.shard, i.iid, g.generation, g.events
    from gone g join @inst i on i.iid = g.iid and i.generation = g.generation and i.status < 2
    order by g.n
    returning iid, shard
  )
  select g.n, (select m.shard from mail m where m.iid = g.iid limit 1) from gone g`;

/** A turn that was offered again meanwhile has something more to do; any other is done. */
const LET_GO = `
  with u as (select * from unnest($3::bigint[], $4::bigint[]) as u(n, offers)), done as (
    delete from @task t using u
    where t.n = u.n and t.hub = $1 and t.worker = $2 and t.task = ${TURN_TASK} and t.offers = u.offers
    returning t.n
  )
  update @task t set worker = null from u
  where t.n = u.n and t.hub = $1 and t.worker = $2 and t.n not in (select n from done)`;

function claimedOf(columns: readonly unknown[]): ClaimedTask {
  const row = new Row(columns);
  const held = { n: row.integer(), offers: row.integer() };
  const where = { iid: row.integer(), generation: row.integer(), task: row.integer() };
  const name = row.text();
  const queue = row.optionalText();
  const input = row.optionalText();
  return {
    ...held,
    ...where,
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
