import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { StartCommand } from "../../core/command.js";
import {
  EngineFaultError,
  SchemaTooNewError,
  StoreConflictError,
  StoreDamagedError,
  StoreFailedError,
  StoreHeldError,
  StoreUnusableError,
} from "../../core/errors.js";
import { startPolicy } from "../../core/start-policy.js";
import { isFailed } from "./batch.js";
import { SqliteDatabase } from "./database.js";
import { type Driver, type DriverConstructor, loadDriver, type Statement } from "./driver.js";
import { errorOf, faultOf } from "./fault.js";
import { openSqliteStore } from "./store.js";
import type { Turn } from "./turns.js";

const RealDriver = await loadDriver();

/** https://sqlite.org/rescode.html#ioerr_fsync */
const SQLITE_IOERR_FSYNC = 1034;

let folder = "";
let file = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tenure-"));
  file = join(folder, "hub.db");
  return () => rmSync(folder, { recursive: true, force: true });
});

describe("a new file", () => {
  test("is made with its folders, and only its owner can read it and what lies beside it", async () => {
    file = join(folder, "a", "b", "hub.db");
    const store = await openSqliteStore({ file, inline: true });
    await store.join({ id: "w", host: "h", pid: 1, sinceMs: 1, orchestrations: [], activities: [] });
    for (const name of [file, `${file}-wal`, `${file}-shm`, `${file}-engine`]) {
      expect([name, (statSync(name).mode & 0o777).toString(8)]).toEqual([name, "600"]);
    }
    await store.close();
  });

  test("that cannot be made is refused with the reason", async () => {
    await expect(openSqliteStore({ file: join("/dev/null", "hub.db") })).rejects.toThrow(StoreUnusableError);
    await expect(openSqliteStore({ file: ":memory:" })).rejects.toThrow(/memory store/);
  });

  test("under two names has one engine", async () => {
    const store = await openSqliteStore({ file, inline: true });
    symlinkSync(file, join(folder, "link.db"));
    const linked = await openSqliteStore({ file: join(folder, "link.db"), inline: true });
    const worker = { id: "w", host: "h", pid: 1, sinceMs: 1, orchestrations: [], activities: [] };
    await store.join(worker);
    await expect(linked.join(worker)).rejects.toThrow(StoreHeldError);
    await Promise.all([store.close(), linked.close()]);
  });
});

describe("the settings of a connection", () => {
  test.each(["journal_mode = wal", "synchronous = full", "busy_timeout = 5000"])(
    "are read back: without %s the file is not used",
    (pragma) => {
      class Deaf extends RealDriver {
        override exec(sql: string): void {
          super.exec(sql === `pragma ${pragma}` ? "pragma synchronous = normal" : sql);
        }
      }
      expect(opening(Deaf)).toBeInstanceOf(StoreUnusableError);
    },
  );

  test("are those that durability needs", () => {
    const seen: string[] = [];
    class Loud extends RealDriver {
      override exec(sql: string): void {
        seen.push(sql);
        super.exec(sql);
      }
    }
    open(Loud);
    expect(seen).toEqual(expect.arrayContaining(["pragma synchronous = full", "pragma journal_mode = wal"]));
  });
});

describe("a schema", () => {
  test("of a newer program that lets us work beside it is used", () => {
    open().close();
    change("update schema_version set version = 99; alter table inst add column later text");
    const database = open();
    expect(database.write([start("order-1")]).results).toMatchObject([{ outcome: "started" }]);
    database.close();
    expect(read("select version from schema_version")).toEqual([{ version: 99 }]);
  });

  test("that only newer programs may use is refused", () => {
    open().close();
    change("update schema_version set version = 99, min_reader = 98");
    const error = opening();
    expect(error).toBeInstanceOf(SchemaTooNewError);
    expect(error.message).toContain("98");
  });

  test("of another program is refused, and the file left as it is", () => {
    change("create table notes (text)");
    expect(opening().message).toContain("another program (it has 'notes')");
    expect(read("select name from sqlite_schema")).toEqual([{ name: "notes" }]);
  });

  test("is not made in a file that is no database", () => {
    writeFileSync(
      file,
      "this is a letter, and not a short one, so that it is longer than a header is".repeat(9),
    );
    expect(opening()).toBeInstanceOf(StoreDamagedError);
  });

  test("keeps a hub's secret", () => {
    const first = open();
    const second = open(RealDriver, "other");
    expect(first.secret).not.toBe(second.secret);
    first.close();
    expect(open().secret).toBe(first.secret);
  });
});

