import {
  EngineFaultError,
  SchemaTooNewError,
  StoreConflictError,
  StoreDamagedError,
  StoreFailedError,
  StoreHeldError,
  StoreUnusableError,
  type TenureError,
} from "../../core/errors.js";

/** Why the database could not do what it was asked: data, so that it can leave the store's thread. */
export type Fault =
  /** Nothing was written; it may be tried again. */
  | { readonly kind: "conflict"; readonly message: string; readonly cause?: Error | undefined }
  /** It may or may not have been written, and this process must write nothing more. */
  | { readonly kind: "failed"; readonly message: string; readonly cause?: Error | undefined }
  /** What is in the file is not what was written. */
  | { readonly kind: "damaged"; readonly message: string; readonly cause?: Error | undefined }
  /** Nothing more can be done with this file as it is. */
  | { readonly kind: "unusable"; readonly message: string; readonly cause?: Error | undefined }
  | {
      readonly kind: "held";
      readonly store: string;
      readonly pid?: number;
      readonly host?: string;
      readonly sinceMs?: number;
    }
  | { readonly kind: "tooNew"; readonly store: string; readonly minReader: number; readonly version: number }
  /** A fault of ours. */
  | { readonly kind: "engine"; readonly message: string; readonly cause?: Error | undefined };

/** Thrown inside the database; {@link errorOf} makes a public error of it at the store's edge. */
export class DatabaseFault extends Error {
  constructor(readonly fault: Fault) {
    super(fault.kind, "cause" in fault ? { cause: fault.cause } : undefined);
  }
}

/** The public error for a fault. */
export function errorOf(fault: Fault): TenureError {
  switch (fault.kind) {
    case "conflict":
      return new StoreConflictError(fault.message, { cause: fault.cause });
    case "failed":
      return new StoreFailedError(fault.message, { cause: fault.cause });
    case "damaged":
      return new StoreDamagedError(fault.message, { cause: fault.cause });
    case "unusable":
      return new StoreUnusableError(fault.message, { cause: fault.cause });
    case "held":
      return new StoreHeldError(fault.store, fault.pid, fault.host, fault.sinceMs);
    case "tooNew":
      return new SchemaTooNewError(fault.store, fault.minReader, fault.version);
    case "engine":
      return new EngineFaultError(fault.message, { cause: fault.cause });
  }
}

/** What a thrown value means, whatever it is. */
export function faultOf(thrown: unknown, store: string): Fault {
  if (thrown instanceof DatabaseFault) return thrown.fault;
  const why = messageOf(thrown);
  switch (primaryCode(thrown)) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return conflict(`${store} stayed locked by another process for too long. Try again.`, thrown);
    case SQLITE_FULL:
      return conflict(`${store} could not be written: the disk is full. Free some space.`, thrown);
    case SQLITE_IOERR:
    case SQLITE_NOMEM:
    case SQLITE_INTERRUPT:
      return conflict(`${store} could not be read or written (${why}). Check the disk.`, thrown);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return {
        kind: "damaged",
        message: `${store} is damaged or is not a SQLite file (${why}). Stop what uses it, and restore a backup.`,
        cause: causeOf(thrown),
      };
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
      return unusable(
        `${store} cannot be opened for writing (${why}). Check its path and permissions.`,
        thrown,
      );
    default:
      return {
        kind: "engine",
        message: `${store}: an operation failed unexpectedly: ${why}`,
        cause: causeOf(thrown),
      };
  }
}

/**
 * What it means that a commit threw. An I/O error there tells nothing: the operating system may have dropped what
 * it could not write and call the next flush good (https://lwn.net/Articles/752063/), and what is in the log may
 * count as committed once the file is opened again. So nothing may be built on it in this process.
 */
export function commitFault(thrown: unknown, store: string): unknown {
  if (primaryCode(thrown) !== SQLITE_IOERR) return thrown;
  return new DatabaseFault({
    kind: "failed",
    message:
      `${store}: the disk failed while a commit was written (${messageOf(thrown)}). Whether it counts is not known. ` +
      "This process must end: check the disk and the system's log, then start it again. What was acknowledged " +
      "before is kept; start what failed now again, with the same requestId.",
    cause: causeOf(thrown),
  });
}

/** Whether the database was busy: the only fault that passes by itself. */
export function isBusy(thrown: unknown): boolean {
  const code = primaryCode(thrown);
  return code === SQLITE_BUSY || code === SQLITE_LOCKED;
}

// Primary result codes, https://sqlite.org/rescode.html
const SQLITE_PERM = 3;
const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;
const SQLITE_NOMEM = 7;
const SQLITE_READONLY = 8;
const SQLITE_INTERRUPT = 9;
const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_NOTADB = 26;

/** SQLite's texts for its codes: `all()` of @photostructure/sqlite 1.2.1 throws an error that has only these. */
const CODE_OF_TEXT: ReadonlyMap<string, number> = new Map([
  ["database is locked", SQLITE_BUSY],
  ["database table is locked", SQLITE_LOCKED],
  ["out of memory", SQLITE_NOMEM],
  ["interrupted", SQLITE_INTERRUPT],
  ["disk I/O error", SQLITE_IOERR],
  ["database disk image is malformed", SQLITE_CORRUPT],
  ["database or disk is full", SQLITE_FULL],
  ["unable to open database file", SQLITE_CANTOPEN],
  ["file is not a database", SQLITE_NOTADB],
]);

/** The low byte of an extended result code is the primary one. */
function primaryCode(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error)) return undefined;
  if ("errcode" in thrown && typeof thrown.errcode === "number") return thrown.errcode & 0xff;
  return CODE_OF_TEXT.get(thrown.message);
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

function conflict(message: string, thrown: unknown): Fault {
  return { kind: "conflict", message, cause: causeOf(thrown) };
}

function unusable(message: string, thrown: unknown): Fault {
  return { kind: "unusable", message, cause: causeOf(thrown) };
}

/** An error can leave the thread, other thrown things perhaps not. */
function causeOf(thrown: unknown): Error | undefined {
  return thrown instanceof Error ? thrown : undefined;
}
