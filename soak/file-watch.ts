import { statSync } from "node:fs";
import { Row } from "../src/stores/rows.js";
import type { Driver, DriverConstructor, Statement } from "../src/stores/sqlite/driver.js";

/** The hub's file, as somebody outside sees it. */
export interface FileSample {
  readonly fileBytes: number;
  readonly logBytes: number;
  /** Of the file, without the pages that are free for reuse. */
  readonly usedBytes: number;
  /** Instances in the file, ended ones included. */
  readonly instances: number;
}

/**
 * Tables that a purge of everything must leave empty. What is kept by design: request IDs for their 24 h (a start that
 * is repeated after the purge must not start twice; nobody gives one here), refusals, floors of tokens, settings.
 */
const PURGED = ["inst", "execution", "hist", "message", "timer", "waiter", "strike"] as const;

/** Looks at the hub's file with a connection of its own, which never writes. */
export class FileWatch implements Disposable {
  readonly #file: string;
  readonly #driver: Driver;
  readonly #statements = new Map<string, Statement>();

  /** The file must be there already: its engine creates it. */
  constructor(driver: DriverConstructor, file: string) {
    this.#file = file;
    this.#driver = new driver(file, { enableForeignKeyConstraints: false });
    this.#driver.exec("pragma busy_timeout = 5000");
  }

  look(): FileSample {
    const pageBytes = this.#number("pragma page_size");
    const pages = this.#number("pragma page_count");
    const free = this.#number("pragma freelist_count");
    return {
      fileBytes: sizeOf(this.#file),
      logBytes: sizeOf(`${this.#file}-wal`),
      usedBytes: (pages - free) * pageBytes,
      instances: this.#number("select count(*) from inst"),
    };
  }

  /** Rows by table that a purge of everything has left. */
  remains(): ReadonlyMap<string, number> {
    return new Map(PURGED.map((table) => [table, this.#number(`select count(*) from ${table}`)]));
  }

  [Symbol.dispose](): void {
    this.#driver.close();
  }

  #number(sql: string): number {
    const statement = this.#statements.get(sql) ?? this.#driver.prepare(sql);
    this.#statements.set(sql, statement);
    statement.setReturnArrays?.(true);
    return new Row(statement.get()).integer();
  }
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}
