// Gives the tests a PostgreSQL: the one at TENURE_TEST_POSTGRES, or one of their own for this run. Only where a test
// file that is about to run names PostgreSQL: one unit test should not wait for a server.
import { spawn } from "node:child_process";
import { existsSync, readFileSync, statfsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  export interface ProvidedContext {
    /** A server whose user may do everything, or undefined, where none could be started. */
    postgresUrl: string | undefined;
  }
}

/** A server that ends, with all its data, when it is stopped or this process ends in any way. */
export interface PostgresServer {
  readonly url: string;
  readonly stop: () => Promise<void>;
}

/** A run of all tests takes 1 GB at most. */
const MEMORY_BYTES = 4 * 1024 ** 3;

const host = fileURLToPath(new URL("postgres-host.mjs", import.meta.url));

export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const { TENURE_TEST_POSTGRES: given } = process.env;
  const asked = project.config.watch || project.vitest.state.getPaths().some(namesPostgres);
  if (!asked || (given !== undefined && given !== "")) {
    project.provide("postgresUrl", asked ? given : undefined);
    return undefined;
  }
  try {
    const server = await startPostgres();
    project.provide("postgresUrl", server.url);
    return server.stop;
  } catch (error) {
    process.stderr.write(`Tests on PostgreSQL are left out: no server could be started. ${String(error)}\n`);
    project.provide("postgresUrl", undefined);
    return undefined;
  }
}

/** Starts a server of its own on a free port. */
export function startPostgres(): Promise<PostgresServer> {
  const folder = memoryFolder();
  const env = { ...process.env, ...(folder === undefined ? {} : { TENURE_TEST_POSTGRES_FOLDER: folder }) };
  const child = spawn(process.execPath, [host], { stdio: ["pipe", "pipe", "pipe"], env });
  const ended = new Promise<void>((resolve) => {
    child.once("close", () => resolve());
  });
  const stop = async (): Promise<void> => {
    child.stdin.end();
    await ended;
  };
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.stdout.setEncoding("utf8").once("data", (text: string) => resolve({ url: text.trim(), stop }));
    child.once("close", (code) => reject(new Error(`It ended with ${code}: ${said.trim()}`)));
  });
}

/**
 * Where files are in memory, if there is room: what the tests find out does not depend on the disk, but a flush that takes
 * 2 ms makes them take twice as long.
 */
function memoryFolder(): string | undefined {
  const folder = "/dev/shm";
  if (!existsSync(folder)) return undefined;
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize >= MEMORY_BYTES ? folder : undefined;
}

function namesPostgres(path: string): boolean {
  return /postgres/i.test(readFileSync(path, "utf8"));
}
