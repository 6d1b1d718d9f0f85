// Microsoft's page "Singleton orchestrators" in its three versions, each with its own answers and without
// its race: see README.md beside this file.
import { activity, httpTrigger, orchestration } from "tenure";

// --- The three triggers -------------------------------------------------------------------------------------------

/** The preview's: one well-known ID. Whoever comes first starts it; everybody gets that one instance. */
export const ensureSingletonTrigger = httpTrigger(
  "EnsureSingletonTrigger",
  { methods: ["POST"] },
  async (request, { client }) => {
    const instanceId = "MySingletonInstanceId";
    await client.startNew(mySingletonOrchestrator, { instanceId, ifLive: "attach", ifEnded: "return" });
    return client.createCheckStatusResponse(request, instanceId);
  },
);

/** Version 1.x's: an ID that was ever used answers 409, until it is purged. */
export const httpStartSingleV1 = httpTrigger(
  "HttpStartSingleV1",
  { methods: ["POST"], route: "v1/orchestrators/{functionName}/{instanceId}" },
  async (request, { client, params, json }) => {
    const { functionName, instanceId } = params;
    await client.startNew(functionName, { instanceId, input: await json(), ifEnded: "reject" });
    return client.createCheckStatusResponse(request, instanceId);
  },
);

/** Version 2.x's: 409 while the ID is held; once Completed, Failed, Terminated or Canceled it starts anew. */
export const httpStartSingle = httpTrigger(
  "HttpStartSingle",
  { methods: ["POST"], route: "orchestrators/{functionName}/{instanceId}" },
  async (request, { client, params, json }) => {
    const { functionName, instanceId } = params;
    await client.startNew(functionName, { instanceId, input: await json() });
    return client.createCheckStatusResponse(request, instanceId);
  },
);

// --- What they start ----------------------------------------------------------------------------------------------

/** The preview's background job: some rounds of work with pauses, by default for a minute. */
export const mySingletonOrchestrator = orchestration(
  "MySingletonOrchestrator",
  async (ctx, input: { rounds?: number; pauseMs?: number } | null | undefined) => {
    const { rounds = 6, pauseMs = 10_000 } = input ?? {};
    for (let round = 1; round <= rounds; round++) {
      await ctx.callActivity(doWork, `round ${round}`);
      ctx.setCustomStatus({ round, of: rounds });
      if (round < rounds) await ctx.sleep(pauseMs);
    }
    return { rounds };
  },
);

/** Completes within milliseconds: what an ended ID answers can be seen at once. */
export const helloSequence = orchestration(
  "HelloSequence",
  async (ctx, input: string[] | null | undefined) => {
    const greetings: string[] = [];
    for (const city of input ?? ["Tokyo", "Seattle", "London"])
      greetings.push(await ctx.callActivity(sayHello, city));
    return greetings;
  },
);

/** Fails, after a second attempt. */
export const failingJob = orchestration("FailingJob", async (ctx) => {
  await ctx.callActivity(breakDown, undefined, { retry: { firstIntervalMs: 100, maxAttempts: 2 } });
});

/** Never ends: each round begins anew with a short history, under the same ID, which stays held. */
export const eternalMonitor = orchestration(
  "EternalMonitor",
  async (ctx, input: { round?: number; everyMs?: number } | null | undefined) => {
    const { round = 1, everyMs = 5000 } = input ?? {};
    await ctx.callActivity(doWork, `check ${round}`);
    ctx.setCustomStatus({ round });
    await ctx.sleep(everyMs);
    ctx.continueAsNew({ round: round + 1, everyMs });
  },
);

/** Runs children under IDs of their own, all at once. */
export const parentJob = orchestration("ParentJob", async (ctx, input: string[][] | null | undefined) => {
  const groups = input ?? [["Tokyo", "Kyoto"], ["Seattle"], ["London", "Leeds"]];
  return ctx.all(
    groups.map((cities, index) =>
      ctx.callSubOrchestrator(helloSequence, cities, { instanceId: `${ctx.instanceId}-${index + 1}` }),
    ),
  );
});

export const sayHello = activity("sayHello", async (_ctx, city: string) => `Hello, ${city}!`);

export const doWork = activity("doWork", async (ctx, what: string) => {
  // The token rises with every execution of the ID: what is written elsewhere should carry it.
  ctx.log.info(`${ctx.instanceId}: ${what}`, { fencingToken: ctx.fencingToken });
});

export const breakDown = activity("breakDown", async (): Promise<void> => {
  throw new Error("The job's machine broke down");
});
