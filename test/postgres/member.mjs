// A process of a shared hub: an engine and a client, told what to do by the tests that started it (members.ts).
// Its store stands behind a wrapper that tells of each commit it was refused, and that can stop the process
// between the decision of a turn and its writing, or keep its thread: the pause that no check of a lease can see.
import process from "node:process";
import { InstanceHeldError, TaskHub } from "../../dist/index.js";
import { openPostgresStore } from "../../dist/stores/postgres/store.js";
import { block, jobs } from "./jobs.mjs";

const { url, witness, store: storeOptions, functions: names } = JSON.parse(process.argv[2] ?? "{}");

/** Calls under way at a time for each request of a test. */
const LANES = 20;

const known = jobs(witness);

// --- Its store ----------------------------------------------------------------------------------------------------

/** What stops the process at its next commit. */
let stopAtCommit;

function watched(store) {
  const commit = async (turns) => {
    const stop = stopAtCommit;
    if (stop !== undefined) {
      stopAtCommit = undefined;
      await say({ stopping: turns.map(({ instanceId }) => instanceId) });
      stop();
    }
    const results = await store.commit(turns);
    for (const [index, { accepted }] of results.entries()) {
      if (!accepted) void say({ refused: turns[index].instanceId });
    }
    return results;
  };
  return new Proxy(store, {
    get(target, key) {
      if (key === "commit") return commit;
      const value = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

const logs = [];
const log = (level) => (message, fields) => {
  logs.push(`${level}: ${message} ${fields?.error ?? ""}`.trim());
  if (logs.length > 200) logs.shift();
};
const store = watched(await openPostgresStore({ url, ...storeOptions, onWarning: log("warn") }));
const hub = await TaskHub.open({
  store,
  functions: (names ?? Object.keys(known)).map((name) => known[name]),
  logger: { debug: () => {}, info: log("info"), warn: log("warn"), error: log("error") },
});
const { client } = hub;

// --- What it is told to do ----------------------------------------------------------------------------------------

async function each(ids, call) {
  const told = [];
  const waiting = [...ids];
  const lane = async () => {
    for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) told.push(await call(id));
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return told;
}

async function start(instanceId, { name = "job", input, ...policy }) {
  try {
    const { outcome, executionId, run } = await client.startNew(name, { instanceId, input, ...policy });
    return { instanceId, outcome, executionId, run };
  } catch (error) {
    if (!(error instanceof InstanceHeldError)) throw error;
    const { executionId, run } = error.holder;
    return { instanceId, outcome: "refused", executionId, run };
  }
}

const calls = {
  start: ({ ids, ...options }) => each(ids, (id) => start(id, options)),
  raise: ({ ids, name, data }) => each(ids, (id) => client.raiseEvent(id, name, data)),
  wait: ({ ids, timeoutMs }) =>
    each(ids, async (instanceId) => {
      const { runtimeStatus, output } = await client.waitForCompletion(instanceId, { timeoutMs });
      return { instanceId, runtimeStatus, output };
    }),
  workers: async () =>
    (await client.listWorkers()).map(({ id, pid, shards, draining }) => ({
      id,
      pid,
      shards: shards ?? 0,
      draining: draining ?? false,
    })),
  logs: async () => logs,
  clock: async () => Date.now(),
  drain: async ({ worker }) => store.leases.drain(worker),
  /** It says which instances' turns are in its hands when it stops. */
  stopBeforeNextCommit: async () => {
    stopAtCommit = () => process.kill(process.pid, "SIGSTOP");
  },
  blockBeforeNextCommit: async ({ ms }) => {
    stopAtCommit = () => block(ms);
  },
};

async function answer({ n, call, argument }) {
  try {
    await say({ n, answer: (await calls[call](argument ?? {})) ?? null });
  } catch (error) {
    await say({ n, error: `${error.name}: ${error.message}` });
  }
}

/** Resolves once the message is out. */
function say(message) {
  return new Promise((resolve) => {
    process.send?.(message, resolve);
  });
}

async function close() {
  await hub.close();
  process.exit(0);
}

process.on("message", (message) => void answer(message));
process.on("SIGTERM", () => void close());
process.on("disconnect", () => process.exit(1)); // whoever started it is gone
await say({ ready: hub.status().worker.id });
