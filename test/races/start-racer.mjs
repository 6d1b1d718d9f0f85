// One of the processes of starts.test.ts. Opens the hub, says so, waits for "go", starts every ID, and
// answers with what it was told.
import { once } from "node:events";
import process from "node:process";
import { startPolicy } from "../../dist/core/start-policy.js";
import { openRacingStore } from "./racing-store.mjs";

/** Starts under way at a time: enough that group commits of several processes meet on the same IDs. */
const LANES = 6;

const { track, ids, ifLive, ifEnded, racer } = JSON.parse(process.argv[2] ?? "{}");
const store = await openRacingStore(track);
let executions = 0;

async function start(instanceId) {
  const executionId = `${racer}${String(++executions).padStart(31, "0")}`;
  const command = {
    kind: "start",
    instanceId,
    atMs: Date.now(),
    name: "Order",
    tags: {},
    executionId,
    policy: startPolicy(ifLive, ifEnded),
  };
  const [answer] = await store.execute([command]);
  return { instanceId, executionId, answer };
}

process.send?.("ready");
await once(process, "message");

const told = [];
const waiting = [...ids];
async function lane() {
  for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) told.push(await start(id));
}
await Promise.all(Array.from({ length: LANES }, lane));
process.send?.(told);
await store.close();
process.disconnect();
