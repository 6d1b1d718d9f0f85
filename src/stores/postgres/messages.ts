import type { OutboundRequest, TimerRow } from "../../core/command.js";
import { EngineFaultError } from "../../core/errors.js";
import type { Chunk } from "../../core/history-codec.js";
import {
  type BrokenMailLimit,
  brokenMailLimit,
  type MailLimit,
  mailWaiting,
  roomWithoutLook,
} from "../../core/mail-limit.js";
import { shardOf } from "../../core/shard.js";
import { Row } from "../rows.js";
import { keyed, unindexed } from "./keyed.js";
import { noticeDue, type Transaction } from "./transaction.js";

/** A row of `inst` as far as its mail needs it. */
export interface Addressee {
  readonly iid: number;
  readonly shard: number;
  readonly run: number;
  readonly generation: number;
  readonly mail: number;
}

/** The first mail of a generation. It does not raise the mail counter: whoever wrote the generation knows of it. */
export async function mailGeneration(
  { query, hub, notice }: Transaction,
  to: Addressee,
  events: Chunk,
): Promise<void> {
  await query(
    "insert into @message (hub, shard, iid, generation, mail, body) values ($1, $2, $3, $4, $5, $6)",
    [hub, to.shard, to.iid, to.generation, to.mail, events],
  );
  notice.shards.add(to.shard);
}

/** An event or a command for a live run, whatever its generation will be. */
export interface Post {
  readonly iid: number;
  readonly run: number;
  readonly events: Chunk;
  readonly suspended?: boolean;
  readonly limit?: MailLimit;
}

/**
 * Mails events to live runs, to each in this order, and raises each one's mail counter with them: its last turn is
 * refused until it has seen them. No progress of the run: `updated` stays. The caller holds the rows' locks.
 *
 * @returns those that a limit keeps out.
 */
export async function postMail(
  transaction: Transaction,
  posts: readonly Post[],
): Promise<ReadonlyMap<Post, BrokenMailLimit>> {
  if (posts.length === 0) return new Map();
  const posted = await addMail(transaction, posts);
  const left = posts.filter(({ iid }) => !posted.has(iid));
  if (left.length === 0) return new Map();
  const broken = await brokenLimits(transaction, left);
  const fitting = left.filter((post) => !broken.has(post)).map(({ limit: _within, ...post }) => post);
  const added = fitting.length === 0 ? new Set() : await addMail(transaction, fitting);
  if (!fitting.every(({ iid }) => added.has(iid)))
    throw new EngineFaultError("mail was accepted for a run that has ended");
  return broken;
}

/** Returns the instances that got theirs; none of the others', where so many may not come in without a look. */
async function addMail(
  { query, hub, notice }: Transaction,
  posts: readonly Post[],
): Promise<ReadonlySet<number>> {
  const added = await query(ADD_MAIL, [
    hub,
    posts.map(({ iid }) => iid),
    posts.map(({ run }) => run),
    posts.map(({ events }) => events),
    posts.map(({ suspended }) => (suspended === undefined ? null : suspended ? 1 : 0)),
    posts.map(({ limit, events }) => (limit === undefined ? null : roomWithoutLook(limit, events))),
  ]);
  const iids = new Set<number>();
  for (const columns of added) {
    const row = new Row(columns);
    notice.shards.add(row.integer());
    iids.add(row.integer());
  }
  return iids;
}

/** Of the rows that the caller has locked: nothing but results can have come since. */
const OLDEST = "(select min(m.mail) from @message m where m.iid = i.iid and m.run is not null)";

// Each message says what the counter was after it: the run's last turn compares with the one that it has seen.
const ADD_MAIL = `
  with post as (
    select iid, run, max(suspended) as suspended, array_agg(body order by place) as bodies, min(room) as room
    from unnest($2::bigint[], $3::bigint[], $4::text[], $5::smallint[], $6::bigint[])
      with ordinality as p (iid, run, body, suspended, room, place)
    group by iid, run
  ), raised as (
    update @inst i set mail = i.mail + cardinality(p.bodies), suspended = coalesce(p.suspended, i.suspended)
    from post p
    where ${keyed("i.iid", "p.iid")} and ${unindexed("i.hub")} = $1 and i.run = p.run
      and ${unindexed("i.status")} < 2
      and (
        p.room is null or i.mail + cardinality(p.bodies) <= p.room
        or i.mail - coalesce(${OLDEST}, i.mail + 1) + 1 + cardinality(p.bodies) <= p.room
      )
    returning i.iid, i.shard, i.run, i.mail - cardinality(p.bodies) as before, p.bodies
  )
  insert into @message (hub, shard, iid, run, mail, body)
  select $1, r.shard, r.iid, r.run, r.before + b.nth, b.body
  from raised r cross join lateral unnest(r.bodies) with ordinality as b (body, nth)
  order by r.iid, b.nth
  returning shard, iid`;

/** Looks at what waits, and which of these posts, one after the other, would be too much. */
async function brokenLimits(
  { query }: Transaction,
  posts: readonly Post[],
): Promise<ReadonlyMap<Post, BrokenMailLimit>> {
  const rows = await query(WAITING, [[...new Set(posts.map(({ iid }) => iid))]]);
  const waiting = new Map(
    rows.map((columns) => {
      const row = new Row(columns);
      return [
        row.integer(),
        { events: mailWaiting(row.integer(), row.optionalInteger()), bytes: row.integer() },
      ];
    }),
  );
  const broken = new Map<Post, BrokenMailLimit>();
  for (const post of posts) {
    const { events, bytes } = waiting.get(post.iid) ?? { events: 0, bytes: 0 };
    const event = { text: post.events, bytes: Buffer.byteLength(post.events) };
    const limit = post.limit && brokenMailLimit(post.limit, { events, bytes }, event);
    if (limit === undefined) waiting.set(post.iid, { events: events + 1, bytes: bytes + event.bytes });
    else broken.set(post, limit);
  }
  return broken;
}

