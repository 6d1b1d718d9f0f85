import { InvalidArgumentError } from "../../core/errors.js";
import { isPostgresUrl } from "../address.js";
import { type LeaseTimes, parseLeaseTimes } from "./lease-times.js";

/** What `postgres://user:password@host:port/database?schema=…&pooled=…&leaseMs=…&renewMs=…&lateMs=…` says. */
export interface Location {
  /** For the driver: the address without our own parameters. */
  readonly connectionString: string;
  /** The deployment's schema. */
  readonly schema: string;
  /** Whether a proxy that pools transactions stands between: then nothing is kept in a session. */
  readonly pooled: boolean;
  /** Where it says anything of leases. */
  readonly leaseTimes: Partial<LeaseTimes>;
  /** For messages: `postgres://host:port/database/schema`, with nobody's password. */
  readonly description: string;
}

/** Where the URL names none. */
export const DEFAULT_SCHEMA = "tenure";

const LEASE_PARAMETERS = ["leaseMs", "renewMs", "lateMs"] as const;

const EXAMPLE = "postgres://user:password@host:5432/database?schema=tenure";

const ESCAPES = "In names and passwords, write / # ? @ : % as %2F %23 %3F %40 %3A %25";

/**
 * Takes our parameters out of an address; all others (sslmode, application_name, …) are the driver's.
 *
 * @throws InvalidArgumentError without a word of the address in it: it may hold a password.
 */
export function parseLocation(store: string): Location {
  const url = parseUrl(store);
  const schema = parseSchema(url.searchParams.get("schema") ?? DEFAULT_SCHEMA);
  const pooled = parsePooled(url.searchParams.get("pooled") ?? "false");
  const description = describe(url, schema);
  const leaseTimes = leaseTimesOf(url);
  for (const name of ["schema", "pooled", ...LEASE_PARAMETERS]) url.searchParams.delete(name);
  return { connectionString: url.href, schema, pooled, leaseTimes, description };
}

function parseUrl(store: string): URL {
  if (!isPostgresUrl(store)) throw refused(`is not an address such as ${EXAMPLE}`);
  if (!URL.canParse(store)) throw refused(`cannot be read. ${ESCAPES}`);
  const url = new URL(store);
  // A password that is not escaped can still make an address, of another server and with the rest of it in sight.
  const strayed =
    url.hash !== "" ||
    /[@/]/.test(url.pathname.slice(1)) ||
    url.search.includes("@") ||
    [...url.searchParams.keys()].some((name) => !/^[\w.]+$/.test(name)) ||
    !isEscaped(url.username + url.password + url.pathname);
  if (strayed) throw refused(`has more in it than ${EXAMPLE} and further parameters. ${ESCAPES}`);
  return url;
}

function isEscaped(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

/** @throws InvalidArgumentError for a name that would have to be quoted, or that PostgreSQL keeps for itself. */
export function parseSchema(name: string): string {
  if (/^[a-z_][a-z0-9_]{0,62}$/.test(name) && !/^(pg_|information_schema$)/.test(name)) return name;
  throw new InvalidArgumentError(
    "schema",
    `a PostgreSQL store cannot have ${JSON.stringify(name.slice(0, 80))} as its schema. Use up to 63 of a-z, 0-9 and _, not beginning with a ` +
      "digit or pg_",
  );
}

function parsePooled(value: string): boolean {
  if (value === "true" || value === "false") return value === "true";
  throw refused("has a parameter `pooled` that is neither true nor false");
}

/** Checked here already: a command that opens nothing is to be refused, too. */
function leaseTimesOf({ searchParams }: URL): Partial<LeaseTimes> {
  const given = LEASE_PARAMETERS.flatMap((name) => {
    const value = searchParams.get(name);
    if (value === null) return [];
    return [[name, /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN] as const];
  });
  const times: Partial<LeaseTimes> = Object.fromEntries(given);
  parseLeaseTimes(times);
  return times;
}

/** Where an address says nothing, the driver goes by the same variables as psql. */
function describe({ hostname, port, pathname, searchParams, username }: URL, schema: string): string {
  const { PGHOST, PGPORT, PGDATABASE, PGUSER } = process.env;
  const host = searchParams.get("host") ?? or(hostname, PGHOST, "localhost");
  const at = searchParams.get("port") ?? or(port, PGPORT, "5432");
  const database = or(
    decodeURIComponent(pathname.slice(1)),
    PGDATABASE,
    decodeURIComponent(username),
    PGUSER,
  );
  return `postgres://${host}:${at}/${database}/${schema}`;
}

/** The first that says something. */
function or(...texts: readonly (string | undefined)[]): string {
  return texts.find((text) => text !== undefined && text !== "") ?? "";
}

function refused(problem: string): InvalidArgumentError {
  return new InvalidArgumentError("store", `the PostgreSQL URL ${problem}.`);
}
