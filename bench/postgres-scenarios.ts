import { TaskHub } from "tenure";
import { openPostgresStore } from "../dist/stores/postgres/store.js";
import { closedLoop, costOf, median, quantile, settle } from "./measure.js";
import { PostgresMeter } from "./postgres-meter.js";
import { inFreshSchema, storeUrl } from "./postgres-server.js";
import type { Figures } from "./report.js";
import { costOfSequence, fanOut, functions, hello5 } from "./workloads.js";

/** A scenario runs in a process of its own, in a schema of its own. */
type Scenario = (place: Place) => Promise<Figures>;

interface Place {
  readonly url: string;
  readonly schema: string;
  readonly meter: PostgresMeter;
}

/** A hub in a fresh schema, and what its store has sent so far. */
async function withHub(
  { url, schema }: Place,
  work: (hub: TaskHub, sent: () => Sent) => Promise<Figures>,
): Promise<Figures> {
  const store = await openPostgresStore({ url: storeUrl(url, schema) });
  const hub = await TaskHub.open({ store, functions });
  try {
    return await work(hub, () => ({ roundTrips: store.roundTrips, groups: store.groupsCommitted }));
  } finally {
    await hub.close();
  }
}

interface Sent {
  readonly roundTrips: number;
  readonly groups: number;
}

/** A backend reports its transactions when it commits more than a second after its last report. */
const REPORT_MS = 1100;

/** So few that hardly anything stays unreported: see {@link transactionsOf}. */
const FEW = 20;

/** Transactions while work is done, with a little work on both sides that lets backends report theirs. */
async function transactionsOf(
  meter: PostgresMeter,
  few: () => Promise<void>,
  work: () => Promise<void>,
): Promise<number> {
  await settle(REPORT_MS);
  await few();
  const before = await meter.transactions();
  await work();
  await settle(REPORT_MS);
  await few();
  return (await meter.transactions()) - before;
}

function hello5Loop(total: number, inFlight: number, warmUp: number): Scenario {
  return (place) =>
    withHub(place, async (hub, sent) => {
      const { meter } = place;
      const latenciesMs: number[] = [];
      const one = helloOn(hub, latenciesMs);
      await closedLoop(warmUp, inFlight, one);
      const figures: Figures = {};
      const transactions = await transactionsOf(
        meter,
        () => closedLoop(FEW, FEW, one),
        async () => {
          latenciesMs.length = 0;
          const before = sent();
          const walBytes = await meter.walBytes();
          const databaseMs = meter.cpuMs();
          const { wallMs, cpuMs } = await costOf(() => closedLoop(total, inFlight, one));
          const databaseMsEach = (meter.cpuMs() - databaseMs) / total;
          const { roundTrips, groups } = sent();
          Object.assign(figures, {
            perSecond: (total / wallMs) * 1000,
            nodeMsEach: cpuMs / total,
            databaseMsEach,
            cpuMsEach: cpuMs / total + databaseMsEach,
            roundTripsEach: (roundTrips - before.roundTrips) / total,
            groupSize: (total * 7) / (groups - before.groups),
            walBytesEach: ((await meter.walBytes()) - walBytes) / total,
            latencyMs: median(latenciesMs),
            latencyP99Ms: quantile(latenciesMs, 0.99),
          });
        },
      );
      return { ...figures, transactionsEach: transactions / (total + FEW) };
    });
}

function helloOn(hub: TaskHub, latenciesMs: number[]): () => Promise<void> {
  return async () => {
    const fromMs = performance.now();
    const start = await hub.client.startNew(hello5, {});
    await start.waitForCompletion();
    latenciesMs.push(performance.now() - fromMs);
  };
}

/**
 * One after the other on an idle system: first while the tables are nearly empty, then on the same connections
 * once they have grown, with whatever plans those keep.
 */
const alone: Scenario = (place) =>
  withHub(place, async (hub) => {
    const latenciesMs: number[] = [];
    const one = helloOn(hub, latenciesMs);
    const medianOf = async (total: number): Promise<number> => {
      latenciesMs.length = 0;
      await closedLoop(total, 1, one);
      return median(latenciesMs);
    };
    await medianOf(200);
    const emptyMs = await medianOf(200);
    await closedLoop(5000, 100, one);
    const grownMs = await medianOf(300);
    return { emptyMs, grownMs, grownP99Ms: quantile(latenciesMs, 0.99) };
  });

function fanOutOf(width: number, warmUps: number, runs: number): Scenario {
  return (place) =>
    withHub(place, async (hub) => {
      const run = async (): Promise<number> => {
        const { wallMs } = await costOf(async () => {
          const start = await hub.client.startNew(fanOut, { input: width });
          await start.waitForCompletion();
        });
        return wallMs;
      };
      for (let round = 0; round < warmUps; round++) await run();
      const times: number[] = [];
      for (let round = 0; round < runs; round++) times.push(await run());
      return { wallMs: median(times), slowestMs: Math.max(...times) };
    });
}

const longSequence: Scenario = (place) => withHub(place, costOfSequence);

const REFUSED = 10_000;

const refused: Scenario = async ({ url, schema }) => {
  // No engine: what a refused start costs by itself, as another process makes it.
  await using connection = await TaskHub.connect({ store: storeUrl(url, schema) });
  const { client } = connection;
  await client.startNew("hello5", { instanceId: "held" });
  const run = (): Promise<void> =>
    closedLoop(REFUSED, 100, () => client.startNew("hello5", { instanceId: "held" }).catch(() => {}));
  await run();
  const { wallMs, cpuMs } = await costOf(run);
  return { perSecond: (REFUSED / wallMs) * 1000, cpuMsEach: cpuMs / REFUSED };
};

const scenarios: Readonly<Record<string, Scenario>> = {
  "hello5-100": hello5Loop(8000, 100, 4000),
  "hello5-1000": hello5Loop(10_000, 1000, 4000),
  "hello5-alone": alone,
  "fan-out-1000": fanOutOf(1000, 5, 7),
  sequence: longSequence,
  refused,
};

/** Runs one scenario in this process. */
export function runScenario(url: string, name: string): Promise<Figures> {
  const scenario = scenarios[name];
  if (scenario === undefined)
    throw new Error(`no scenario "${name}"; there are ${Object.keys(scenarios).join(", ")}`);
  return inFreshSchema(url, async (schema) => {
    const meter = await PostgresMeter.open(url);
    try {
      return await scenario({ url, schema, meter });
    } finally {
      await meter.close();
    }
  });
}
