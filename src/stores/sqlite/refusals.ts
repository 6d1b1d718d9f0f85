import { EngineFaultError } from "../../core/errors.js";
import type { Refusal } from "../../core/store.js";
import { Row } from "../rows.js";
import type { Connection } from "./connection.js";

const MAX_PER_ID = 100;
const MAX_PER_HUB = 10_000;

/** Where there is no room for a row, the newest one of the ID stands for this refusal as well. */
export function recordRefusals(connection: Connection, hub: number, refusals: readonly Refusal[]): void {
  connection.transaction(() => {
    const rows = connection.sql("select count(*) as rows from refusal where hub = ?");
    let inHub = new Row(rows.get(hub)).integer();
    for (const refusal of refusals) {
      const { instanceId } = refusal;
      const ofId = new Row(
        connection.sql("select count(*) as rows from refusal where hub = ? and id = ?").get(hub, instanceId),
      ).integer();
      if (ofId < MAX_PER_ID && inHub < MAX_PER_HUB) {
        insert(connection, hub, refusal);
        inHub++;
      } else {
        connection
          .sql(
            `update refusal set count = count + ?
             where n = (select max(n) from refusal where hub = ? and id = ?)`,
          )
          .run(refusal.count, hub, instanceId);
      }
    }
  });
}

function insert(connection: Connection, hub: number, { instanceId, atMs, count, ...body }: Refusal): void {
  connection
    .sql("insert into refusal (hub, id, at, count, body) values (?, ?, ?, ?, ?)")
    .run(hub, instanceId, atMs, count, JSON.stringify(body));
}

/** Newest first. */
export function listRefusals(
  connection: Connection,
  hub: number,
  { instanceId, limit }: { readonly instanceId?: string; readonly limit: number },
): Refusal[] {
  const rows =
    instanceId === undefined
      ? connection
          .sql("select body, id, at, count from refusal where hub = ? order by n desc limit ?")
          .all(hub, limit)
      : connection
          .sql("select body, id, at, count from refusal where hub = ? and id = ? order by n desc limit ?")
          .all(hub, instanceId, limit);
  return rows.map((row) => refusalOf(new Row(row)));
}

function refusalOf(row: Row): Refusal {
  const body = row.json();
  if (!isBody(body)) throw new EngineFaultError("A refusal in the store is not readable. Restore a backup.");
  return {
    ...body,
    instanceId: row.text(),
    atMs: row.integer(),
    count: row.integer(),
  };
}

/** The text never leaves our own store: what we read is what we wrote. */
function isBody(value: unknown): value is Omit<Refusal, "instanceId" | "atMs" | "count"> {
  return typeof value === "object" && value !== null && "requester" in value;
}
