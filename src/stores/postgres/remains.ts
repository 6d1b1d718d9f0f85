import { keyed } from "./keyed.js";
import type { Query } from "./query.js";

// A history may have more rows than a transaction has time to delete. What is deleted at once is a piece of it; the
// rest is noted in @remains and deleted piece by piece. It belongs to nobody any more: neither an iid nor a generation
// of one is ever used again.

/** How many rows of histories, and of executions, one statement deletes at most. */
const PIECE = 10_000;

/** How many pieces one sweep deletes: about a second's work. */
const PIECES_OF_SWEEP = 20;

/** Makes `of` say that everything of its iids is meant. */
export const EVERY_GENERATION = "0::bigint as first, 9223372036854775807 as last";

/** Parts of a statement: they delete a piece of the histories of `of`, which has (iid, first, last): generations. */
export const historyPiece = (of: string): string => `
  old_history as materialized (
    select h.iid, h.generation, h.sequence from ${of} o cross join lateral (
      select iid, generation, sequence from @hist
      where iid = o.iid and generation between o.first and o.last offset 0
    ) h limit ${PIECE}
  ), gone_history as (
    delete from @hist h using old_history o
    where ${keyed("h.iid", "o.iid")} and h.generation = o.generation and h.sequence = o.sequence
  )`;

/** The same for executions. */
export const executionPiece = (of: string): string => `
  old_executions as materialized (
    select e.iid, e.generation from ${of} o cross join lateral (
      select iid, generation from @execution
      where iid = o.iid and generation between o.first and o.last offset 0
    ) e limit ${PIECE}
  ), gone_executions as (
    delete from @execution e using old_executions o
    where ${keyed("e.iid", "o.iid")} and e.generation = o.generation
  )`;

/** Whether there may be more than such a piece. */
export const MORE_HISTORY = `(select count(*) from old_history) = ${PIECE}`;
export const MORE_EXECUTIONS = `(select count(*) from old_executions) = ${PIECE}`;

/** Part of a statement whose hub is $1: notes all of `of` where there may be more. */
export const rest = (of: string, more: string): string => `
  rest as (
    insert into @remains (iid, first, last, hub) select iid, first, last, $1 from ${of} where ${more}
    on conflict (iid, first) do nothing
  )`;

/** Deletes what is noted, piece by piece, up to a limit. Returns whether all of it is gone. */
export async function sweepRemains(query: Query, hub: number): Promise<boolean> {
  for (let pieces = 0; pieces < PIECES_OF_SWEEP; pieces++) {
    if ((await query(SWEEP, [hub])).length === 0) return true;
  }
  return false;
}

const SWEEP = `
  with noted as materialized (
    select iid, first, last from @remains where hub = $1 order by iid, first limit 1
  ), ${historyPiece("noted")}, ${executionPiece("noted")}, done as (
    delete from @remains r using noted n
    where ${keyed("r.iid", "n.iid")} and r.first = n.first and not (${MORE_HISTORY} or ${MORE_EXECUTIONS})
  )
  select iid from noted`;
