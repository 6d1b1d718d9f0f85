// An engine's process on a SQLite file (sqlite-engine.mjs), and what the tests do to it.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

export interface EngineOptions {
  readonly file: string;
  readonly witness: string;
  /** What Node is started by, e.g. `["strace", "-f"]`. */
  readonly under?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Which program it runs; by default the plain engine. */
  readonly program?: string;
}

/** How a process ended. */
export interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class Engine {
  readonly ended: Promise<End>;
  readonly #child: ChildProcess;
  #pid = 0;
  #said = "";

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#said += text;
    });
    child.stdin?.on("error", () => {}); // it may end first
    this.ended = once(child, "close").then(() => ({ code: child.exitCode, signal: child.signalCode }));
  }

  /**
   * Starts an engine; returns once it runs.
   *
   * @throws Error, with what it said, when it ends instead.
   */
  static async start(options: EngineOptions): Promise<Engine> {
    const engine = Engine.launch(options);
    const ready = await engine.#ready();
    if (!ready) throw new Error(`the engine ended before it was ready:\n${engine.said}`);
    return engine;
  }

  /** Starts an engine that need not come to run. */
  static launch({
    file,
    witness,
    under = [],
    env = {},
    program = "sqlite-engine.mjs",
  }: EngineOptions): Engine {
    const [command, ...rest] = [...under, process.execPath];
    const args = [
      ...rest,

      join(import.meta.dirname, program),
      JSON.stringify({ file, witness }),
    ];
    const child = spawn(command ?? process.execPath, args, {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, ...env },
    });
    return new Engine(child);
  }

  /** The engine's own process, whatever it was started under. */
  get pid(): number {
    return this.#pid;
  }

  /** What it said on stderr so far. */
  get said(): string {
    return this.#said;
  }

  /** Waits until it runs. @returns false when it ended instead. */
  async runs(): Promise<boolean> {
    return this.#ready();
  }

  async kill(): Promise<void> {
    if (this.#pid !== 0 && this.#child.exitCode === null && this.#child.signalCode === null) {
      signal(this.#pid, "SIGKILL");
    }
    this.#child.kill("SIGKILL");
    await this.ended;
  }

  /** As a deploy ends it. */
  async close(): Promise<End> {
    signal(this.#pid, "SIGTERM");
    return this.ended;
  }

  /** Freezes it; returns once it is. */
  pause(): void {
    signal(this.#pid, "SIGSTOP");
    while (
      !execFileSync("ps", ["-o", "stat=", "-p", String(this.#pid)], { encoding: "utf8" }).startsWith("T")
    );
  }

  wake(): void {
    signal(this.#pid, "SIGCONT");
  }

  async #ready(): Promise<boolean> {
    if (this.#child.stdout === null) return false;
    for await (const line of createInterface({ input: this.#child.stdout })) {
      const [what, pid] = line.split(" ");
      if (what !== "ready") continue;
      this.#pid = Number(pid);
      return true;
    }
    await this.ended;
    return false;
  }
}

/** The instances whose turns a store refused to write, as sqlite-store.mjs tells beside the witnesses' file. */
export function refusedBeside(witness: string): readonly string[] {
  const file = `${witness}-refused`;
  return existsSync(file) ? readFileSync(file, "utf8").split("\n").slice(0, -1) : [];
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // it has ended
  }
}
