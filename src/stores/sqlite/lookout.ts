import { type FSWatcher, watch } from "node:fs";
import type { SqliteDatabase } from "./database.js";

/**
 * How often to look where the log cannot be watched, in milliseconds: under half of the 50 that a caller may
 * wait. Also until a first notice has come, because some file systems take a watch and never give any.
 */
const LOOK_MS = 25;

/** How often to look while nobody writes, in case a notice was lost: a look costs a wake-up of the process. */
const QUIET_LOOK_MS = 1_000;

/**
 * After a notice, how often and how long to look. The log is written first, then flushed, and only then do
 * others see the commit, so that the first look may come too early.
 */
const ALERT_LOOK_MS = 10;
const ALERT_MS = 500;

/**
 * Looks for commits of other connections while it is on. The write-ahead log's file is watched, so that
 * an idle hub sleeps; `PRAGMA data_version` then tells whether it was somebody else who wrote.
 */
export class Lookout {
  readonly #database: SqliteDatabase;
  readonly #log: string;
  readonly #found: () => void;
  #timer: NodeJS.Timeout | undefined;
  #watcher: FSWatcher | undefined;
  /** Until when to look often, by performance.now(); undefined while all is quiet. */
  #alertUntilMs: number | undefined;
  #seen: number | undefined;

  constructor(database: SqliteDatabase, file: string, found: () => void) {
    this.#database = database;
    this.#log = `${file}-wal`;
    this.#found = found;
  }

  set(looks: boolean): void {
    this.#stop();
    if (!looks) return;
    this.#seen = this.#version();
    this.#watch();
  }

  #stop(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    clearInterval(this.#timer);
    this.#alertUntilMs = undefined;
  }

  #watch(): void {
    try {
      this.#watcher = watch(this.#log, { persistent: false }, (event) => {
        if (event === "rename") this.#lookOften();
        else this.#noticed();
      });
      this.#watcher.on("error", () => this.#lookOften());
      this.#lookEvery(LOOK_MS);
    } catch {
      this.#lookOften(); // no log yet, no notices left, or a file system that gives none
    }
  }

  /** The log was replaced, or cannot be watched. */
  #lookOften(): void {
    this.#stop();
    this.#lookEvery(LOOK_MS);
  }

  #lookEvery(ms: number): void {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#look(), ms);
    this.#timer.unref();
  }

  /** Somebody writes: our own commits wake us too, which is no harm while there is work anyway. */
  #noticed(): void {
    if (this.#alertUntilMs === undefined) this.#lookEvery(ALERT_LOOK_MS);
    this.#alertUntilMs = performance.now() + ALERT_MS;
  }

  #look(): void {
    if (this.#alertUntilMs !== undefined && performance.now() > this.#alertUntilMs) {
      this.#alertUntilMs = undefined;
      this.#lookEvery(QUIET_LOOK_MS);
    }
    const version = this.#version();
    if (version === this.#seen && version !== undefined) return;
    this.#seen = version;
    this.#found();
  }

  /** Nothing when it cannot be read: then something may have changed, and whoever reads is told what is wrong. */
  #version(): number | undefined {
    try {
      return this.#database.dataVersion();
    } catch {
      return undefined;
    }
  }
}
