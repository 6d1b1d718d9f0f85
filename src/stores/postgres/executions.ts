import type { Execution } from "../../core/instance.js";
import { Row, STATUS_CODES } from "../rows.js";
import type { Query } from "./query.js";
import { historyPiece, MORE_HISTORY, rest } from "./remains.js";

/**
 * `any(array(…))` beside the exact condition: whatever the planner thinks of the limit, it goes by the primary keys
 * and never reads a whole table.
 */
const PRUNE = `
  with old as materialized (
    select iid, generation from @execution where hub = $1 and status = $2 and past = 1 and ended < $3
    order by ended limit $4
  ), gone as (
    delete from @execution
    where iid = any(array(select iid from old)) and (iid, generation) in (select iid, generation from old)
    returning iid, generation as first, generation as last
  ), ${historyPiece("gone")}, ${rest("gone", MORE_HISTORY)}
  select count(*) from gone`;

/**
 * Deletes past executions of a status that ended before a time, with their history; returns how many. A history that is
 * too long for one statement is swept: see remains.ts.
 */
export async function pruneExecutions(
  query: Query,
  hub: number,
  {
    status,
    endedBeforeMs,
    limit,
  }: { readonly status: Execution["status"]; readonly endedBeforeMs: number; readonly limit: number },
): Promise<number> {
  const [row] = await query(PRUNE, [hub, STATUS_CODES[status], endedBeforeMs, limit]);
  return new Row(row).integer();
}
