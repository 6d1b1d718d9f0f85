import { join } from "node:path";
import { TaskHub } from "tenure";
import { openSqliteStore } from "../dist/stores/sqlite/store.js";
import { closedLoop, costOf, inFolder, median, residentMb, settle } from "./measure.js";
import type { Figures } from "./report.js";
import { costOfSequence, fanOut, functions, hello5, waiter } from "./workloads.js";

/** A scenario runs in a process of its own, so that its CPU and memory are its own. */
export type Scenario = (folder: string) => Promise<Figures>;

/** A hub on a fresh file, and a count of the store's commits. */
async function withHub(
  folder: string,
  work: (hub: TaskHub, commits: () => number) => Promise<Figures>,
): Promise<Figures> {
  const store = await openSqliteStore({ file: join(folder, "hub.db") });
  const hub = await TaskHub.open({ store, functions });
  try {
    return await work(hub, () => store.groupsCommitted);
  } finally {
    await hub.close();
  }
}

function hello5Loop(total: number, inFlight: number, warmUp: number): Scenario {
  return (folder) =>
    withHub(folder, async (hub, commits) => {
      const latenciesMs: number[] = [];
      const one = async (): Promise<void> => {
        const fromMs = performance.now();
        const start = await hub.client.startNew(hello5, {});
        await start.waitForCompletion();
        latenciesMs.push(performance.now() - fromMs);
      };
      await closedLoop(warmUp, inFlight, one);
      latenciesMs.length = 0;
      const before = commits();
      const { wallMs, cpuMs } = await costOf(() => closedLoop(total, inFlight, one));
      return {
        perSecond: (total / wallMs) * 1000,
        cpuMsEach: cpuMs / total,
        commitsEach: (commits() - before) / total,
        groupSize: (total * 7) / (commits() - before),
        latencyMs: median(latenciesMs),
      };
    });
}

function fanOutOf(width: number, warmUps: number): Scenario {
  return (folder) =>
    withHub(folder, async (hub) => {
      for (let round = 0; round < warmUps; round++) {
        const warm = await hub.client.startNew(fanOut, { input: width });
        await warm.waitForCompletion();
      }
      let turns = 0;
      const { wallMs, cpuMs } = await costOf(async () => {
        const start = await hub.client.startNew(fanOut, { input: width });
        await start.waitForCompletion();
        const history = await hub.client.getHistory(start.instanceId);
        turns = history?.events.filter((event) => event.type === "OrchestratorStarted").length ?? 0;
      });
      const peakMb = process.resourceUsage().maxRSS / 1024;
      return { wallMs, cpuMs, activitiesPerSecond: (width / wallMs) * 1000, turns, peakMb };
    });
}

const longSequence: Scenario = (folder) => withHub(folder, costOfSequence);

const IDLE = 10_000;
const IDLE_SECONDS = 7;

const idleInstances: Scenario = (folder) =>
  withHub(folder, async (hub) => {
    await closedLoop(500, 100, async () => (await hub.client.startNew(hello5, {})).waitForCompletion());
    await settle(2000);
    const beforeMb = await residentMb();
    const ids = idsOf("idle", IDLE);
    await startWaiters(hub, ids);
    await settle(2000); // what starting them has caused comes to rest
    const seconds: number[] = [];
    for (let second = 0; second < IDLE_SECONDS; second++) {
      seconds.push((await costOf(() => settle(1000))).cpuMs);
    }
    const addedMb = (await residentMb()) - beforeMb;
    // Those warm the process up, which has not taken in an event before, and gets back the memory that it gave away.
    await wakeAll(hub, ids);
    const again = idsOf("again", IDLE);
    const started = await costOf(() => startWaiters(hub, again));
    await settle(2000);
    const woken = await costOf(() => wakeAll(hub, again));
    const all = [...ids, ...again];
    await closedLoop(all.length, 500, async (index) => {
      const { runtimeStatus } = await hub.client.waitForCompletion(all[index] ?? "");
      if (runtimeStatus !== "Completed") throw new Error(`${all[index]} is ${runtimeStatus}`);
    });
    return {
      addedMb,
      idleCpuMsPerSecond: median(seconds),
      startAllMs: started.wallMs,
      wakeAllMs: woken.wallMs,
    };
  });

function idsOf(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
}

/** Until each waits for its event. */
async function startWaiters({ client }: TaskHub, ids: readonly string[]): Promise<void> {
  await closedLoop(ids.length, 500, (index) => client.startNew(waiter, { instanceId: ids[index] ?? "" }));
  await closedLoop(ids.length, 500, (index) => client.waitForStart(ids[index] ?? ""));
}

/** Until a query finds none running. */
async function wakeAll({ client }: TaskHub, ids: readonly string[]): Promise<void> {
  await closedLoop(ids.length, 500, (index) => client.raiseEvent(ids[index] ?? "", "go"));
  while ((await client.list({ runtimeStatus: ["Running"], top: 1 })).instances.length > 0) await settle(1);
}

const STARTS = 5000;

const starts: Scenario = async (folder) => {
  const file = join(folder, "hub.db");
  // No engine: what a start costs by itself, as another process makes it.
  await using connection = await TaskHub.connect({ store: `sqlite:${file}` });
  const { client } = connection;
  const fresh = await costOf(() =>
    closedLoop(STARTS, 100, (index) => client.startNew("hello5", { instanceId: `fresh-${index}` })),
  );
  await client.startNew("hello5", { instanceId: "held" });
  const refused = await costOf(() =>
    closedLoop(STARTS, 100, () => client.startNew("hello5", { instanceId: "held" }).catch(() => {})),
  );
  return {
    freshPerSecond: (STARTS / fresh.wallMs) * 1000,
    freshCpuMs: fresh.cpuMs / STARTS,
    refusedPerSecond: (STARTS / refused.wallMs) * 1000,
    refusedCpuMs: refused.cpuMs / STARTS,
  };
};

/** What `run.ts` measures, by name. */
export const scenarios: Readonly<Record<string, Scenario>> = {
  "hello5-100": hello5Loop(6000, 100, 6000),
  "hello5-1000": hello5Loop(10_000, 1000, 6000),
  "hello5-alone": hello5Loop(300, 1, 4000),
  // With each fsync slowed to 1 ms (see run.ts): group commit must show.
  "hello5-slow-disk": hello5Loop(4000, 100, 4000),
  sequence: longSequence,
  "fan-out-1000": fanOutOf(1000, 3),
  "fan-out-10000": fanOutOf(10_000, 2),
  "idle-10000": idleInstances,
  starts,
};

/** Runs one scenario in this process. */
export async function runScenario(name: string): Promise<Figures> {
  const scenario = scenarios[name];
  if (scenario === undefined)
    throw new Error(`no scenario "${name}"; there are ${Object.keys(scenarios).join(", ")}`);
  return inFolder(scenario);
}
