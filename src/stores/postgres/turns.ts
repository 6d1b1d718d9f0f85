import { ANY_MAIL, type TurnCommit } from "../../core/store.js";
import { Row } from "../rows.js";
import { answerLeftWaiters } from "./end-run.js";
import { keyed, unindexed } from "./keyed.js";
import type { Query } from "./query.js";
import { type Notice, noticeDue } from "./transaction.js";
import { type NumberedTurn, partsOf, queuedBy, timersSetBy, valuesOf } from "./turn-columns.js";
import { turnStatement } from "./turn-statement.js";

/** What {@link commitTurns} answers for a turn that was refused, in place of a fencing token. */
export const REFUSED = -1;

/** What commits of turns are written with. */
export interface TurnWriter {
  /** Runs a statement as a transaction of its own. */
  readonly statement: Query;
  /** The number that stands for a worker's ID. */
  readonly writerOf: (worker: string) => Promise<number>;
}

/**
 * Commits turns, each whole or not at all, in one statement unless they build on each other. Returns, per
 * turn, the fencing token after its commit, or {@link REFUSED}. When the outcome of a call is unknown it may be
 * made again: turns that were accepted are recognised by their writer and commit number.
 */
export async function commitTurns(
  { statement, writerOf }: TurnWriter,
  hub: number,
  turns: readonly TurnCommit[],
  notice: Notice,
): Promise<number[]> {
  const commits = await numbered(turns, writerOf);
  const tokens = new Map<NumberedTurn, number>();
  for (const wave of wavesOf(commits)) await commitWave(statement, hub, wave, tokens, notice);
  const refused = commits.filter((commit) => !tokens.has(commit));
  if (refused.length > 0) await recogniseCommitted(statement, hub, refused, tokens);
  await answerThoseUnseen(statement, hub, tokens, notice);
  return commits.map((commit) => tokens.get(commit) ?? REFUSED);
}

async function numbered(
  turns: readonly TurnCommit[],
  writerOf: (worker: string) => Promise<number>,
): Promise<NumberedTurn[]> {
  const numbers = new Map<string, number>();
  for (const { writer } of turns) {
    if (!numbers.has(writer)) numbers.set(writer, await writerOf(writer));
  }
  return turns.map((turn, place) => ({ turn, place, writer: numbers.get(turn.writer) ?? 0 }));
}

/**
 * Groups for one statement each, in order. Turns of one instance follow one another. One that ends its children
 * stands alone: it must see what the turns before it wrote, and those after it what it wrote.
 */
function wavesOf(commits: readonly NumberedTurn[]): readonly NumberedTurn[][] {
  const waves: NumberedTurn[][] = [];
  const nextOf = new Map<number, number>();
  let floor = 0;
  for (const commit of commits) {
    const { iid, end } = commit.turn;
    const alone = end?.terminateChildren !== undefined;
    const at = alone ? waves.length : Math.max(floor, nextOf.get(iid) ?? 0);
    if (alone) floor = at + 1;
    nextOf.set(iid, at + 1);
    const wave = waves[at];
    if (wave === undefined) waves[at] = [commit];
    else wave.push(commit);
  }
  return waves;
}

async function commitWave(
  statement: Query,
  hub: number,
  wave: readonly NumberedTurn[],
  tokens: Map<NumberedTurn, number>,
  notice: Notice,
): Promise<void> {
  // Rows are locked in this order: two statements that share instances wait for each other, and do not deadlock.
  const sorted = wave.length === 1 ? wave : [...wave].sort((a, b) => a.turn.iid - b.turn.iid);
  const { sql, columns } = turnStatement(partsOf(sorted.map(({ turn }) => turn)), sorted.length === 1);
  const accepted = new Map<number, number>();
  for (const columnsOfRow of await statement(sql, valuesOf(columns, hub, sorted))) {
    const row = new Row(columnsOfRow);
    const iid = row.optionalInteger();
    const token = row.optionalInteger();
    if (iid !== undefined && token !== undefined) accepted.set(iid, token);
    else notice.shards.add(row.integer());
  }
  for (const commit of sorted) {
    const token = accepted.get(commit.turn.iid);
    if (token === undefined) continue;
    tokens.set(commit, token);
    for (const { dueMs } of timersSetBy(commit.turn)) noticeDue(notice, dueMs);
    if (queuedBy(commit.turn).length > 0) notice.tasks = true;
  }
}

/** Finds the tokens of turns that were refused because this very commit was accepted before. */
async function recogniseCommitted(
  statement: Query,
  hub: number,
  refused: readonly NumberedTurn[],
  tokens: Map<NumberedTurn, number>,
): Promise<void> {
  const rows = await statement(COMMITTED_BEFORE, [
    hub,
    refused.map(({ turn }) => turn.iid),
    refused.map(({ turn }) => turn.generation),
    refused.map(({ turn }) => turn.sequence),
    refused.map(({ writer }) => writer),
    refused.map(({ turn }) => turn.commitNumber),
    refused.map(({ turn }) => (turn.next === undefined ? turn.generation : turn.generation + 1)),
  ]);
  for (const columns of rows) {
    const row = new Row(columns);
    const commit = refused[row.integer() - 1];
    const token = row.optionalInteger();
    if (commit !== undefined && token !== undefined) tokens.set(commit, token);
  }
}

/**
 * The row tells of the last commit, also of one that began a generation; the chunk of any. The row's token is for the
 * last commit only: any other is told the one that its execution began with, and never one drawn by somebody else since.
 */
const COMMITTED_BEFORE = `
  select u.k, case when i.generation = u.reached and i.writer = u.writer and i.commit_number = u.number then i.token else (
    select max(e.token) from @execution e
    where e.iid = u.iid and e.generation between u.generation and u.reached
  ) end
  from unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[]) with ordinality
    as u (iid, generation, sequence, writer, number, reached, k)
  join @inst i on ${keyed("i.iid", "u.iid")} and ${unindexed("i.hub")} = $1
  where (
    i.writer = u.writer and i.commit_number = u.number and (
      (i.generation = u.generation and i.sequence = u.sequence + 1)
      or (i.generation = u.generation + 1 and i.sequence = 0)
    )
  ) or exists (
    select 1 from @hist h
    where h.iid = u.iid and h.generation = u.generation and h.sequence = u.sequence + 1
      and h.writer = u.writer and h.commit_number = u.number
  )`;

/** After ends whatever came: a waiter may have come between the statement's snapshot and its lock. */
async function answerThoseUnseen(
  statement: Query,
  hub: number,
  tokens: ReadonlyMap<NumberedTurn, number>,
  notice: Notice,
): Promise<void> {
  const iids = [...tokens.keys()]
    .filter(({ turn }) => turn.end !== undefined && turn.mail === ANY_MAIL)
    .map(({ turn }) => turn.iid);
  if (iids.length > 0) await answerLeftWaiters({ query: statement, hub, notice }, iids);
}
