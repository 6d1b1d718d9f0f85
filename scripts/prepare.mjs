// Runs before `npm start`, `npm test` and `npm run check`: a fresh clone needs no other command.
// Installs when node_modules does not match package-lock.json, builds when src does not match dist, and links
// the libraries of the tests' PostgreSQL.
// Depends on nothing but Node, and does nothing when nothing changed.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { linkServers } from "./link-servers.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const lockfile = join(root, "package-lock.json");
// npm writes this one last, so an interrupted install has none.
const installedLockfile = join(root, "node_modules", ".package-lock.json");
const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
const buildConfig = "tsconfig.build.json";
// In dist, so that deleting dist deletes it too.
const stampFile = join(root, "dist", ".build.stamp");

install();
link();
build();

function install() {
  const reason = whyInstall();
  if (reason === undefined) return;
  say(`${reason}: running npm ci`);
  const npmScript = process.env.npm_execpath;
  const [command, args] = npmScript?.endsWith("npm-cli.js")
    ? [process.execPath, [npmScript]]
    : [process.platform === "win32" ? "npm.cmd" : "npm", []];
  // Tests and build need the dev dependencies, also under NODE_ENV=production.
  run(command, [...args, "ci", "--include=dev", "--include=optional", "--no-audit", "--no-fund"]);
}

function whyInstall() {
  if (!existsSync(installedLockfile)) return "dependencies are not installed";
  if (statSync(installedLockfile).mtimeMs >= statSync(lockfile).mtimeMs) return undefined;
  // A newer lockfile may say the same: a branch was switched and switched back.
  try {
    if (matchesInstalled()) return undefined;
  } catch (error) {
    say(`cannot compare the lockfiles: ${String(error)}`);
  }
  return "package-lock.json changed";
}

function matchesInstalled() {
  const wanted = readJson(lockfile).packages;
  const installed = readJson(installedLockfile).packages;
  const mustExist = new Set(
    Object.keys(wanted[""].optionalDependencies ?? {}).map((name) => `node_modules/${name}`),
  );
  const wantedPaths = Object.keys(wanted).filter((path) => path !== "");
  // npm leaves out what is for other platforms, which only an optional dependency can be.
  return (
    Object.keys(installed).every((path) => wanted[path] !== undefined) &&
    wantedPaths.every((path) => {
      const entry = wanted[path];
      const present = installed[path];
      if (present === undefined) return entry.optional === true && !mustExist.has(path);
      return present.version === entry.version && present.integrity === entry.integrity;
    })
  );
}

function link() {
  const [failed] = linkServers(join(root, "node_modules"));
  if (failed === undefined) return;
  say(`failed: the libraries of ${failed} are not linked`);
  process.exit(1);
}

function build() {
  const wanted = inputHash();
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === wanted) return;
  say("building dist");
  rmSync(stampFile, { force: true });
  removeOrphans();
  run(process.execPath, [compiler, "-p", buildConfig]);
  writeFileSync(stampFile, wanted);
}

/** A hash of the names and contents of all files that decide what is in dist. */
function inputHash() {
  const sources = filesIn("src").filter((path) => path.endsWith(".ts") && !path.endsWith(".test.ts"));
  const paths = [buildConfig, "tsconfig.json", "package.json", "package-lock.json", ...sources.sort()];
  const hash = createHash("sha256");
  for (const path of paths) {
    const content = readFileSync(join(root, path));
    hash.update(`${path} ${content.length}\n`).update(content);
  }
  return hash.digest("hex");
}

/** tsc never deletes: a module that is gone from src would live on in dist, and in the package. */
function removeOrphans() {
  for (const declaration of filesIn("dist").filter((path) => path.endsWith(".d.ts"))) {
    const output = declaration.slice(0, -".d.ts".length);
    if (existsSync(join(root, `${output.replace(/^dist/, "src")}.ts`))) continue;
    for (const ending of [".js", ".js.map", ".d.ts", ".d.ts.map"])
      rmSync(join(root, output + ending), { force: true });
  }
}

/** Paths below the root, with forward slashes. */
function filesIn(folder) {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join("/"));
}

/** What the child prints goes to stderr, so that stdout stays the command's own. */
function run(command, args) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ["ignore", 2, 2],
    shell: command.endsWith(".cmd"),
  });
  if (error !== undefined) say(String(error));
  if (status !== 0) {
    say(`failed: ${[command, ...args].join(" ")}`);
    process.exit(status ?? 1);
  }
}

function readJson(path) {
  return JSON.parse(readFileSync(path, "utf8"));
}

function say(text) {
  process.stderr.write(`prepare: ${text}\n`);
}
