import { shardOf } from "../../core/shard.js";
import type { TurnCommit } from "../../core/store.js";
import type { QueuedActivity } from "../../core/task.js";
import { STATUS_CODES } from "../rows.js";
import type { SqlValue } from "./query.js";

/** What some turns do beside recording progress, as bits: a statement has only the parts that its turns need. */
export const CONSUMES = 1;
export const STATUS = 2;
export const TIMERS = 4;
export const REQUESTS = 8;
export const ENDS = 16;
export const CHILDREN = 32;
export const CUSTOM_STATUS = 64;
export const PARKED = 128;
export const RAISES = 256;
export const CONTINUES = 512;
export const QUEUES = 1024;

/** Parts whose turns send messages, which are numbered in the order in which the turns were given. */
export const SENDS = REQUESTS | ENDS | CONTINUES;

/** Parts that few turns have. A group that needs one of them gets them all, so that texts stay few. */
const RARE = CHILDREN | CUSTOM_STATUS | PARKED | RAISES | CONTINUES;

/** The parts that a group of turns needs; a lone turn gets exactly its own. */
export function partsOf(turns: readonly TurnCommit[]): number {
  let parts = 0;
  for (const turn of turns) parts |= partsOfTurn(turn);
  if (turns.length === 1 || (parts & RARE) === 0) return parts;
  return parts | RARE;
}

function partsOfTurn(turn: TurnCommit): number {
  let parts = 0;
  if (turn.consumed.length > 0) parts |= CONSUMES;
  if (turn.status !== undefined) parts |= STATUS;
  if (turn.timersSet.length > 0 || turn.timersCleared.length > 0) parts |= TIMERS;
  if (turn.timersFired !== undefined) parts |= TIMERS;
  if (turn.requests.length > 0) parts |= REQUESTS;
  if (queuedBy(turn).length > 0) parts |= QUEUES;
  if (turn.customStatus !== undefined) parts |= CUSTOM_STATUS;
  if (turn.parked !== undefined) parts |= PARKED;
  if (turn.raiseToken === true) parts |= RAISES;
  if (turn.end !== undefined) parts |= ENDS | STATUS;
  if (turn.end?.terminateChildren !== undefined) parts |= CHILDREN;
  if (turn.next !== undefined) parts |= CONTINUES | RAISES;
  return parts;
}

/** A turn, its place among those that were given, and the number that stands for its writer. */
export interface NumberedTurn {
  readonly turn: TurnCommit;
  readonly place: number;
  readonly writer: number;
}

type Scalar = string | number | boolean | null;

/** A column of the rows that stand for the turns of a statement. */
export interface TurnColumn {
  readonly name: string;
  readonly type: "bigint" | "integer" | "smallint" | "boolean" | "text";
  readonly of: (turn: TurnCommit, commit: NumberedTurn) => Scalar;
}

const PROGRESS: readonly TurnColumn[] = [
  { name: "iid", type: "bigint", of: ({ iid }) => iid },
  { name: "generation", type: "bigint", of: ({ generation }) => generation },
  { name: "sequence", type: "bigint", of: ({ sequence }) => sequence },
  { name: "writer", type: "bigint", of: (_turn, { writer }) => writer },
  { name: "number", type: "bigint", of: ({ commitNumber }) => commitNumber },
  { name: "at", type: "bigint", of: ({ atMs }) => atMs },
  {
    name: "activities",
    type: "integer",
    of: ({ end, next, activities }) => (end === undefined && next === undefined ? activities : 0),
  },
  { name: "chunk", type: "text", of: ({ chunk }) => chunk ?? null },
];

