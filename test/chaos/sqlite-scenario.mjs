// A little of everything on a SQLite file: a job with activities, an event, a child and a timer; continue-as-new;
// terminate; purge. For a process that dies in it, and for another one that takes up what it left.
//
// Each line of stdin is one to play, as JSON: {file, witness, done}, where `done` names the steps that were answered
// before; these are not asked again. Says {acknowledged, started, atMs} of each step that is answered, and
// {over} in the end, with what went wrong, if anything did.
import { writeSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import { InstanceEndedError, InstanceNotFoundError, TaskHub } from "../../dist/index.js";
import { functionsFor } from "./sqlite-functions.mjs";
import { openTelling } from "./sqlite-store.mjs";

/** An instance that has not ended by then never will. */
const LOST_MS = 20_000;

/** One after the other; each may be repeated where nobody has heard the answer. */
const STEPS = [
  ["start job-1", start("job", "job-1", { steps: 2, note: true, child: true, pauseMs: 5 })],
  ["start again-1", start("again", "again-1", 3)],
  ["start hold-1", start("hold", "hold-1")],
  ["raise job-1", unless(InstanceEndedError, (client) => client.raiseEvent("job-1", "note", "noted"))],
  ["terminate hold-1", unless(InstanceEndedError, (client) => client.terminate("hold-1"))],
  ["purge hold-1", unless(InstanceNotFoundError, (client) => client.purge("hold-1"))],
  ["end again-1", (client) => client.waitForCompletion("again-1", { timeoutMs: LOST_MS })],
  ["end job-1", (client) => client.waitForCompletion("job-1", { timeoutMs: LOST_MS })],
];

for await (const line of createInterface({ input: process.stdin })) {
  const { file, witness, done } = JSON.parse(line);
  const hub = await TaskHub.open({
    store: await openTelling(file, witness),
    functions: functionsFor(witness),
  });
  say({ over: await play(hub.client, done) });
  await hub.close();
}

/** @returns what went wrong. */
async function play(client, done) {
  for (const [step, take] of STEPS.filter(([name]) => !done.includes(name))) {
    try {
      const answer = await take(client);
      say({ acknowledged: step, started: answer?.executionId, atMs: machineMs() });
    } catch (error) {
      return `${String(step)}: ${String(error)}`;
    }
  }
  return undefined;
}

/** The same request: a start whose answer was lost finds itself. */
function start(name, instanceId, input) {
  return async (client) => client.startNew(name, { instanceId, input, requestId: instanceId });
}

/** So it is answered where an earlier try had its effect. */
function unless(kind, ask) {
  return async (client) => {
    try {
      await ask(client);
    } catch (error) {
      if (!(error instanceof kind)) throw error;
    }
  };
}

/** The machine's monotonic clock, as witnesses have it. */
function machineMs() {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

/** Synchronously: what is said is out, whatever happens next. */
function say(what) {
  writeSync(1, `${JSON.stringify(what)}\n`);
}
