// The mixed load: what the orchestrations do, and what whoever started them does for them meanwhile.
import type { TaskHubClient } from "../src/client/task-hub-client.js";
import { InstanceEndedError } from "../src/core/errors.js";
import type { RuntimeStatus } from "../src/core/instance.js";
import { activity, type OrchestrationContext, orchestration } from "../src/index.js";

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** What the orchestrations see of the process that they run in. */
export interface Surroundings {
  /** Resolves after this much virtual time. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** A timer has fired; both times as the orchestrator sees them. */
  readonly onTimer: (dueMs: number, firedMs: number) => void;
}

/** Does for a started instance what it waits for. May be called again for the same one, in another process. */
type Steer = (client: TaskHubClient, id: string, sleep: Surroundings["sleep"]) => Promise<void>;

/** A kind of instance, and how many of it there are at a time. */
export interface Kind {
  readonly name: string;
  readonly lanes: number;
  readonly status: RuntimeStatus;
  /** What it must return; absent where it does not complete. */
  readonly output?: (input: number) => number;
  readonly steer?: Steer;
}

const echo = (input: number): number => input;

export const KINDS: readonly Kind[] = [
  { name: "steps", lanes: 10, status: "Completed", output: (input) => stepsOf(input) },
  { name: "fanOut", lanes: 3, status: "Completed", output: (input) => widthOf(input) },
  { name: "naps", lanes: 60, status: "Completed", output: echo },
  { name: "longNap", lanes: 150, status: "Completed", output: echo },
  { name: "approvals", lanes: 8, status: "Completed", output: () => 3, steer: approve },
  { name: "parent", lanes: 3, status: "Completed", output: (input) => 3 * stepsOf(input) },
  { name: "chain", lanes: 3, status: "Completed", output: () => 10 },
  { name: "flaky", lanes: 4, status: "Completed", output: echo },
  { name: "failing", lanes: 2, status: "Failed" },
  { name: "held", lanes: 4, status: "Completed", output: echo, steer: holdAndLetGo },
  { name: "ended", lanes: 3, status: "Terminated", steer: endEarly },
  { name: "stuck", lanes: 1, status: "Terminated", steer: endParked },
];

/** Live from the first minute to the last. */
export const ETERNAL = "eternal";
export const ETERNALS = 10;

const stepsOf = (input: number): number => 3 + (input % 4);
const widthOf = (input: number): number => 10 + (input % 30);

