import fc from "fast-check";
import { expect, test } from "vitest";
import { activity, orchestration } from "../../src/index.js";
import { NOW, onEveryStore } from "./support.js";

const double = activity("double", (_ctx, n: number) => n * 2);

const echo = activity("echo", (_ctx, value: string) => value);

/** Handles an event with an activity and a timer; every third one begins a new generation. */
const ledger = orchestration("ledger", async (ctx, book: readonly number[]): Promise<readonly number[]> => {
  const entries = [...book];
  for (let n = 0; n < 3; n++) {
    const event = await ctx.waitForExternalEvent<number | "end">("entry");
    if (event === "end") return entries;
    entries.push(await ctx.callActivity(double, event));
    if (event % 2 === 0) await ctx.sleep(100);
  }
  ctx.continueAsNew(entries);
  return entries;
});

const child = orchestration("child", async (ctx, n: number) => {
  if (n % 3 === 0) await ctx.sleep(n * 10);
  const doubled = await ctx.callActivity(double, n);
  if (n % 5 === 4) throw new RangeError(String(n));
  return doubled;
});

/** Fans out to children of which some fail, in waves. */
const waves = orchestration("waves", async (ctx, width: number) => {
  const outcomes: unknown[] = [];
  for (let wave = 0; wave < 3; wave++) {
    const settled = await ctx.allSettled(
      Array.from({ length: width }, (_, n) => ctx.callSubOrchestrator(child, wave * width + n)),
    );
    outcomes.push(...settled.map((each) => (each.status === "fulfilled" ? each.value : "failed")));
    if (wave === 1) await ctx.sleep(50);
  }
  return outcomes;
});

/** Takes only what is meant for its own execution: anything else is told in its output. */
const owner = orchestration("owner", async (ctx) => {
  const strangers: unknown[] = [];
  for (;;) {
    const [result, event] = await ctx.all([
      ctx.callActivity(echo, ctx.executionId),
      ctx.waitForExternalEvent<{ to: string; end: boolean }>("mail"),
      ctx.sleep(30),
    ]);
    if (result !== ctx.executionId) strangers.push(result);
    if (event.to !== ctx.executionId) strangers.push(event.to);
    if (event.end) return strangers;
  }
});

type Step = "raise" | "suspend" | "resume" | "crash" | "idle" | "advance" | "outage";

const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.constant<Step>("raise") },
    { weight: 1, arbitrary: fc.constant<Step>("suspend") },
    { weight: 2, arbitrary: fc.constant<Step>("resume") },
    { weight: 1, arbitrary: fc.constant<Step>("crash") },
    { weight: 2, arbitrary: fc.constant<Step>("idle") },
    { weight: 2, arbitrary: fc.constant<Step>("advance") },
    { weight: 1, arbitrary: fc.constant<Step>("outage") },
  ),
  { minLength: 5, maxLength: 40 },
);

onEveryStore("whatever happens in whatever order", (open) => {
  test("every accepted event is handled once, in order", async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (sequence) => {
        const hub = await open([ledger, double]);
        const start = await hub.client.startNew(ledger, { instanceId: "x", input: [] });
        let raised = 0;
        for (const step of sequence) {
          switch (step) {
            case "raise":
              await hub.client.raiseEvent("x", "entry", raised++);
              break;
            case "suspend":
              await hub.client.suspend("x");
              break;
            case "resume":
              await hub.client.resume("x");
              break;
            case "crash":
              await hub.crash();
              break;
            case "idle":
              await hub.idle();
              break;
            case "advance":
              await hub.advance(130);
              break;
            case "outage":
              await hub.stop();
              await hub.client.raiseEvent("x", "entry", raised++);
              await hub.advance(1000);
              await hub.start();
          }
        }
        await hub.client.resume("x");
        await hub.client.raiseEvent("x", "entry", "end");
        await hub.advance(100 * (raised + 1));
        expect(await start.result(NOW)).toEqual(Array.from({ length: raised }, (_, n) => n * 2));
        const status = await hub.client.getStatus("x");
        expect(status?.run).toBe(1);
        expect(status?.generation).toBe(Math.floor(raised / 3) + 1);
      }),
      { numRuns: 15 },
    );
  });

  test("every child answers its parent once", async () => {
    const breaks = fc.array(fc.constantFrom<Step>("crash", "advance", "idle", "outage"), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 8 }), breaks, async (width, sequence) => {
        const hub = await open([waves, child, double]);
        const start = await hub.client.startNew(waves, { input: width });
        for (const step of sequence) {
          if (step === "crash") await hub.crash();
          if (step === "advance") await hub.advance(7);
          if (step === "idle") await hub.idle();
          if (step === "outage") {
            await hub.stop();
            await hub.advance(40);
            await hub.start();
          }
        }
        await hub.runToCompletion(start.instanceId);
        expect(await start.result(NOW)).toEqual(
          Array.from({ length: width * 3 }, (_, n) => (n % 5 === 4 ? "failed" : n * 2)),
        );
        const { instances } = await hub.client.list({ name: "child" });
        expect(instances).toHaveLength(width * 3);
        expect(instances.filter((each) => each.run !== 1)).toEqual([]);
      }),
      { numRuns: 15 },
    );
  });

  test("nothing meant for one run of an ID reaches another, and a new run always comes to its end", async () => {
    type Act =
      | "replace"
      | "terminate"
      | "restart"
      | "purge"
      | "mail"
      | "suspend"
      | "crash"
      | "idle"
      | "advance"
      | "end";
    const acts = fc.array(
      fc.constantFrom<Act>(
        "replace",
        "terminate",
        "restart",
        "purge",
        "mail",
        "suspend",
        "crash",
        "idle",
        "advance",
        "end",
      ),
      { minLength: 3, maxLength: 30 },
    );
    await fc.assert(
      fc.asyncProperty(acts, async (sequence) => {
        const hub = await open([owner, echo]);
        const { client } = hub;
        const begin = async (): Promise<string> =>
          (await client.startNew(owner, { instanceId: "x", ifLive: "terminate" })).executionId;
        let live: string | undefined = await begin();
        const outputs: unknown[] = [];
        for (const act of sequence) {
          switch (act) {
            case "replace":
              live = await begin();
              break;
            case "terminate":
              if (live !== undefined) await client.terminate("x");
              live = undefined;
              break;
            case "restart":
              if (live === undefined && (await client.getStatus("x")) !== undefined)
                live = (await client.restart("x", { newInstanceId: false })).executionId;
              break;
            case "purge":
              if (live === undefined) await client.purge("x");
              break;
            case "mail":
              if (live !== undefined) await client.raiseEvent("x", "mail", { to: live, end: false });
              break;
            case "suspend":
              if (live !== undefined) await client.suspend("x");
              break;
            case "crash":
              await hub.crash();
              break;
            case "idle":
              await hub.idle();
              break;
            case "advance":
              await hub.advance(40);
              break;
            case "end":
              if (live === undefined) break;
              await client.resume("x");
              await client.raiseEvent("x", "mail", { to: live, end: true });
              outputs.push((await hub.runToCompletion("x")).output);
              live = undefined;
          }
        }
        const last = await begin();
        await client.raiseEvent("x", "mail", { to: last, end: true });
        outputs.push((await hub.runToCompletion("x")).output);
        expect(outputs.flat()).toEqual([]);
        const executions = await client.listExecutions("x");
        const tokens = executions.map((each) => each.fencingToken);
        expect(tokens).toEqual([...new Set(tokens)].toSorted((a, b) => b - a));
      }),
      { numRuns: 20 },
    );
  });
});
