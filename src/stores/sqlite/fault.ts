import {
  EngineFaultError,
  SchemaTooNewError,
  StoreConflictError,
  StoreHeldError,
  StoreUnusableError,
  type TenureError,
} from "../../core/errors.js";

/** Why the database could not do what it was asked: data, so that it can leave the store's thread. */
export type Fault =
  /** Nothing was written; it may be tried again. */
  | { readonly kind: "conflict"; readonly message: string; readonly cause?: Error | undefined }
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
      return unusable(`${store} is damaged or is not a SQLite file (${why}). Restore a backup.`, thrown);
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

/** The low byte of an extended result code is the primary one. */
function primaryCode(thrown: unknown): number | undefined {
  if (typeof thrown !== "object" || thrown === null || !("errcode" in thrown)) return undefined;
  return typeof thrown.errcode === "number" ? thrown.errcode & 0xff : undefined;
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