export function functionsOf({ sleep, onTimer }: Surroundings) {
  const work = activity("work", async (ctx, ms: number) => {
    await sleep(ms, ctx.signal);
    return 1;
  });
  const coin = activity("coin", () => {
    if (Math.random() < 0.5) throw new Error("tails");
  });
  const broken = activity("broken", () => {
    throw new Error("as it is meant to");
  });

  /** Sleeps, and has it noted how late the timer was; once, not in every replay. */
  async function nap(ctx: OrchestrationContext, ms: number): Promise<void> {
    const dueMs = ctx.currentUtcDateTime.getTime() + ms;
    await ctx.sleep(ms);
    if (!ctx.isReplaying) onTimer(dueMs, ctx.currentUtcDateTime.getTime());
  }

  const steps = orchestration("steps", async (ctx, input: number) => {
    let sum = 0;
    for (let step = 0; step < stepsOf(input); step++) {
      sum += await ctx.callActivity(work, (input * (step + 1)) % (3 * SECOND_MS));
    }
    return sum;
  });
  const fanOut = orchestration("fanOut", async (ctx, input: number) => {
    const each = (_: unknown, index: number) => ctx.callActivity(work, (input * index) % SECOND_MS);
    const done = await ctx.all(Array.from({ length: widthOf(input) }, each));
    return done.length;
  });
  const naps = orchestration("naps", async (ctx, input: number) => {
    for (let n = 1; n <= 5; n++) await nap(ctx, SECOND_MS + ((input * n) % MINUTE_MS));
    return input;
  });
  const longNap = orchestration("longNap", async (ctx, input: number) => {
    await nap(ctx, 5 * MINUTE_MS + ((input * 7919) % (50 * MINUTE_MS)));
    return input;
  });
  const approvals = orchestration("approvals", async (ctx) => {
    for (let got = 0; got < 3; got++) {
      const deadline = ctx.sleep(24 * HOUR_MS);
      const approval = ctx.waitForExternalEvent("approval");
      const { task } = await ctx.whenAny([approval, deadline]);
      if (task === deadline) return got;
      deadline.cancel();
      ctx.setCustomStatus({ got });
    }
    return 3;
  });
  const parent = orchestration("parent", async (ctx, input: number) => {
    const children = [0, 1, 2].map(() => ctx.callSubOrchestrator(steps, input));
    return (await ctx.all(children)).reduce((sum, each) => sum + each, 0);
  });
  const chain = orchestration("chain", async (ctx, input: { readonly link: number } | number) => {
    const link = typeof input === "number" ? 1 : input.link;
    await ctx.callActivity(work, SECOND_MS);
    if (link < 10) ctx.continueAsNew({ link: link + 1 });
    return link;
  });
  const flaky = orchestration("flaky", async (ctx, input: number) => {
    const retry = { firstIntervalMs: 2 * SECOND_MS, maxAttempts: 40 };
    await ctx.callActivity(coin, undefined, { retry });
    return input;
  });
  const failing = orchestration("failing", async (ctx) => {
    await ctx.callActivity(broken);
  });
  const held = orchestration("held", async (ctx, input: number) => {
    await ctx.waitForExternalEvent("go");
    await ctx.callActivity(work, SECOND_MS);
    return input;
  });
  const ended = orchestration("ended", async (ctx) => {
    const timer = ctx.sleep(24 * HOUR_MS);
    await ctx.all([ctx.callActivity(work, 10 * MINUTE_MS), timer]);
  });
  const stuck = orchestration("stuck", async (ctx) => {
    await ctx.callActivity(work, 0);
    await sleep(1); // what no orchestrator may await: it is parked
  });
  const eternal = orchestration(ETERNAL, async (ctx, count: number) => {
    await nap(ctx, 20 * SECOND_MS);
    await ctx.callActivity(work, SECOND_MS);
    ctx.setCustomStatus({ count });
    ctx.continueAsNew(count + 1);
  });
  const activities = [work, coin, broken];
  const alone = [steps, fanOut, naps, longNap, approvals, chain, flaky, failing, held, ended, stuck, eternal];
  return [...activities, ...alone, parent];
}

/** More events than it waits for may come: after a kill nobody knows which did. */
async function approve(client: TaskHubClient, id: string, sleep: Surroundings["sleep"]): Promise<void> {
  for (let n = 0; n < 3; n++) {
    await sleep(20 * SECOND_MS);
    await unlessEnded(() => client.raiseEvent(id, "approval", n));
  }
}

async function holdAndLetGo(client: TaskHubClient, id: string, sleep: Surroundings["sleep"]): Promise<void> {
  await unlessEnded(() => client.suspend(id, "to see that it waits"));
  await unlessEnded(() => client.raiseEvent(id, "go"));
  await sleep(30 * SECOND_MS);
  await unlessEnded(() => client.resume(id));
}

async function endEarly(client: TaskHubClient, id: string, sleep: Surroundings["sleep"]): Promise<void> {
  await sleep(MINUTE_MS);
  await unlessEnded(() => client.terminate(id, "no longer needed"));
}

async function endParked(client: TaskHubClient, id: string, sleep: Surroundings["sleep"]): Promise<void> {
  for (;;) {
    const status = await client.getStatus(id);
    if (status === undefined || status.parked !== undefined || status.runtimeStatus === "Terminated") break;
    await sleep(20 * SECOND_MS);
  }
  await unlessEnded(() => client.terminate(id, "stuck"));
}

/** What an earlier life did, or did too late to tell us, is done. */
async function unlessEnded(command: () => Promise<void>): Promise<void> {
  try {
    await command();
  } catch (error) {
    if (!(error instanceof InstanceEndedError)) throw error;
  }
}
