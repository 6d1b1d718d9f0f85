import { Row } from "../rows.js";
import type { Connection } from "./connection.js";

/** The numbers that stand for workers' IDs in rows: an ID has 32 digits, and each commit carries one. */
export class Writers {
  readonly #connection: Connection;
  readonly #known = new Map<string, number>();

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Must be called in a write transaction. */
  of(worker: string): number {
    const known = this.#known.get(worker);
    if (known !== undefined) return known;
    const row = new Row(
      this.#connection
        .sql(
          "insert into writer (name) values (?) on conflict (name) do update set name = name returning writer",
        )
        .get(worker),
    );
    const writer = row.integer();
    this.#known.set(worker, writer);
    return writer;
  }

  /** A transaction was rolled back, and a number that it gave out with it. */
  forget(): void {
    this.#known.clear();
  }
}
