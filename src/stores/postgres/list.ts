import { type InstanceRecord, RUNTIME_STATUSES, type Tags } from "../../core/instance.js";
import type { ListCursor, ListFilter, ListPage, ListQuery } from "../../core/store.js";
import { canMatchNothing } from "../filter.js";
import { prefixEnd } from "../prefix.js";
import { EXECUTION_COLUMNS, INSTANCE_COLUMNS, Row, recordOf, STATUS_CODES, statusBits } from "../rows.js";
import type { Query, SqlValue } from "./query.js";

const LIVE = statusBits(["Pending", "Running", "Suspended"]);
const EVERY_STATUS = statusBits(RUNTIME_STATUSES);

/**
 * One page in order of creation: a walk along an index, from the cursor to at most the `examine`-th row behind it,
 * that stops when the page is full. A filter that matches next to nothing costs no more than others, and gives a
 * short page.
 *
 * The statements are no snapshot. The end of the walk is found before the rows up to it are read, so that what is
 * deleted between the two shortens the page and what is created lengthens the walk: no row is passed over.
 */
export async function listInstances(query: Query, hub: number, given: ListQuery): Promise<ListPage> {
  if (canMatchNothing(given.filter)) return { records: [] };
  const asked = { ...given, examine: affordable(given) };
  const prefix = await rarePrefix(query, hub, asked);
  const walk = walkOf(hub, asked, prefix);
  // All rows of a rare prefix may be examined; and where every row matches, the limit ends the walk.
  const whole = prefix !== undefined || (matchesAll(asked.filter) && asked.limit <= asked.examine);
  const end = whole ? undefined : await placeAt(query, walk, asked.examine);
  const found = await readRecords(query, walk, { end, filter: asked.filter, limit: asked.limit });
  const records = found.filter((record) => hasTags(record, asked.filter.tags));
  const last = found.at(-1)?.instance;
  const next = found.length === asked.limit && last !== undefined ? placeOf(last) : end;
  if (next === undefined) return { records };
  const rest = walkOf(hub, { ...asked, after: next }, prefix);
  return (await placeAt(query, rest, 1)) === undefined ? { records } : { records, next };
}

/** Tags stand with the execution, which takes several times as long to find as the row that leads to it. */
function affordable({ filter, examine }: ListQuery): number {
  return tagConditions(filter).length === 0 ? examine : Math.ceil(examine / 2);
}

/** A condition; it asks for the numbers of its parameters, because they depend on what stands before it. */
type Condition = (parameter: (value: SqlValue) => string) => string;

/** Rows to examine, in order of creation. */
interface Walk {
  /** What the rows are taken from, as `i`. */
  readonly rows: Condition;
  readonly conditions: readonly Condition[];
}

/** The prefix of which there are few enough rows, with its end, and how many rows are few. */
interface RarePrefix {
  readonly from: string;
  readonly end: string;
  readonly few: number;
}

/**
 * The rows with a rare prefix, else those of inst_live_created where only live ones can match, else those of
 * inst_created.
 */
function walkOf(
  hub: number,
  { filter, after }: Pick<ListQuery, "filter" | "after">,
  prefix: RarePrefix | undefined,
): Walk {
  const { createdFromMs, createdToMs } = filter;
  const conditions: Condition[] = [];
  if (prefix === undefined) conditions.push((parameter) => `i.hub = ${parameter(hub)}`);
  if (onlyLive(filter)) conditions.push(() => "i.status < 2");
  if (createdFromMs !== undefined) conditions.push((parameter) => `i.created >= ${parameter(createdFromMs)}`);
  if (createdToMs !== undefined) conditions.push((parameter) => `i.created <= ${parameter(createdToMs)}`);
  if (after !== undefined) conditions.push(beside(">", after));
  return { rows: prefix === undefined ? () => "@inst" : rowsOf(hub, prefix), conditions };
}

/**
 * In order of their IDs and limited, so that no plan but a walk along the unique key pays, whatever the planner
 * thinks of the prefix; what joins in between two statements is covered by the double.
 */
function rowsOf(hub: number, { from, end, few }: RarePrefix): Condition {
  return (parameter) => `(
    select * from @inst where hub = ${parameter(hub)} and id >= ${parameter(from)} and id < ${parameter(end)}
    order by id limit ${parameter(2 * few)}
  )`;
}

/** The prefix, when there are no more rows with it than may be examined: then no page need be short. */
async function rarePrefix(
  query: Query,
  hub: number,
  { filter, examine }: ListQuery,
): Promise<RarePrefix | undefined> {
  const { instanceIdPrefix: from } = filter;
  const end = from === undefined ? undefined : prefixEnd(from);
  if (from === undefined || end === undefined) return undefined;
  const tooMany = await query(
    "select id from @inst where hub = $1 and id >= $2 and id < $3 order by id limit 1 offset $4",
    [hub, from, end, examine],
  );
  return tooMany.length === 0 ? { from, end, few: examine } : undefined;
}

function onlyLive({ runtimeStatus }: ListFilter): boolean {
  return runtimeStatus !== undefined && (statusBits(runtimeStatus) & ~LIVE) === 0;
}

