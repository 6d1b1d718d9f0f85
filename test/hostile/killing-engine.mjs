// An engine that ends with its process as soon as it touches what is poisoned, in one of several ways. Says "parked"
// once the engine has found what it was.
import { setTimeout as sleep } from "node:timers/promises";
import { activity, orchestration, TaskHub } from "../../dist/index.js";

const [store, way, start] = process.argv.slice(2);

function die() {
  process.kill(process.pid, "SIGKILL"); // as the kernel does when memory runs out
  for (;;);
}

/** Until the runtime aborts. In large pieces, so that a small heap is full before its collector has become slow. */
function hoard() {
  for (const hoarded = []; ; ) hoarded.push(Array.from({ length: 1_000_000 }, () => 0.5));
}

let began = () => {};
const inFlight = new Promise((resolve) => {
  began = resolve;
});

const TURNS = { turn: die, "hoarding turn": hoard };
const ACTIVITIES = { activity: die, "hoarding activity": hoard, exit: () => process.exit(1) };
const bomb = activity("bomb", () => ACTIVITIES[way]());
const long = activity("long", async () => {
  began();
  await sleep(600_000);
});
const fine = orchestration("fine", async () => "fine");
const patient = orchestration("patient", async (ctx) => ctx.callActivity(long));
const poison = orchestration("poison", async (ctx) => {
  TURNS[way]?.();
  if (way in ACTIVITIES) return ctx.callActivity(bomb);
  const event = await ctx.waitForExternalEvent("go");
  if (event === "poison") die();
  return event;
});

const { client } = await TaskHub.open({ store, functions: [poison, bomb, fine, patient, long] });
await client.startNew(patient, { instanceId: "innocent", ifLive: "attach" });
if (start === "1") await inFlight;
await client.startNew(fine, { instanceId: `other-${start}` });
await client.startNew(poison, { instanceId: "poisoned", ifLive: "attach" });
if (way === "event") await client.raiseEvent("poisoned", "go", "poison");
for (;;) {
  const status = await client.getStatus("poisoned");
  if (status?.parked !== undefined) break;
  await sleep(50);
}
process.stdout.write("parked\n");
await sleep(600_000);
