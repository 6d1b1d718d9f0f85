import { EngineFaultError, StoreConflictError, StoreUnusableError, TenureError } from "../../core/errors.js";

/** What an error of the driver or the server means for whoever has asked. */
export type FaultKind =
  /** Two transactions met: nothing was written, and the next try will probably do. */
  | "contention"
  /** The connection is gone, or none can be had: a commit that was under way may have happened. */
  | "lost"
  /** Nothing was written, and trying again at once does not help. */
  | "conflict"
  /** Nothing can be done with this database as it is. */
  | "unusable"
  /** A fault of ours. */
  | "engine";

/** What the driver threw, sorted. Inside the store only; {@link publicErrorOf} makes a public error of it. */
export class DatabaseFault extends Error {
  readonly kind: FaultKind;
  /** The server's five-character code, where it was the server that refused. */
  readonly sqlState: string | undefined;

  constructor(cause: unknown) {
    super(messageOf(cause), { cause });
    this.sqlState = sqlStateOf(cause);
    this.kind = kindOf(cause, this.sqlState, this.message);
  }
}

/** The public error for whatever was thrown while `store` was asked. Errors that are public already stay as they are. */
export function publicErrorOf(thrown: unknown, store: string): TenureError {
  if (thrown instanceof TenureError) return thrown;
  const options = { cause: thrown instanceof DatabaseFault ? thrown.cause : thrown };
  const why = messageOf(thrown);
  if (!(thrown instanceof DatabaseFault)) {
    return new EngineFaultError(`${store}: an operation failed unexpectedly: ${why}`, options);
  }
  switch (thrown.kind) {
    case "contention":
      return new StoreConflictError(`${store} is contended: transactions kept meeting. Try again.`, options);
    case "lost":
      return new StoreConflictError(`${store} cannot be reached (${why}). Try again.`, options);
    case "conflict":
      return new StoreConflictError(`${store}: ${conflictAdvice(thrown.sqlState, why)}`, options);
    case "unusable":
      return new StoreUnusableError(`${store}: ${unusableAdvice(thrown.sqlState, why)}`, options);
    case "engine":
      return new EngineFaultError(`${store}: a statement failed unexpectedly: ${why}`, options);
  }
}

/** Whether a public error says that a lock, or a statement, took longer than was allowed. */
export function isTimeOut(error: unknown): boolean {
  if (!(error instanceof StoreConflictError)) return false;
  const sqlState = sqlStateOf(error.cause);
  return sqlState === LOCK_NOT_AVAILABLE || sqlState === QUERY_CANCELED;
}

// https://www.postgresql.org/docs/current/errcodes-appendix.html
const SERIALIZATION_FAILURE = "40001";
const DEADLOCK_DETECTED = "40P01";
const FEATURE_NOT_SUPPORTED = "0A000";
const READ_ONLY_TRANSACTION = "25006";
const IDLE_IN_TRANSACTION_TIMEOUT = "25P03";
const TRANSACTION_TIMEOUT = "25P04";
const COMPLETION_UNKNOWN = "40003";
const UNKNOWN_STATEMENT = "26000";
const KNOWN_STATEMENT = "42P05";
const UNKNOWN_TABLE = "42P01";
const UNKNOWN_SCHEMA = "3F000";
const UNKNOWN_DATABASE = "3D000";
const NO_PRIVILEGE = "42501";
const DISK_FULL = "53100";
const OUT_OF_MEMORY = "53200";
const TOO_MANY_CONNECTIONS = "53300";
const LOCK_NOT_AVAILABLE = "55P03";
const QUERY_CANCELED = "57014";
const IO_ERROR = "58030";
/** Also what poolers answer whose server is being replaced. Damage has codes of its own. */
const INTERNAL_ERROR = "XX000";

/** What the system says of a connection. Of TLS itself it says nothing: EPROTO and the certificates' are not here. */
const LOST_CONNECTION = new Set([
  "ECONNABORTED",
  "ECONNREFUSED",
  "ECONNRESET",
  "EAI_AGAIN",
  "EHOSTDOWN",
  "EHOSTUNREACH",
  "ENETDOWN",
  "ENETRESET",
  "ENETUNREACH",
  "ENOTFOUND",
  "EPIPE",
  "ETIMEDOUT",
]);

/** The driver's words for an answer that is neither yes nor no: of a server that cannot take a connection now. */
const NO_ANSWER_TO_TLS = "There was an error establishing an SSL connection";

