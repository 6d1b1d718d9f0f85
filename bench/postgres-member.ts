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
async function latenciesOf(perSecond: number, forMs: number): Promise<number[]> {
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
  return latenciesMs;
}

async function paced(perSecond: number, forMs: number): Promise<Figures> {
  const latenciesMs = await latenciesOf(perSecond, forMs);
  return {
    completed: latenciesMs.length,
    medianMs: quantile(latenciesMs, 0.5),
    p95Ms: quantile(latenciesMs, 0.95),
    p99Ms: quantile(latenciesMs, 0.99),
  };
}

/**
 * The same by turns, in short windows, alone and while this process purges what was created from a time on, slice by
 * slice, in order of creation: what the disk does meets both.
 */
async function pacedPurging([
  perSecond = 0,
  windowMs = 0,
  windows = 0,
  purgeFromMs = 0,
  sliceMs = 0,
]: readonly number[]): Promise<Figures> {
  const quietMs: number[] = [];
  const duringMs: number[] = [];
  let [reports, purged, purgingMs, reachedMs] = [0, 0, 0, purgeFromMs];
  const purgeUntil = async (signal: AbortSignal): Promise<void> => {
    for (; !signal.aborted; reachedMs += sliceMs) {
      purged += await hub.client.purgeBy({
        createdTimeFrom: new Date(reachedMs),
        createdTimeTo: new Date(reachedMs + sliceMs - 1),
        onProgress: () => {
          reports += 1;
        },
      });
    }
  };
  for (let window = 0; window < windows; window++) {
    quietMs.push(...(await latenciesOf(perSecond, windowMs)));
    const stop = new AbortController();
    const startedMs = performance.now();
    const purging = purgeUntil(stop.signal);
    duringMs.push(...(await latenciesOf(perSecond, windowMs)));
    stop.abort();
    await purging;
    purgingMs += performance.now() - startedMs;
  }
  return {
    completed: duringMs.length,
    quietMedianMs: quantile(quietMs, 0.5),
    quietP95Ms: quantile(quietMs, 0.95),
    quietP99Ms: quantile(quietMs, 0.99),
    medianMs: quantile(duringMs, 0.5),
    p95Ms: quantile(duringMs, 0.95),
    p99Ms: quantile(duringMs, 0.99),
    purged,
    reports,
    purgedPerSecond: (purged / purgingMs) * 1000,
    reachedMs,
  };
}

function say(figures: Figures): void {
  process.stdout.write(`${JSON.stringify(figures)}\n`);
}
