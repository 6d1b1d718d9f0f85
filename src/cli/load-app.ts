import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, extname, join, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Jiti } from "jiti";
import { type Definition, isDefinition } from "../core/definition.js";
import { AppLoadError } from "../core/errors.js";
import { appLoadError, lacksPosition } from "./app-load-error.js";
import { freshNativeModules } from "./fresh-native-modules.js";

/** What an app exports to be run. */
export interface LoadedApp {
  readonly path: string;
  readonly definitions: readonly Definition[];
  /** The app and the files it imports, as far as they are known: those that jiti loaded. */
  readonly files: readonly string[];
}

/**
 * Loads an app, and loads it anew after a change. TypeScript, and JavaScript of a `commonjs` project,
 * go through jiti (`./x.js` may mean `x.ts`); native ES modules are imported natively, unless they
 * import TypeScript. The app's `tenure` may be another copy of this package than ours: definitions
 * are recognised by their brand.
 */
export class AppLoader {
  readonly #path: string;
  readonly #cache = createRequire(import.meta.url).cache;
  #files: readonly string[] = [];
  #loads = 0;
  /** Whether jiti was used. */
  #translated = false;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Evaluates the app's modules as they are on disk now.
   *
   * @throws AppLoadError with file and position for a syntax error or a module that throws, and for a
   *   module that exports nothing to run.
   */
  async load(): Promise<LoadedApp> {
    this.#loads += 1;
    if (this.#loads > 1) this.#forgetModules();
    this.#translated = false;
    const before = new Set(Object.keys(this.#cache));
    try {
      const definitions = definitionsOf(await this.#import(), this.#path);
      return { path: this.#path, definitions, files: this.#rememberFiles(before) };
    } catch (error) {
      this.#rememberFiles(before);
      throw error instanceof AppLoadError ? error : appLoadError(this.#path, error, this.#translated);
    }
  }

  #rememberFiles(before: ReadonlySet<string>): readonly string[] {
    const loaded = Object.keys(this.#cache).filter((file) => !before.has(file) && !isInstalled(file));
    this.#files = [...new Set([this.#path, ...loaded])];
    return this.#files;
  }

  async #import(): Promise<unknown> {
    if (!isNativeModule(this.#path)) return this.#importByJiti();
    try {
      return await import(pathToFileURL(this.#path).href);
    } catch (error) {
      if (importsTypeScript(error)) return this.#importByJiti();
      // Node gives no position for a syntax error in an imported ES module. None of it was evaluated yet.
      if (lacksPosition(error)) await this.#importByJiti();
      throw error;
    }
  }

  async #importByJiti(): Promise<unknown> {
    this.#translated = true;
    const { createJiti } = await import("jiti");
    const jiti: Jiti = createJiti(this.#path, { interopDefault: false, fsCache: jitiCache(this.#path) });
    return jiti.import(this.#path);
  }

  /** Modules of packages stay: only the app's own files are evaluated anew. */
  #forgetModules(): void {
    for (const file of this.#files) delete this.#cache[file];
    freshNativeModules(dirname(this.#path));
  }
}

/** How deep in exported arrays and objects definitions are looked for. */
const MAX_EXPORT_DEPTH = 4;

function definitionsOf(exported: unknown, path: string): readonly Definition[] {
  const found = new Set<Definition>();
  collect(exported, 0, found);
  if (found.size > 0) return [...found];
  const names = typeof exported === "object" && exported !== null ? Object.keys(exported) : [];
  throw new AppLoadError(
    `${path} exports nothing to run${names.length === 0 ? "" : `, only ${names.join(", ")}`}. ` +
      "Export what orchestration(), activity() or httpTrigger() returns.",
  );
}

function collect(value: unknown, depth: number, found: Set<Definition>): void {
  if (isDefinition(value)) {
    found.add(value);
    return;
  }
  if (typeof value !== "object" || value === null || depth >= MAX_EXPORT_DEPTH || !isContainer(value)) return;
  for (const member of Object.values(value)) collect(member, depth + 1, found);
}

/** Arrays, plain objects and module namespaces. Anything else may have getters that do things. */
function isContainer(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return Array.isArray(value) || prototype === null || prototype === Object.prototype;
}

function isNativeModule(path: string): boolean {
  const extension = extname(path);
  return extension === ".mjs" || (extension === ".js" && packageTypeOf(path) === "module");
}

/** The `type` of the nearest package.json. */
function packageTypeOf(path: string): unknown {
  for (const folder of foldersAbove(path)) {
    const file = join(folder, "package.json");
    if (!existsSync(file)) continue;
    const content: unknown = JSON.parse(readFileSync(file, "utf8"));
    return typeof content === "object" && content !== null && "type" in content ? content.type : undefined;
  }
  return undefined;
}

/** A native import that failed while linking, before anything was evaluated, because it needs jiti. */
function importsTypeScript(error: unknown): boolean {
  if (!(error instanceof Error) || !("code" in error)) return false;
  if (error.code === "ERR_UNKNOWN_FILE_EXTENSION") return true;
  if (error.code !== "ERR_MODULE_NOT_FOUND" || !("url" in error) || typeof error.url !== "string")
    return false;
  const missing = fileURLToPath(error.url);
  return /\.[cm]?js$/.test(missing) && existsSync(missing.replace(/js$/, "ts"));
}

/** In the project's own node_modules; jiti's default, a folder in the shared /tmp, is others' to write as well. */
function jitiCache(path: string): string | false {
  const modules = foldersAbove(path)
    .map((folder) => join(folder, "node_modules"))
    .find((folder) => existsSync(folder));
  return modules === undefined ? false : join(modules, ".cache", "jiti");
}

function foldersAbove(path: string): string[] {
  const folders: string[] = [];
  for (let folder = dirname(path); folders.at(-1) !== folder; folder = dirname(folder)) folders.push(folder);
  return folders;
}

function isInstalled(file: string): boolean {
  return file.includes(`${sep}node_modules${sep}`);
}
