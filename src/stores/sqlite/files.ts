import { closeSync, fsyncSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";

/** Payloads may be secret: only the owner of the process reads and writes what we create. */
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

/**
 * Creates an empty file, readable by its owner only, with the folders above it; an existing one is
 * left untouched. SQLite gives its log and its shared memory the same mode.
 *
 * The names of the file and of new folders survive a power loss: SQLite syncs what it writes, and the folder
 * of its log, but knows nothing of folders above, and without them nobody finds the file.
 *
 * An existing file must not even be opened here: POSIX drops all locks that a process has on a file
 * when it closes any descriptor of it, and another store of this process may have it in use.
 */
export function createPrivateFile(file: string): void {
  const folder = dirname(file);
  const firstMade = mkdirSync(folder, { recursive: true, mode: FOLDER_MODE });
  try {
    closeSync(openSync(file, "wx", FILE_MODE));
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    return;
  }
  const last = firstMade === undefined ? folder : dirname(firstMade);
  for (let each = folder; ; each = dirname(each)) {
    syncFolder(each);
    if (each === last || each === dirname(each)) return;
  }
}

/** As SQLite does, without a word where the system has no such thing (Windows, some network disks). */
function syncFolder(folder: string): void {
  try {
    const descriptor = openSync(folder, "r");
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  } catch {
    // The file can be used all the same.
  }
}
