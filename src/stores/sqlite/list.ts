import type { ListCursor, ListFilter, ListPage, ListQuery } from "../../core/store.js";
import { canMatchNothing } from "../filter.js";
import { prefixEnd } from "../prefix.js";
import { optionalRow, Row, recordOf, STATUS_CODES, statusBits } from "../rows.js";
import type { Connection } from "./connection.js";
import type { SqlValue } from "./driver.js";
import { RECORDS } from "./reads.js";

const LIVE = statusBits(["Pending", "Running", "Suspended"]);

/**
 * One page in order of creation: a walk along an index, from the cursor to at most the `examine`-th
 * row behind it, that stops when the page is full. A filter that matches next to nothing costs no more
 * than others, and gives a short page.
 */
export function listInstances(connection: Connection, hub: number, query: ListQuery): ListPage {
  if (canMatchNothing(query.filter)) return { records: [] };
  return connection.snapshot(() => {
    const prefix = rarePrefix(connection, hub, query);
    const walk = walkOf(hub, query, prefix);
    const end = placeAt(connection, walk, query.examine);
    const records = readRecords(connection, walk, end, query);
    const last = records.at(-1)?.instance;
    const next = records.length === query.limit && last !== undefined ? placeOf(last) : end;
    if (next === undefined) return { records };
    const rest = walkOf(hub, { ...query, after: next }, prefix);
    return placeAt(connection, rest, 1) === undefined ? { records } : { records, next };
  });
}

/** A condition on `inst i`, with its values. */
interface Part {
  readonly sql: string;
  readonly values: readonly SqlValue[];
}

/**
 * The rows to examine, in order of creation: those with a rare prefix, else those of inst_live_created
 * where only live ones can match, else those of inst_created.
 */
function walkOf(hub: number, { filter, after }: Pick<ListQuery, "filter" | "after">, prefix?: Part): Part {
  const values: SqlValue[] = [hub];
  // The plus keeps the indexes by creation out: the few rows of the prefix are found by their IDs, and sorted.
  let sql = prefix === undefined ? "i.hub = ?" : "+i.hub = ?";
  if (prefix !== undefined) {
    sql += ` and i.iid in (${prefix.sql})`;
    values.push(...prefix.values);
  }
  if (onlyLive(filter)) sql += " and i.status < 2";
  if (filter.createdFromMs !== undefined) {
    sql += " and i.created >= ?";
    values.push(filter.createdFromMs);
  }
  if (filter.createdToMs !== undefined) {
    sql += " and i.created <= ?";
    values.push(filter.createdToMs);
  }
  if (after !== undefined) {
    sql += " and (i.created, i.iid) > (?, ?)";
    values.push(after.createdAtMs, after.iid);
  }
  return { sql, values };
}

/** The rows whose ID starts so, when they are no more than may be examined: then no page need be short. */
function rarePrefix(connection: Connection, hub: number, { filter, examine }: ListQuery): Part | undefined {
  const { instanceIdPrefix: prefix } = filter;
  const end = prefix === undefined ? undefined : prefixEnd(prefix);
  if (prefix === undefined || end === undefined) return undefined;
  const rows = {
    sql: "select iid from inst where hub = ? and id >= ? and id < ?",
    values: [hub, prefix, end],
  };
  const tooMany = connection.sql(`${rows.sql} limit 1 offset ?`).get(...rows.values, examine);
  return tooMany === undefined ? rows : undefined;
}

function onlyLive({ runtimeStatus }: ListFilter): boolean {
  return runtimeStatus !== undefined && (statusBits(runtimeStatus) & ~LIVE) === 0;
}

function placeAt(connection: Connection, { sql, values }: Part, nth: number): ListCursor | undefined {
  const row = optionalRow(
    connection
      .sql(`select i.created, i.iid from inst i where ${sql} order by i.created, i.iid limit 1 offset ?`)
      .get(...values, nth - 1),
  );
  return row && { createdAtMs: row.integer(), iid: row.integer() };
}

function readRecords(
  connection: Connection,
  walk: Part,
  end: ListCursor | undefined,
  { filter, limit }: ListQuery,
): ListPage["records"] {
  const conditions = filterOf(filter);
  const until = end === undefined ? "" : " and (i.created, i.iid) <= (?, ?)";
  return connection
    .sql(`${RECORDS} where ${walk.sql}${until}${conditions.sql} order by i.created, i.iid limit ?`)
    .all(
      ...walk.values,
      ...(end === undefined ? [] : [end.createdAtMs, end.iid]),
      ...conditions.values,
      limit,
    )
    .map((row) => recordOf(new Row(row)));
}

/** The rest of the filter: what the walk does not take care of. */
function filterOf(filter: ListFilter): Part {
  let sql = "";
  const values: SqlValue[] = [];
  const add = (condition: string, ...bound: SqlValue[]): void => {
    sql += ` and ${condition}`;
    values.push(...bound);
  };
  if (filter.runtimeStatus !== undefined) {
    const status = `case when i.suspended = 1 and i.status < 2 then ${STATUS_CODES.Suspended} else i.status end`;
    add(`(1 << (${status})) & ? <> 0`, statusBits(filter.runtimeStatus));
  }
  if (filter.name !== undefined) add("i.name = ?", filter.name);
  if (filter.updatedFromMs !== undefined) add("i.updated >= ?", filter.updatedFromMs);
  if (filter.updatedToMs !== undefined) add("i.updated <= ?", filter.updatedToMs);
  // Not LIKE, which ignores case and reads % and _.
  if (filter.instanceIdPrefix !== undefined) {
    add("substr(i.id, 1, length(?)) = ?", filter.instanceIdPrefix, filter.instanceIdPrefix);
  }
  if (filter.tags !== undefined) add(HAS_TAGS, JSON.stringify(filter.tags));
  return { sql, values };
}

/** json_each compares keys as they are; a JSON path could not name one with a quote in it. */
const HAS_TAGS = `
  not exists (
    select 1 from json_each(?) wanted where not exists (
      select 1 from json_each(e.tags) tag where tag.key = wanted.key and tag.value = wanted.value
    )
  )`;

function placeOf({ createdAtMs, iid }: ListCursor): ListCursor {
  return { createdAtMs, iid };
}