/** `octet_length` looks at no text that is stored apart. */
const WAITING = `
  select i.iid, i.mail, ${OLDEST}, coalesce((
    select sum(octet_length(m.body)) from @message m where m.iid = i.iid and m.run is not null
  ), 0)
  from @inst i where i.iid = any($1::bigint[])`;

/** Who waits for an answer, and with which of its tasks. */
export interface Waiting {
  readonly iid: number;
  readonly generation: number;
  readonly task: number;
}

/** Adds a waiter for the outcome of a live run, and raises its mail counter. The caller holds the row's lock. */
export async function addWaiter(
  { query, hub }: Transaction,
  { iid, run }: { readonly iid: number; readonly run: number },
  waiting: Waiting,
): Promise<void> {
  const added = await query(
    `with raised as (
       update @inst set mail = mail + 1
       where iid = $1 and ${unindexed("hub")} = $2 and run = $3 and ${unindexed("status")} < 2
       returning iid, run
     )
     insert into @waiter (iid, run, waiting_iid, waiting_generation, waiting_task)
     select iid, run, $4, $5, $6 from raised
     returning n`,
    [iid, hub, run, waiting.iid, waiting.generation, waiting.task],
  );
  if (added.length !== 1) throw new EngineFaultError("a waiter was accepted for a run that has ended");
}

/** An answer for someone who waits. */
export interface Answer {
  readonly to: Waiting;
  readonly events: Chunk;
}

/** Answers those who still wait, in this order: the generation must be the current one of a live run. */
export async function mailAnswers(
  { query, hub, notice }: Transaction,
  answers: readonly Answer[],
): Promise<void> {
  if (answers.length === 0) return;
  const shards = await query(
    `insert into @message (hub, shard, iid, generation, task, body)
     select i.hub, i.shard, i.iid, i.generation, a.task, a.body
     from unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::text[])
       with ordinality as a (iid, generation, task, body, place)
     join @inst i on ${keyed("i.iid", "a.iid")} and ${unindexed("i.hub")} = $1 and i.generation = a.generation
       and ${unindexed("i.status")} < 2
     order by a.place
     returning shard`,
    [
      hub,
      answers.map(({ to }) => to.iid),
      answers.map(({ to }) => to.generation),
      answers.map(({ to }) => to.task),
      answers.map(({ events }) => events),
    ],
  );
  for (const row of shards) notice.shards.add(new Row(row).integer());
}

/** Requests to other IDs; those that start a child can be withdrawn by the sender's run. */
export async function sendRequests(
  { query, hub, notice }: Transaction,
  sender: { readonly iid: number; readonly run: number },
  requests: readonly OutboundRequest[],
): Promise<void> {
  if (requests.length === 0) return;
  const shards = requests.map(({ instanceId }) => shardOf(instanceId));
  await query(
    `insert into @message (hub, shard, target, body, deduplication_key, sender_iid, sender_run)
     select $1, r.shard, r.target, r.body, r.deduplication_key,
       case when r.starts_child then $2::bigint end, case when r.starts_child then $3::bigint end
     from unnest($4::smallint[], $5::text[], $6::text[], $7::text[], $8::boolean[])
       with ordinality as r (shard, target, body, deduplication_key, starts_child, place)
     order by r.place`,
    [
      hub,
      sender.iid,
      sender.run,
      shards,
      requests.map(({ instanceId }) => instanceId),
      requests.map(({ body }) => body),
      requests.map(({ deduplicationKey }) => deduplicationKey),
      requests.map(({ startsChild }) => startsChild),
    ],
  );
  for (const shard of shards) notice.shards.add(shard);
}

/** Timers of a generation. A fraction of a millisecond is rounded up: never early. */
export async function setTimers(
  { query, hub, notice }: Transaction,
  of: { readonly iid: number; readonly generation: number; readonly shard: number },
  timers: readonly TimerRow[],
): Promise<void> {
  if (timers.length === 0) return;
  await query(
    `insert into @timer (iid, generation, task, hub, shard, due)
     select $1, $2, t.task, $3, $4, t.due from unnest($5::bigint[], $6::bigint[]) as t (task, due)
     on conflict (iid, generation, task) do update set due = excluded.due`,
    [
      of.iid,
      of.generation,
      hub,
      of.shard,
      timers.map(({ task }) => task),
      timers.map(({ dueMs }) => Math.ceil(dueMs)),
    ],
  );
  for (const { dueMs } of timers) noticeDue(notice, dueMs);
}

/** Deletes request messages that are to be carried out; returns those that still stood there. */
export async function takeRequests(
  { query, hub }: Transaction,
  numbers: readonly number[],
): Promise<Set<number>> {
  if (numbers.length === 0) return new Set();
  const rows = await query(
    "delete from @message where n = any($2::bigint[]) and hub = $1 and target is not null returning n",
    [hub, numbers],
  );
  return new Set(rows.map((row) => new Row(row).integer()));
}
