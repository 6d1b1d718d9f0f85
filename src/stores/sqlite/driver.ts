import { StoreUnusableError } from "../../core/errors.js";

/** What a statement takes and columns hold; we store no blobs and no integers above 2^53. */
export type SqlValue = string | number | null;

/** The part of `node:sqlite`'s DatabaseSync that we use. */
export interface Driver {
  exec(sql: string): void;
  prepare(sql: string): Statement;
  close(): void;
}

/** The part of `node:sqlite`'s StatementSync that we use. Rows are parsed by {@link Row}. */
export interface Statement {
  run(...values: SqlValue[]): { readonly changes: number | bigint };
  get(...values: SqlValue[]): unknown;
  all(...values: SqlValue[]): unknown[];
  /** Missing in Node 22: rows are then objects, their values in the order of the columns. */
  setReturnArrays?(returnArrays: boolean): void;
}

/** Opens a database file. */
export type DriverConstructor = new (
  file: string,
  options: { readonly enableForeignKeyConstraints: boolean },
) => Driver;

let loading: Promise<DriverConstructor> | undefined;

/**
 * Loads SQLite on first use: the one in Node where there is one, else `@photostructure/sqlite`, which
 * has the same API and needs no install script.
 *
 * @throws StoreUnusableError where there is neither.
 */
export function loadDriver(): Promise<DriverConstructor> {
  loading ??= load();
  return loading;
}

async function load(): Promise<DriverConstructor> {
  const builtin = withoutExperimentalWarning(() => process.getBuiltinModule("node:sqlite"));
  if (isDriverModule(builtin)) return builtin.DatabaseSync;
  try {
    const module: unknown = await import("@photostructure/sqlite");
    if (isDriverModule(module)) return module.DatabaseSync;
  } catch (cause) {
    throw unavailable({ cause });
  }
  throw unavailable();
}

function isDriverModule(module: unknown): module is { readonly DatabaseSync: DriverConstructor } {
  return typeof module === "object" && module !== null && "DatabaseSync" in module;
}

function unavailable(options?: ErrorOptions): StoreUnusableError {
  return new StoreUnusableError(
    `Node.js ${process.version} has no node:sqlite, and the package @photostructure/sqlite cannot be loaded. ` +
      "Install it (npm install @photostructure/sqlite), or use Node.js 24 or newer.",
    options,
  );
}

/** Node 22 warns that its SQLite is experimental; users of ours can do nothing about it. Only this call is muted. */
function withoutExperimentalWarning<T>(load: () => T): T {
  const before = Object.getOwnPropertyDescriptor(process, "emitWarning");
  process.emitWarning = () => {};
  try {
    return load();
  } finally {
    if (before !== undefined) Object.defineProperty(process, "emitWarning", before);
  }
}
