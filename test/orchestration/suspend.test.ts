import { expect, test } from "vitest";
import { activity, orchestration } from "../../src/index.js";
import { gate, NOW, onEveryStore } from "./support.js";

const collects = orchestration("collects", async (ctx, until: number) => {
  const seen: unknown[] = [];
  while (seen.length < until) seen.push(await ctx.waitForExternalEvent("n"));
  return seen;
});

onEveryStore("a suspended instance", (open) => {
  test("keeps its events, and takes them in order once it is resumed", async () => {
    const hub = await open([collects]);
    const start = await hub.client.startNew(collects, { instanceId: "x", input: 3 });
    await hub.idle();
    await hub.client.suspend("x", "a pause");
    for (const n of [1, 2, 3]) await hub.client.raiseEvent("x", "n", n);
    await hub.idle();
    expect((await hub.client.getStatus("x"))?.runtimeStatus).toBe("Suspended");
    await hub.client.resume("x");
    await hub.idle();
    expect(await start.result(NOW)).toEqual([1, 2, 3]);
  });

  test("lets activities in flight finish, and takes results, timers and events in the order in which they came", async () => {
    const slow = gate<string>();
    const work = activity("work", () => slow.passed);
    const job = orchestration("job", async (ctx) => {
      const order: string[] = [];
      await Promise.all([
        ctx.callActivity(work).then((result) => order.push(result)),
        ctx.sleep(1000).then(() => order.push("timer")),
        ctx.waitForExternalEvent("e").then(() => order.push("event")),
      ]);
      return order;
    });
    const hub = await open([job, work]);
    const start = await hub.client.startNew(job, { instanceId: "x" });
    await hub.idle({ activities: "leave" });
    await hub.client.suspend("x");
    await hub.advance(1000, { activities: "leave" });
    await hub.client.raiseEvent("x", "e");
    await hub.idle({ activities: "leave" });
    slow.open("activity");
    await hub.idle();
    expect((await hub.client.getStatus("x"))?.runtimeStatus).toBe("Suspended");
    await hub.client.resume("x");
    await hub.idle();
    expect(await start.result(NOW)).toEqual(["timer", "event", "activity"]);
  });

  test("starts no code before its resume although it is Pending", async () => {
    const hub = await open([collects]);
    await hub.stop();
    const start = await hub.client.startNew(collects, { instanceId: "x", input: 1 });
    await hub.client.suspend("x");
    await hub.start();
    await hub.client.raiseEvent("x", "n", 1);
    await hub.idle();
    expect((await hub.client.getStatus("x"))?.runtimeStatus).toBe("Suspended");
    await hub.client.resume("x");
    await hub.idle();
    expect(await start.result(NOW)).toEqual([1]);
  });

  test("stays suspended over a crash, with what it kept", async () => {
    const hub = await open([collects]);
    const start = await hub.client.startNew(collects, { instanceId: "x", input: 2 });
    await hub.idle();
    await hub.client.suspend("x");
    await hub.client.raiseEvent("x", "n", 1);
    await hub.idle();
    await hub.crash();
    await hub.client.raiseEvent("x", "n", 2);
    await hub.idle();
    expect((await hub.client.getStatus("x"))?.runtimeStatus).toBe("Suspended");
    await hub.client.resume("x");
    await hub.idle();
    expect(await start.result(NOW)).toEqual([1, 2]);
  });

  test("that is suspended and resumed time and again loses nothing", async () => {
    const hub = await open([collects]);
    const start = await hub.client.startNew(collects, { instanceId: "x", input: 12 });
    for (let n = 0; n < 12; n++) {
      if (n % 3 === 0) await hub.client.suspend("x");
      await hub.client.raiseEvent("x", "n", n);
      if (n % 4 === 3) await hub.idle();
      if (n % 3 === 2) await hub.client.resume("x");
    }
    await hub.idle();
    expect(await start.result(NOW)).toEqual(Array.from({ length: 12 }, (_, n) => n));
  });

  test("can be suspended and resumed twice with no effect", async () => {
    const hub = await open([collects]);
    const start = await hub.client.startNew(collects, { instanceId: "x", input: 1 });
    await hub.client.resume("x");
    await hub.client.suspend("x");
    await hub.client.suspend("x");
    await hub.idle();
    await hub.client.resume("x");
    await hub.client.resume("x");
    await hub.client.raiseEvent("x", "n", 1);
    await hub.idle();
    expect(await start.result(NOW)).toEqual([1]);
  });

  test("can be terminated", async () => {
    const hub = await open([collects]);
    const start = await hub.client.startNew(collects, { instanceId: "x", input: 1 });
    await hub.idle();
    await hub.client.suspend("x");
    await hub.idle();
    await hub.client.terminate("x", "while suspended");
    await hub.idle();
    expect(await start.waitForCompletion(NOW)).toMatchObject({
      runtimeStatus: "Terminated",
      output: "while suspended",
    });
  });

  test("holds its ID", async () => {
    const hub = await open([collects]);
    await hub.client.startNew(collects, { instanceId: "x", input: 1 });
    await hub.client.suspend("x");
    await hub.idle();
    await expect(hub.client.startNew(collects, { instanceId: "x", input: 1 })).rejects.toMatchObject({
      code: "InstanceHeld",
      holder: { runtimeStatus: "Suspended" },
    });
  });

  test("shows its reasons in its history", async () => {
    const hub = await open([collects]);
    await hub.client.startNew(collects, { instanceId: "x", input: 1 });
    await hub.idle();
    await hub.client.suspend("x", "lunch");
    await hub.idle();
    await hub.client.resume("x", "coffee");
    await hub.idle();
    const events = (await hub.client.getHistory("x"))?.events;
    expect(events).toContainEqual(expect.objectContaining({ type: "ExecutionSuspended", reason: "lunch" }));
    expect(events).toContainEqual(expect.objectContaining({ type: "ExecutionResumed", reason: "coffee" }));
  });

  test("does not exist where there is none, or where it has ended", async () => {
    const hub = await open([collects]);
    await hub.client.startNew(collects, { instanceId: "x", input: 0 });
    await hub.idle();
    for (const operation of ["suspend", "resume"] as const) {
      await expect(hub.client[operation]("nobody")).rejects.toMatchObject({ code: "InstanceNotFound" });
      await expect(hub.client[operation]("x")).rejects.toMatchObject({
        code: "InstanceEnded",
        runtimeStatus: "Completed",
      });
    }
  });
});
