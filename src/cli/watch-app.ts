import { type FSWatcher, readdirSync, statSync, watch } from "node:fs";
import { dirname, extname, join } from "node:path";
import type { Logger } from "../core/env.js";

/** An editor's save is several changes; a checkout of another branch is many. */
const SETTLE_MS = 120;

/** Past this many folders the app lies in something that is not a project, a home folder say. */
const MAX_FOLDERS = 1000;

const SKIPPED_FOLDERS = new Set(["node_modules", "dist", "coverage"]);

const CODE = new Set([".ts", ".mts", ".cts", ".tsx", ".js", ".mjs", ".cjs", ".jsx"]);

/**
 * Watches an app's code: its folder with all below (node_modules, dist and names with a leading dot
 * aside), and the folders of what it imports from elsewhere. Data files do not count: an app writes them.
 */
export class AppWatcher {
  readonly #onChange: (files: readonly string[]) => void;
  readonly #logger: Logger;
  readonly #watchers = new Map<string, FSWatcher>();
  /** When each file was written, as far as we have seen: reading a file may raise an event as well. */
  readonly #seen = new Map<string, number>();
  readonly #touched = new Set<string>();
  #full = false;
  #settling: NodeJS.Timeout | undefined;

  constructor(app: string, logger: Logger, onChange: (files: readonly string[]) => void) {
    this.#logger = logger;
    this.#onChange = onChange;
    this.#watchTree(dirname(app));
  }

  /** Also watches the folders of these files. */
  follow(files: readonly string[]): void {
    for (const file of files) this.#watchFolder(dirname(file));
  }

  close(): void {
    clearTimeout(this.#settling);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #watchTree(folder: string): void {
    for (const child of this.#watchFolder(folder)) this.#watchTree(child);
  }

  /** Returns the folders in it that belong to the app's tree. */
  #watchFolder(folder: string): string[] {
    if (this.#watchers.has(folder)) return [];
    if (this.#watchers.size >= MAX_FOLDERS) {
      if (!this.#full)
        this.#logger.warn(`more than ${MAX_FOLDERS} folders: changes in ${folder} will not be noticed`);
      this.#full = true;
      return [];
    }
    try {
      // `persistent: false`: watching alone must not keep the process from ending.
      const watcher = watch(folder, { persistent: false }, (_event, name) => this.#touch(folder, name));
      watcher.on("error", () => this.#forget(folder));
      this.#watchers.set(folder, watcher);
      const children: string[] = [];
      for (const entry of readdirSync(folder, { withFileTypes: true })) {
        const path = join(folder, entry.name);
        if (entry.isDirectory() && isTree(entry.name)) children.push(path);
        else if (CODE.has(extname(entry.name))) this.#seen.set(path, writtenAt(path));
      }
      return children;
    } catch (error) {
      this.#logger.debug(`cannot watch ${folder}`, { error });
      return [];
    }
  }

  #forget(folder: string): void {
    this.#watchers.get(folder)?.close();
    this.#watchers.delete(folder);
  }

  #touch(folder: string, name: string | null): void {
    if (name === null) return;
    this.#touched.add(join(folder, name));
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.#settle(), SETTLE_MS);
  }

  #settle(): void {
    const changed: string[] = [];
    for (const path of this.#touched) {
      const writtenAtMs = writtenAt(path);
      if (CODE.has(extname(path))) {
        if (this.#seen.get(path) !== writtenAtMs) changed.push(path);
        this.#seen.set(path, writtenAtMs);
      } else if (isTree(path.slice(dirname(path).length + 1)) && isFolder(path)) {
        const before = this.#seen.size;
        this.#watchTree(path);
        if (this.#seen.size > before) changed.push(path);
      }
    }
    this.#touched.clear();
    if (changed.length > 0) this.#onChange(changed);
  }
}

function isTree(name: string): boolean {
  return !name.startsWith(".") && !SKIPPED_FOLDERS.has(name);
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** 0 for a file that is gone. */
function writtenAt(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
