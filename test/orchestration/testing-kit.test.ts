import { describe, expect, test } from "vitest";
import { activity, orchestration } from "../../src/index.js";
import { NothingWillHappenError, openTestHub } from "../../src/testing/index.js";
import { gate, NOW, textWith } from "./support.js";

const waits = orchestration("waits", async (ctx) => ctx.waitForExternalEvent("go"));
const naps = orchestration("naps", async (ctx, days: number) => {
  for (let day = 0; day < days; day++) await ctx.sleep(86_400_000);
  return ctx.currentUtcDateTime.toISOString();
});

describe("a test hub", () => {
  test("begins at its start time, and time stands still", async () => {
    await using hub = await openTestHub({ functions: [naps], startTime: new Date("2030-05-05T00:00:00Z") });
    const start = await hub.client.startNew(naps, { input: 0 });
    await hub.idle();
    expect(await start.result(NOW)).toBe("2030-05-05T00:00:00.000Z");
    expect(hub.now).toEqual(new Date("2030-05-05T00:00:00Z"));
  });

  test("runs an instance to its end, however long it sleeps", async () => {
    await using hub = await openTestHub({ functions: [naps] });
    await hub.client.startNew(naps, { instanceId: "x", input: 365 });
    expect((await hub.runToCompletion("x")).output).toBe("2027-01-01T00:00:00.000Z");
  });

  test("says why an instance does not end by itself", async () => {
    await using hub = await openTestHub({ functions: [waits] });
    await hub.client.startNew(waits, { instanceId: "x" });
    const error: unknown = await hub.runToCompletion("x").catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(NothingWillHappenError);
    expect(error).toMatchObject({
      message: textWith("'x' is Running and no timer is set: it waits for an event"),
    });
    await expect(hub.runToCompletion("nobody")).rejects.toMatchObject({ code: "InstanceNotFound" });
  });

  test("stops at each timer on the way, so that each sees its own time", async () => {
    await using hub = await openTestHub({ functions: [naps] });
    const start = await hub.client.startNew(naps, { input: 3 });
    await hub.advance(30 * 86_400_000);
    expect(await start.result(NOW)).toBe("2026-01-04T00:00:00.000Z");
    await expect(hub.advance(-1)).rejects.toMatchObject({ code: "InvalidArgument" });
  });

  test("finds code that is not deterministic at its next turn", async () => {
    let n = 0;
    const random = orchestration("random", async (ctx) => {
      n += 1;
      await ctx.callActivity(`activity ${n}`);
    });
    const known = activity("activity 1", () => {});
    await using hub = await openTestHub({ functions: [random, known] });
    await hub.client.startNew(random, { instanceId: "x" });
    await hub.idle();
    expect((await hub.client.getStatus("x"))?.parked).toMatchObject({ code: "NonDeterminism" });
  });

  test("waits for activities, or leaves them", async () => {
    const hold = gate<string>();
    const work = activity("work", () => hold.passed);
    const timed = orchestration("timed", async (ctx) => {
      const call = ctx.callActivity(work);
      const { task } = await ctx.whenAny([call, ctx.sleep(1000)]);
      return task === call;
    });
    await using hub = await openTestHub({ functions: [timed, work] });
    const first = await hub.client.startNew(timed);
    await hub.advance(1000, { activities: "leave" });
    expect(await first.result(NOW)).toBe(false);
    const second = await hub.client.startNew(timed);
    const advanced = hub.advance(1000);
    hold.open("done");
    await advanced;
    expect(await second.result(NOW)).toBe(true);
  });

  test("does the same in every run, IDs included", async () => {
    const history = async (): Promise<unknown> => {
      await using hub = await openTestHub({ functions: [naps] });
      const start = await hub.client.startNew(naps, { input: 2 });
      await hub.runToCompletion(start.instanceId);
      return await hub.client.getHistory(start.instanceId);
    };
    expect(await history()).toEqual(await history());
  });

  test("keeps handles and waits alive over a crash", async () => {
    await using hub = await openTestHub({ functions: [waits] });
    const start = await hub.client.startNew(waits, { instanceId: "x" });
    await hub.idle();
    const result = start.result();
    await hub.crash();
    await hub.client.raiseEvent("x", "go", 5);
    expect(await result).toBe(5);
  });

  test("is apart from any other", async () => {
    await using one = await openTestHub({ functions: [waits] });
    await using two = await openTestHub({ functions: [waits] });
    await one.client.startNew(waits, { instanceId: "x" });
    expect(await two.client.getStatus("x")).toBeUndefined();
  });
});