describe("a group of operations", () => {
  test("loses only the one that fails unexpectedly", () => {
    const database = open();
    database.write([start("order-1"), start("order-2")]);
    const fails = turn(1, { timersSet: [{ task: 1, dueMs: Number.NaN }] });
    const { results, notice } = database.write([
      start("order-3"),
      fails,
      turn(2, { timersSet: [{ task: 1, dueMs: 5 }] }),
      start("order-3"),
    ]);
    expect(results).toMatchObject([
      { outcome: "started" },
      { fault: { kind: "engine" } },
      1,
      { outcome: "refused" },
    ]);
    expect(notice).toEqual({ messages: true, nextDueMs: 5 });
    expect(database.heads([1, 2]).map(({ sequence }) => sequence)).toEqual([0, 1]);
    expect(database.load([1])[0]?.chunks).toEqual([]);
  });

  test("is one flush, and one of refused starts is none", () => {
    const commits: string[] = [];
    const database = open(logging(commits));
    commits.length = 0;
    database.write([start("order-1"), start("order-2"), turn(1)]);
    expect(commits).toEqual(["begin immediate", "commit"]);
    commits.length = 0;
    database.write([start("order-1"), start("order-2")]);
    expect(commits).toEqual([]);
  });

  test("is not written when the disk is full, and can be tried again", () => {
    open().close();
    class Small extends RealDriver {
      override exec(sql: string): void {
        super.exec(sql);
        if (sql.includes("cache_size")) super.exec("pragma max_page_count = 60");
      }
    }
    const database = open(Small);
    const { results } = database.write([
      start("order-1"),
      start("order-2", { input: `"${"x".repeat(1_000_000)}"` }),
    ]);
    for (const result of results) {
      expect(typeof result === "object" && isFailed(result) && errorOf(result.fault)).toBeInstanceOf(
        StoreConflictError,
      );
    }
    expect(database.get("order-1")).toBeUndefined();
    expect(database.write([start("order-1")]).results).toMatchObject([{ outcome: "started" }]);
  });

  test("whose flush fails may be durable or not: nothing more is written", () => {
    open().close();
    let failing = false;
    class Failing extends RealDriver {
      override prepare(sql: string): Statement {
        const statement = super.prepare(sql);
        if (sql !== "commit") return statement;
        return {
          run: () => {
            if (failing) throw Object.assign(new Error("disk I/O error"), { errcode: SQLITE_IOERR_FSYNC });
            return statement.run();
          },
          get: () => undefined,
          all: () => [],
        };
      }
    }
    const database = open(Failing);
    database.write([start("order-1")]);
    failing = true;
    const failed = database.write([start("order-2")]).results;
    failing = false;
    const later = database.write([start("order-3")]).results;
    for (const [result] of [failed, later]) {
      expect(typeof result === "object" && isFailed(result) && errorOf(result.fault)).toBeInstanceOf(
        StoreFailedError,
      );
    }
    expect(["order-1", "order-3"].map((id) => database.get(id)?.instance.instanceId)).toEqual([
      "order-1",
      undefined,
    ]);
  });

  test("waits for another process's transaction, and gives up after some tries", () => {
    open().close();
    let tries = 0;
    class Impatient extends RealDriver {
      override prepare(sql: string): Statement {
        if (sql !== "begin immediate") return super.prepare(sql);
        const statement = super.prepare(sql);
        return {
          run: () => {
            tries++;
            super.exec("pragma busy_timeout = 1");
            return statement.run();
          },
          get: () => undefined,
          all: () => [],
        };
      }
    }
    const database = open(Impatient);
    const other = new RealDriver(file, { enableForeignKeyConstraints: false });
    other.exec("begin immediate");
    const { results } = database.write([start("order-1"), start("order-2")]);
    other.exec("rollback");
    other.close();
    expect(tries).toBe(3);
    for (const result of results) expect(result).toMatchObject({ fault: { kind: "conflict" } });
    expect(database.write([start("order-1")]).results).toMatchObject([{ outcome: "started" }]);
  });

  test("of starts on held IDs is answered while another process writes", () => {
    const database = open();
    database.write([start("order-1")]);
    const other = new RealDriver(file, { enableForeignKeyConstraints: false });
    other.exec("begin immediate");
    const before = performance.now();
    expect(database.write([start("order-1")]).results).toMatchObject([{ outcome: "refused" }]);
    expect(performance.now() - before).toBeLessThan(1_000);
    other.exec("rollback");
    other.close();
  });
});

describe("a SQLite too old for sharing", () => {
  test("has the file to itself while it is open", () => {
    class Old extends RealDriver {
      override prepare(sql: string): Statement {
        return super.prepare(sql.replace("sqlite_version()", "'3.51.2'"));
      }
    }
    const first = open(Old);
    expect(first.workers()).toEqual([]);
    expect(opening(Old)).toBeInstanceOf(StoreHeldError);
    const worker = { id: "w", host: "h", pid: 1, sinceMs: 1, orchestrations: [], activities: [] };
    first.join(worker);
    expect(first.workers()).toEqual([worker]);
    first.close();
    open(Old);
  });
});

