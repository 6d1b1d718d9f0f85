import { type Command, Option } from "commander";
import { ConfigurationError } from "../../core/errors.js";
import { DEFAULT_SCHEMA, type Location } from "../../stores/postgres/location.js";
import { EXIT } from "../exit-code.js";
import { parseWholeNumber } from "../option-values.js";
import { type OutputFormat, print, say } from "../output.js";
import { parseStore, storeFromEnvironment } from "../store-option.js";

interface StoreOptions {
  readonly store?: string;
}

interface DbOptions extends StoreOptions {
  readonly output: OutputFormat;
}

interface PrintOptions extends StoreOptions {
  readonly from: number;
}

/** `db migrate`, `db status` and `db print`: the schema of a PostgreSQL store. `db check`: the file of a SQLite store. */
export function addDb(program: Command): void {
  const db = program
    .command("db")
    .description("see to a store: the schema of PostgreSQL, the file of SQLite");
  withOutput(withStore(db.command("migrate").description("bring the schema to this version"))).action(
    migrateDb,
  );
  withOutput(withStore(db.command("status").description("show how far the schema is"))).action(showStatus);
  withStore(
    db
      .command("print")
      .description("print the SQL of the schema, for whoever may make tables; connects to nothing"),
  )
    .option("--from <version>", "only what comes after this version", parseWholeNumber, 0)
    .action(printScript);
  withOutput(
    db
      .command("check")
      .description(
        "read the whole file of a SQLite store, beside whatever uses it, and tell what is wrong with it",
      )
      .option("--store <store>", "sqlite:FILE (default: TENURE_STORE)"),
  ).action(checkDb);
}

async function migrateDb(options: DbOptions): Promise<void> {
  const location = locationOf(options);
  if (location === undefined) return;
  const { migrate, statusOf, withSession } = await schemaTools();
  const place = { schema: location.schema, store: location.description, advisoryLocks: !location.pooled };
  const { done, version } = await withSession(location, async (query) => {
    const steps = await migrate(query, place);
    return { done: steps, version: (await statusOf(query, place)).version };
  });
  const sentence =
    done.length === 0
      ? `${location.description} is at version ${version}: nothing was to be done.`
      : `${location.description} was brought to version ${version}.`;
  await print(options.output, { version, done }, () => sentence);
}

async function showStatus(options: DbOptions): Promise<void> {
  const location = locationOf(options);
  if (location === undefined) return;
  const { statusOf, withSession } = await schemaTools();
  const place = { schema: location.schema, store: location.description };
  const status = await withSession(location, (query) => statusOf(query, place));
  await print(options.output, { store: location.description, ...status }, (tables) =>
    tables.recordTable(process.stdout, [
      ["store", location.description],
      ["version", status.version === 0 ? "0 (there is no schema yet)" : String(status.version)],
      ["this program's version", String(status.latest)],
      ["lowest version to use it", String(status.minReader)],
      ["pending", status.pending.length === 0 ? "nothing" : status.pending.join(" ")],
    ]),
  );
}

async function printScript(options: PrintOptions): Promise<void> {
  const store = storeOf(options);
  const schema = store === undefined ? DEFAULT_SCHEMA : parsePostgres(store)?.schema;
  if (schema === undefined) return;
  const { printSql } = await import("../../stores/postgres/migrate.js");
  process.stdout.write(printSql(schema, options.from));
}

async function checkDb(options: DbOptions): Promise<void> {
  const store = parseStore(required(storeOf(options), "sqlite:FILE"));
  if (store.kind !== "sqlite") {
    say(
      store.kind === "postgres"
        ? `${store.description}: PostgreSQL checks its files itself: see pg_amcheck and data checksums.`
        : "A store in memory has no file. Nothing to do.",
    );
    return;
  }
  const { problemsIn } = await import("../../stores/sqlite/check.js");
  const problems = await problemsIn(store.file);
  await print(options.output, { store: store.description, problems }, (tables) =>
    problems.length === 0
      ? `${store.description}: nothing is wrong.`
      : tables.listTable(
          process.stdout,
          ["problem"],
          problems.map((problem) => [problem]),
        ),
  );
  if (problems.length === 0) return;
  say(`${store.description} is damaged: stop what uses it, and restore a backup.`);
  process.exitCode = EXIT.error;
}

function required(store: string | undefined, form: string): string {
  if (store !== undefined) return store;
  throw new ConfigurationError(`No store: give --store ${form}, or set TENURE_STORE.`);
}

function locationOf(options: StoreOptions): Location | undefined {
  return parsePostgres(required(storeOf(options), "postgres://…"));
}

function storeOf({ store }: StoreOptions): string | undefined {
  return store ?? storeFromEnvironment();
}

/** Undefined for a store that needs no care, which is said: scripts may run these commands for any store. */
function parsePostgres(given: string): Location | undefined {
  const store = parseStore(given);
  if (store.kind === "postgres") return store.location;
  say(
    store.kind === "sqlite"
      ? `${store.description}: a file brings itself to the version of the program that opens it. Nothing to do.`
      : "A store in memory has no schema. Nothing to do.",
  );
  return undefined;
}

async function schemaTools() {
  const [{ migrate, statusOf }, { withSession }] = await Promise.all([
    import("../../stores/postgres/migrate.js"),
    import("../../stores/postgres/session.js"),
  ]);
  return { migrate, statusOf, withSession };
}

function withStore(command: Command): Command {
  return command.option("--store <store>", "postgres://… (default: TENURE_STORE)");
}

function withOutput(command: Command): Command {
  return command.addOption(
    new Option("-o, --output <format>", "how to print data").choices(["table", "json"]).default("table"),
  );
}
