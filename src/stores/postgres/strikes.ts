import type { Strike } from "../../core/store.js";
import { Row } from "../rows.js";
import type { BlockedTurn } from "../turn-watch.js";
import type { Query } from "./query.js";

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

/** The turn has ended after all. */
export async function withdrawStrike(
  query: Query,
  hub: number,
  { iid, generation, worker }: BlockedTurn,
): Promise<void> {
  await query("delete from @strike where iid = $1 and generation = $2 and worker = $3 and hub = $4", [
    iid,
    generation,
    worker,
    hub,
  ]);
}

/** For messages: which instance this is. */
export async function describeInstance(
  query: Query,
  hub: number,
  iid: number,
): Promise<{ readonly instanceId: string; readonly name: string } | undefined> {
  const [columns] = await query("select id, name from @inst where iid = $1 and hub = $2", [iid, hub]);
  if (columns === undefined) return undefined;
  const row = new Row(columns);
  return { instanceId: row.text(), name: row.text() };
}

export async function clearStrikes(query: Query, hub: number, iid: number): Promise<void> {
  await query("delete from @strike where iid = $1 and hub = $2", [iid, hub]);
}
