import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import pg from "pg";

/** A PostgreSQL to measure on. */
export interface PostgresServer {
  readonly url: string;
  stop(): Promise<void>;
}

/** The tests' server in a process of its own; it ends, with its data, when its stdin does. */
const host = fileURLToPath(new URL("../test/postgres-host.mjs", import.meta.url));

/**
 * The server at `TENURE_TEST_POSTGRES`, or one of our own that goes away with its data: default settings, so with
 * fsync on, apart from the number of connections, the buffers and what is given. `TENURE_BENCH_DIR` chooses the disk.
 */
export function startPostgres(...settings: readonly string[]): Promise<PostgresServer> {
  const { TENURE_TEST_POSTGRES: atHand, TENURE_BENCH_DIR: folder } = process.env;
  if (atHand !== undefined && atHand !== "") {
    return Promise.resolve({ url: atHand, stop: () => Promise.resolve() });
  }
  const all = ["shared_buffers=256MB", ...settings].flatMap((setting) => ["-c", setting]);
  const child = spawn(process.execPath, [host, ...all], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, ...(folder === undefined ? {} : { TMPDIR: folder }) },
  });
  const ended = new Promise<void>((resolve) => {
    child.once("close", () => resolve());
  });
  const stop = async (): Promise<void> => {
    child.stdin.end();
    await ended;
  };
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.stdout.setEncoding("utf8").once("data", (text: string) => resolve({ url: text.trim(), stop }));
    child.once("close", (code) => reject(new Error(`no PostgreSQL could be started: it ended with ${code}`)));
  });
}

/** Says on stderr what is measured on. */
export async function saySettings(url: string): Promise<void> {
  await withClient(url, async (client) => {
    const names = ["server_version", "fsync", "synchronous_commit", "shared_buffers", "max_wal_size"];
    const shown: string[] = [];
    for (const name of names) {
      const { rows } = await client.query<string[]>({
        text: "select current_setting($1)",
        values: [name],
        rowMode: "array",
      });
      shown.push(`${name} ${rows[0]?.[0]}`);
    }
    process.stderr.write(`PostgreSQL: ${shown.join(", ")}\n`);
  });
}

/** Runs work on a connection of its own. */
export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** A name for a schema that nobody has, and the end of that schema afterwards. */
export async function inFreshSchema<T>(url: string, work: (schema: string) => Promise<T>): Promise<T> {
  const schema = `bench_${process.pid}_${Date.now().toString(36)}`;
  try {
    // Both sides of a comparison begin behind a checkpoint.
    await withClient(url, (client) => client.query("checkpoint"));
    return await work(schema);
  } finally {
    await withClient(url, (client) => client.query(`drop schema if exists "${schema}" cascade`));
  }
}

/** The store in that schema, as users name one. */
export function storeUrl(url: string, schema: string): string {
  const address = new URL(url);
  address.searchParams.set("schema", schema);
  return address.href;
}
