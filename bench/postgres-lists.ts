import { TaskHub } from "tenure";
import { closedLoop, costOf, median, quantile } from "./measure.js";
import type { Filled } from "./postgres-fill.js";
import type { PostgresMeter } from "./postgres-meter.js";
import type { Figures } from "./report.js";

type ListOptions = NonNullable<Parameters<TaskHub["client"]["list"]>[0]>;

/** How long each query is followed from page to page, from its beginning. */
const FOLLOWED_MS = 3000;

const FIRST_PAGES = 20;
const DAY_MS = 24 * 60 * 60 * 1000;

/** What the HTTP API can be asked for; see postgres-fill.ts for how much there is of each. */
export function queriesOf({ instances, fromMs, toMs }: Filled): ReadonlyMap<string, ListOptions> {
  const at = (share: number): Date => new Date(fromMs + (toMs - fromMs) * share);
  const middle = String(Math.round(instances / 2)).padStart(8, "0");
  return new Map<string, ListOptions>([
    ["all", {}],
    ["all, top 1000", { top: 1000 }],
    ["live (there are none)", { runtimeStatus: ["Pending", "Running", "Suspended"] }],
    ["Completed", { runtimeStatus: ["Completed"] }],
    ["Completed, top 1000", { runtimeStatus: ["Completed"], top: 1000 }],
    ["Failed", { runtimeStatus: ["Failed"] }],
    ["Failed and Terminated", { runtimeStatus: ["Failed", "Terminated"] }],
    ["Canceled (rare)", { runtimeStatus: ["Canceled"] }],
    ["Running or Canceled", { runtimeStatus: ["Running", "Canceled"] }],
    ["created in the last day", { createdTimeFrom: new Date(toMs - DAY_MS) }],
    ["created up to the middle", { createdTimeTo: at(0.5) }],
    [
      "created in a day, Failed",
      { createdTimeFrom: at(0.5), createdTimeTo: at(0.51), runtimeStatus: ["Failed"] },
    ],
    ["created later than all", { createdTimeFrom: new Date(toMs + DAY_MS) }],
    ["updated in the last day", { lastUpdatedFrom: new Date(toMs - DAY_MS) }],
    ["updated up to the middle", { lastUpdatedTo: at(0.5) }],
    [
      "updated in an hour",
      { lastUpdatedFrom: at(0.5), lastUpdatedTo: new Date(at(0.5).getTime() + DAY_MS / 24) },
    ],
    ["ID prefix, half of all", { instanceIdPrefix: "order-" }],
    ["ID prefix, one in 100", { instanceIdPrefix: "report-" }],
    ["ID prefix, of a few", { instanceIdPrefix: `order-${middle.slice(0, 6)}` }],
    ["ID prefix, rare", { instanceIdPrefix: "audit-" }],
    ["ID prefix, of none", { instanceIdPrefix: "nobody-" }],
    ["ID prefix and Failed", { instanceIdPrefix: "invoice-", runtimeStatus: ["Failed"] }],
    ["ID prefix, rare, and created", { instanceIdPrefix: "audit-", createdTimeFrom: at(0.5) }],
    ["name, half of all", { name: "order" }],
    ["name, one in 100", { name: "report" }],
    ["name, rare", { name: "audit" }],
    ["name, of none", { name: "nobody" }],
    ["tag, a third of all", { tags: { region: "eu" } }],
    ["tag, one in 200", { tags: { tenant: "t7" } }],
    ["tag, rare", { tags: { rare: "yes" } }],
    ["tag, of none", { tags: { rare: "no" } }],
    ["tags and name", { tags: { tenant: "t7", region: "eu" }, name: "order" }],
    [
      "everything at once",
      {
        tags: { region: "eu" },
        name: "order",
        instanceIdPrefix: "order-",
        runtimeStatus: ["Failed", "Terminated"],
        createdTimeFrom: at(0.1),
        createdTimeTo: at(0.9),
        lastUpdatedFrom: at(0.1),
        lastUpdatedTo: at(0.9),
      },
    ],
  ]);
}

/**
 * Times of a query's pages: of the first by itself, and of those that its continuation tokens lead to. And the CPU
 * that a page takes of process and database together: what does not grow when others use the machine.
 */
export async function timesOf(store: string, meter: PostgresMeter, query: ListOptions): Promise<Figures> {
  await using connection = await TaskHub.connect({ store });
  const { client } = connection;
  const firstMs: number[] = [];
  await closedLoop(FIRST_PAGES, 1, async () => {
    const fromMs = performance.now();
    await client.list(query);
    firstMs.push(performance.now() - fromMs);
  });
  const pagesMs: number[] = [];
  let found = 0;
  let continuationToken: string | undefined;
  const untilMs = performance.now() + FOLLOWED_MS;
  const databaseMs = meter.cpuMs();
  const { cpuMs } = await costOf(async () => {
    do {
      const fromMs = performance.now();
      const page = await client.list({
        ...query,
        ...(continuationToken === undefined ? {} : { continuationToken }),
      });
      pagesMs.push(performance.now() - fromMs);
      found += page.instances.length;
      ({ continuationToken } = page);
    } while (continuationToken !== undefined && performance.now() < untilMs);
  });
  const all = [...firstMs, ...pagesMs];
  return {
    firstMs: median(firstMs),
    medianMs: median(all),
    p95Ms: quantile(all, 0.95),
    slowestMs: Math.max(...all),
    cpuMsEach: (cpuMs + meter.cpuMs() - databaseMs) / pagesMs.length,
    pages: pagesMs.length,
    found,
    whole: continuationToken === undefined ? 1 : 0,
  };
}
