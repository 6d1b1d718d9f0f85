// What a hub leaves behind in a schema when all has ended.
import pg from "pg";

/** Tables whose rows are on their way to something that ends, or wait for it. */
const PASSING = ["message", "timer", "task", "waiter"] as const;

/** What nobody will look at again, once nothing is under way; nothing, normally. */
export async function leftIn(url: string, schema: string): Promise<readonly string[]> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => {}); // tells itself by the query that fails
  await client.connect();
  try {
    const counts = PASSING.map((table) => `(select count(*)::int from ${schema}.${table}) as ${table}`);
    const { rows } = await client.query<Record<string, number>>(`select ${counts.join(", ")}`);
    return Object.entries(rows[0] ?? {}).flatMap(([table, count]) =>
      count > 0 ? [`${count} ${table}`] : [],
    );
  } finally {
    await client.end();
  }
}
