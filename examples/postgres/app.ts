// A job of which one may run at a time, whichever process is asked to start it: a day's report, region by region.
import { setTimeout as pause } from "node:timers/promises";
import { activity, httpTrigger, orchestration } from "tenure";

const REGIONS = ["north", "east", "south", "west", "coast", "lakes", "hills", "plains", "isles", "capital"];

/** What one region sold, and which process added it up. */
interface Sales {
  readonly region: string;
  readonly orders: number;
  readonly pid: number;
}

/** One ID per day, one live execution per ID: whoever asks for the same day meanwhile is told who has it. */
export const startReport = httpTrigger(
  "StartReport",
  { methods: ["POST"], route: "reports/{day}" },
  async (request, { client, params }) => {
    const instanceId = `report-${params.day}`;
    await client.startNew(report, { instanceId, input: params.day ?? "" });
    return client.createCheckStatusResponse(request, instanceId);
  },
);

export const report = orchestration("Report", async (ctx, day: string) => {
  const sales: Sales[] = [];
  for (const region of REGIONS) {
    const added = await ctx.callActivity(addUp, { day, region });
    sales.push(added);
    ctx.setCustomStatus({ regions: sales.length, of: REGIONS.length, pid: added.pid });
  }
  await ctx.callActivity(publish, { day, orders: sales.reduce((sum, { orders }) => sum + orders, 0) });
  return { day, sales };
});

/** Reads a region's orders. It takes a moment; after a crash it runs again, and only one result counts. */
export const addUp = activity(
  "AddUp",
  async (ctx, { day, region }: { day: string; region: string }): Promise<Sales> => {
    await pause(300, undefined, { signal: ctx.signal });
    return { region, orders: day.length * region.length, pid: process.pid };
  },
);

/** What changes something outside carries the fencing token: a process that was paused has a smaller one. */
export const publish = activity(
  "Publish",
  async (ctx, { day, orders }: { day: string; orders: number }): Promise<void> => {
    ctx.log.info(`the report of ${day}: ${orders} orders`, { fencingToken: ctx.fencingToken });
  },
);
