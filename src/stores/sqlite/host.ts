import type { TurnBoard } from "../../core/store.js";
import type { BatchResult, Operation } from "./batch.js";
import type { SqliteDatabase } from "./database.js";

/** Where a {@link SqliteDatabase} runs: in the caller's thread, or in one of its own. Rejects with public errors. */
export interface DatabaseHost {
  readonly secret: string;
  write(operations: readonly Operation[]): Promise<BatchResult>;
  call<M extends CallName>(
    method: M,
    ...args: Parameters<SqliteDatabase[M]>
  ): Promise<ReturnType<SqliteDatabase[M]>>;
  /** Whether to look, now and then, if another connection has committed. */
  lookElsewhere(looks: boolean): void;
  /** False where there is no thread that could watch while the main one is blocked. */
  watchTurns(board: TurnBoard): boolean;
  close(): Promise<void>;
}

/** The methods of the database that a host passes on as they are. */
export type CallName = Exclude<
  keyof SqliteDatabase,
  "secret" | "write" | "close" | "dataVersion" | "describe" | "withdrawStrike"
>;

/**
 * A caller that waits. Written as methods, because what comes back over a port has no type: it is what
 * the method of the same name returned.
 */
export interface Caller {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/** Calls a method of the database by its name. */
export function callDatabase(database: SqliteDatabase, method: CallName, args: readonly unknown[]): unknown {
  return Reflect.apply(database[method], database, args);
}
