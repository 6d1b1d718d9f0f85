import { EngineFaultError } from "../../core/errors.js";
import type { Instance } from "../../core/instance.js";
import { Row } from "../rows.js";
import { answerLeftWaiters } from "./end-run.js";
import { unindexed } from "./keyed.js";
import {
  EVERY_GENERATION,
  executionPiece,
  historyPiece,
  MORE_EXECUTIONS,
  MORE_HISTORY,
  rest,
} from "./remains.js";
import type { Transaction } from "./transaction.js";

/**
 * Deletes ended instances with everything of them, and lifts the floor of their shards' fencing tokens, so that the
 * next run of each ID draws a higher one: see `beginRuns` for one that begins at the same time. Their request
 * IDs stay for their 24 h: a start that is retried after the purge must not start twice. Returns the IDs of the
 * children by the iid of their parent. The caller holds the rows' locks.
 *
 * Of histories and past executions it deletes as many rows as a transaction has time for. What is left is swept:
 * see remains.ts.
 */
export async function purgeInstances(
  transaction: Transaction,
  instances: readonly Pick<Instance, "iid">[],
): Promise<ReadonlyMap<number, string[]>> {
  if (instances.length === 0) return new Map();
  const { query, hub } = transaction;
  const iids = instances.map(({ iid }) => iid);
  const children = new Map<number, string[]>(iids.map((iid) => [iid, []]));
  await answerLeftWaiters(transaction, iids);
  const [purged, ...rows] = await query(PURGE, [hub, iids]);
  if (purged === undefined || new Row(purged).integer() !== instances.length)
    throw new EngineFaultError("a live instance cannot be purged");
  for (const columns of rows) {
    const row = new Row(columns);
    const parent = row.integer();
    children.get(parent)?.push(row.text());
  }
  return children;
}

// First how many were purged, then a row for each child. Floors in order of shard: several purges wait for each
// other in the same order.
const PURGE = `
  with purged as (
    delete from @inst where iid = any($2::bigint[]) and ${unindexed("hub")} = $1 and status >= 2 returning iid, shard, token
  ), floor as (
    insert into @shard as s (hub, shard, token)
    select $1, shard, max(token) from purged group by shard order by shard
    on conflict (hub, shard) do update set token = greatest(s.token, excluded.token)
  ), everything as materialized (
    select iid, ${EVERY_GENERATION} from purged
  ), ${historyPiece("everything")}, ${executionPiece("everything")}, ${rest("everything", `(${MORE_HISTORY} or ${MORE_EXECUTIONS})`)},
  messages as (
    delete from @message where iid = any(array(select iid from purged))
  ), timers as (
    delete from @timer where iid = any(array(select iid from purged))
  ), tasks as (
    delete from @task where iid = any(array(select iid from purged))
  ), waiters as (
    delete from @waiter where iid = any(array(select iid from purged))
  ), strikes as (
    delete from @strike where iid = any(array(select iid from purged))
  )
  select p.parent, p.child from (
    select count(*) as parent, null::text as child, 0::bigint as place from purged
    union all
    select c.parent_iid, c.id, c.iid from @inst c
    where c.parent_iid = any($2::bigint[]) and c.iid <> c.parent_iid and ${unindexed("c.hub")} = $1
  ) as p
  order by p.place`;
