import type { BatchResult, Operation } from "./batch.js";
import { type DatabaseOptions, openDatabase, type SqliteDatabase } from "./database.js";
import { DatabaseFault, errorOf, faultOf } from "./fault.js";
import { type Caller, type CallName, callDatabase, type DatabaseHost } from "./host.js";
import { Lookout } from "./lookout.js";

/** Runs the database in this thread: each call is done, flush included, before it returns. */
export async function openInline(
  options: DatabaseOptions,
  foundElsewhere: () => void,
): Promise<DatabaseHost> {
  try {
    return new InlineHost(await openDatabase(options), options.file, foundElsewhere);
  } catch (error) {
    throw error instanceof DatabaseFault ? errorOf(error.fault) : error;
  }
}

class InlineHost implements DatabaseHost {
  readonly secret: string;
  readonly #database: SqliteDatabase;
  readonly #store: string;
  readonly #lookout: Lookout;

  constructor(database: SqliteDatabase, file: string, foundElsewhere: () => void) {
    this.#database = database;
    this.#store = `sqlite:${file}`;
    this.#lookout = new Lookout(database, file, foundElsewhere);
    this.secret = database.secret;
  }

  write(operations: readonly Operation[]): Promise<BatchResult> {
    return this.#carryOut(() => this.#database.write(operations));
  }

  call<M extends CallName>(
    method: M,
    ...args: Parameters<SqliteDatabase[M]>
  ): Promise<ReturnType<SqliteDatabase[M]>> {
    return this.#carryOut(() => callDatabase(this.#database, method, args));
  }

  lookElsewhere(looks: boolean): void {
    this.#lookout.set(looks);
  }

  watchTurns(): boolean {
    return false;
  }

  close(): Promise<void> {
    this.#lookout.set(false);
    return this.#carryOut(() => this.#database.close());
  }

  #carryOut<T>(work: () => unknown): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const caller: Caller = { resolve, reject };
      try {
        caller.resolve(work());
      } catch (error) {
        caller.reject(errorOf(faultOf(error, this.#store)));
      }
    });
  }
}
