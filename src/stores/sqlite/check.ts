import { existsSync } from "node:fs";
import { EngineFaultError, StoreDamagedError, StoreUnusableError } from "../../core/errors.js";
import { decodeChunk } from "../../core/history-codec.js";
import { Row } from "../rows.js";
import { type Driver, loadDriver } from "./driver.js";
import { errorOf, faultOf } from "./fault.js";

/** So many rows of history are read at a time. */
const PAGE_ROWS = 1_000;

/** So many problems are told at most: a page that is gone shows in each of its rows. */
const MAX_PROBLEMS = 100;

/** Rows that point to nothing: what a page may leave behind that has gone back to an older state. */
const ORPHANS = {
  "instances without their current execution": `select count(*) from inst i where not exists
    (select 1 from execution e where e.iid = i.iid and e.generation = i.generation)`,
  "executions of no instance": "select count(*) from execution where iid not in (select iid from inst)",
  "history of no instance": "select count(*) from hist where iid not in (select iid from inst)",
  "mail of no instance":
    "select count(*) from message where iid is not null and iid not in (select iid from inst)",
  "timers of no instance": "select count(*) from timer where iid not in (select iid from inst)",
};

/**
 * Reads the whole of a hub's file, beside whatever uses it, and changes nothing.
 *
 * @returns what is wrong with it. SQLite keeps no checksums: a page that has gone back to an older state as a whole is
 * found only where others know of what it has lost.
 * @throws StoreUnusableError where there is no such file.
 */
export async function problemsIn(file: string): Promise<readonly string[]> {
  if (!existsSync(file)) throw new StoreUnusableError(`${file} is not there. Check the path.`);
  const problems: string[] = [];
  const driver = new (await loadDriver())(file, { enableForeignKeyConstraints: false });
  try {
    for (const look of [damage, orphans, unreadableHistory]) {
      for (const problem of look(driver)) {
        problems.push(problem);
        if (problems.length === MAX_PROBLEMS) return problems;
      }
    }
  } catch (error) {
    const reason = errorOf(faultOf(error, file));
    if (!(reason instanceof StoreDamagedError || reason instanceof EngineFaultError)) throw reason;
    problems.push(reason.message);
  } finally {
    driver.close();
  }
  return problems;
}

function* damage(driver: Driver): Iterable<string> {
  for (const row of driver.prepare(`pragma integrity_check(${MAX_PROBLEMS})`).all()) {
    const answer = new Row(row).text();
    if (answer !== "ok") yield answer;
  }
}

function* orphans(driver: Driver): Iterable<string> {
  for (const [what, sql] of Object.entries(ORPHANS)) {
    const count = new Row(driver.prepare(sql).get()).integer();
    if (count > 0) yield `${count} ${what}`;
  }
}

function* unreadableHistory(driver: Driver): Iterable<string> {
  const page = driver.prepare("select n, iid, chunk from hist where n > ? order by n limit ?");
  page.setReturnArrays?.(true);
  for (let after = -1; ; ) {
    const rows = page.all(after, PAGE_ROWS).map((row) => new Row(row));
    for (const row of rows) {
      const [n, iid, chunk] = [row.integer(), row.integer(), row.text()];
      after = n;
      try {
        decodeChunk(chunk);
      } catch (error) {
        yield `history row ${n} of instance row ${iid}: ${error instanceof Error ? error.message : String(error)}`;
      }
    }
    if (rows.length < PAGE_ROWS) return;
  }
}
