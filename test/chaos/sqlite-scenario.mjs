// A little of everything on a SQLite file: a job with activities, an event, a child and a timer; continue-as-new;
// terminate; purge. Takes up what an earlier process left of it. Says "acknowledged WHAT" for each call that was
// answered, and "done CALLS" at the end, with the number of storage calls it took.
//
// Each line of stdin is one to play, as JSON: {file, witness, dieAt, effect}. With `dieAt`, the process kills itself
// (SIGKILL) at the storage call of that number: before it has had its effect, or after, without having heard so.
import { writeSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import { InstanceEndedError, InstanceNotFoundError, TaskHub } from "../../dist/index.js";
import { openSqliteStore } from "../../dist/stores/sqlite/store.js";
import { functionsFor } from "./sqlite-functions.mjs";

/** Not storage calls: they neither read nor write. */
const UNCOUNTED = new Set(["subscribe", "watchTurns", "close"]);

for await (const line of createInterface({ input: process.stdin })) {
  const { file, witness, dieAt, effect } = JSON.parse(line);
  const counted = countCalls(await openSqliteStore({ file }), dieAt, effect);
  const hub = await TaskHub.open({ store: counted.store, functions: functionsFor(witness) });
  await play(hub.client);
  await hub.close();
  say(`done ${counted.calls()}`);
}

/** The store, dying at its call number `dieAt`. */
function countCalls(store, dieAt, effect) {
  let calls = 0;
  const proxy = new Proxy(store, {
    get(target, key) {
      const member = Reflect.get(target, key, target);
      if (typeof member !== "function") return member;
      if (UNCOUNTED.has(key)) return member.bind(target);
      return async (...args) => {
        const isLast = ++calls === dieAt;
        if (isLast && !effect) process.kill(process.pid, "SIGKILL");
        const result = await Reflect.apply(member, target, args);
        if (isLast) process.kill(process.pid, "SIGKILL");
        return result;
      };
    },
  });
  return { store: proxy, calls: () => calls };
}

/** Every step may have been taken before. */
async function play(client) {
  const start = (name, instanceId, input) =>
    acknowledge(`start ${instanceId}`, () =>
      client.startNew(name, { instanceId, input, requestId: instanceId }),
    );
  await start("job", "job-1", { steps: 2, note: true, child: true, pauseMs: 5 });
  await start("again", "again-1", 3);
  await start("hold", "hold-1");
  await acknowledge("raise job-1", () => client.raiseEvent("job-1", "note", "noted"));
  await acknowledge("terminate hold-1", () => client.terminate("hold-1"));
  await acknowledge("purge hold-1", () => client.purge("hold-1"));
  await client.waitForCompletion("again-1");
  await client.waitForCompletion("job-1");
}

async function acknowledge(what, call) {
  try {
    await call();
  } catch (error) {
    // It was taken, and its answer was lost.
    if (!(error instanceof InstanceEndedError || error instanceof InstanceNotFoundError)) throw error;
  }
  say(`acknowledged ${what}`);
}

/** Synchronously: what is said is out, whatever happens next. */
function say(line) {
  writeSync(1, `${line}\n`);
}
