import { EngineFaultError } from "../../core/errors.js";
import { type Instance, isLive } from "../../core/instance.js";
import { shardOf } from "../../core/shard.js";
import { Row } from "../rows.js";
import type { Transaction } from "./transaction.js";

/**
 * Deletes an ended instance with everything of it, and lifts the floor of its shard's fencing tokens,
 * so that the next run of this ID draws a higher one. Its request IDs stay for their 24 h: a start that
 * is retried after the purge must not start twice. Returns the IDs of its children.
 */
export function purgeInstance({ connection, hub }: Transaction, instance: Instance): string[] {
  const { iid, instanceId, fencingToken, status } = instance;
  if (isLive(status)) throw new EngineFaultError("a live instance cannot be purged");
  connection
    .sql(
      `insert into shard (hub, shard, token) values (?, ?, ?)
       on conflict (hub, shard) do update set token = max(token, excluded.token)`,
    )
    .run(hub, shardOf(instanceId), fencingToken);
  for (const sql of DELETIONS) connection.sql(sql).run(iid);
  return connection
    .sql("select id from inst where parent_iid = ? and hub = ? order by iid")
    .all(iid, hub)
    .map((row) => new Row(row).text());
}

const DELETIONS = [
  "delete from inst where iid = ?",
  "delete from execution where iid = ?",
  "delete from hist where iid = ?",
  "delete from message where iid = ?",
  "delete from timer where iid = ?",
  "delete from waiter where iid = ?",
  "delete from strike where iid = ?",
];
