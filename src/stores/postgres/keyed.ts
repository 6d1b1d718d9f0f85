/**
 * How statements say which rows they mean, so that a planner has one way to find them: by the key that is named.
 *
 * A prepared statement keeps its plan until the statistics of its tables change, and is often planned when they are
 * nearly empty. To read all of an empty table then seems as good as to look up each row, and does so still when the
 * table has grown, up to a minute later or (without autovacuum) for ever.
 */

/**
 * `column`, which an index begins with, has the value of `key`, an expression over the rows that it is joined with.
 * As `=` it could also be merged with an index that is read whole; a list of one value can only be looked up. That
 * does not hold for an index with a condition of its own: rows that only such a one leads to are looked up in a
 * subquery, `lateral (… offset 0)`.
 */
export function keyed(column: string, key: string): string {
  return `${column} = any(array[${key}])`;
}

/**
 * A number in a condition that indexes are not to be used for: one that begins with the hub leads through all of the
 * hub, and one of live instances through all that live.
 */
export function unindexed(column: string): string {
  return `${column} + 0`;
}

/**
 * Keeps the plans of writes where they belong, by primary key, whatever the tables looked like when they were made:
 * one that was planned while a table was nearly empty would read it whole once it has grown.
 */
export const KEYED_PLANS: readonly (readonly [string, string])[] = [
  ["plan_cache_mode", "force_generic_plan"],
  ["enable_seqscan", "off"],
  ["enable_hashjoin", "off"],
  ["enable_mergejoin", "off"],
  ["enable_bitmapscan", "off"],
  ["jit", "off"],
];
