import type { ShownWorker, WorkerInfo } from "../../core/store.js";
import { type Building, Row } from "../rows.js";
import type { Query } from "./query.js";

/** How long the row of a worker that died is kept after its lease has ended. */
const DEAD_FOR_MS = 60 * 60 * 1000;

/** `lease_until` counted from now, by the database's clock; the length is parameter number `at`. */
export function leaseUntil(at: number): string {
  return `clock_timestamp() + $${at}::integer * interval '1 millisecond'`;
}

/**
 * Writes the worker's row, alive from now on. The shards that it had, if it had been here, are free: whoever took
 * it for dead may be about to take them. Rows of workers that are dead for long go.
 */
export async function showWorker(
  query: Query,
  hub: number,
  worker: WorkerInfo,
  { leaseMs, draining }: { readonly leaseMs: number; readonly draining: boolean },
): Promise<void> {
  await query(
    `with dead as (
       delete from @worker
       where hub = $2 and id <> $1 and lease_until < clock_timestamp() - $10::integer * interval '1 millisecond'
     ), freed as (
       update @shard set owner = null where hub = $2 and owner = $1
     )
     insert into @worker as w (
       id, hub, pid, host, since, orchestrations, activities, draining, renewed_at, lease_until
     ) values ($1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp(), ${leaseUntil(9)})
     on conflict (id) do update set
       draining = w.draining or excluded.draining, renewed_at = excluded.renewed_at, lease_until = excluded.lease_until`,
    [
      worker.id,
      hub,
      worker.pid,
      worker.host,
      worker.sinceMs,
      JSON.stringify(worker.orchestrations),
      JSON.stringify(worker.activities),
      draining,
      leaseMs,
      DEAD_FOR_MS,
    ],
  );
}

/** Deletes the worker's row and gives its shards back. */
export async function hideWorker(query: Query, hub: number, worker: string): Promise<void> {
  await query(
    `with freed as (update @shard set owner = null where hub = $1 and owner = $2)
     delete from @worker where hub = $1 and id = $2`,
    [hub, worker],
  );
}

/** Those whose lease has not ended. */
export async function shownWorkers(query: Query, hub: number): Promise<ShownWorker[]> {
  const rows = await query(
    `select w.id, w.pid, w.host, w.since, w.orchestrations, w.activities,
       case when w.draining then 1 else 0 end as draining,
       round(extract(epoch from w.renewed_at) * 1000)::bigint as renewed,
       round(extract(epoch from w.lease_until) * 1000)::bigint as lease_end,
       (select count(*) from @shard s where s.hub = w.hub and s.owner = w.id) as shards
     from @worker w where w.hub = $1 and w.lease_until > clock_timestamp() order by w.since, w.id`,
    [hub],
  );
  return rows.map((columns) => {
    const row = new Row(columns);
    const worker: Building<ShownWorker> = {
      id: row.text(),
      pid: row.integer(),
      host: row.text(),
      sinceMs: row.integer(),
      orchestrations: namesOf(row.json()),
      activities: namesOf(row.json()),
    };
    if (row.integer() === 1) worker.draining = true;
    worker.renewedAtMs = row.integer();
    worker.leaseEndMs = row.integer();
    worker.shards = row.integer();
    return worker;
  });
}

function namesOf(names: unknown): string[] {
  return Array.isArray(names) ? names.map(String) : [];
}
