import { type CommandAnswer, decide, type RunBegin, type StartCommand } from "../../core/command.js";
import { EngineFaultError } from "../../core/errors.js";
import type { Execution, Instance } from "../../core/instance.js";
import { shardOf } from "../../core/shard.js";
import { type LoadedInstance, START_TIMER } from "../../core/store.js";
import { type Building, Row } from "../rows.js";
import { startAtOf } from "./begin-run.js";
import type { Query } from "./query.js";
import { type Notice, noticeBegan, noticeDue } from "./transaction.js";

/** A start whose ID was drawn for it, so that nobody else can have it. */
export type NewStart = StartCommand & { readonly hasNewId: true };

export function isNewStart(command: { readonly kind: string }): command is NewStart {
  return command.kind === "start" && "hasNewId" in command && command.hasNewId === true;
}

/**
 * Begins runs on IDs that were drawn for them, in one statement that is a transaction of its own. All that a start of
 * a chosen ID needs more is about others who may have the ID: there is nothing to lock, nothing to decide, and no purge
 * of it whose floor of fencing tokens could be missed.
 *
 * It may be run again when its outcome is unknown: whoever has the ID then is this very start.
 */
export async function beginNewRuns(
  statement: Query,
  hub: number,
  commands: readonly NewStart[],
  notice: Notice,
): Promise<readonly CommandAnswer[]> {
  const starts = commands.map(decided);
  const rows = await statement(BEGIN_NEW, [
    hub,
    commands.map(({ instanceId }) => instanceId),
    commands.map(({ instanceId }) => shardOf(instanceId)),
    starts.map(({ begin }) => begin.name),
    starts.map(({ begin }) => begin.executionId),
    starts.map(({ begin }) => begin.version ?? null),
    starts.map(({ begin }) => JSON.stringify(begin.tags)),
    starts.map(({ begin }) => begin.input ?? null),
    commands.map(({ atMs }) => atMs),
    starts.map(({ begin }) => startAtOf(begin)),
    starts.map(({ begin }) => begin.events),
  ]);
  const begun: Begun[] = [];
  const mail = new Map<number, number>();
  for (const columns of rows) {
    const row = new Row(columns);
    const iid = row.integer();
    const n = row.optionalInteger();
    if (n !== undefined) {
      mail.set(iid, n);
      continue;
    }
    const token = row.integer();
    const start = starts[row.integer() - 1];
    if (start !== undefined) begun.push({ iid, token, ...start });
  }
  for (const one of begun) noticeBegun(notice, one, mail.get(one.iid));
  return starts.map(({ answer }) => answer);
}

/** What was decided for a start. */
interface Decided {
  readonly command: NewStart;
  readonly answer: CommandAnswer;
  readonly begin: RunBegin;
}

interface Begun extends Decided {
  readonly iid: number;
  readonly token: number;
}

/** @param n the number of its first mail; none where it starts later. */
function noticeBegun(notice: Notice, begun: Begun, n: number | undefined): void {
  const startAtMs = startAtOf(begun.begin);
  if (startAtMs !== null) return noticeDue(notice, startAtMs);
  noticeBegan(notice, begun.iid, shardOf(begun.command.instanceId));
  if (n === undefined) return;
  notice.loaded ??= [];
  notice.loaded.push(loadedOf(begun, n));
}

/** What a load would show that came next. Member by member, as a load does it: see the worker's `advanced`. */
function loadedOf({ command: { instanceId, atMs }, begin, iid, token }: Begun, n: number): LoadedInstance {
  const { name, executionId, version, tags, input, events } = begin;
  const instance: Instance = {
    iid,
    instanceId,
    kind: "orchestration",
    name,
    executionId,
    run: 1,
    generation: 1,
    sequence: 0,
    fencingToken: token,
    status: "Pending",
    suspended: false,
    mail: 0,
    activities: 0,
    createdAtMs: atMs,
    updatedAtMs: atMs,
  };
  const execution: Building<Execution> = {
    executionId,
    run: 1,
    generation: 1,
    name,
    tags,
    status: "Pending",
    fencingToken: token,
    createdAtMs: atMs,
    updatedAtMs: atMs,
    droppedMessages: 0,
  };
  if (version !== undefined) execution.version = version;
  if (input !== undefined) execution.input = input;
  const mail = { kind: "mail", n, shard: shardOf(instanceId), iid, generation: 1, mail: 0, events } as const;
  return { instance, execution, chunks: [], messages: [mail] };
}

function decided(command: NewStart): Decided {
  const { answer, change } = decide(command, undefined);
  if (change?.beginRun === undefined || !("executionId" in answer))
    throw new EngineFaultError("a start on a new ID was not accepted");
  return { command, answer: { ...answer, run: 1, generation: 1 }, begin: change.beginRun };
}

// One join for all: plans that must not hash, see keyed.ts, pay the square of the group for each.
const BEGIN_NEW = `
  with beginning as (
    select * from unnest(
      $2::text[], $3::smallint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[],
      $10::bigint[], $11::text[]
    ) with ordinality as b (id, shard, name, execution_id, version, tags, input, at, start_at, events, place)
  ), fresh as (
    insert into @inst (
      hub, id, shard, kind, run, generation, sequence, token, status, suspended, mail, activities,
      name, execution_id, created, updated, start_at
    )
    select
      $1, b.id, b.shard, 0, 1, 1, 0, coalesce(s.token, 0) + 1, 0, 0, 0, 0,
      b.name, b.execution_id, b.at, b.at, b.start_at
    from beginning b left join @shard s on s.hub = $1 and s.shard = b.shard
    order by b.place
    on conflict (hub, id) do nothing
    returning iid, id, token
  ), begun as materialized (
    select f.iid, f.token, b.* from fresh f join beginning b on b.id = f.id
  ), executed as (
    insert into @execution (iid, generation, hub, execution_id, run, name, version, tags, token, created, input)
    select b.iid, 1, $1, b.execution_id, 1, b.name, b.version, b.tags, b.token, b.at, b.input from begun b
  ), scheduled as (
    insert into @timer (iid, generation, task, hub, shard, due)
    select b.iid, 1, ${START_TIMER}, $1, b.shard, b.start_at from begun b where b.start_at is not null
  ), posted as (
    insert into @message (hub, shard, iid, generation, mail, body)
    select $1, b.shard, b.iid, 1, 0, b.events from begun b where b.start_at is null
    order by b.place
    returning iid, n
  )
  select iid, null::bigint as n, token, place from begun
  union all
  select iid, n, null, null from posted`;
