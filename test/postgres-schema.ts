// What tests on PostgreSQL share: the run's server, and a schema of their own in it.
import { randomBytes } from "node:crypto";
import { Client } from "pg";
import { inject } from "vitest";

/** The server, where there is one; see postgres-server.ts. For `describe.skipIf(postgresUrl === undefined)`. */
export const postgresUrl: string | undefined = inject("postgresUrl");

/** A schema name that nothing else has. Drop it with {@link dropSchema}. */
export function freshSchema(): string {
  return `test_${randomBytes(8).toString("hex")}`;
}

/** The store in that schema, as users name one. */
export function storeUrl(schema: string, parameters: Readonly<Record<string, string>> = {}): string {
  const url = new URL(requireUrl());
  for (const [name, value] of Object.entries({ ...parameters, schema })) url.searchParams.set(name, value);
  return url.href;
}

export async function dropSchema(...schemas: readonly string[]): Promise<void> {
  await using client = await connect();
  for (const schema of schemas) await client.query(`drop schema if exists "${schema}" cascade`);
}

/** A connection to the server, to look behind a store's back. */
export async function connect(url: string = requireUrl()): Promise<Client & AsyncDisposable> {
  const client = new Client({ connectionString: url });
  // Tests end connections on purpose: whoever waits for an answer is told, nobody else needs to be.
  client.on("error", () => {});
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}

function requireUrl(): string {
  if (postgresUrl !== undefined) return postgresUrl;
  throw new Error("No PostgreSQL server: set TENURE_TEST_POSTGRES, or skip where postgresUrl is undefined.");
}
