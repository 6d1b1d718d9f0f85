import { hostname } from "node:os";
import type { WorkerInfo } from "../../core/store.js";
import { optionalRow, Row } from "../rows.js";
import type { Connection } from "./connection.js";
import { DatabaseFault } from "./fault.js";

/** Shows the worker to others. Called by the one engine of the file: rows of earlier ones are of dead processes. */
export function showWorker(connection: Connection, hub: number, worker: WorkerInfo): void {
  connection.transaction(() => {
    connection.sql("delete from worker").run();
    connection
      .sql(
        "insert into worker (id, hub, pid, host, since, orchestrations, activities) values (?, ?, ?, ?, ?, ?, ?)",
      )
      .run(
        worker.id,
        hub,
        worker.pid,
        worker.host,
        worker.sinceMs,
        JSON.stringify(worker.orchestrations),
        JSON.stringify(worker.activities),
      );
  });
}

/** Whether they still live is the engine lock's to say. */
export function shownWorkers(connection: Connection, hub: number): WorkerInfo[] {
  return connection
    .sql("select id, pid, host, since, orchestrations, activities from worker where hub = ?")
    .all(hub)
    .map((worker) => {
      const row = new Row(worker);
      return {
        id: row.text(),
        pid: row.integer(),
        host: row.text(),
        sinceMs: row.integer(),
        orchestrations: namesOf(row.json()),
        activities: namesOf(row.json()),
      };
    });
}

/**
 * The fault that says who holds the file. The row is only for the message; its holder writes it a moment after it has
 * taken the lock, and until then it is of a process that has ended.
 */
export function heldBy(connection: Connection): DatabaseFault {
  const row = optionalRow(
    connection.sql("select pid, host, since from worker order by since desc limit 1").get(),
  );
  const holder = row && { pid: row.integer(), host: row.text(), sinceMs: row.integer() };
  return new DatabaseFault({
    kind: "held",
    store: connection.description,
    ...(holder === undefined || hasEnded(holder) ? {} : holder),
  });
}

function hasEnded({ pid, host }: Pick<WorkerInfo, "pid" | "host">): boolean {
  if (host !== hostname()) return false; // there, its number tells nothing here
  try {
    process.kill(pid, 0); // signals nothing, only looks
    return false;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "ESRCH";
  }
}

function namesOf(names: unknown): string[] {
  return Array.isArray(names) ? names.map(String) : [];
}
