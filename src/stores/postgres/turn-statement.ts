import { ANY_MAIL } from "../../core/store.js";
import { STATUS_CODES } from "../rows.js";
import { keyed, unindexed } from "./keyed.js";
import {
  CHILDREN,
  CONSUMES,
  CONTINUES,
  CUSTOM_STATUS,
  columnsOf,
  ENDS,
  PARKED,
  QUEUES,
  RAISES,
  REQUESTS,
  SENDS,
  STATUS,
  TIMERS,
  type TurnColumn,
} from "./turn-columns.js";

/**
 * One statement that commits a group of turns. It returns rows of three: (iid, token, null) for each turn that
 * was accepted, and (null, null, shard) for each shard that received a message.
 *
 * `up` is the guarded update; all else hangs on what it returned. Every part reads the same snapshot, taken
 * before the rows were locked. Where another transaction changed a row in between, PostgreSQL evaluates the
 * guard again on the row as it is now: whatever could invalidate what the snapshot shows of the instance (its
 * history, mail taken in, timers, execution) also moves generation, sequence, status or, for an end, mail. What
 * can still differ is what belongs to *other* instances, and each part below says why that is right.
 */
export interface TurnStatement {
  readonly sql: string;
  readonly columns: readonly TurnColumn[];
}

const statements = new Map<number, TurnStatement>();

/** The statement for turns with these parts, for one turn or for any number of them. Made once. */
export function turnStatement(parts: number, lone: boolean): TurnStatement {
  const key = parts * 2 + (lone ? 1 : 0);
  let statement = statements.get(key);
  if (statement === undefined) {
    const columns = columnsOf(parts);
    statement = { sql: build(parts, columns, lone), columns };
    statements.set(key, statement);
  }
  return statement;
}

function build(parts: number, columns: readonly TurnColumn[], lone: boolean): string {
  const has = (part: number): boolean => (parts & part) !== 0;
  const sends = has(SENDS);
  const expressions = [
    `up as (${guardedUpdate(has, columns, lone)})`,
    `recorded as (${RECORDED} ${has(CONTINUES) ? "and (next_execution is null or keep > 1)" : ""})`,
    ...(has(CONSUMES) ? [`taken_in as (${CONSUMED})`] : []),
    ...(has(ENDS | CONTINUES) ? [`gone as (${mailGone(has)})`] : []),
    ...(has(TIMERS)
      ? [
          `cleared as materialized (${CLEARED})`,
          `timers_cleared as (${TIMERS_CLEARED})`,
          `timers_set as (${TIMERS_SET})`,
        ]
      : []),
    ...(has(ENDS | CONTINUES) ? [`timers_gone as (${timersGone(has)})`] : []),
    ...(has(QUEUES) ? [`queued as (${QUEUED})`] : []),
    ...(has(ENDS) ? [`dropped as materialized (${DROPPED})`, `freed as (${FREED})`] : []),
    ...(has(CUSTOM_STATUS | ENDS | CONTINUES) ? [`outcome as (${executionUpdate(has)})`] : []),
    ...(has(CONTINUES)
      ? [
          `begun as (${nextExecution(has)})`,
          `forgotten as (${FORGOTTEN})`,
          `forgotten_history as (${FORGOTTEN_HISTORY})`,
        ]
      : []),
    ...(has(CHILDREN) ? [`withdrawn as (${WITHDRAWN})`] : []),
    ...(sends ? [`sent as (${messagesSent(has)})`] : []),
  ];
  return `with ${expressions.join(",\n")}
    select iid, token, null::smallint as shard from up
    ${sends ? "union all select distinct null::bigint, null::bigint, shard from sent" : ""}`;
}

type Has = (part: number) => boolean;

