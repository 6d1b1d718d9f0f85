import { existsSync } from "node:fs";
import type { Driver, DriverConstructor } from "./driver.js";
import { isBusy } from "./fault.js";
import { createPrivateFile } from "./files.js";

/**
 * For how long a second engine tries before it is told that there is one, in milliseconds. Not zero,
 * because whoever asks for the workers holds a shared lock for an instant.
 */
const JOIN_PATIENCE_MS = 250;

/**
 * The right to be the one engine of a file: an exclusive transaction on a file beside it, held for the
 * engine's life. The operating system ends it with the process, however that dies, so that it never
 * has to be waited for, and a frozen engine keeps it.
 */
export class EngineLock {
  readonly #file: string;
  readonly #driver: DriverConstructor;
  #held: Driver | undefined;

  constructor(driver: DriverConstructor, file: string) {
    this.#driver = driver;
    this.#file = `${file}-engine`;
  }

  get isHeld(): boolean {
    return this.#held !== undefined;
  }

  /** Takes the lock; false when another engine has it. */
  take(): boolean {
    createPrivateFile(this.#file);
    const connection = this.#open(JOIN_PATIENCE_MS);
    if (!isLockable(connection, "begin exclusive")) {
      connection.close();
      return false;
    }
    this.#held = connection;
    return true;
  }

  /** Whether any engine, this one included, has the lock now. */
  isTaken(): boolean {
    if (this.isHeld) return true;
    if (!existsSync(this.#file)) return false;
    const connection = this.#open(0);
    try {
      return !isLockable(connection, "select 1 from sqlite_schema");
    } finally {
      connection.close();
    }
  }

  release(): void {
    this.#held?.close();
    this.#held = undefined;
  }

  #open(patienceMs: number): Driver {
    const connection = new this.#driver(this.#file, { enableForeignKeyConstraints: false });
    connection.exec(`pragma busy_timeout = ${patienceMs}`);
    return connection;
  }
}

function isLockable(connection: Driver, sql: string): boolean {
  try {
    connection.exec(sql);
    return true;
  } catch (error) {
    if (isBusy(error)) return false;
    throw error;
  }
}
