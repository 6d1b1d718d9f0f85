// One of the processes of events.test.ts: raises numbered events until it is told to
// stop, and reports which were accepted.
import { once } from "node:events";
import process from "node:process";
import { openRacingStore } from "./racing-store.mjs";

/** Events under way at a time. */
const LANES = 2;

const { track, ids, racer } = JSON.parse(process.argv[2] ?? "{}");
const store = await openRacingStore(track);

process.send?.("ready");
await once(process, "message");

const accepted = [];
const outcomes = {};
let next = 0;
const stop = new AbortController();
void once(process, "message").then(() => stop.abort());
async function lane() {
  while (!stop.signal.aborted) {
    const number = next++;
    const name = `${racer}:${number}`;
    const instanceId = ids[number % ids.length];
    const [answer] = await store.execute([{ kind: "raise", instanceId, atMs: Date.now(), name }]);
    const outcome = answer?.outcome ?? "none";
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    if (outcome === "done") accepted.push(name);
  }
}
await Promise.all(Array.from({ length: LANES }, lane));
process.send?.({ accepted, outcomes });
await store.close();
process.disconnect();
