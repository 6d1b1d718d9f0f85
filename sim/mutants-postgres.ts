import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** A server that ends, with its data, when it is disposed of or this process ends. */
export interface PostgresServer extends AsyncDisposable {
  readonly url: string;
}

/** The tests' server, in a process of its own; seen from the built file. */
const HOST = fileURLToPath(new URL("../../test/postgres-host.mjs", import.meta.url));

/** The server at TENURE_TEST_POSTGRES, or one of our own; nothing that it is told need outlive it. */
export function startPostgres(): Promise<PostgresServer> {
  const { TENURE_TEST_POSTGRES: given } = process.env;
  if (given !== undefined && given !== "")
    return Promise.resolve({ url: given, [Symbol.asyncDispose]: async () => {} });
  const folder = existsSync("/dev/shm") ? { TENURE_TEST_POSTGRES_FOLDER: "/dev/shm" } : {};
  const child = spawn(process.execPath, [HOST, "-c", "fsync=off"], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, ...folder },
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
    child.stdout
      .setEncoding("utf8")
      .once("data", (text: string) => resolve({ url: text.trim(), [Symbol.asyncDispose]: stop }));
    child.once("close", (code) => reject(new Error(`no PostgreSQL could be started: it ended with ${code}`)));
  });
}
