import { afterEach, describe, expect, test } from "vitest";
import { connect, dropSchema, freshSchema, postgresUrl, storeUrl } from "../../../test/postgres-schema.js";
import { SchemaTooNewError, StoreConflictError, StoreUnusableError } from "../../core/errors.js";
import { PostgresLeases } from "./leases.js";
import { parseLocation } from "./location.js";
import { migrate, type Place, printSql, statusOf } from "./migrate.js";
import type { Query } from "./query.js";
import { migrations, SCHEMA_VERSION } from "./schema.js";
import { withSession } from "./session.js";

const schemas: string[] = [];

afterEach(() => dropSchema(...schemas.splice(0)));

const everyStep = migrations.map(({ version }) => version);

describe.skipIf(postgresUrl === undefined)("migrations on a real server", () => {
  for (const advisoryLocks of [true, false]) {
    test(`16 processes at once on an empty database do each step once, with advisory locks ${advisoryLocks ? "on" : "off"}`, async () => {
      const place = newPlace({ advisoryLocks });
      const done = await Promise.all(Array.from({ length: 16 }, () => migrateAt(place)));
      expect(done.flat().toSorted((a, b) => a - b)).toEqual(everyStep);
      expect(await contentsOf(place.schema)).toEqual(await freshContents());
    });
  }

  test("a connection that is ended at any statement leaves what the next one completes", async () => {
    const reference = await freshContents();
    const statements = await countStatements();
    for (let victim = 1; victim <= statements; victim += 7) {
      const place = newPlace();
      const killed = withSession(locationOf(place), async (query) =>
        migrate(await endedAt(victim, query), place),
      );
      await expect(killed).rejects.toThrow(StoreConflictError);
      await migrateAt(place);
      expect(await contentsOf(place.schema)).toEqual(reference);
    }
  });

  test("where nothing is to be done, one statement finds out", async () => {
    const place = newPlace();
    expect(await migrateAt(place)).toEqual(everyStep);
    const { query, sent } = recorded();
    await withSession(locationOf(place), async (real) => {
      expect(await migrate(query(real), place)).toEqual([]);
    });
    expect(sent).toHaveLength(1);
  });

  test("a schema that only newer programs may use is refused and left as it is", async () => {
    const place = newPlace();
    await migrateAt(place);
    await setVersion(place.schema, SCHEMA_VERSION + 2, SCHEMA_VERSION + 1);
    await expect(migrateAt(place)).rejects.toThrow(SchemaTooNewError);
    expect(await statusAt(place)).toEqual({
      version: SCHEMA_VERSION + 2,
      latest: SCHEMA_VERSION,
      minReader: SCHEMA_VERSION + 1,
      pending: [],
    });
  });

  test("a newer schema that this program may use is used as it is", async () => {
    const place = newPlace();
    await migrateAt(place);
    await setVersion(place.schema, SCHEMA_VERSION + 7, 1);
    expect(await migrateAt(place)).toEqual([]);
    expect(await statusAt(place)).toMatchObject({ version: SCHEMA_VERSION + 7, minReader: 1 });
  });

  test("the status of a schema that is not there yet names every step, and makes nothing", async () => {
    const place = newPlace();
    expect(await statusAt(place)).toEqual({
      version: 0,
      latest: SCHEMA_VERSION,
      minReader: 0,
      pending: everyStep,
    });
    expect(await contentsOf(place.schema)).toEqual([]);
  });

  test("the printed script makes what a migration makes, also when it is run twice", async () => {
    const place = newPlace();
    await using client = await connect();
    await client.query(printSql(place.schema, 0));
    await client.query(printSql(place.schema, 0));
    expect(await migrateAt(place)).toEqual([]);
    expect(await contentsOf(place.schema)).toEqual(await freshContents());
    expect(printSql(place.schema, SCHEMA_VERSION)).not.toMatch(/^(begin|create|update)/m);
  });

  test("a schema of the first version is brought on while a program of that version works in it", async () => {
    const place = newPlace();
    await using client = await connect();
    const [first = ""] = printSql(place.schema, 0).split("-- Version 2.");
    await client.query(first);
    expect(await statusAt(place)).toMatchObject({ version: 1, pending: [2] });
    const old = `insert into ${place.schema}.worker
      (id, hub, pid, host, since, orchestrations, activities, draining, renewed_at, lease_until)
      values ($1, 1, 1, 'h', 0, '[]', '[]', false, now(), now() + interval '1 minute')`;
    await client.query(old, ["before"]);
    expect(await migrateAt(place)).toEqual([2]);
    await client.query(old, ["after"]);
    await withSession(locationOf(place), async (query) => {
      const leases = new PostgresLeases({ query, hub: 1 });
      await leases.join({ id: "new", pid: 2, host: "h", sinceMs: 0, orchestrations: [], activities: [] });
      const { workers } = await leases.renew("new", 3);
      expect(workers.toSorted((a, b) => (a.id < b.id ? -1 : 1))).toEqual([
        { id: "after", draining: false },
        { id: "before", draining: false },
        { id: "new", draining: false, load: 3 },
      ]);
    });
  });

  test("after the printed script and its grants, a role that may make nothing can use the tables", async () => {
    const place = newPlace();
    const role = `${place.schema}_app`;
    await using client = await connect();
    await client.query(printSql(place.schema, 0));
    await client.query(`create role ${role} login password 'app'`);
    try {
      const grants = printSql(place.schema, 0).matchAll(/^-- (grant .*)$/gm);
      for (const [, grant = ""] of grants) await client.query(grant.replace("ROLE", role));
      await withSession(locationOf(place, { user: role, password: "app" }), async (query) => {
        expect(await migrate(query, place)).toEqual([]);
        expect(await query("insert into @hub (name, secret) values ('a', 'b') returning hub")).toEqual([[1]]);
        expect(await query("delete from @hub")).toEqual([]);
      });
    } finally {
      await client.query(`drop owned by ${role}; drop role ${role}`);
    }
  });

  test("a role that may make nothing is told who must do what", async () => {
    const place = newPlace();
    const role = `${place.schema}_app`;
    await using client = await connect();
    await client.query(`create role ${role} login password 'app'`);
    try {
      const location = locationOf(place, { user: role, password: "app" });
      const refused = withSession(location, (query) => migrate(query, place));
      await expect(refused).rejects.toThrow(StoreUnusableError);
      await expect(refused).rejects.toThrow("tenure db print");
    } finally {
      await client.query(`drop role ${role}`);
    }
  });

  test.each([
    ["a table of the same name", "create table @.message (n int)", "message"],
    ["a schema_version of another shape", "create table @.schema_version (version text)", "schema_version"],
  ])("another program's %s is refused and left as it is", async (_what, sql, table) => {
    const place = newPlace();
    await using client = await connect();
    await client.query(`create schema ${place.schema}`);
    await client.query(sql.replace("@", place.schema));
    const before = await contentsOf(place.schema);
    await expect(migrateAt(place)).rejects.toThrow(`"${table}" of another program`);
    expect(await contentsOf(place.schema)).toEqual(before);
  });

  test("an empty schema is filled by a role that may make tables in it, and no schemas", async () => {
    const place = newPlace();
    const role = `${place.schema}_app`;
    await using client = await connect();
    await client.query(`create schema ${place.schema}; create role ${role} login password 'app'`);
    try {
      await client.query(`grant usage, create on schema ${place.schema} to ${role}`);
      const location = locationOf(place, { user: role, password: "app" });
      expect(await withSession(location, (query) => migrate(query, place))).toEqual(everyStep);
    } finally {
      await client.query(`drop owned by ${role}; drop role ${role}`);
    }
  });

  test("without advisory locks, a process waits for the one that takes a step, and does not take it again", async () => {
    const place = newPlace({ advisoryLocks: false });
    const inStep = gate();
    const goOn = gate();
    const first = withSession(locationOf(place), (real) =>
      migrate(async (sql, values) => {
        if (/create table .*\.hub/.test(sql)) {
          inStep.open();
          await goOn.opened;
        }
        return real(sql, values);
      }, place),
    );
    await inStep.opened;
    const second = migrateAt(place);
    try {
      await Promise.race([waitsForRow(place.schema), second]);
    } finally {
      goOn.open();
    }
    const [mine, theirs] = await Promise.all([first, second]);
    expect([...mine, ...theirs].toSorted((a, b) => a - b)).toEqual(everyStep);
    expect(theirs).not.toContain(everyStep[0]);
  });
});

