// The process of events.test.ts that runs the instances' turns: they continue as new, end, are
// terminated and are started again. After its rounds it says so, and, when told that the others have
// stopped, ends what is left. Reports every event that it took in.
import { once } from "node:events";
import process from "node:process";
import { answerEvents } from "../../dist/core/command.js";
import { decodeChunk, encodeChunk } from "../../dist/core/history-codec.js";
import { startPolicy } from "../../dist/core/start-policy.js";
import { openRacingStore } from "./racing-store.mjs";

const { track, ids, rounds, racer } = JSON.parse(process.argv[2] ?? "{}");
const store = await openRacingStore(track);
let stopped = false;
let executions = 0;
let commits = 0;
const taken = [];
const counts = { accepted: 0, refused: 0, continued: 0, ended: 0, terminated: 0, runs: 0 };

const executionId = () => `${racer}${String(++executions).padStart(31, "0")}`;

async function start(instanceId) {
  counts.runs++;
  const policy = startPolicy();
  const atMs = Date.now();
  await store.execute([
    { kind: "start", instanceId, atMs, name: "Order", tags: {}, executionId: executionId(), policy },
  ]);
}

/** Every few turns one ends the run or continues it as new; between, the run is terminated now and then. */
async function step(instanceId, round) {
  const record = await store.get(instanceId);
  const status = record?.instance.status;
  if (status !== "Pending" && status !== "Running") {
    if (stopped) return false;
    await start(instanceId);
    return true;
  }
  if (!stopped && round % 29 === 28) {
    counts.terminated++;
    await store.execute([{ kind: "terminate", instanceId, atMs: Date.now(), recurse: false }]);
    return true;
  }
  const [loaded] = await store.load([record.instance.iid]);
  const { instance, messages } = loaded;
  if (!stopped && round % 3 === 0) await untilMailMoves(instance);
  const atMs = Date.now();
  const ends = stopped || round % 7 === 6;
  const continues = !ends && round % 2 === 1;
  const turn = {
    iid: instance.iid,
    instanceId,
    executionId: instance.executionId,
    generation: instance.generation,
    sequence: instance.sequence,
    writer: racer,
    commitNumber: ++commits,
    atMs,
    consumed: messages.map(({ n }) => n),
    status: ends ? "Completed" : "Running",
    chunk: encodeChunk([{ type: "OrchestratorStarted", atMs }]),
    activities: 0,
    timersSet: [],
    timersCleared: [],
    requests: [],
    ...(ends
      ? { mail: instance.mail, end: { status: "Completed", answer: answerEvents(atMs, "Completed") } }
      : {}),
    ...(continues
      ? {
          next: {
            executionId: executionId(),
            events: encodeChunk([{ type: "ExecutionStarted", atMs }]),
            keepExecutions: 2,
          },
        }
      : {}),
  };
  const [result] = await store.commit([turn]);
  if (!result.accepted) {
    counts.refused++;
    return true;
  }
  counts.accepted++;
  if (ends) counts.ended++;
  if (continues) counts.continued++;
  for (const { events } of messages) {
    for (const event of decodeChunk(events)) {
      if (event.type === "EventRaised") taken.push({ instanceId, run: instance.run, name: event.name });
    }
  }
  return true;
}

/** Thinks for so long that an event may come meanwhile, as a turn of real code does. */
async function untilMailMoves({ instanceId, mail }) {
  for (let looks = 0; looks < 50; looks++) {
    if ((await store.get(instanceId)).instance.mail !== mail) return;
  }
}

for (const id of ids) await start(id);
process.send?.("ready");
await once(process, "message");
await Promise.all(
  ids.map(async (id) => {
    for (let round = 0; round < rounds; round++) await step(id, round);
  }),
);
process.send?.("enough");
await once(process, "message");
stopped = true;
for (const id of ids) while (await step(id, 0));
process.send?.({ taken, counts });
await store.close();
process.disconnect();
