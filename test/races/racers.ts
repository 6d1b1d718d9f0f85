// Processes that race: each opens the same file, says so, and begins when all are told to.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StoreHeldError } from "../../src/core/errors.js";
import { openSqliteStore } from "../../src/stores/sqlite/store.js";

/** A child process, from the folder of this file. */
export class Racer {
  readonly #child: ChildProcess;
  readonly #messages: unknown[] = [];
  readonly #exit: Promise<unknown>;

  constructor(script: string, argument: unknown) {
    this.#child = fork(join(import.meta.dirname, script), [JSON.stringify(argument)], {
      // Racers run as users run us: without what the test runner puts into its own processes.
      execArgv: [],
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    this.#child.on("message", (message: unknown) => this.#messages.push(message));
    this.#exit = once(this.#child, "exit");
  }

  tell(message: string): void {
    this.#child.send(message);
  }

  /** The next thing that it says. */
  async said(): Promise<unknown> {
    while (this.#messages.length === 0) {
      const [what] = await Promise.race([
        once(this.#child, "message").then(() => ["message"]),
        this.#exit.then(() => ["exit"]),
      ]);
      if (what === "exit" && this.#messages.length === 0) {
        throw new Error(`a racer ended with ${String(this.#child.exitCode ?? this.#child.signalCode)}`);
      }
    }
    return this.#messages.shift();
  }

  async ended(): Promise<void> {
    await this.#exit;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}

/** Starts the racers, and returns once each has opened its store. */
export async function racersReady(racers: readonly Racer[]): Promise<void> {
  for (const racer of racers) {
    const message = await racer.said();
    if (message !== "ready") throw new Error(`a racer said ${JSON.stringify(message)}`);
  }
}

/** A new folder for a hub's file, and how to remove it. */
export function newHubFile(): { readonly file: string; readonly remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), "tenure-races-"));
  return { file: join(folder, "hub.db"), remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Whether this Node's SQLite may share a file between processes at all. */
export async function canShareFiles(): Promise<boolean> {
  const { file, remove } = newHubFile();
  const first = await openSqliteStore({ file });
  try {
    const second = await openSqliteStore({ file });
    await second.close();
    return true;
  } catch (error) {
    if (error instanceof StoreHeldError) return false;
    throw error;
  } finally {
    await first.close();
    remove();
  }
}