function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

/** Once a connection waits for the lock of the schema's version. */
async function waitsForRow(schema: string): Promise<void> {
  await using client = await connect();
  const waiting =
    "select 1 from pg_stat_activity where wait_event_type = 'Lock' and query ~ 'for update' and strpos(query, $1) > 0";
  for (;;) {
    const { rowCount } = await client.query(waiting, [schema]);
    if (rowCount === 1) return;
  }
}

function newPlace(changes: Partial<Place> = {}): Place {
  const schema = freshSchema();
  schemas.push(schema);
  return { schema, store: "the store", advisoryLocks: true, ...changes };
}

function locationOf({ schema }: Place, user?: { readonly user: string; readonly password: string }) {
  const url = new URL(storeUrl(schema));
  if (user !== undefined) Object.assign(url, { username: user.user, password: user.password });
  return parseLocation(url.href);
}

function migrateAt(place: Place): Promise<readonly number[]> {
  return withSession(locationOf(place), (query) => migrate(query, place));
}

function statusAt(place: Place) {
  return withSession(locationOf(place), (query) => statusOf(query, place));
}

async function setVersion(schema: string, version: number, minReader: number): Promise<void> {
  await using client = await connect();
  await client.query(`update ${schema}.schema_version set version = ${version}, min_reader = ${minReader}`);
}

