import type * as pg from "pg";
import { StoreUnusableError } from "../../core/errors.js";

/** The part of `pg` that we use. */
export type Driver = Pick<typeof pg, "Client" | "Pool">;

let loading: Promise<Driver> | undefined;

/**
 * Loads `pg` on first use: whoever stays on SQLite need not have it.
 *
 * @throws StoreUnusableError where it is not installed.
 */
export function loadDriver(): Promise<Driver> {
  loading ??= load();
  return loading;
}

async function load(): Promise<Driver> {
  try {
    return await import("pg");
  } catch (cause) {
    throw new StoreUnusableError(
      "A PostgreSQL store needs the package pg, which cannot be loaded. Install it: npm install pg",
      { cause },
    );
  }
}

/** Type OIDs, from pg_type. */
const BOOL = 16;
const INT8 = 20;
const INT2 = 21;
const INT4 = 23;
const FLOAT8 = 701;
const INT8_ARRAY = 1016;

/**
 * How columns become values: integers are numbers (ours stay below 2^53), all else is text as the server
 * writes it. Given with every query, so that parsers which an application has set change nothing.
 */
export const columnTypes: pg.CustomTypesConfig = {
  getTypeParser: (type: number) => {
    switch (type) {
      case INT2:
      case INT4:
      case INT8:
      case FLOAT8:
        return Number;
      case BOOL:
        return (text: string) => text === "t";
      case INT8_ARRAY:
        return (text: string) => (text === "{}" ? [] : text.slice(1, -1).split(",").map(Number));
      default:
        return String;
    }
  },
};
