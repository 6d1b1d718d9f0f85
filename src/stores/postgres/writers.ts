import { Row } from "../rows.js";
import type { Query } from "./query.js";

/** The numbers that stand for workers' IDs in rows: an ID has 32 digits, and each commit carries one. */
export class Writers {
  readonly #query: Query;
  readonly #known = new Map<string, Promise<number>>();

  /** @param query commits by itself: a number that was given out stays. */
  constructor(query: Query) {
    this.#query = query;
  }

  of(worker: string): Promise<number> {
    let writer = this.#known.get(worker);
    if (writer === undefined) {
      writer = this.#name(worker);
      this.#known.set(worker, writer);
      writer.catch(() => this.#known.delete(worker));
    }
    return writer;
  }

  async #name(worker: string): Promise<number> {
    const [row] = await this.#query(
      "insert into @writer (name) values ($1) on conflict (name) do update set name = excluded.name returning writer",
      [worker],
    );
    return new Row(row).integer();
  }
}