test("what an engine finds in the log of a dead one is in the file before it goes on", () => {
  const dead = open();
  dead.write([start("order-1")]);
  const found = join(folder, "found.db");
  for (const suffix of ["", "-wal"]) copyFileSync(`${file}${suffix}`, `${found}${suffix}`);
  dead.close();
  const next = new SqliteDatabase(RealDriver, { file: found, taskHub: "default" });
  onTestFinished(() => next.close());
  next.join({ id: "w", host: "h", pid: 1, sinceMs: 1, orchestrations: [], activities: [] });
  // The log is lost, as it may be that was never flushed.
  file = join(folder, "without-log.db");
  copyFileSync(found, file);
  expect(read("select id from inst")).toMatchObject([{ id: "order-1" }]);
});

test("damage is no conflict that could be tried again, and neither is a fault of ours", () => {
  expect(errorOf(faultOf(Object.assign(new Error("malformed"), { errcode: 11 }), "x"))).toBeInstanceOf(
    StoreDamagedError,
  );
  expect(errorOf(faultOf(new TypeError("ours"), "x"))).toBeInstanceOf(EngineFaultError);
});

test("damage is told as such by every read that meets it", () => {
  const database = open();
  database.write([start("order-1")]);
  const [table] = read("select rootpage from sqlite_schema where name = 'inst'");
  change("pragma wal_checkpoint(truncate)");
  database.close();
  const { rootpage } = Object.assign({ rootpage: 0 }, table);
  const bytes = readFileSync(file);
  bytes.fill(0xff, (rootpage - 1) * 4096, (rootpage - 1) * 4096 + 8);
  writeFileSync(file, bytes);
  const damaged = open();
  const reads = [
    () => damaged.get("order-1"),
    () => damaged.load([1]),
    () => damaged.unfinished({ shards: "all", afterIid: 0, limit: 10 }),
  ];
  for (const meet of reads) {
    let met: unknown;
    try {
      meet();
    } catch (error) {
      met = errorOf(faultOf(error, "the file"));
    }
    expect(met).toBeInstanceOf(StoreDamagedError);
  }
});

// Root may write everywhere: then there is nothing to refuse.
test.skipIf(process.getuid?.() === 0)("a file that may only be read is refused", () => {
  open().close();
  chmodSync(file, 0o400);
  expect(opening()).toBeInstanceOf(StoreUnusableError);
});

function open(driver: DriverConstructor = RealDriver, taskHub = "default"): SqliteDatabase {
  const database = new SqliteDatabase(driver, { file, taskHub });
  onTestFinished(() => {
    try {
      database.close();
    } catch {
      // the test has closed it
    }
  });
  return database;
}

/** The public error of an opening that must fail. */
function opening(driver: DriverConstructor = RealDriver): Error {
  try {
    open(driver);
  } catch (error) {
    return errorOf(faultOf(error, "the file"));
  }
  throw new Error("the file was opened");
}

function logging(log: string[]): DriverConstructor {
  return class extends RealDriver implements Driver {
    override prepare(sql: string): Statement {
      const statement = super.prepare(sql);
      if (!/^(begin|commit|rollback)/.test(sql)) return statement;
      return {
        run: () => {
          log.push(sql);
          return statement.run();
        },
        get: () => undefined,
        all: () => [],
      };
    }
  };
}

function change(sql: string): void {
  const driver = new RealDriver(file, { enableForeignKeyConstraints: false });
  driver.exec(sql);
  driver.close();
}

function read(sql: string): unknown[] {
  const driver = new RealDriver(file, { enableForeignKeyConstraints: false });
  const rows = driver.prepare(sql).all();
  driver.close();
  return rows.map((row) => Object.assign({}, row));
}

function start(instanceId: string, fields: Partial<StartCommand> = {}): StartCommand {
  return {
    kind: "start",
    instanceId,
    atMs: 1,
    name: "Order",
    tags: {},
    executionId: instanceId.padStart(32, "0"),
    policy: startPolicy(),
    ...fields,
  };
}

function turn(iid: number, fields: Partial<Turn> = {}): Turn {
  return {
    iid,
    generation: 1,
    sequence: 0,
    writer: "worker-1",
    commitNumber: iid,
    atMs: 2,
    consumed: [],
    chunk: "[1]",
    activities: 0,
    timersSet: [],
    timersCleared: [],
    requests: [],
    ...fields,
  };
}
