// A process that does one thing of each kind, and kills itself at its storage call number k: before it, or when its
// effect is there and the answer is not. Started once more without a number, it ends what is left: callers repeat what
// they were not answered, and nothing else. Exits with 0 when it is through.
//
//   node every-call.mjs '{"url":"postgres://…","taskHub":"…","witness":FILE,"acknowledged":FILE,"refused":FILE,
//     "at":12,"way":"after"}'
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import process from "node:process";
import { InstanceEndedError, TaskHub } from "../../dist/index.js";
import { jobs } from "../postgres/jobs.mjs";

const { url, taskHub, witness, acknowledged, refused, leaseTimes, at, way } = JSON.parse(
  process.argv[2] ?? "{}",
);

// --- A store that kills ------------------------------------------------------------------------------------------

let calls = 0;

/** Everything that a store is asked, but for what touches no storage. */
function counted(part) {
  return new Proxy(part, {
    get(target, key) {
      const value = Reflect.get(target, key, target);
      if (key === "leases" || key === "tasks") return value === undefined ? value : counted(value);
      if (typeof value !== "function") return value;
      if (key === "subscribe" || key === "watchTurns") return value.bind(target);
      return async (...args) => {
        const call = ++calls;
        if (call === at && way === "before") process.kill(process.pid, "SIGKILL");
        const answer = await value.apply(target, args);
        if (key === "commit") tellRefused(answer);
        if (call === at && way === "after") process.kill(process.pid, "SIGKILL");
        return answer;
      };
    },
  });
}

function tellRefused(results) {
  for (const { accepted } of results) if (!accepted) appendFileSync(refused, "refused\n");
}

async function openStore() {
  if (url.startsWith("sqlite:")) {
    const { openSqliteStore } = await import("../../dist/stores/sqlite/store.js");
    return openSqliteStore({ file: url.slice("sqlite:".length), taskHub });
  }
  const { openPostgresStore } = await import("../../dist/stores/postgres/store.js");
  return openPostgresStore({ url, taskHub, ...(leaseTimes === undefined ? {} : { leaseTimes }) });
}

// --- What its callers do -----------------------------------------------------------------------------------------

/** One after the other; each may be repeated by a caller who was not answered. */
const steps = [
  ["start a job", (client) => start(client, "job", { steps: 2, note: true, child: true, pauseMs: 5 })],
  ["send it what it waits for", (client) => unlessEnded(client.raiseEvent("job", "note", "noted"))],
  ["start one that goes on as new", (client) => start(client, "rounds", { left: 3 })],
  ["start one that waits", (client) => start(client, "hold", null)],
  ["terminate it", (client) => unlessEnded(client.terminate("hold", "enough"))],
  ["start one that is purged", (client) => start(client, "pause", { pauseMs: 1 })],
  ["see it end", (client) => client.waitForCompletion("pause", { timeoutMs: 30_000 })],
  ["purge it", (client) => client.purge("pause")],
  ["see the job end", (client) => client.waitForCompletion("job", { timeoutMs: 30_000 })],
  ["see the rounds end", (client) => client.waitForCompletion("rounds", { timeoutMs: 30_000 })],
];

/** The instance has its orchestrator's name; the request's too: a start whose answer was lost finds it again. */
async function start(client, name, input) {
  const { executionId } = await client.startNew(name, { instanceId: name, input, requestId: name });
  return { started: { instanceId: name, executionId } };
}

/** The answer to an earlier try was lost, and it was accepted. */
async function unlessEnded(call) {
  try {
    await call;
  } catch (error) {
    if (!(error instanceof InstanceEndedError)) throw error;
  }
}

function answeredBefore() {
  if (!existsSync(acknowledged)) return [];
  const lines = readFileSync(acknowledged, "utf8").split("\n").slice(0, -1);
  return lines.map((line) => JSON.parse(line).step);
}

// --- Its life ----------------------------------------------------------------------------------------------------

const done = answeredBefore();
const hub = await TaskHub.open({
  store: counted(await openStore()),
  functions: Object.values(jobs(witness)),
});
for (const [step, take] of steps.filter(([name]) => !done.includes(name))) {
  const answer = await take(hub.client);
  appendFileSync(acknowledged, `${JSON.stringify({ step, started: answer?.started })}\n`);
}
await hub.close();
process.exit(0);
