import { optionalRow } from "../rows.js";
import type { Connection } from "./connection.js";
import { DatabaseFault } from "./fault.js";

/** A step of the schema. Additive: a program of an earlier version goes on working beside a newer one. */
interface Migration {
  readonly version: number;
  /** The lowest version of a program that may still read and write after this step. */
  readonly minReader: number;
  readonly sql: string;
}

/**
 * Integer row IDs are never reused (autoincrement), so that nothing old can address a new row.
 *
 * `inst` holds what decides, `execution` what happened. A turn updates one row of `inst` and appends one
 * to `hist`; neither touches an index that is not at its end, because no column that changes with each
 * turn is in any index. SQLite logs whole pages, so this layout decides the throughput.
 */
const migrations: readonly Migration[] = [
  {
    version: 1,
    minReader: 1,
    sql: `
      create table hub (
        hub integer primary key autoincrement,
        name text not null unique,
        secret text not null
      ) strict;

      create table inst (
        iid integer primary key autoincrement,
        hub integer not null,
        id text not null,
        shard integer not null,
        kind integer not null,
        generation integer not null,
        sequence integer not null,
        status integer not null,
        suspended integer not null,
        run integer not null,
        token integer not null,
        mail integer not null,
        activities integer not null,
        writer integer,
        commit_number integer,
        created integer not null,
        updated integer not null,
        start_at integer,
        name text not null,
        execution_id text not null,
        parked text,
        parent_iid integer,
        parent_run integer,
        parent text,
        unique (hub, id)
      ) strict;
      create index inst_created on inst (hub, created);
      create index inst_live on inst (hub) where status < 2;
      create index inst_live_created on inst (hub, created) where status < 2;
      create index inst_child on inst (parent_iid, parent_run) where parent_iid is not null;

      -- While it is the current one, status and updated are null: those of its instance count.
      create table execution (
        iid integer not null,
        generation integer not null,
        hub integer not null,
        execution_id text not null,
        run integer not null,
        name text not null,
        version text,
        tags text not null,
        status integer,
        token integer not null,
        created integer not null,
        updated integer,
        ended integer,
        dropped integer not null default 0,
        past integer not null default 0,
        custom_status text,
        input text,
        output text,
        failure text,
        primary key (iid, generation)
      ) strict, without rowid;
      create index execution_past on execution (hub, status, ended) where past = 1;

      -- An append-only log with a small index: a fifth of the write-ahead log of a clustered table.
      create table hist (
        n integer primary key,
        iid integer not null,
        generation integer not null,
        sequence integer not null,
        writer integer,
        commit_number integer,
        chunk text not null
      ) strict;
      create unique index hist_sequence on hist (iid, generation, sequence);

      -- Mail has an iid; a request has a target. sender_* of a request that starts a child.
      create table message (
        n integer primary key autoincrement,
        hub integer not null,
        shard integer not null,
        iid integer,
        run integer,
        generation integer,
        task integer,
        mail integer,
        target text,
        deduplication_key text,
        sender_iid integer,
        sender_run integer,
        body text not null
      ) strict;
      create index message_mail on message (iid) where iid is not null;
      create index message_sender on message (sender_iid) where sender_iid is not null;

      create table timer (
        iid integer not null,
        generation integer not null,
        task integer not null,
        hub integer not null,
        shard integer not null,
        due integer not null,
        primary key (iid, generation, task)
      ) strict, without rowid;
      create index timer_due on timer (hub, due);

      create table waiter (
        n integer primary key,
        iid integer not null,
        waiting_iid integer not null,
        waiting_generation integer not null,
        waiting_task integer not null
      ) strict;
      create index waiter_instance on waiter (iid);

      create table request (
        hub integer not null,
        id text not null,
        request_id text not null,
        created integer not null,
        answer text not null,
        primary key (hub, id, request_id)
      ) strict, without rowid;
      create index request_created on request (hub, created);

      create table shard (
        hub integer not null,
        shard integer not null,
        token integer not null,
        primary key (hub, shard)
      ) strict, without rowid;

      create table writer (
        writer integer primary key autoincrement,
        name text not null unique
      ) strict;

      create table refusal (
        n integer primary key autoincrement,
        hub integer not null,
        id text not null,
        at integer not null,
        count integer not null,
        body text not null
      ) strict;
      create index refusal_instance on refusal (hub, id);

      create table setting (
        hub integer not null,
        key text not null,
        value text not null,
        primary key (hub, key)
      ) strict, without rowid;

      create table worker (
        id text primary key,
        hub integer not null,
        pid integer not null,
        host text not null,
        since integer not null,
        orchestrations text not null,
        activities text not null
      ) strict, without rowid;

      create table strike (
        iid integer not null,
        generation integer not null,
        worker text not null,
        hub integer not null,
        primary key (iid, generation, worker)
      ) strict, without rowid;
    `,
  },
];

/** The schema that this program writes. */
export const SCHEMA_VERSION = migrations.reduce((highest, { version }) => Math.max(highest, version), 0);

/**
 * Brings the file to this program's schema. Processes that open a file at once take turns; one that
 * comes later finds the work done. A file of a newer program is left as it is, and used.
 *
 * @throws DatabaseFault when only newer programs may use it, or when it is not ours.
 */
export function migrate(connection: Connection): void {
  if (readVersion(connection) >= SCHEMA_VERSION) return;
  connection.transaction(() => {
    const version = readVersion(connection);
    if (version === 0) {
      refuseForeignFile(connection);
      connection.exec(
        "create table schema_version (version integer not null, min_reader integer not null) strict;" +
          "insert into schema_version (version, min_reader) values (0, 0)",
      );
    }
    for (const migration of migrations) {
      if (migration.version <= version) continue;
      connection.exec(migration.sql);
      connection
        .sql("update schema_version set version = ?, min_reader = max(min_reader, ?)")
        .run(migration.version, migration.minReader);
    }
  });
}

/** 0 for a file without a schema of ours. */
function readVersion(connection: Connection): number {
  const table = "select 1 from sqlite_schema where type = 'table' and name = 'schema_version'";
  if (connection.sql(table).get() === undefined) return 0;
  const row = optionalRow(connection.sql("select version, min_reader from schema_version").get());
  if (row === undefined) return 0;
  const version = row.integer();
  const minReader = row.integer();
  if (minReader > SCHEMA_VERSION) {
    throw new DatabaseFault({
      kind: "tooNew",
      store: connection.description,
      minReader,
      version: SCHEMA_VERSION,
    });
  }
  return version;
}

function refuseForeignFile(connection: Connection): void {
  const foreign = optionalRow(connection.sql("select name from sqlite_schema limit 1").get());
  if (foreign === undefined) return;
  throw new DatabaseFault({
    kind: "unusable",
    message:
      `${connection.description} is a SQLite file of another program (it has '${foreign.text()}'). ` +
      "Give the task hub a file of its own.",
  });
}
