import { randomBytes } from "node:crypto";
import { optionalRow, Row } from "../rows.js";
import type { Query } from "./query.js";

/** A task hub's row. */
export interface HubRow {
  readonly hub: number;
  readonly secret: string;
}

/** Names the hub; whoever comes first makes its secret. */
export async function openHub(query: Query, taskHub: string): Promise<HubRow> {
  const select = "select hub, secret from @hub where name = $1";
  const known = optionalRow((await query(select, [taskHub]))[0]);
  if (known !== undefined) return hubOf(known);
  await query("insert into @hub (name, secret) values ($1, $2) on conflict (name) do nothing", [
    taskHub,
    randomBytes(32).toString("base64url"),
  ]);
  return hubOf(new Row((await query(select, [taskHub]))[0]));
}

function hubOf(row: Row): HubRow {
  return { hub: row.integer(), secret: row.text() };
}
