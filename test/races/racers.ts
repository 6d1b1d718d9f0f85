// Processes that race: each opens the same file, says so, and begins when all are told to.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";
import { StoreHeldError } from "../../src/core/errors.js";
import type { Store } from "../../src/core/store.js";
import { openPostgresStore } from "../../src/stores/postgres/store.js";
import { openSqliteStore } from "../../src/stores/sqlite/store.js";
import { dropSchema, freshSchema, postgresUrl, storeUrl } from "../postgres-schema.js";

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
    // What a child said last may arrive after the news of its exit, but never after its channel is closed.
    this.#exit = Promise.all([once(this.#child, "exit"), once(this.#child, "disconnect")]);
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

/** Whatever is put in here goes after each test: racers first, then what they raced on. */
export function goneAfterEach(): { readonly racers: Racer[]; readonly removals: (() => Promise<void>)[] } {
  const racers: Racer[] = [];
  const removals: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const racer of racers) racer.kill();
    await Promise.all(racers.splice(0).map((racer) => racer.ended()));
    for (const remove of removals.splice(0)) await remove();
  });
  return { racers, removals };
}

/** Starts the racers, and returns once each has opened its store. */
export async function racersReady(racers: readonly Racer[]): Promise<void> {
  for (const racer of racers) {
    const message = await racer.said();
    if (message !== "ready") throw new Error(`a racer said ${JSON.stringify(message)}`);
  }
}

/** A place where racers meet: the argument from which they open its store, see racing-store.mjs. */
export interface Racetrack {
  readonly argument: { readonly file: string } | { readonly url: string };
  readonly open: () => Promise<Store>;
  readonly remove: () => Promise<void>;
}

interface Ground {
  readonly name: string;
  readonly lay: () => Racetrack;
  /** Why nobody can race here. */
  readonly closed: () => Promise<string | undefined>;
}

/** Where processes race. */
export const GROUNDS: readonly Ground[] = [
  {
    name: "on one SQLite file",
    lay: () => {
      const { file, remove } = newHubFile();
      return { argument: { file }, open: () => openSqliteStore({ file }), remove: async () => remove() };
    },
    closed: async () =>
      (await canShareFiles())
        ? undefined
        : "this Node's SQLite is older than 3.51.3 and does not share files",
  },
  {
    name: "on one PostgreSQL",
    lay: () => {
      const schema = freshSchema();
      const url = storeUrl(schema);
      return { argument: { url }, open: () => openPostgresStore({ url }), remove: () => dropSchema(schema) };
    },
    closed: async () => (postgresUrl === undefined ? "there is no PostgreSQL server here" : undefined),
  },
];

/** A new folder for a hub's file, and how to remove it. */
function newHubFile(): { readonly file: string; readonly remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), "tenure-races-"));
  return { file: join(folder, "hub.db"), remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Whether this Node's SQLite may share a file between processes at all. */
async function canShareFiles(): Promise<boolean> {
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