/** A query that notes what it sends. */
function recorded() {
  const sent: string[] = [];
  const query =
    (real: Query): Query =>
    (sql, values) => {
      sent.push(sql);
      return real(sql, values);
    };
  return { query, sent };
}

async function countStatements(): Promise<number> {
  const place = newPlace();
  const { query, sent } = recorded();
  await withSession(locationOf(place), (real) => migrate(query(real), place));
  return sent.length;
}

/** A query whose connection another one ends before its nth statement. */
async function endedAt(victim: number, real: Query): Promise<Query> {
  const [pid] = await real("select pg_backend_pid()");
  let sent = 0;
  return async (sql, values) => {
    sent += 1;
    if (sent === victim) {
      await using client = await connect();
      await client.query("select pg_terminate_backend($1, 5000)", [pid?.[0]]);
    }
    return real(sql, values);
  };
}

/** Everything that a schema holds, without its name: columns, indexes, constraints, options, version. */
async function contentsOf(schema: string): Promise<readonly string[]> {
  await using client = await connect();
  const { rows } = await client.query<{ line: string }>(
    `select format('column %s.%s %s %s %s %s %s %s', table_name, ordinal_position, column_name, data_type,
        collation_name, is_nullable, column_default, identity_generation) as line
      from information_schema.columns where table_schema = $1
    union all select format('index %s', replace(indexdef, $1 || '.', '')) from pg_indexes where schemaname = $1
    union all select format('constraint %s %s', conname, pg_get_constraintdef(oid))
      from pg_constraint where connamespace = $1::regnamespace
    union all select format('table %s %s', relname, reloptions) from pg_class
      where relnamespace = $1::regnamespace and relkind = 'r'
    order by 1`.replaceAll("$1::regnamespace", "(select oid from pg_namespace where nspname = $1)"),
    [schema],
  );
  const lines = rows.map(({ line }) => line);
  if (!lines.some((line) => line.startsWith("column schema_version.3 "))) return lines;
  const version = await client.query<{ line: string }>(
    `select format('version %s %s', version, min_reader) as line from ${schema}.schema_version`,
  );
  return [...lines, ...version.rows.map(({ line }) => line)];
}

/** What a schema holds after one undisturbed migration. */
async function freshContents(): Promise<readonly string[]> {
  const place = newPlace();
  await migrateAt(place);
  return contentsOf(place.schema);
}
