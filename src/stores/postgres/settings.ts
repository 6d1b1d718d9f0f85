import { optionalRow } from "../rows.js";
import type { Query } from "./query.js";

export async function readSetting(query: Query, hub: number, key: string): Promise<string | undefined> {
  const [row] = await query("select value from @setting where hub = $1 and key = $2", [hub, key]);
  return optionalRow(row)?.text();
}

export async function changeSetting(query: Query, hub: number, key: string, value: string): Promise<void> {
  await query(
    `insert into @setting (hub, key, value) values ($1, $2, $3)
     on conflict (hub, key) do update set value = excluded.value`,
    [hub, key, value],
  );
}
