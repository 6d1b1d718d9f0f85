import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { AppLoadError } from "../core/errors.js";

/** What `tenure dev` and `tenure serve` look for when they are given no app, in this order. */
export const DEFAULT_APPS = ["app.ts", "app.mts", "app.mjs", "app.js"] as const;

/**
 * The absolute path of the app.
 *
 * @throws AppLoadError when there is no such file.
 */
export function findApp(given: string | undefined): string {
  if (given !== undefined) {
    const path = resolve(given);
    if (existsSync(path)) return path;
    throw new AppLoadError(
      `There is no app at ${path}. Give the path of the module that exports your functions.`,
    );
  }
  for (const name of DEFAULT_APPS) {
    const path = resolve(name);
    if (existsSync(path)) return path;
  }
  throw new AppLoadError(
    `No app found: there is none of ${DEFAULT_APPS.join(", ")} in ${process.cwd()}. ` +
      "Create one, or give the path of the module that exports your functions.",
  );
}
