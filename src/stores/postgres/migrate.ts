import { SchemaTooNewError, StoreConflictError, StoreUnusableError } from "../../core/errors.js";
import { Row } from "../rows.js";
import { DatabaseFault } from "./fault.js";
import { qualify, quoteName, quoteText } from "./qualify.js";
import type { Query } from "./query.js";
import { type Migration, migrations, SCHEMA_VERSION } from "./schema.js";

/** Where a schema is to be. */
export interface Place {
  readonly schema: string;
  /** The store, for messages. */
  readonly store: string;
  /** Whether processes that migrate at once may take turns by a lock. Without it, those who lose try again. */
  readonly advisoryLocks: boolean;
}

/** How far a schema is. */
export interface SchemaStatus {
  /** 0 where there is nothing yet. */
  readonly version: number;
  /** What this program would bring it to. Lower than `version` beside a newer program. */
  readonly latest: number;
  /** The lowest version that a program must know to use it. */
  readonly minReader: number;
  /** The steps that are missing. */
  readonly pending: readonly number[];
}

/** What one attempt does is small, and whoever lost a race finds the winner's work: this many never lose. */
const TRIES = 30;
const LONGEST_PAUSE_MS = 100;

/**
 * Brings a schema to this program's version; one read where nothing is to be done. Any number of processes may do
 * so at once, and be killed at any moment: each step is one transaction, with its version number. The schema of a
 * newer program is left as it is, and used.
 *
 * @param query one connection's, on which transactions are begun and committed as statements.
 * @returns the steps that were carried out here.
 * @throws SchemaTooNewError when only newer programs may use it.
 * @throws StoreUnusableError when it is not ours, or this user may not make tables.
 */
export async function migrate(query: Query, place: Place): Promise<readonly number[]> {
  const done: number[] = [];
  for (let tries = 1; ; tries += 1) {
    try {
      await carryOut(query, place, done);
      return done;
    } catch (error) {
      if (!isRace(error)) throw explained(error, place);
      if (tries === TRIES) {
        const message = `${place.store}: other processes kept changing the schema. Try again.`;
        throw new StoreConflictError(message, { cause: error });
      }
    }
    await pause();
  }
}

/** How far a schema is; changes nothing. */
export async function statusOf(query: Query, place: Omit<Place, "advisoryLocks">): Promise<SchemaStatus> {
  const { version, minReader } = (await readVersion(query, place)) ?? { version: 0, minReader: 0 };
  const pending = migrations.map((migration) => migration.version).filter((each) => each > version);
  return { version, latest: SCHEMA_VERSION, minReader, pending };
}

/**
 * What {@link migrate} does from a version on, as a script. Whoever may make tables runs it; the role of the app then
 * needs only the rights that its last lines tell. It does no harm to a schema that is further.
 */
export function printSql(schema: string, from: number): string {
  const steps = migrations.filter(({ version }) => version > from);
  const transactions = [
    ...(from === 0 ? [["-- The schema, and how far it is.", foundation(schema)] as const] : []),
    ...steps.map((step) => [`-- Version ${step.version}.`, statementsOf(step, schema)] as const),
  ];
  const name = quoteName(schema);
  return [
    `-- Tenure's schema ${name}, from version ${from} to ${SCHEMA_VERSION}. With psql: -v ON_ERROR_STOP=1.`,
    ...transactions.map(([title, statements]) =>
      [title, "begin;", ...statements.map((sql) => `${dedent(sql)};`), "commit;"].join("\n"),
    ),
    [
      "-- The role of the app needs:",
      `-- grant usage on schema ${name} to ROLE;`,
      `-- grant select, insert, update, delete on all tables in schema ${name} to ROLE;`,
      "",
    ].join("\n"),
  ].join("\n\n");
}

interface Version {
  readonly version: number;
  readonly minReader: number;
}

const VERSION = "select version, min_reader from @schema_version";

async function carryOut(query: Query, place: Place, done: number[]): Promise<void> {
  const found = await readVersion(query, place);
  if (found === undefined) await lay(query, place);
  else refuseTooNew(found, place);
  for (const step of migrations) {
    if (step.version <= (found?.version ?? 0)) continue;
    if (await take(step, query, place)) done.push(step.version);
  }
}

async function readVersion(
  query: Query,
  place: Pick<Place, "schema" | "store">,
): Promise<Version | undefined> {
  try {
    return versionIn(await query(qualify(VERSION, place.schema)));
  } catch (error) {
    switch (sqlState(error)) {
      case UNKNOWN_TABLE:
      case UNKNOWN_SCHEMA:
        return undefined;
      case UNKNOWN_COLUMN:
        throw foreign(place, "schema_version");
      default:
        throw error;
    }
  }
}

function versionIn(rows: readonly unknown[]): Version | undefined {
  if (rows.length === 0) return undefined;
  const row = new Row(rows[0]);
  return { version: row.integer(), minReader: row.integer() };
}

function refuseTooNew({ minReader }: Version, { store }: Place): void {
  if (minReader > SCHEMA_VERSION) throw new SchemaTooNewError(store, minReader, SCHEMA_VERSION);
}