function kindOf(thrown: unknown, sqlState: string | undefined, message: string): FaultKind {
  if (sqlState === undefined) {
    if (thrown instanceof TypeError || thrown instanceof RangeError) return "engine";
    // Also one that speaks of TLS: a server that restarts, or its load balancer, hangs up in the middle of it.
    if (LOST_CONNECTION.has(systemCodeOf(thrown) ?? "") || message === NO_ANSWER_TO_TLS) return "lost";
    // What comes before or instead of a session: no password where one is asked for, no TLS, a bad certificate.
    return /\bSASL\b|\bSSL\b|\bTLS\b|certificate|password/i.test(message) ? "unusable" : "lost";
  }
  switch (sqlState) {
    case SERIALIZATION_FAILURE:
    case DEADLOCK_DETECTED:
      return "contention";
    case IDLE_IN_TRANSACTION_TIMEOUT:
    case TRANSACTION_TIMEOUT:
    case COMPLETION_UNKNOWN:
    case TOO_MANY_CONNECTIONS:
      return "lost";
    case READ_ONLY_TRANSACTION:
      return "lost"; // a standby, as right after a failover: another connection may reach the new primary
    // A prepared statement from before a migration: a new connection prepares it anew.
    case FEATURE_NOT_SUPPORTED:
      return message.includes("cached plan") ? "lost" : "engine";
    case DISK_FULL:
    case OUT_OF_MEMORY:
    case LOCK_NOT_AVAILABLE:
    case QUERY_CANCELED:
    case IO_ERROR:
    case INTERNAL_ERROR:
      return "conflict";
    case UNKNOWN_STATEMENT:
    case KNOWN_STATEMENT:
    case UNKNOWN_TABLE:
    case UNKNOWN_SCHEMA:
    case UNKNOWN_DATABASE:
    case NO_PRIVILEGE:
      return "unusable";
    default:
      return kindOfClass(sqlState.slice(0, 2));
  }
}

function kindOfClass(sqlClass: string): FaultKind {
  switch (sqlClass) {
    case "08": // connection exceptions
    case "57": // operator intervention: shutdown, starting up, dropped
      return "lost";
    case "53": // insufficient resources
    case "58": // system errors
      return "conflict";
    case "0P":
    case "28": // authorization
    case "XX": // damage
      return "unusable";
    default:
      return "engine";
  }
}

function conflictAdvice(sqlState: string | undefined, why: string): string {
  switch (sqlState) {
    case DISK_FULL:
      return `the database's disk is full (${why}). Free some space.`;
    case LOCK_NOT_AVAILABLE:
    case QUERY_CANCELED:
      return `a statement took too long and was canceled (${why}). Try again.`;
    default:
      return `the database could not do it now (${why}). Try again.`;
  }
}

function unusableAdvice(sqlState: string | undefined, why: string): string {
  switch (sqlState) {
    case UNKNOWN_DATABASE:
      return `there is no such database (${why}). Create it (createdb), or correct the URL.`;
    case UNKNOWN_SCHEMA:
    case UNKNOWN_TABLE:
      return `the schema is not there, or not complete (${why}). Run tenure db migrate, or restore a backup.`;
    case NO_PRIVILEGE:
      return `the user may not do what a store needs (${why}). Grant it rights on the schema and its tables.`;
    case UNKNOWN_STATEMENT:
    case KNOWN_STATEMENT:
      return (
        `prepared statements do not stay with their connection (${why}): a pooling proxy stands between. ` +
        "Add ?pooled=true to the URL."
      );
    default:
      return sqlState?.startsWith("XX") === true
        ? `the database reports damage (${why}). Look at the server's log; restore a backup.`
        : `the database does not let us in (${why}). Check user, password and TLS settings of the URL.`;
  }
}

/** A server's error has a severity; `code` alone may also be a system call's, EPIPE for one. */
function sqlStateOf(thrown: unknown): string | undefined {
  return typeof thrown === "object" && thrown !== null && "severity" in thrown ? codeOf(thrown) : undefined;
}

/** Of an AggregateError (all addresses of a host failed) the first one's, as for its message. */
function systemCodeOf(thrown: unknown): string | undefined {
  return codeOf(thrown) ?? (thrown instanceof AggregateError ? codeOf(thrown.errors[0]) : undefined);
}

function codeOf(thrown: unknown): string | undefined {
  if (typeof thrown !== "object" || thrown === null || !("code" in thrown)) return undefined;
  return typeof thrown.code === "string" ? thrown.code : undefined;
}

/** Of an AggregateError (all addresses of a host refused) the first one's: its own is empty. */
function messageOf(thrown: unknown): string {
  if (thrown instanceof AggregateError && thrown.message === "") return messageOf(thrown.errors[0]);
  return thrown instanceof Error ? thrown.message : String(thrown);
}
