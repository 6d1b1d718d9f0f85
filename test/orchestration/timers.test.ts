import { expect, test } from "vitest";
import { orchestration } from "../../src/index.js";
import { NOW, onEveryStore } from "./support.js";

const DAY_MS = 86_400_000;

onEveryStore("durable timers", (open) => {
  test("never fire early, and fire when they are due", async () => {
    const naps = orchestration("naps", async (ctx, ms: number) => {
      await ctx.sleep(ms);
      return ctx.currentUtcDateTime.getTime();
    });
    const hub = await open([naps]);
    const startMs = hub.now.getTime();
    const start = await hub.client.startNew(naps, { instanceId: "x", input: 1500 });
    await hub.advance(1499);
    expect((await hub.client.getStatus("x"))?.runtimeStatus).toBe("Running");
    await hub.advance(1);
    expect(await start.result(NOW)).toBe(startMs + 1500);
  });

  test("of the past fire at once", async () => {
    const past = orchestration("past", async (ctx) => {
      await ctx.createTimer(new Date(0));
      await ctx.sleep(0);
      return "at once";
    });
    const hub = await open([past]);
    const start = await hub.client.startNew(past);
    await hub.idle();
    expect(await start.result(NOW)).toBe("at once");
  });

  test("reach far beyond 2^31 ms", async () => {
    const long = orchestration("long", async (ctx, days: number) => {
      await ctx.sleep(days * DAY_MS);
      return ctx.currentUtcDateTime.toISOString();
    });
    const hub = await open([long], { startTime: new Date("2026-01-01T00:00:00Z") });
    const start = await hub.client.startNew(long, { instanceId: "x", input: 3650 });
    await hub.advance(3650 * DAY_MS - 1);
    expect((await hub.client.getStatus("x"))?.runtimeStatus).toBe("Running");
    await hub.advance(1);
    expect(await start.result(NOW)).toBe("2035-12-30T00:00:00.000Z");
  });

  test("of no end wait, and can be cancelled", async () => {
    const forever = orchestration("forever", async (ctx) => {
      const timer = ctx.sleep(Number.POSITIVE_INFINITY);
      const event = ctx.waitForExternalEvent<string>("e");
      await ctx.race([timer, event]);
      timer.cancel();
      return event.result();
    });
    const hub = await open([forever]);
    const start = await hub.client.startNew(forever, { instanceId: "x" });
    await hub.advance(10 * 365 * DAY_MS);
    await hub.crash();
    expect((await hub.client.getStatus("x"))?.parked).toBeUndefined();
    await hub.client.raiseEvent("x", "e", "woken");
    await hub.idle();
    expect(await start.result(NOW)).toBe("woken");
  });

  test("of a fraction of a millisecond are not early either", async () => {
    const fraction = orchestration("fraction", async (ctx) => {
      await ctx.sleep(0.5);
      return ctx.currentUtcDateTime.getTime();
    });
    const hub = await open([fraction]);
    const startMs = hub.now.getTime();
    const start = await hub.client.startNew(fraction);
    await hub.advance(1);
    expect(await start.result(NOW)).toBe(startMs + 1);
  });

  test.each([-1, Number.NaN])("refuse to sleep for %d", async (ms) => {
    const bad = orchestration("bad", async (ctx) => ctx.sleep(ms));
    const hub = await open([bad]);
    const start = await hub.client.startNew(bad);
    await hub.idle();
    expect((await start.waitForCompletion(NOW)).failure).toMatchObject({ type: "InvalidArgumentError" });
  });

  test("refuse an invalid date", async () => {
    const bad = orchestration("bad", async (ctx) => ctx.createTimer(new Date("not a date")));
    const hub = await open([bad]);
    const start = await hub.client.startNew(bad);
    await hub.idle();
    expect((await start.waitForCompletion(NOW)).failure).toMatchObject({
      type: "InvalidArgumentError",
      message: "at: must be a valid Date",
    });
  });

  test("fire in the order in which they are due", async () => {
    const three = orchestration("three", async (ctx) => {
      const order: number[] = [];
      await Promise.all([300, 100, 200].map((ms) => ctx.sleep(ms).then(() => order.push(ms))));
      return order;
    });
    const hub = await open([three]);
    const start = await hub.client.startNew(three);
    // All at once, as after a long outage.
    await hub.stop();
    await hub.advance(10_000);
    await hub.start();
    await hub.idle();
    await hub.advance(10_000);
    expect(await start.result(NOW)).toEqual([100, 200, 300]);
  });

  test("that are cancelled do not fire, and tell whoever awaits them", async () => {
    const cancels = orchestration("cancels", async (ctx) => {
      const timer = ctx.sleep(1000);
      const before = timer.isCanceled;
      timer.cancel();
      timer.cancel();
      const reason = await timer.then(
        () => "fired",
        (error: unknown) => (error instanceof Error ? error.name : ""),
      );
      const done = ctx.sleep(0);
      await done;
      done.cancel();
      return [before, timer.isCanceled, reason, done.isCanceled];
    });
    const hub = await open([cancels]);
    const start = await hub.client.startNew(cancels);
    await hub.idle();
    await hub.advance(0);
    expect(await start.result(NOW)).toEqual([false, true, "TimerCanceledError", false]);
    expect(await hub.advanceToNextTimer()).toBe(false);
  });

  test("that are cancelled in a later turn leave nothing behind", async () => {
    const cancels = orchestration("cancels", async (ctx) => {
      const timer = ctx.sleep(1000);
      const event = await ctx.waitForExternalEvent("e");
      timer.cancel();
      await ctx.waitForExternalEvent("end");
      return event;
    });
    const hub = await open([cancels]);
    const start = await hub.client.startNew(cancels, { instanceId: "x" });
    await hub.client.raiseEvent("x", "e", 1);
    await hub.idle();
    expect(await hub.advanceToNextTimer()).toBe(false);
    await hub.client.raiseEvent("x", "end");
    await hub.idle();
    expect(await start.result(NOW)).toBe(1);
  });

  test("survive a crash, and fire once after an outage", async () => {
    const counts = orchestration("counts", async (ctx) => {
      let fired = 0;
      for (let n = 0; n < 3; n++) {
        await ctx.sleep(1000);
        fired += 1;
      }
      return [fired, ctx.currentUtcDateTime.getTime()];
    });
    const hub = await open([counts]);
    const startMs = hub.now.getTime();
    const start = await hub.client.startNew(counts);
    await hub.advance(1000);
    await hub.stop();
    await hub.advance(60_000);
    await hub.start();
    await hub.advance(1000);
    expect(await start.result(NOW)).toEqual([3, startMs + 62_000]);
  });

  test("are many, over many instances", async () => {
    const sleeps = orchestration("sleeps", async (ctx, ms: number) => {
      await ctx.sleep(ms);
      return ms;
    });
    const hub = await open([sleeps]);
    const starts = await Promise.all(
      Array.from({ length: 300 }, (_, n) => hub.client.startNew(sleeps, { input: (n % 30) * 1000 })),
    );
    await hub.advance(29_000);
    for (const [n, start] of starts.entries()) expect(await start.result(NOW)).toBe((n % 30) * 1000);
  });
});
