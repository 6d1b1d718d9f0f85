// Runs a "turn" that blocks the main thread, with its store's thread watching. Prints the strikes that were
// recorded after it, and after the turn has ended. Arguments: the file.
import { setTimeout as sleep } from "node:timers/promises";
import { startPolicy } from "../../../../dist/core/start-policy.js";
import { openSqliteStore } from "../../../../dist/stores/sqlite/store.js";

const store = await openSqliteStore({ file: process.argv[2] });
await store.execute([
  {
    kind: "start",
    instanceId: "stuck-1",
    atMs: Date.now(),
    name: "Loop",
    tags: {},
    executionId: "0".repeat(32),
    policy: startPolicy(),
  },
]);
const record = await store.get("stuck-1");
const cells = new BigInt64Array(new SharedArrayBuffer(24));
store.watchTurns({ cells, worker: "worker-1" });
cells[1] = BigInt(record.instance.iid);
cells[2] = 1n;
Atomics.store(cells, 0, 7n);
await sleep(1); // turns begin long after the watch does
const until = performance.now() + 1_900;
while (performance.now() < until);
process.stdout.write(`${JSON.stringify(await store.strikes())}\n`);
Atomics.store(cells, 0, -7n);
for (let tries = 0; tries < 100 && (await store.strikes()).length > 0; tries++) await sleep(20);
process.stdout.write(`${JSON.stringify(await store.strikes())}\n`);
await store.close();
