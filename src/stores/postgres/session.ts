import { Connection, Texts } from "./connection.js";
import { loadDriver } from "./driver.js";
import { DatabaseFault, publicErrorOf } from "./fault.js";
import { hearOut } from "./hear-out.js";
import type { Location } from "./location.js";
import type { Query } from "./query.js";

/** For people who wait. */
const CONNECT_MS = 10_000;

/** One connection without a store, for as long as `use` takes: to see to the schema. Throws public errors. */
export async function withSession<T>(
  { connectionString, schema, description }: Location,
  use: (query: Query) => Promise<T>,
): Promise<T> {
  const { Pool } = await loadDriver();
  const pool = new Pool({ connectionString, max: 1, connectionTimeoutMillis: CONNECT_MS });
  pool.on("acquire", hearOut);
  try {
    const client = await pool.connect().catch((error: unknown) => {
      throw new DatabaseFault(error);
    });
    try {
      return await use(new Connection(client, new Texts(schema), { prepares: false, silenceMs: 0 }).query);
    } finally {
      client.release(true);
    }
  } catch (error) {
    throw publicErrorOf(error, description);
  } finally {
    await pool.end();
  }
}
