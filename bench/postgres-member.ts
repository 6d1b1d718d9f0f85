import { createInterface } from "node:readline";
import { TaskHub } from "tenure";
import { closedLoop, costOf, quantile } from "./measure.js";
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

function say(figures: Figures): void {
  process.stdout.write(`${JSON.stringify(figures)}\n`);
}
