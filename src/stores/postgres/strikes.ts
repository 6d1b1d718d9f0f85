import type { Strike } from "../../core/store.js";
import { Row } from "../rows.js";
import type { Query } from "./query.js";

/** A turn, and the worker whose process it blocked. */
export interface BlockedTurn {
  readonly iid: number;
  readonly generation: number;
  readonly worker: string;
}

export async function listStrikes(query: Query, hub: number): Promise<Strike[]> {
  const rows = await query(
    "select iid, generation, count(*) as workers from @strike where hub = $1 group by iid, generation",
    [hub],
  );
  return rows.map((strike) => {
    const row = new Row(strike);
    return { iid: row.integer(), generation: row.integer(), count: row.integer() };
  });
}

/** Counts once per worker, however often it is called. */
export async function recordStrike(
  query: Query,
  hub: number,
  { iid, generation, worker }: BlockedTurn,
): Promise<void> {
  await query(
    `insert into @strike (iid, generation, worker, hub) values ($1, $2, $3, $4)
     on conflict (iid, generation, worker) do nothing`,
    [iid, generation, worker, hub],
  );
}

export async function clearStrikes(query: Query, hub: number, iid: number): Promise<void> {
  await query("delete from @strike where iid = $1 and hub = $2", [iid, hub]);
}
