import { join } from "node:path";
import { TaskHub } from "tenure";
import { closedLoop } from "./measure.js";
import { functions, hello5, slowSteps } from "./workloads.js";

const UNFINISHED = 10_000;

/**
 * Two roles on one folder. `victim` leaves so many unfinished instances, says so on stdout, and is
 * then killed. `survivor` opens the same file and tells when it got on.
 */
export async function recovery(role: string, folder: string): Promise<Record<string, number> | undefined> {
  const store = `sqlite:${join(folder, "hub.db")}`;
  if (role === "victim") return victim(store);
  if (role === "cold") return coldStart(store);
  return survivor(store);
}

async function victim(store: string): Promise<undefined> {
  const hub = await TaskHub.open({ store, functions, maxConcurrentActivities: 20_000 });
  await closedLoop(UNFINISHED, 500, (index) =>
    hub.client.startNew(slowSteps, { instanceId: `unfinished-${index}`, input: 3000 }),
  );
  await closedLoop(UNFINISHED, 500, (index) => hub.client.waitForStart(`unfinished-${index}`));
  process.stdout.write("unfinished\n");
  await new Promise(() => {}); // until it is killed
}

/** Times are from this process's own start: `performance.now()` counts from there. */
async function survivor(store: string): Promise<Record<string, number>> {
  const hub = await TaskHub.open({ store, functions, maxConcurrentActivities: 20_000 });
  const openMs = performance.now();
  while (hub.status().activities === 0) await pause(1);
  const firstProgressMs = performance.now();
  await closedLoop(UNFINISHED, 500, (index) => hub.client.waitForCompletion(`unfinished-${index}`));
  const allCompleteMs = performance.now();
  await hub.close();
  return { openMs, firstProgressMs, allCompleteMs };
}

async function coldStart(store: string): Promise<Record<string, number>> {
  const hub = await TaskHub.open({ store, functions });
  const start = await hub.client.startNew(hello5, {});
  await start.waitForCompletion();
  const firstCompletedMs = performance.now();
  await hub.close();
  return { firstCompletedMs };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
