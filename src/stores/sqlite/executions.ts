import type { Execution } from "../../core/instance.js";
import { Row, STATUS_CODES } from "../rows.js";
import type { Connection } from "./connection.js";
import { deleteHistory } from "./continue-as-new.js";

/** Deletes past executions of a status that ended before a time, with their history; returns how many. */
export function pruneExecutions(
  connection: Connection,
  hub: number,
  query: { readonly status: Execution["status"]; readonly endedBeforeMs: number; readonly limit: number },
): number {
  return connection.transaction(() => {
    const pruned = connection
      .sql(
        `delete from execution where (iid, generation) in (
           select iid, generation from execution
           where hub = ? and status = ? and past = 1 and ended < ? order by ended limit ?
         ) returning iid, generation`,
      )
      .all(hub, STATUS_CODES[query.status], query.endedBeforeMs, query.limit);
    for (const execution of pruned) {
      const row = new Row(execution);
      deleteHistory(connection, row.integer(), row.integer());
    }
    return pruned.length;
  });
}
