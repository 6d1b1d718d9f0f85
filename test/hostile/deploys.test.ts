import { expect, test } from "vitest";
import type { OrchestrationContext } from "../../src/index.js";
import { activity, orchestration } from "../../src/index.js";
import { NOW, onEveryStore } from "../orchestration/support.js";

const echo = activity("echo", (_ctx, value: unknown) => value);
const other = activity("other", (_ctx, value: unknown) => value);
const child = orchestration("child", async () => "child");

/** What was deployed when the instance began: two activities, and a wait. */
const RECORDED = async (ctx: OrchestrationContext): Promise<unknown> => {
  const both = await ctx.all([ctx.callActivity(echo, 1), ctx.callActivity(other, 2)]);
  return [...both, await ctx.waitForExternalEvent("go")];
};

type Change = readonly [
  what: string,
  code: (ctx: OrchestrationContext) => unknown,
  /** What the instance says it stands parked for. */
  expected: string,
  actual: string,
];

const CHANGES: readonly Change[] = [
  [
    "another order",
    async (ctx) => {
      await ctx.all([ctx.callActivity(other, 2), ctx.callActivity(echo, 1)]);
      return ctx.waitForExternalEvent("go");
    },
    'activity "echo" as task 0',
    'activity "other" as task 0',
  ],
  [
    "another name",
    async (ctx) => {
      await ctx.all([ctx.callActivity("echo2", 1), ctx.callActivity(other, 2)]);
      return ctx.waitForExternalEvent("go");
    },
    'activity "echo" as task 0',
    'activity "echo2" as task 0',
  ],
  [
    "a step less",
    async (ctx) => {
      await ctx.callActivity(echo, 1);
      return ctx.waitForExternalEvent("go");
    },
    'activity "other" as task 1',
    "nothing more",
  ],
  [
    "a step more at the end of a turn",
    async (ctx) => {
      await ctx.all([ctx.callActivity(echo, 1), ctx.callActivity(other, 2), ctx.callActivity(echo, 3)]);
      return ctx.waitForExternalEvent("go");
    },
    "nothing more",
    'activity "echo" as task 2',
  ],
  [
    "a step more at the beginning",
    async (ctx) => {
      ctx.sendEvent("nobody", "hello");
      return RECORDED(ctx);
    },
    'activity "echo" as task 0',
    `event "hello" to 'nobody' as task 0`,
  ],
  [
    "a timer for an activity",
    async (ctx) => {
      await ctx.all([ctx.sleep(1), ctx.callActivity(other, 2)]);
      return ctx.waitForExternalEvent("go");
    },
    'activity "echo" as task 0',
    "a timer as task 0",
  ],
  [
    "a child for an activity",
    async (ctx) => {
      await ctx.all([ctx.callSubOrchestrator(child), ctx.callActivity(other, 2)]);
      return ctx.waitForExternalEvent("go");
    },
    'activity "echo" as task 0',
    'sub-orchestration "child" as task 0',
  ],
  [
    "a detached start for an activity",
    async (ctx) => {
      ctx.startNew(child);
      await ctx.callActivity(other, 2);
      return ctx.waitForExternalEvent("go");
    },
    'activity "echo" as task 0',
    'start of "child" as task 0',
  ],
  ["an end before the recorded one", async () => "at once", 'activity "echo" as task 0', "nothing more"],
  [
    "a throw where there was none",
    () => {
      throw new Error("new");
    },
    'activity "echo" as task 0',
    "nothing more",
  ],
  [
    "an end where there was a wait",
    async (ctx) => ctx.all([ctx.callActivity(echo, 1), ctx.callActivity(other, 2)]),
    "more turns",
    "end the function",
  ],
];

onEveryStore("an instance whose code was changed under it", (open) => {
  test.each(CHANGES)(
    "%s: stands parked, history untouched, and goes on once it is mended",
    async (_what, code, expected, actual) => {
      const recorded = orchestration("job", RECORDED);
      const fine = orchestration("fine", async (ctx) => ctx.callActivity(echo, "fine"));
      const hub = await open([recorded, fine, child, echo, other]);
      const start = await hub.client.startNew(recorded, { instanceId: "job" });
      await hub.idle();
      const before = (await hub.client.getHistory("job"))?.events;

      const changed = orchestration("job", async (ctx) => code(ctx));
      await hub.crash({ functions: [changed, fine, child, echo, other] });
      await hub.client.raiseEvent("job", "go", 3);
      const others = await hub.client.startNew(fine);
      await hub.idle();
      expect(await others.result(NOW)).toBe("fine");
      const status = await hub.client.getStatus("job");
      expect(status).toMatchObject({ runtimeStatus: "Running", parked: { code: "NonDeterminism" } });
      expect(status?.parked?.message).toContain(`recorded ${expected}, but the code did ${actual}.`);
      expect((await hub.client.getHistory("job"))?.events).toEqual(before);

      await hub.crash({ functions: [recorded, fine, child, echo, other] });
      await hub.idle();
      expect(await start.result(NOW)).toEqual([1, 2, 3]);
    },
  );

  test.each<[what: string, differs: () => boolean]>([
    ["a variable of the process", () => processState++ > 0],
    ["the clock", () => clockNow() > 0],
    ["random numbers", () => randomNow() > 0],
  ])("%s: code that reads it does another thing in replay, and is told so", async (_what, differs) => {
    processState = 0;
    looks = 0;
    const reads = orchestration("reads", async (ctx) => {
      const first = await ctx.callActivity(differs() ? other : echo, 1);
      return [first, await ctx.waitForExternalEvent("go")];
    });
    const hub = await open([reads, echo, other], { replayEveryTurn: false });
    await hub.client.startNew(reads, { instanceId: "job" });
    await hub.idle();
    await hub.crash();
    await hub.client.raiseEvent("job", "go", 2);
    await hub.idle();
    const status = await hub.client.getStatus("job");
    expect(status?.parked?.message).toContain(
      'recorded activity "echo" as task 0, but the code did activity "other"',
    );
    await hub.client.terminate("job");
    expect(await hub.client.getStatus("job")).toMatchObject({ runtimeStatus: "Terminated" });
  });
});

let processState = 0;
let looks = 0;

/** Date.now and Math.random differ from look to look; by how much is made certain here. */
function clockNow(): number {
  return Date.now() > 0 ? looks++ : 0;
}

function randomNow(): number {
  return Math.random() < 1 ? looks++ : 0;
}
