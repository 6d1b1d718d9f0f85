// Runs a "turn" that blocks the main thread until its store's thread, which watches, has recorded a strike (or
// for 20 s). Prints the strikes then, and those after the turn has ended. Arguments: the file.
import { setTimeout as sleep } from "node:timers/promises";
import { startPolicy } from "../../../../dist/core/start-policy.js";
import { SqliteDatabase } from "../../../../dist/stores/sqlite/database.js";
import { loadDriver } from "../../../../dist/stores/sqlite/driver.js";
import { openSqliteStore } from "../../../../dist/stores/sqlite/store.js";

const file = process.argv[2];
const store = await openSqliteStore({ file });
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
const reader = new SqliteDatabase(await loadDriver(), { file, taskHub: "default" });
const cells = new BigInt64Array(new SharedArrayBuffer(24));
store.watchTurns({ cells, worker: "worker-1" });
cells[1] = BigInt(record.instance.iid);
cells[2] = 1n;
Atomics.store(cells, 0, 7n);
await sleep(1); // turns begin long after the watch does
const begunMs = performance.now();
while (reader.strikes().length === 0 && performance.now() < begunMs + 20_000);
process.stdout.write(`${performance.now() > begunMs + 1_000 ? "after a second" : "too early"}\n`);
process.stdout.write(`${JSON.stringify(reader.strikes())}\n`);
await sleep(500); // the thread writes its line just after the strike
Atomics.store(cells, 0, -7n);
for (let tries = 0; tries < 1_000 && reader.strikes().length > 0; tries++) await sleep(20);
process.stdout.write(`${JSON.stringify(reader.strikes())}\n`);
reader.close();
await store.close();