/** A column that no turn of the group changes is not named. */
function guardedUpdate(has: Has, columns: readonly TurnColumn[], lone: boolean): string {
  const set = [
    has(CONTINUES)
      ? `sequence = case when u.next_execution is null then i.sequence + 1 else 0 end,
         generation = case when u.next_execution is null then i.generation else i.generation + 1 end,
         execution_id = coalesce(u.next_execution, i.execution_id)`
      : "sequence = i.sequence + 1",
    "activities = u.activities, writer = u.writer, commit_number = u.number, updated = u.at",
    ...(has(STATUS) ? ["status = coalesce(u.status, i.status)"] : []),
    ...(has(PARKED | ENDS)
      ? [
          `parked = case ${has(ENDS) ? "when u.end_status is not null then null" : ""}
             ${has(PARKED) ? "when u.sets_parked then u.parked" : ""} else i.parked end`,
        ]
      : []),
    ...(has(RAISES) ? ["token = i.token + u.raises"] : []),
  ];
  const returned = columns.map(({ name }) => {
    if (name === "consumed" || name === "cleared") return `u.${name}::bigint[] as ${name}`;
    // The row's own have these names.
    if (name === "status" || name === "parked") return `u.${name} as new_${name}`;
    return `u.${name}`;
  });
  return `
    update @inst i set ${set.join(", ")}
    from ${source(columns, lone)}
    where ${keyed("i.iid", "u.iid")} and ${unindexed("i.hub")} = $1
      and i.generation = u.generation and i.sequence = u.sequence
      and ${unindexed("i.status")} < ${STATUS_CODES.Completed}
      ${has(ENDS) ? `and (u.end_status is null or u.seen_mail in (i.mail, ${ANY_MAIL}))` : ""}
      ${has(CONSUMES) ? CONSUMED_EXIST : ""}
      ${has(TIMERS) ? FIRED_EXIST : ""}
    returning ${[...returned, "i.token", "i.run", "i.shard", "i.mail", "i.parent"].join(", ")}`;
}

const CONSUMED_EXIST = `and (
    select count(*) from @message m where m.n = any(u.consumed::bigint[]) and ${unindexed("m.iid")} = i.iid
  ) = cardinality(u.consumed::bigint[])`;

/** Timers change with turns and ends only: where generation and sequence are as expected, so are they. */
const FIRED_EXIST = `and (u.fired = '{}' or (
    select count(*) from @timer t
    where ${keyed("t.iid", "i.iid")} and t.generation = u.generation and t.task = any(u.fired::bigint[])
  ) = cardinality(u.fired::bigint[]))`;

function source(columns: readonly TurnColumn[], lone: boolean): string {
  const names = columns.map(({ name }) => name).join(", ");
  return lone
    ? `(select ${columns.map(({ name, type }, index) => `$${index + 2}::${type} as ${name}`).join(", ")}) u`
    : `unnest(${columns.map(({ type }, index) => `$${index + 2}::${type}[]`).join(", ")}) as u (${names})`;
}

const RECORDED = `
  insert into @hist (iid, generation, sequence, writer, commit_number, chunk)
  select iid, generation, sequence + 1, writer, number, chunk from up where chunk is not null`;

const CONSUMED = "delete from @message m using up where m.n = any(up.consumed)";

/**
 * An end takes all mail, a continue-as-new the results, which were for the old generation; events and commands
 * are for the run and go on. Results that came since the snapshot are left behind: nobody reads them, and
 * `sweepOrphans` deletes them. Events and commands that the last turn did not take in count as dropped; results
 * and starts were nobody's to lose. What turns took in is looked up in one table of all of it, never for each
 * message in a list.
 */
function mailGone(has: Has): string {
  const which = [
    ...(has(ENDS) ? ["up.end_status is not null"] : []),
    ...(has(CONTINUES) ? ["(up.next_execution is not null and m.run is null)"] : []),
  ];
  return `
    delete from @message m using up
    where ${keyed("m.iid", "up.iid")} and (${which.join(" or ")})
      ${has(CONSUMES) ? "and m.n not in (select unnest(consumed) from up)" : ""}
    returning m.iid, m.run is not null as dropped`;
}

const DROPPED = "select iid, count(*) as n from gone where dropped group by iid";

/** The timers that turns cancel, each looked up by its whole key: a turn may cancel as many as it likes. */
const CLEARED = `
  select up.iid, up.generation, c.task from up cross join lateral unnest(up.cleared) as c (task)`;

const TIMERS_CLEARED = `
  delete from @timer t using cleared c
  where ${keyed("t.iid", "c.iid")} and t.generation = c.generation and t.task = c.task`;

function timersGone(has: Has): string {
  const which = [
    ...(has(ENDS) ? ["up.end_status is not null"] : []),
    ...(has(CONTINUES) ? ["up.next_execution is not null"] : []),
  ];
  return `delete from @timer t using up where ${keyed("t.iid", "up.iid")} and (${which.join(" or ")})`;
}

const TIMERS_SET = `
  insert into @timer (iid, generation, task, hub, shard, due)
  select up.iid, up.generation, t.task, $1, up.shard, t.due
  from up cross join lateral unnest(up.set_tasks::bigint[], up.set_dues::bigint[]) as t (task, due)
  on conflict (iid, generation, task) do update set due = excluded.due`;

/** Rows of an earlier generation stay: they are void, and `sweepTasks` deletes them. */
const QUEUED = `
  insert into @task (hub, iid, generation, task, name, queue, input)
  select $1, up.iid, up.generation, q.task, q.name, q.queue, q.input
  from up cross join lateral unnest(
    up.queued_tasks::bigint[], up.queued_names::text[], up.queues::text[], up.queued_inputs::text[]
  ) as q (task, name, queue, input)
  on conflict (iid, generation, task) do nothing`;

