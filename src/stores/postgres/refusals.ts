import { EngineFaultError } from "../../core/errors.js";
import type { Refusal } from "../../core/store.js";
import { Row } from "../rows.js";
import type { Query } from "./query.js";

const MAX_PER_ID = 100;
const MAX_PER_HUB = 10_000;

/**
 * Where there is no room for a row, the newest one of the ID stands for this refusal as well. Processes that do
 * this at the same time do not see each other's rows: together they may go over the bounds by a batch each.
 */
export async function recordRefusals(query: Query, hub: number, refusals: readonly Refusal[]): Promise<void> {
  if (refusals.length === 0) return;
  const { added, counted } = fit(refusals, await kept(query, hub, refusals));
  await query(
    `with added as (
       insert into @refusal (hub, id, at, count, body)
       select $1, r.id, r.at, r.count, r.body
       from unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[]) with ordinality
         as r (id, at, count, body, place)
       order by r.place
     )
     update @refusal kept set count = kept.count + more.count
     from unnest($6::text[], $7::bigint[]) as more (id, count)
     where kept.n = (select max(newest.n) from @refusal newest where newest.hub = $1 and newest.id = more.id)`,
    [
      hub,
      added.map(({ instanceId }) => instanceId),
      added.map(({ atMs }) => atMs),
      added.map(({ count }) => count),
      added.map(({ instanceId: _id, atMs: _at, count: _count, ...body }) => JSON.stringify(body)),
      [...counted.keys()],
      [...counted.values()],
    ],
  );
}

interface Kept {
  inHub: number;
  readonly ofId: Map<string, number>;
}

/** How many rows there are, of the IDs in question and of all. */
async function kept(query: Query, hub: number, refusals: readonly Refusal[]): Promise<Kept> {
  const ids = [...new Set(refusals.map(({ instanceId }) => instanceId))];
  const rows = await query(
    `select null as id, count(*) from @refusal where hub = $1
     union all select id, count(*) from @refusal where hub = $1 and id = any($2::text[]) group by id`,
    [hub, ids],
  );
  const kept: Kept = { inHub: 0, ofId: new Map() };
  for (const columns of rows) {
    const row = new Row(columns);
    const id = row.optionalText();
    if (id === undefined) kept.inHub = row.integer();
    else kept.ofId.set(id, row.integer());
  }
  return kept;
}

/** Which get a row of their own, and how many more the newest row of an ID stands for. */
function fit(
  refusals: readonly Refusal[],
  kept: Kept,
): { readonly added: readonly Refusal[]; readonly counted: ReadonlyMap<string, number> } {
  const added: Refusal[] = [];
  const newest = new Map<string, number>();
  const counted = new Map<string, number>();
  for (const refusal of refusals) {
    const { instanceId, count } = refusal;
    const ofId = kept.ofId.get(instanceId) ?? 0;
    const place = newest.get(instanceId);
    const before = place === undefined ? undefined : added[place];
    if (ofId < MAX_PER_ID && kept.inHub < MAX_PER_HUB) {
      newest.set(instanceId, added.push(refusal) - 1);
      kept.ofId.set(instanceId, ofId + 1);
      kept.inHub++;
    } else if (place !== undefined && before !== undefined) {
      added[place] = { ...before, count: before.count + count };
    } else {
      counted.set(instanceId, (counted.get(instanceId) ?? 0) + count);
    }
  }
  return { added, counted };
}

/** Newest first. */
export async function listRefusals(
  query: Query,
  hub: number,
  { instanceId, limit }: { readonly instanceId?: string; readonly limit: number },
): Promise<Refusal[]> {
  const rows =
    instanceId === undefined
      ? await query("select body, id, at, count from @refusal where hub = $1 order by n desc limit $2", [
          hub,
          limit,
        ])
      : await query(
          "select body, id, at, count from @refusal where hub = $1 and id = $2 order by n desc limit $3",
          [hub, instanceId, limit],
        );
  return rows.map((row) => refusalOf(new Row(row)));
}

function refusalOf(row: Row): Refusal {
  const body = row.json();
  if (!isBody(body)) throw new EngineFaultError("A refusal in the store is not readable. Restore a backup.");
  return { ...body, instanceId: row.text(), atMs: row.integer(), count: row.integer() };
}

/** The text never leaves our own store: what we read is what we wrote. */
function isBody(value: unknown): value is Omit<Refusal, "instanceId" | "atMs" | "count"> {
  return typeof value === "object" && value !== null && "requester" in value;
}
