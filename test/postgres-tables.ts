// The tables of a deployment, without a store: for tests of the statements themselves.
import { type Client, Pool } from "pg";
import { columnTypes } from "../src/stores/postgres/driver.js";
import { qualify } from "../src/stores/postgres/qualify.js";
import type { Query, SqlValue } from "../src/stores/postgres/query.js";
import { migrations } from "../src/stores/postgres/schema.js";
import { connect, dropSchema, freshSchema, postgresUrl } from "./postgres-schema.js";

/** A schema of its own with all tables. */
export interface Tables extends AsyncDisposable {
  readonly schema: string;
  readonly query: Query;
}

/** A statement and what was bound to it. */
export type Statement = readonly [sql: string, values: readonly SqlValue[]];

/** How the server would carry the statements out: with plans for these values, and with plans for any. */
export async function plansOf({ schema }: Tables, statements: Iterable<Statement>): Promise<string[]> {
  const plans: string[] = [];
  await using client = await connect();
  for (const mode of ["force_custom_plan", "force_generic_plan"]) {
    await client.query(`set plan_cache_mode = ${mode}`);
    for (const [sql, values] of statements) {
      await client.query(`prepare plan as ${qualify(sql, schema)}`);
      const literals = values.map((value) => literalOf(client, value));
      const execute = `execute plan${literals.length === 0 ? "" : `(${literals.join(", ")})`}`;
      const { rows } = await client.query<{ "QUERY PLAN": string }>(`explain ${execute}`);
      plans.push([mode, sql, ...rows.map((row) => row["QUERY PLAN"])].join("\n"));
      await client.query("deallocate plan");
    }
  }
  return plans;
}

function literalOf(client: Client, value: SqlValue): string {
  if (value === null) return "null";
  return client.escapeLiteral(typeof value === "object" ? `{${value.join(",")}}` : String(value));
}

export async function newTables(): Promise<Tables> {
  const schema = freshSchema();
  const pool = new Pool({ connectionString: postgresUrl, max: 10 });
  pool.on("error", () => {});
  await pool.query(`create schema "${schema}"`);
  const query: Query = async (sql, values = []) => {
    const { rows } = await pool.query<unknown[], unknown[]>({
      text: qualify(sql, schema),
      values: [...values],
      rowMode: "array",
      types: columnTypes,
    });
    return rows;
  };
  for (const sql of migrations.flatMap(({ statements }) => statements)) await query(sql);
  return {
    schema,
    query,
    [Symbol.asyncDispose]: async () => {
      await pool.end();
      await dropSchema(schema);
    },
  };
}
