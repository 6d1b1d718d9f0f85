// Runs hello5 at 100 in flight on a fresh SQLite file and prints what each cost: CPU milliseconds of the
// whole process, threads included, and commits. Both hold on a noisy machine, where rates do not.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { activity, orchestration, TaskHub } from "../../dist/index.js";
import { openSqliteStore } from "../../dist/stores/sqlite/store.js";

const noop = activity("noop", async (_ctx, input) => input);
const hello5 = orchestration("hello5", async (ctx) => {
  let sum = 0;
  for (let step = 0; step < 5; step++) sum += await ctx.callActivity(noop, step);
  return sum;
});

const folder = mkdtempSync(join(tmpdir(), "tenure-performance-"));
const store = await openSqliteStore({ file: join(folder, "hub.db") });
const hub = await TaskHub.open({ store, functions: [noop, hello5] });

async function loop(total, inFlight) {
  let next = 0;
  const lane = async () => {
    while (next++ < total) {
      const start = await hub.client.startNew(hello5, {});
      const { output } = await start.waitForCompletion();
      if (output !== 10) throw new Error(`hello5 gave ${output}`);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
}

await loop(1000, 100);
const [commitsBefore, cpuBefore, total] = [store.groupsCommitted, process.cpuUsage(), 4000];
await loop(total, 100);
const { user, system } = process.cpuUsage(cpuBefore);
const commits = store.groupsCommitted - commitsBefore;
const figures = { cpuMsEach: (user + system) / 1000 / total, commitsEach: commits / total };
await hub.close();
rmSync(folder, { recursive: true, force: true });
process.stdout.write(JSON.stringify(figures));