/** The times by themselves are for the planner, which would take both sides of a walk for half of the table each. */
function beside(side: ">" | "<=", { createdAtMs, iid }: ListCursor): Condition {
  return (parameter) => {
    const at = parameter(createdAtMs);
    const inTime = side === ">" ? `i.created >= ${at}` : `i.created <= ${at}`;
    return `${inTime} and (i.created, i.iid) ${side} (${at}, ${parameter(iid)})`;
  };
}

async function placeAt(
  query: Query,
  { rows, conditions }: Walk,
  nth: number,
): Promise<ListCursor | undefined> {
  const { values, parameter } = newParameters();
  const sql = `select i.created, i.iid from ${rows(parameter)} i ${whereOf(conditions, parameter)}
    order by i.created, i.iid limit 1 offset ${parameter(nth - 1)}`;
  const [columns] = await query(sql, values);
  if (columns === undefined) return undefined;
  const row = new Row(columns);
  return { createdAtMs: row.integer(), iid: row.integer() };
}

/**
 * The rows are found first, then what belongs to each is looked up (`lateral … limit`): the planner cannot choose to
 * read whole tables, or to join what does not match.
 */
async function readRecords(
  query: Query,
  walk: Walk,
  {
    end,
    filter,
    limit,
  }: { readonly end: ListCursor | undefined; readonly filter: ListFilter; readonly limit: number },
): Promise<InstanceRecord[]> {
  const { values, parameter } = newParameters();
  const until = end === undefined ? [] : [beside("<=", end)];
  const tags = tagConditions(filter);
  // Which rows have the tags is not known before their executions are read.
  const found = tags.length === 0 ? `limit ${parameter(limit)}` : "offset 0";
  const sql = `select ${INSTANCE_COLUMNS}, ${EXECUTION_COLUMNS} from (
      select i.* from ${walk.rows(parameter)} i
      ${whereOf([...walk.conditions, ...until, ...instanceConditions(filter)], parameter)}
      order by i.created, i.iid ${found}
    ) i
    left join lateral (select name from @writer where writer = i.writer limit 1) w on true
    cross join lateral (
      select * from @execution where iid = i.iid and generation = i.generation limit 1
    ) e
    ${whereOf(tags, parameter)}
    order by i.created, i.iid limit ${parameter(limit)}`;
  return (await query(sql, values)).map((row) => recordOf(new Row(row)));
}

/** Whether every row of the walk does. */
function matchesAll(filter: ListFilter): boolean {
  return instanceConditions(filter).length === 0 && tagConditions(filter).length === 0;
}

/** What the walk does not take care of. */
function instanceConditions(filter: ListFilter): Condition[] {
  const { runtimeStatus, name, updatedFromMs, updatedToMs, instanceIdPrefix } = filter;
  const conditions: Condition[] = [];
  if (runtimeStatus !== undefined && statusBits(runtimeStatus) !== EVERY_STATUS) {
    const status = `case when i.suspended = 1 and i.status < 2 then ${STATUS_CODES.Suspended} else i.status end`;
    conditions.push(
      (parameter) => `((1 << (${status})) & ${parameter(statusBits(runtimeStatus))}::integer) <> 0`,
    );
  }
  if (name !== undefined) conditions.push((parameter) => `i.name = ${parameter(name)}`);
  if (updatedFromMs !== undefined) conditions.push((parameter) => `i.updated >= ${parameter(updatedFromMs)}`);
  if (updatedToMs !== undefined) conditions.push((parameter) => `i.updated <= ${parameter(updatedToMs)}`);
  if (instanceIdPrefix !== undefined) {
    // Not LIKE, which reads % and _; nor a range, for which a plan could leave the walk.
    const { length } = Array.from(instanceIdPrefix);
    conditions.push(
      (parameter) => `left(i.id, ${parameter(length)}::integer) = ${parameter(instanceIdPrefix)}`,
    );
  }
  return conditions;
}

function tagConditions({ tags }: ListFilter): Condition[] {
  return Object.entries(tags ?? {}).map(([key, value]): Condition => {
    const pair = `${JSON.stringify(key)}:${JSON.stringify(value)}`;
    return (parameter) => `position(${parameter(pair)} in e.tags) > 0`;
  });
}

/**
 * The statement finds the text of a pair, which may also stand across the end of a value and the next key; this
 * decides. What it drops counts as examined.
 */
function hasTags({ execution }: InstanceRecord, wanted: Tags | undefined): boolean {
  const tags = new Map(Object.entries(execution.tags));
  return Object.entries(wanted ?? {}).every(([key, value]) => tags.get(key) === value);
}

function whereOf(conditions: readonly Condition[], parameter: (value: SqlValue) => string): string {
  if (conditions.length === 0) return "";
  return `where ${conditions.map((condition) => condition(parameter)).join(" and ")}`;
}

function newParameters(): { readonly values: SqlValue[]; readonly parameter: (value: SqlValue) => string } {
  const values: SqlValue[] = [];
  return { values, parameter: (value) => `$${values.push(value)}` };
}

function placeOf({ createdAtMs, iid }: ListCursor): ListCursor {
  return { createdAtMs, iid };
}