/**
 * A waiter that came since the snapshot has raised `mail`, which refuses the end; but for an end whatever
 * came, after which `answerLeftWaiters` looks again.
 */
const FREED = `
  delete from @waiter w using up
  where ${keyed("w.iid", "up.iid")} and w.run = up.run and up.end_status is not null
  returning w.n, w.waiting_iid, w.waiting_generation, w.waiting_task, up.answer, up.place`;

/** All that a turn changes of its execution's row at once: one statement must not write a row twice. */
function executionUpdate(has: Has): string {
  const ends = has(ENDS) ? "when up.end_status is not null then" : undefined;
  const continues = has(CONTINUES) ? "when up.next_execution is not null then" : undefined;
  const changed = (column: string, atEnd: string, atNext?: string): string[] => {
    const cases = [
      ...(ends === undefined ? [] : [`${ends} ${atEnd}`]),
      ...(continues === undefined || atNext === undefined ? [] : [`${continues} ${atNext}`]),
    ];
    return cases.length === 0 ? [] : [`${column} = case ${cases.join(" ")} else e.${column} end`];
  };
  const set = [
    ...(has(CUSTOM_STATUS)
      ? ["custom_status = case when up.sets_custom then up.custom_status else e.custom_status end"]
      : []),
    ...changed("status", "up.end_status", String(STATUS_CODES.ContinuedAsNew)),
    ...changed("updated", "up.at", "up.at"),
    ...changed("ended", "up.at", "up.at"),
    ...(ends === undefined
      ? []
      : [
          ...changed("dropped", "coalesce((select d.n from dropped d where d.iid = up.iid), 0)"),
          ...changed("output", "up.output"),
          ...changed("failure", "up.failure"),
        ]),
    ...(continues === undefined ? [] : [`past = case ${continues} 1 else e.past end`]),
  ];
  const which = [
    ...(has(CUSTOM_STATUS) ? ["up.sets_custom"] : []),
    ...(has(ENDS) ? ["up.end_status is not null"] : []),
    ...(has(CONTINUES) ? ["up.next_execution is not null"] : []),
  ];
  return `
    update @execution e set ${set.join(", ")} from up
    where ${keyed("e.iid", "up.iid")} and e.generation = up.generation and (${which.join(" or ")})
      ${has(CONTINUES) ? "and (up.next_execution is null or up.keep > 1)" : ""}`;
}

/** As in the Durable Task Framework, the custom status goes on until it is changed. */
function nextExecution(has: Has): string {
  const customStatus = has(CUSTOM_STATUS)
    ? "case when up.sets_custom then up.custom_status else e.custom_status end"
    : "e.custom_status";
  return `
    insert into @execution (
      iid, generation, hub, execution_id, run, name, version, tags, token, created, custom_status, input
    )
    select up.iid, up.generation + 1, $1, up.next_execution, e.run, e.name, up.next_version, e.tags, up.token,
      up.at, ${customStatus}, up.next_input
    from up join @execution e on ${keyed("e.iid", "up.iid")} and e.generation = up.generation
    where up.next_execution is not null`;
}

/** The execution that this turn ends goes too where only one is kept; then it is not updated either. */
const FORGOTTEN = `
  delete from @execution e using up
  where ${keyed("e.iid", "up.iid")} and e.generation <= up.generation + 1 - up.keep
    and (e.status = ${STATUS_CODES.ContinuedAsNew} or e.generation = up.generation)
  returning e.iid, e.generation`;

const FORGOTTEN_HISTORY = `
  delete from @hist h using forgotten f where ${keyed("h.iid", "f.iid")} and h.generation = f.generation`;

/** The starts of children that were not carried out yet. */
const WITHDRAWN = `
  delete from @message m using up cross join lateral (
    select n from @message where sender_iid = up.iid and sender_run = up.run offset 0
  ) s
  where ${keyed("m.n", "s.n")} and up.children is not null
  returning m.n`;

const MESSAGE_COLUMNS =
  "hub, shard, iid, run, generation, task, mail, target, deduplication_key, sender_iid, sender_run, body";

/**
 * In one insert, so that messages are numbered in the order of the turns that send them, and those of a turn in the
 * order of the branches. Rows are locked, and so found, in another.
 */
