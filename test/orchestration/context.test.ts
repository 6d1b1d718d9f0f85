import { expect, test } from "vitest";
import { activity, type Logger, orchestration } from "../../src/index.js";
import { NOW, onEveryStore, textWith } from "./support.js";

const echo = activity("echo", (_ctx, value: unknown) => value);

onEveryStore("the orchestration's context", (open) => {
  test("tells who the instance is", async () => {
    const facts = orchestration("facts", async (ctx) => ({
      instanceId: ctx.instanceId,
      executionId: ctx.executionId,
      run: ctx.run,
      generation: ctx.generation,
      version: ctx.version,
      tags: ctx.tags,
      parent: ctx.parent,
    }));
    const hub = await open([facts]);
    await hub.client.startNew(facts, { instanceId: "x" });
    await hub.idle();
    const again = await hub.client.startNew(facts, {
      instanceId: "x",
      version: "1.2",
      tags: { team: "blue" },
    });
    await hub.idle();
    expect(await again.result(NOW)).toEqual({
      instanceId: "x",
      executionId: again.executionId,
      run: 2,
      generation: 2,
      version: "1.2",
      tags: { team: "blue" },
    });
    expect(again.executionId).toMatch(/^[0-9a-f]{32}$/);
  });

  test("gives a fencing token that rises with every execution of the ID, also over a purge", async () => {
    const token = orchestration("token", async (ctx) => ctx.fencingToken);
    const hub = await open([token]);
    const tokens: number[] = [];
    for (let n = 0; n < 4; n++) {
      const start = await hub.client.startNew(token, { instanceId: "x" });
      await hub.idle();
      tokens.push(await start.result(NOW));
      if (n === 1) await hub.client.purge("x");
    }
    expect(tokens).toEqual([...new Set(tokens)].sort((a, b) => a - b));
  });

  test("gives activities its facts and a token that is not below its own", async () => {
    const facts = activity("facts", (ctx) => ({
      instanceId: ctx.instanceId,
      executionId: ctx.executionId,
      run: ctx.run,
      generation: ctx.generation,
      orchestrationName: ctx.orchestrationName,
      activityName: ctx.activityName,
      taskId: ctx.taskId,
      token: ctx.fencingToken,
      aborted: ctx.signal.aborted,
    }));
    const main = orchestration(
      "main",
      async (ctx) => [ctx.fencingToken, await ctx.callActivity(facts)] as const,
    );
    const hub = await open([main, facts]);
    const start = await hub.client.startNew(main, { instanceId: "x" });
    await hub.idle();
    const [token, seen] = await start.result(NOW);
    expect(seen).toEqual({
      instanceId: "x",
      executionId: start.executionId,
      run: 1,
      generation: 1,
      orchestrationName: "main",
      activityName: "facts",
      taskId: 0,
      token,
      aborted: false,
    });
  });

  test("shows the same time throughout a turn, and the same in replay", async () => {
    const times: number[][] = [];
    const clock = orchestration("clock", async (ctx) => {
      const seen = [ctx.currentUtcDateTime.getTime(), ctx.currentUtcDateTime.getTime()];
      await ctx.sleep(1000);
      seen.push(ctx.currentUtcDateTime.getTime());
      await ctx.sleep(1000);
      times.push(seen);
      return seen;
    });
    const hub = await open([clock]);
    const startMs = hub.now.getTime();
    const start = await hub.client.startNew(clock);
    await hub.advance(1000);
    await hub.crash();
    await hub.advance(1000);
    expect(await start.result(NOW)).toEqual([startMs, startMs, startMs + 1000]);
  });

  test("makes GUIDs that differ from each other and are the same in replay", async () => {
    const seen: string[][] = [];
    const guids = orchestration("guids", async (ctx) => {
      const made = [ctx.newGuid(), ctx.newGuid()];
      await ctx.callActivity(echo, 1);
      made.push(ctx.newGuid());
      seen.push(made);
      await ctx.waitForExternalEvent("go");
      return made;
    });
    const hub = await open([guids, echo]);
    const start = await hub.client.startNew(guids, { instanceId: "x" });
    await hub.idle();
    await hub.crash();
    await hub.client.raiseEvent("x", "go");
    await hub.idle();
    const made = await start.result(NOW);
    expect(new Set(made).size).toBe(3);
    for (const guid of made)
      expect(guid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(seen.length).toBeGreaterThan(1);
    for (const each of seen) expect(each).toEqual(made);
  });

  test("tells whether the code replays, and logs each line once", async () => {
    const lines: string[] = [];
    const note = (message: string): void => {
      if (message.startsWith("step")) lines.push(message);
    };
    const logger: Logger = { debug: note, info: note, warn: note, error: note };
    const replaying: boolean[] = [];
    const logs = orchestration("logs", async (ctx) => {
      ctx.log.info("step 1");
      replaying.push(ctx.isReplaying);
      await ctx.callActivity(echo, 1);
      ctx.log.warn("step 2");
      await ctx.waitForExternalEvent("go");
      ctx.log.error("step 3");
    });
    const hub = await open([logs, echo], { logger });
    await hub.client.startNew(logs, { instanceId: "x" });
    await hub.idle();
    await hub.crash();
    await hub.client.raiseEvent("x", "go");
    await hub.idle();
    expect((await hub.client.getStatus("x"))?.runtimeStatus).toBe("Completed");
    expect(lines).toEqual(["step 1", "step 2", "step 3"]);
    expect(replaying[0]).toBe(false);
    expect(replaying.slice(1).every(Boolean)).toBe(true);
    expect(replaying.length).toBeGreaterThan(1);
  });

  test("shows a custom status until it is changed, cleared, and after the end", async () => {
    const shows = orchestration("shows", async (ctx) => {
      ctx.setCustomStatus({ step: 1 });
      ctx.setCustomStatus({ step: 2 });
      await ctx.waitForExternalEvent("next");
      await ctx.sleep(0);
      ctx.setCustomStatus(undefined);
      await ctx.waitForExternalEvent("next");
      ctx.setCustomStatus("done");
    });
    const hub = await open([shows]);
    await hub.client.startNew(shows, { instanceId: "x" });
    const status = async (): Promise<unknown> => {
      await hub.advance(0);
      return (await hub.client.getStatus("x"))?.customStatus;
    };
    expect(await status()).toEqual({ step: 2 });
    await hub.client.raiseEvent("x", "next");
    expect(await status()).toBeUndefined();
    await hub.client.raiseEvent("x", "next");
    expect(await status()).toBe("done");
  });

  test("refuses a custom status above 16 KB, and takes one of just 16 KB", async () => {
    const shows = orchestration("shows", async (ctx, length: number) => {
      ctx.setCustomStatus("x".repeat(length - 2)); // its quotes count, too
    });
    const hub = await open([shows]);
    const fits = await hub.client.startNew(shows, { input: 16 * 1024 });
    const tooLong = await hub.client.startNew(shows, { input: 16 * 1024 + 1 });
    await hub.idle();
    expect((await fits.waitForCompletion(NOW)).runtimeStatus).toBe("Completed");
    expect((await tooLong.waitForCompletion(NOW)).failure).toMatchObject({
      type: "LimitExceededError",
      message: textWith('The limit "custom status" is 16384'),
    });
  });

  test("shows the custom status of the turn that failed", async () => {
    const fails = orchestration("fails", async (ctx) => {
      ctx.setCustomStatus("about to fail");
      throw new Error("now");
    });
    const hub = await open([fails]);
    await hub.client.startNew(fails, { instanceId: "x" });
    await hub.idle();
    expect((await hub.client.getStatus("x"))?.customStatus).toBe("about to fail");
  });

  test("is of no use once the function has ended", async () => {
    let kept: (() => void) | undefined;
    const keeps = orchestration("keeps", async (ctx) => {
      kept = () => void ctx.callActivity(echo, 1);
    });
    const hub = await open([keeps, echo]);
    const start = await hub.client.startNew(keeps);
    await hub.idle();
    expect((await start.waitForCompletion(NOW)).runtimeStatus).toBe("Completed");
    expect(kept).toThrow(/after the orchestrator had ended/);
  });
});
