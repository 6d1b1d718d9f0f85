import { optionalRow } from "../rows.js";
import type { Connection } from "./connection.js";

export function readSetting(connection: Connection, hub: number, key: string): string | undefined {
  const row = connection.sql("select value from setting where hub = ? and key = ?").get(hub, key);
  return optionalRow(row)?.text();
}

export function changeSetting(connection: Connection, hub: number, key: string, value: string): void {
  connection.transaction(() => {
    connection.sql("insert or replace into setting (hub, key, value) values (?, ?, ?)").run(hub, key, value);
  });
}
