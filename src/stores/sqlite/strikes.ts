import type { Strike } from "../../core/store.js";
import { Row } from "../rows.js";
import type { BlockedTurn } from "../turn-watch.js";
import type { Connection } from "./connection.js";

export function listStrikes(connection: Connection, hub: number): Strike[] {
  return connection
    .sql("select iid, generation, count(*) as workers from strike where hub = ? group by iid, generation")
    .all(hub)
    .map((strike) => {
      const row = new Row(strike);
      return {
        iid: row.integer(),
        generation: row.integer(),
        count: row.integer(),
      };
    });
}

/** Counts once per worker, however often it is called. */
export function recordStrike(
  connection: Connection,
  hub: number,
  { iid, generation, worker }: BlockedTurn,
): void {
  connection.transaction(() => {
    connection
      .sql("insert or ignore into strike (iid, generation, worker, hub) values (?, ?, ?, ?)")
      .run(iid, generation, worker, hub);
  });
}

/** The turn did end, if late: it is no strike after all. */
export function withdrawStrike(
  connection: Connection,
  hub: number,
  { iid, generation, worker }: BlockedTurn,
): void {
  connection.transaction(() => {
    connection
      .sql("delete from strike where iid = ? and generation = ? and worker = ? and hub = ?")
      .run(iid, generation, worker, hub);
  });
}

export function clearStrikes(connection: Connection, hub: number, iid: number): void {
  connection.transaction(() => {
    connection.sql("delete from strike where iid = ? and hub = ?").run(iid, hub);
  });
}