function messagesSent(has: Has): string {
  const branches = [
    ...(has(REQUESTS) ? [REQUESTS_SENT] : []),
    ...(has(ENDS) ? [answersSent(has)] : []),
    ...(has(CHILDREN) ? [CHILDREN_TOLD, UNSEEN_CHILDREN_TOLD] : []),
    ...(has(CONTINUES) ? [FIRST_MAIL] : []),
  ].map((branch, index) => `select ${index} as branch, b.* from (${branch}) b`);
  return `
    insert into @message (${MESSAGE_COLUMNS})
    select ${MESSAGE_COLUMNS} from (${branches.join(" union all ")}) sends order by place, branch, nth
    returning shard`;
}

/** The place of the turn that sends it, and among what it sends so. */
interface Order {
  readonly place?: string;
  readonly nth: string;
}

/** The columns of a message; those that are not given are null. */
function messageFields({ place = "up.place", nth }: Order, fields: Readonly<Record<string, string>>): string {
  const columns = MESSAGE_COLUMNS.split(", ").map((name) => {
    const value = fields[name] ?? (MESSAGE_TEXTS.has(name) ? "null::text" : "null::bigint");
    return `${value} as ${name}`;
  });
  return [`${place} as place`, `${nth} as nth`, ...columns].join(", ");
}

const MESSAGE_TEXTS = new Set(["target", "deduplication_key"]);

/** Requests to other IDs; those that start a child can be withdrawn by the sender's run. */
const REQUESTS_SENT = `
  select ${messageFields(
    { nth: "r.nth" },
    {
      hub: "$1::integer",
      shard: "r.shard",
      target: "r.target",
      deduplication_key: "r.key",
      sender_iid: "case when r.starts = 1 then up.iid end",
      sender_run: "case when r.starts = 1 then up.run end",
      body: "r.body",
    },
  )}
  from up cross join lateral unnest(
    up.targets::text[], up.shards::smallint[], up.bodies::text[], up.keys::text[], up.starts::smallint[]
  ) with ordinality as r (target, shard, body, key, starts, nth)`;

/**
 * Answers the parent and all waiters that still wait: their generation must be the current one of a live run.
 * One that ends or moves on at the same moment, unseen here, leaves an answer that nobody reads.
 */
function answersSent(has: Has): string {
  return `
  select ${messageFields(
    { place: "a.place", nth: "a.n" },
    {
      hub: "p.hub",
      shard: "p.shard",
      iid: "p.iid",
      generation: "p.generation",
      task: "a.task",
      body: "a.body",
    },
  )}
  from (
    select (up.parent::json ->> 'iid')::bigint as iid, (up.parent::json ->> 'generation')::bigint as generation,
      (up.parent::json ->> 'task')::bigint as task, up.answer as body, up.place, 0 as n
    from up where up.end_status is not null and up.parent is not null
    union all
    select waiting_iid, waiting_generation, waiting_task, answer, place, n from freed
  ) a
  join @inst p on ${keyed("p.iid", "a.iid")}
  where ${unindexed("p.hub")} = $1 and p.generation = a.generation
    and ${unindexed("p.status")} < ${STATUS_CODES.Completed}
    and p.iid not in (
      select x.iid from up x
      where x.end_status is not null ${has(CONTINUES) ? "or x.next_execution is not null" : ""}
    )`;
}

const CHILDREN_TOLD = `
  select ${messageFields(
    { nth: "c.iid" },
    {
      hub: "c.hub",
      shard: "c.shard",
      target: "c.id",
      deduplication_key: "'end:' || c.parent_iid || ':' || c.parent_run || ':' || c.execution_id",
      body: "up.children",
    },
  )}
  from up cross join lateral (
    select * from @inst where parent_iid = up.iid and parent_run = up.run offset 0
  ) c
  where up.children is not null and c.hub = $1 and c.status < ${STATUS_CODES.Completed}`;

/**
 * A start that the snapshot shows but that could not be withdrawn was carried out meanwhile: its child is told
 * although the snapshot does not show it. The request names the parent's run, so that it harms nobody else.
 */
const UNSEEN_CHILDREN_TOLD = `
  select ${messageFields(
    { nth: "m.n" },
    {
      hub: "m.hub",
      shard: "m.shard",
      target: "m.target",
      deduplication_key: "'end:' || up.iid || ':' || up.run || ':start:' || m.n",
      body: "up.children",
    },
  )}
  from up cross join lateral (
    select * from @message where sender_iid = up.iid and sender_run = up.run offset 0
  ) m
  where up.children is not null and m.target is not null and m.n not in (select n from withdrawn)`;

/** It does not raise the mail counter: whoever wrote the generation knows of it. */
const FIRST_MAIL = `
  select ${messageFields(
    { nth: "0::bigint" },
    {
      hub: "$1::integer",
      shard: "up.shard",
      iid: "up.iid",
      generation: "up.generation + 1",
      mail: "up.mail",
      body: "up.next_events",
    },
  )}
  from up where up.next_execution is not null`;