/** Lists within a turn are array literals: arrays of arrays must all have the same length. */
const OF_PARTS: readonly (readonly [part: number, columns: readonly TurnColumn[]])[] = [
  [CONSUMES, [{ name: "consumed", type: "text", of: ({ consumed }) => arrayLiteral(consumed) }]],
  [STATUS, [{ name: "status", type: "smallint", of: statusOf }]],
  [SENDS, [{ name: "place", type: "bigint", of: (_turn, { place }) => place }]],
  [
    TIMERS,
    [
      { name: "cleared", type: "text", of: clearedOf },
      { name: "fired", type: "text", of: ({ timersFired = [] }) => arrayLiteral(timersFired) },
      { name: "set_tasks", type: "text", of: (turn) => timersOf(turn, ({ task }) => task) },
      // A fraction of a millisecond is rounded up: never early.
      { name: "set_dues", type: "text", of: (turn) => timersOf(turn, ({ dueMs }) => Math.ceil(dueMs)) },
    ],
  ],
  [
    REQUESTS,
    [
      { name: "targets", type: "text", of: (turn) => requestsOf(turn, ({ instanceId }) => instanceId) },
      {
        name: "shards",
        type: "text",
        of: (turn) => requestsOf(turn, ({ instanceId }) => shardOf(instanceId)),
      },
      { name: "bodies", type: "text", of: (turn) => requestsOf(turn, ({ body }) => body) },
      {
        name: "keys",
        type: "text",
        of: (turn) => requestsOf(turn, ({ deduplicationKey }) => deduplicationKey),
      },
      {
        name: "starts",
        type: "text",
        of: (turn) => requestsOf(turn, ({ startsChild }) => (startsChild ? 1 : 0)),
      },
    ],
  ],
  [
    QUEUES,
    [
      { name: "queued_tasks", type: "text", of: (turn) => queuedOf(turn, ({ task }) => task) },
      { name: "queued_names", type: "text", of: (turn) => queuedOf(turn, ({ name }) => name) },
      { name: "queues", type: "text", of: (turn) => queuedOf(turn, ({ queue }) => queue) },
      { name: "queued_inputs", type: "text", of: (turn) => queuedOf(turn, ({ input }) => input ?? null) },
    ],
  ],
  [
    ENDS,
    [
      {
        name: "end_status",
        type: "smallint",
        of: ({ end }) => (end === undefined ? null : STATUS_CODES[end.status]),
      },
      // A turn that ends the run without saying which mail it has seen has seen none.
      { name: "seen_mail", type: "bigint", of: ({ mail }) => mail ?? -1 },
      { name: "output", type: "text", of: ({ end }) => end?.output ?? null },
      {
        name: "failure",
        type: "text",
        of: ({ end }) => (end?.failure === undefined ? null : JSON.stringify(end.failure)),
      },
      { name: "answer", type: "text", of: ({ end }) => end?.answer ?? null },
    ],
  ],
  [CHILDREN, [{ name: "children", type: "text", of: ({ end }) => end?.terminateChildren ?? null }]],
  [
    CUSTOM_STATUS,
    [
      { name: "sets_custom", type: "boolean", of: ({ customStatus }) => customStatus !== undefined },
      { name: "custom_status", type: "text", of: ({ customStatus }) => customStatus ?? null },
    ],
  ],
  [
    PARKED,
    [
      { name: "sets_parked", type: "boolean", of: ({ parked }) => parked !== undefined },
      {
        name: "parked",
        type: "text",
        of: ({ parked }) => (parked === undefined || parked === null ? null : JSON.stringify(parked)),
      },
    ],
  ],
  [RAISES, [{ name: "raises", type: "integer", of: raisesOf }]],
  [
    CONTINUES,
    [
      { name: "next_execution", type: "text", of: ({ next }) => next?.executionId ?? null },
      { name: "next_input", type: "text", of: ({ next }) => next?.input ?? null },
      { name: "next_version", type: "text", of: ({ next }) => next?.version ?? null },
      { name: "next_events", type: "text", of: ({ next }) => next?.events ?? null },
      { name: "keep", type: "bigint", of: ({ next }) => next?.keepExecutions ?? null },
    ],
  ],
];

/** The columns of a statement with these parts, in the order of its parameters from $2 on. */
export function columnsOf(parts: number): readonly TurnColumn[] {
  return [...PROGRESS, ...OF_PARTS.flatMap(([part, columns]) => ((parts & part) === 0 ? [] : columns))];
}

/** The parameters of a statement: $1 is the hub; each column is a value for a lone turn, else an array. */
export function valuesOf(
  columns: readonly TurnColumn[],
  hub: number,
  turns: readonly NumberedTurn[],
): readonly SqlValue[] {
  const [lone] = turns;
  return [
    hub,
    ...columns.map(({ of }) =>
      lone !== undefined && turns.length === 1
        ? of(lone.turn, lone)
        : turns.map((commit) => of(commit.turn, commit)),
    ),
  ];
}

function statusOf({ end, status }: TurnCommit): Scalar {
  const to = end?.status ?? status;
  return to === undefined ? null : STATUS_CODES[to];
}

function raisesOf({ raiseToken, next }: TurnCommit): number {
  return (raiseToken === true ? 1 : 0) + (next === undefined ? 0 : 1);
}

/**
 * One statement must not delete and write the same row: what is set anew is written over, and where the generation is
 * over they all go.
 */
function clearedOf({ timersCleared, timersFired = [], timersSet, end, next }: TurnCommit): string {
  if (end !== undefined || next !== undefined) return arrayLiteral([]);
  const set = new Set(timersSet.map(({ task }) => task));
  return arrayLiteral([...timersFired, ...timersCleared].filter((task) => !set.has(task)));
}

/** The timers that stay: the last word on each task, and none where the generation is over. */
export function timersSetBy({
  timersSet,
  end,
  next,
}: TurnCommit): readonly TurnCommit["timersSet"][number][] {
  if (end !== undefined || next !== undefined) return [];
  return [...new Map(timersSet.map((timer) => [timer.task, timer])).values()];
}

function timersOf(turn: TurnCommit, member: (timer: TurnCommit["timersSet"][number]) => number): string {
  return arrayLiteral(timersSetBy(turn).map(member));
}

/** The activities that others may do: none where the generation is over. */
export function queuedBy({ queued = [], end, next }: TurnCommit): readonly QueuedActivity[] {
  return end === undefined && next === undefined ? queued : [];
}

function queuedOf(turn: TurnCommit, member: (activity: QueuedActivity) => string | number | null): string {
  return arrayLiteral(queuedBy(turn).map(member));
}

/** Children that a run starts with the very turn that ends its children are not born. */
function requestsOf(
  { requests, end }: TurnCommit,
  member: (request: TurnCommit["requests"][number]) => string | number,
): string {
  const sent =
    end?.terminateChildren === undefined ? requests : requests.filter(({ startsChild }) => !startsChild);
  return arrayLiteral(sent.map(member));
}

/** PostgreSQL's text form of an array. */
export function arrayLiteral(members: readonly (string | number | null)[]): string {
  return `{${members.map(literal).join(",")}}`;
}

function literal(member: string | number | null): string {
  if (member === null) return "NULL";
  return typeof member === "number" ? String(member) : `"${member.replace(/["\\]/g, "\\$&")}"`;
}
