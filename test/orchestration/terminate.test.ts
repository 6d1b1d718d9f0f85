import { once } from "node:events";
import { expect, test } from "vitest";
import { activity, orchestration } from "../../src/index.js";
import { gate, NOW, onEveryStore } from "./support.js";

const waits = orchestration("waits", async (ctx) => ctx.waitForExternalEvent<string>("go"));
const middle = orchestration("middle", async (ctx) =>
  ctx.callSubOrchestrator(waits, undefined, { instanceId: "grandchild" }),
);
const top = orchestration("top", async (ctx) =>
  ctx.callSubOrchestrator(middle, undefined, { instanceId: "child" }),
);

onEveryStore("terminate", (open) => {
  test("ends a running instance with the reason as its output", async () => {
    const hub = await open([waits]);
    const start = await hub.client.startNew(waits, { instanceId: "x" });
    await hub.idle();
    await hub.client.terminate("x", "found a bug");
    expect(await start.waitForCompletion(NOW)).toMatchObject({
      runtimeStatus: "Terminated",
      output: "found a bug",
    });
    await expect(start.result(NOW)).rejects.toMatchObject({
      code: "OrchestrationFailed",
      runtimeStatus: "Terminated",
    });
    expect((await hub.client.getHistory("x"))?.events.slice(-2)).toMatchObject([
      { type: "ExecutionTerminated", reason: "found a bug" },
      { type: "ExecutionCompleted", status: "Terminated" },
    ]);
  });

  test("ends a Pending instance, and no worker is needed", async () => {
    const ran: string[] = [];
    const marks = orchestration("marks", async () => {
      ran.push("ran");
    });
    const hub = await open([marks]);
    await hub.stop();
    await hub.client.startNew(marks, { instanceId: "x" });
    await hub.client.terminate("x");
    expect((await hub.client.getStatus("x"))?.runtimeStatus).toBe("Terminated");
    await hub.start();
    await hub.idle();
    expect(ran).toEqual([]);
  });

  test("ends a start that waits for its time", async () => {
    const hub = await open([waits]);
    await hub.client.startNew(waits, { instanceId: "x", startAt: new Date(hub.now.getTime() + 60_000) });
    await hub.client.terminate("x", "never mind");
    await hub.advance(120_000);
    expect(await hub.client.getStatus("x")).toMatchObject({
      runtimeStatus: "Terminated",
      output: "never mind",
    });
  });

  test("leaves children alone unless it is asked to be recursive", async () => {
    const hub = await open([top, middle, waits]);
    await hub.client.startNew(top, { instanceId: "x" });
    await hub.idle();
    await hub.client.terminate("x");
    await hub.idle();
    expect((await hub.client.getStatus("child"))?.runtimeStatus).toBe("Running");
    await hub.client.raiseEvent("grandchild", "go");
    await hub.idle();
    expect((await hub.client.getStatus("child"))?.runtimeStatus).toBe("Completed");
    expect((await hub.client.getStatus("x"))?.runtimeStatus).toBe("Terminated");
  });

  test("ends children and their children where it is recursive", async () => {
    const hub = await open([top, middle, waits]);
    await hub.client.startNew(top, { instanceId: "x" });
    await hub.idle();
    await hub.client.terminate("x", "all of it", { recursive: true });
    await hub.idle();
    for (const id of ["x", "child", "grandchild"])
      expect((await hub.client.getStatus(id))?.runtimeStatus).toBe("Terminated");
  });

  test("that is recursive withdraws children that were not started yet", async () => {
    const hub = await open([top, middle, waits]);
    await hub.client.startNew(top, { instanceId: "x" });
    await hub.client.waitForStart("x");
    await hub.client.terminate("x", "at once", { recursive: true });
    await hub.idle();
    const { instances } = await hub.client.list();
    expect(instances.filter((each) => each.runtimeStatus === "Running")).toEqual([]);
  });

  test("tells activities in flight, whose results count for nothing", async () => {
    const running = gate();
    const told = gate<unknown>();
    const long = activity("long", async (ctx) => {
      running.open();
      await once(ctx.signal, "abort");
      told.open(ctx.signal.aborted);
      return "too late";
    });
    const job = orchestration("job", async (ctx) => ctx.callActivity(long));
    const hub = await open([job, long]);
    await hub.client.startNew(job, { instanceId: "x" });
    await running.passed;
    await hub.client.terminate("x", "stop");
    await hub.advance(1000, { activities: "leave" });
    expect(await told.passed).toBe(true);
    await hub.idle();
    expect(await hub.client.getStatus("x")).toMatchObject({ runtimeStatus: "Terminated", output: "stop" });
  });

  test("lets go of the ID at once, and nothing of the old run reaches the new one", async () => {
    const slow = gate<string>();
    const work = activity("work", () => slow.passed);
    const job = orchestration("job", async (ctx) => {
      const [result, event] = await ctx.all([ctx.callActivity(work), ctx.waitForExternalEvent("e")]);
      return [result, event];
    });
    const hub = await open([job, work]);
    await hub.client.startNew(job, { instanceId: "x" });
    await hub.idle({ activities: "leave" });
    await hub.client.suspend("x");
    await hub.client.raiseEvent("x", "e", "for the old run");
    await hub.client.terminate("x");
    const again = await hub.client.startNew(job, { instanceId: "x" });
    await hub.idle({ activities: "leave" });
    slow.open("result");
    await hub.idle();
    expect((await hub.client.getStatus("x"))?.runtimeStatus).toBe("Running");
    await hub.client.raiseEvent("x", "e", "for the new run");
    await hub.idle();
    expect(await again.result(NOW)).toEqual(["result", "for the new run"]);
  });

  test("records how many accepted events it dropped", async () => {
    const hub = await open([waits]);
    await hub.stop();
    await hub.client.startNew(waits, { instanceId: "x" });
    await hub.client.raiseEvent("x", "a");
    await hub.client.raiseEvent("x", "b");
    await hub.client.terminate("x");
    expect(await hub.client.listExecutions("x")).toMatchObject([{ droppedMessages: 2 }]);
  });

  test("is refused for one that has ended, or was never there", async () => {
    const hub = await open([waits]);
    await hub.client.startNew(waits, { instanceId: "x" });
    await hub.client.raiseEvent("x", "go", 1);
    await hub.idle();
    await expect(hub.client.terminate("x")).rejects.toMatchObject({ code: "InstanceEnded" });
    await expect(hub.client.terminate("nobody")).rejects.toMatchObject({ code: "InstanceNotFound" });
  });
});
