import { createInterface } from "node:readline";
import { TaskHub } from "tenure";
import { closedLoop, costOf, quantile, settle } from "./measure.js";
import type { Figures } from "./report.js";
import { firstTicksMs, functions, hello5, lastTicksMs, ticker } from "./workloads.js";

// A process of a shared hub, with an engine and a client: `node postgres-member.js STORE`. It answers each line on
// stdin with a line of figures, and closes when stdin ends.
const store = process.argv[2];
if (store === undefined) throw new Error("usage: postgres-member.js STORE");
const hub = await TaskHub.open({ store, functions });
say({ ready: 1 });
for await (const line of createInterface({ input: process.stdin })) {
  const [request, ...numbers] = line.split(" ");
  say(await answer(request ?? "", numbers.map(Number)));
}
await hub.close();

async function answer(request: string, numbers: readonly number[]): Promise<Figures> {
  switch (request) {
    case "workers":
      return { workers: (await hub.client.listWorkers()).length };
    case "hello5s":
      return hello5s(numbers[0] ?? 0, numbers[1] ?? 0);
    case "paced":
      return paced(numbers[0] ?? 0, numbers[1] ?? 0);
    case "paced-purging":
      return pacedPurging(numbers);
    case "start-tickers":
      await closedLoop(numbers[0] ?? 0, 20, (index) =>
        hub.client.startNew(ticker, { instanceId: `ticker-${index}` }),
      );
      return {};
    case "last-ticks":
      return Object.fromEntries(lastTicksMs);
    case "first-ticks":
      return Object.fromEntries(firstTicksMs);
    case "forget-ticks":
      firstTicksMs.clear();
      lastTicksMs.clear();
      return {};
    default:
      throw new Error(`unknown request "${request}"`);
  }
}

/** Keeps so many in flight for so long. */
async function hello5s(inFlight: number, forMs: number): Promise<Figures> {
  const latenciesMs: number[] = [];
  const untilMs = performance.now() + forMs;
  const lane = async (): Promise<void> => {
    for (let fromMs = performance.now(); fromMs < untilMs; fromMs = performance.now()) {
      const start = await hub.client.startNew(hello5, {});
      await start.waitForCompletion();
      latenciesMs.push(performance.now() - fromMs);
    }
  };
  const { wallMs, cpuMs } = await costOf(() => Promise.all(Array.from({ length: inFlight }, lane)));
  const completed = latenciesMs.length;
  return {
    completed,
    perSecond: (completed / wallMs) * 1000,
    cpuMs,
    medianMs: quantile(latenciesMs, 0.5),
    p99Ms: quantile(latenciesMs, 0.99),
  };
}

/** Starts so many a second for so long, whatever becomes of them; latencies count from when each was due. */
async function paced(perSecond: number, forMs: number): Promise<Figures> {
  const latenciesMs: number[] = [];
  const fromMs = performance.now();
  const one = async (index: number): Promise<void> => {
    const dueMs = fromMs + (index * 1000) / perSecond;
    await settle(dueMs - performance.now());
    const start = await hub.client.startNew(hello5, {});
    await start.waitForCompletion();
    latenciesMs.push(performance.now() - dueMs);
  };
  const total = Math.round((perSecond * forMs) / 1000);
  await Promise.all(Array.from({ length: total }, (_, index) => one(index)));
  return {
    completed: total,
    medianMs: quantile(latenciesMs, 0.5),
    p95Ms: quantile(latenciesMs, 0.95),
    p99Ms: quantile(latenciesMs, 0.99),
  };
}

/** The same, while this process purges what was created from a time on, slice by slice, in order of creation. */
async function pacedPurging([
  perSecond = 0,
  forMs = 0,
  purgeFromMs = 0,
  sliceMs = 0,
]: readonly number[]): Promise<Figures> {
  const stop = new AbortController();
  let reports = 0;
  let purged = 0;
  let reachedMs = purgeFromMs;
  const purge = async (): Promise<void> => {
    for (; !stop.signal.aborted; reachedMs += sliceMs) {
      purged += await hub.client.purgeBy({
        createdTimeFrom: new Date(reachedMs),
        createdTimeTo: new Date(reachedMs + sliceMs - 1),
        onProgress: () => {
          reports += 1;
        },
      });
    }
  };
  const purging = purge();
  const startedMs = performance.now();
  const figures = await paced(perSecond, forMs);
  stop.abort();
  await purging;
  return {
    ...figures,
    purged,
    reports,
    purgedPerSecond: (purged / (performance.now() - startedMs)) * 1000,
    reachedMs,
  };
}

function say(figures: Figures): void {
  process.stdout.write(`${JSON.stringify(figures)}\n`);
}