/** Makes the schema and its version number, 0. */
async function lay(query: Query, place: Place): Promise<void> {
  await inTransaction(query, place, async () => {
    const [table] = await query(foreignTable(place.schema));
    if (table !== undefined) throw foreign(place, new Row(table).text());
    const [known] = await query(
      `select 1 from pg_catalog.pg_namespace where nspname = ${quoteText(place.schema)}`,
    );
    // Even where it exists, "if not exists" asks for the right to make schemas.
    for (const sql of known === undefined ? foundation(place.schema) : foundation(place.schema).slice(1)) {
      await query(sql);
    }
  });
}

/** Takes one step, unless another process has. */
function take(step: Migration, query: Query, place: Place): Promise<boolean> {
  return inTransaction(query, place, async () => {
    // The row's lock makes processes take turns where there are no advisory locks.
    const current = versionIn(await query(qualify(`${VERSION} for update`, place.schema)));
    if (current !== undefined) refuseTooNew(current, place);
    if (current !== undefined && current.version >= step.version) return false;
    for (const sql of statementsOf(step, place.schema)) await query(sql);
    return true;
  });
}

async function inTransaction<T>(query: Query, place: Place, work: () => Promise<T>): Promise<T> {
  await query("begin");
  try {
    // To make an index may take longer than a user's statements are allowed to.
    await query("set local statement_timeout = 0");
    if (place.advisoryLocks) {
      const key = quoteText(`tenure schema ${place.schema}`);
      await query(`select pg_advisory_xact_lock(hashtextextended(${key}, 0))::text`);
    }
    const result = await work();
    await query("commit");
    return result;
  } catch (error) {
    // Where the connection is gone, so is the transaction; the first error tells more.
    await query("rollback").catch(() => {});
    throw error;
  }
}

/** Statements that stand before the first step: the schema, then what needs it. */
function foundation(schema: string): readonly string[] {
  return [
    `create schema if not exists ${quoteName(schema)}`,
    `create table if not exists @schema_version (
      one smallint primary key default 1 check (one = 1),
      version integer not null,
      min_reader integer not null
    )`,
    "insert into @schema_version (version, min_reader) values (0, 0) on conflict do nothing",
  ].map((sql) => qualify(sql, schema));
}

/** A step and, last, its number: whoever is killed before it finds the step not taken, and takes it again. */
function statementsOf({ version, minReader, statements }: Migration, schema: string): readonly string[] {
  return [
    ...statements,
    `update @schema_version set version = ${version}, min_reader = greatest(min_reader, ${minReader}) ` +
      `where version = ${version - 1}`,
  ].map((sql) => qualify(sql, schema));
}

/** A table that a schema without a version of ours has, and that we would take for ours. One snapshot. */
function foreignTable(schema: string): string {
  const names = migrations
    .flatMap(({ statements }) => statements)
    .flatMap((sql) => /^create table if not exists @(\w+)/.exec(sql)?.[1] ?? []);
  const tables =
    "select c.relname::text as name from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace " +
    `where n.nspname = ${quoteText(schema)}`;
  return (
    `${tables} and c.relname in (${names.map(quoteText).join(", ")}) ` +
    `and not exists (${tables} and c.relname = 'schema_version') limit 1`
  );
}

function foreign({ store, schema }: Pick<Place, "schema" | "store">, table: string): StoreUnusableError {
  return new StoreUnusableError(
    `${store}: the schema "${schema}" has a table "${table}" of another program. ` +
      "Give the store a schema of its own: add ?schema=NAME to its URL.",
  );
}

/** Lines of a statement are indented as in this program. */
function dedent(sql: string): string {
  const [first = "", ...rest] = sql.split("\n");
  const indent = Math.min(...rest.map((line) => line.search(/\S|$/)));
  return [first, ...rest.map((line) => line.slice(indent))].join("\n");
}

// https://www.postgresql.org/docs/current/errcodes-appendix.html
const UNKNOWN_TABLE = "42P01";
const UNKNOWN_SCHEMA = "3F000";
const UNKNOWN_COLUMN = "42703";
const NO_PRIVILEGE = "42501";

/** How it shows that another process made the same at the same time: "if not exists" looks before it locks. */
const RACES: readonly (string | undefined)[] = [
  "23505", // unique_violation, in the catalogs
  "40001", // serialization_failure
  "40P01", // deadlock_detected
  "42710", // duplicate_object
  "42P06", // duplicate_schema
  "42P07", // duplicate_table
];

function isRace(error: unknown): boolean {
  if (RACES.includes(sqlState(error))) return true;
  return error instanceof DatabaseFault && error.message === "tuple concurrently updated";
}

function sqlState(error: unknown): string | undefined {
  return error instanceof DatabaseFault ? error.sqlState : undefined;
}

function explained(error: unknown, { store, schema }: Place): unknown {
  if (!(error instanceof DatabaseFault) || error.sqlState !== NO_PRIVILEGE) return error;
  return new StoreUnusableError(
    `${store}: the user may not make or read the tables of the schema "${schema}" (${error.message}). ` +
      "Let whoever may run what tenure db print shows, and grant what it says at its end.",
    { cause: error },
  );
}

function pause(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, Math.random() * LONGEST_PAUSE_MS);
  });
}
