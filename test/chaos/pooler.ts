// A proxy that pools transactions: sessions of ours share a few of the server's, so that nothing of a session lasts.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { answers, freePort, type OwnServer, serverUser } from "./own-server.js";

/** How many of the server's connections all share. Few: that transactions of everybody meet on each. */
const SERVER_CONNECTIONS = 8;

/** Where pgbouncer is, if it is on the PATH. */
export function poolerProgram(): string | undefined {
  return [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin"]
    .map((folder) => join(folder, "pgbouncer"))
    .find((path) => existsSync(path));
}

/** pgbouncer in transaction mode before a server. */
export class Pooler implements AsyncDisposable {
  readonly url: string;
  readonly #program: string;
  readonly #folder: string;
  #process: ChildProcess | undefined;

  private constructor(program: string, folder: string, url: string) {
    this.#program = program;
    this.#folder = folder;
    this.url = url;
  }

  static async start(program: string, server: OwnServer): Promise<Pooler> {
    const folder = mkdtempSync(join(tmpdir(), "tenure-pooler-"));
    const port = await freePort();
    writeFileSync(join(folder, "users"), '"postgres" ""\n');
    writeFileSync(
      join(folder, "pgbouncer.ini"),
      [
        "[databases]",
        `postgres = host=127.0.0.1 port=${server.port} user=postgres`,
        "[pgbouncer]",
        "listen_addr = 127.0.0.1",
        `listen_port = ${port}`,
        "unix_socket_dir =",
        "auth_type = any",
        `auth_file = ${join(folder, "users")}`,
        "pool_mode = transaction",
        // A server that resets what sessions leave hides that somebody needs it.
        "server_reset_query =",
        `default_pool_size = ${SERVER_CONNECTIONS}`,
        "max_client_conn = 500",
        "ignore_startup_parameters = extra_float_digits,options",
        "",
      ].join("\n"),
    );
    const owner = serverUser();
    if (owner !== undefined) chownSync(folder, owner.uid, owner.gid);
    const pooler = new Pooler(program, folder, `postgres://postgres@127.0.0.1:${port}/postgres`);
    await pooler.#start();
    return pooler;
  }

  async restart(): Promise<void> {
    await this.#stop();
    await this.#start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #start(): Promise<void> {
    const started = spawn(this.#program, ["-q", join(this.#folder, "pgbouncer.ini")], {
      cwd: this.#folder,
      stdio: "ignore",
      ...serverUser(),
    });
    this.#process = started;
    if (!(await answers(started, this.url))) throw new Error("pgbouncer does not start");
  }

  async #stop(): Promise<void> {
    const running = this.#process;
    if (running === undefined) return;
    this.#process = undefined;
    const ended = once(running, "exit");
    running.kill("SIGKILL");
    await ended;
  }
}
