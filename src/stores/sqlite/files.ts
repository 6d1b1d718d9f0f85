import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";

/** Payloads may be secret: only the owner of the process reads and writes what we create. */
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

/**
 * Creates an empty file, readable by its owner only, with the folders above it; an existing one is
 * left untouched. SQLite gives its log and its shared memory the same mode.
 *
 * An existing file must not even be opened here: POSIX drops all locks that a process has on a file
 * when it closes any descriptor of it, and another store of this process may have it in use.
 */
export function createPrivateFile(file: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: FOLDER_MODE });
  try {
    closeSync(openSync(file, "wx", FILE_MODE));
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
}
