import { expect, test } from "vitest";
import { orchestration } from "../../src/index.js";
import { NOW, onEveryStore, textWith } from "./support.js";

onEveryStore("external events", (open) => {
  test("that come before anybody waits are kept, in order", async () => {
    const late = orchestration("late", async (ctx) => {
      await ctx.sleep(1000);
      return [
        await ctx.waitForExternalEvent("n"),
        await ctx.waitForExternalEvent("n"),
        await ctx.waitForExternalEvent("n"),
      ];
    });
    const hub = await open([late]);
    const start = await hub.client.startNew(late, { instanceId: "x" });
    for (const n of [1, 2, 3]) await hub.client.raiseEvent("x", "n", n);
    await hub.advance(1000);
    expect(await start.result(NOW)).toEqual([1, 2, 3]);
  });

  test("serve the waits for a name first come, first served, whatever their case", async () => {
    const three = orchestration("three", async (ctx) => {
      const waits = ["Approval", "APPROVAL", "approval"].map((name) => ctx.waitForExternalEvent(name));
      return Promise.all(waits);
    });
    const hub = await open([three]);
    const start = await hub.client.startNew(three, { instanceId: "x" });
    await hub.idle();
    for (const [n, name] of ["aPPROVAL", "approval", "Approval"].entries())
      await hub.client.raiseEvent("x", name, n);
    await hub.idle();
    expect(await start.result(NOW)).toEqual([0, 1, 2]);
  });

  test("of one name do not serve another name's wait", async () => {
    const two = orchestration("two", async (ctx) => {
      const [a, b] = [ctx.waitForExternalEvent("a"), ctx.waitForExternalEvent("b")];
      return [await b, await a];
    });
    const hub = await open([two]);
    const start = await hub.client.startNew(two, { instanceId: "x" });
    await hub.client.raiseEvent("x", "a", "for a");
    await hub.client.raiseEvent("x", "c", "for nobody");
    await hub.client.raiseEvent("x", "b", "for b");
    await hub.idle();
    expect(await start.result(NOW)).toEqual(["for b", "for a"]);
  });

  test("race a timeout; a wait that lost and was cancelled takes no later event", async () => {
    const approval = orchestration("approval", async (ctx) => {
      const wait = ctx.waitForExternalEvent<string>("answer");
      const deadline = ctx.sleep(1000);
      const { task } = await ctx.whenAny([wait, deadline]);
      if (task === wait) return "in time";
      wait.cancel();
      return ctx.waitForExternalEvent<string>("answer");
    });
    const hub = await open([approval]);
    const start = await hub.client.startNew(approval, { instanceId: "x" });
    await hub.advance(1000);
    await hub.client.raiseEvent("x", "answer", "late");
    await hub.idle();
    expect(await start.result(NOW)).toBe("late");
  });

  test("that come in time win the race", async () => {
    const approval = orchestration("approval", async (ctx) => {
      const wait = ctx.waitForExternalEvent<string>("answer");
      const deadline = ctx.sleep(1000);
      const won = await Promise.race([wait, deadline.then(() => "timeout")]);
      deadline.cancel();
      return won;
    });
    const hub = await open([approval]);
    const start = await hub.client.startNew(approval, { instanceId: "x" });
    await hub.advance(999);
    await hub.client.raiseEvent("x", "answer", "in time");
    await hub.idle();
    expect(await start.result(NOW)).toBe("in time");
    expect(await hub.advanceToNextTimer()).toBe(false);
  });

  test("a cancelled wait fails for whoever awaits it", async () => {
    const cancels = orchestration("cancels", async (ctx) => {
      const wait = ctx.waitForExternalEvent("e");
      wait.cancel();
      return [
        wait.isCanceled,
        await wait.catch((error: unknown) => (error instanceof Error ? error.message : "")),
      ];
    });
    const hub = await open([cancels]);
    const start = await hub.client.startNew(cancels);
    await hub.idle();
    expect(await start.result(NOW)).toEqual([true, textWith('event "e" was cancelled')]);
  });

  test("raised before a scheduled start are there when it begins", async () => {
    const waits = orchestration("waits", async (ctx) => [
      ctx.currentUtcDateTime.toISOString(),
      await ctx.waitForExternalEvent("e"),
    ]);
    const hub = await open([waits], { startTime: new Date("2026-01-01T00:00:00Z") });
    const start = await hub.client.startNew(waits, {
      instanceId: "x",
      startAt: new Date("2026-01-01T01:00:00Z"),
    });
    await hub.client.raiseEvent("x", "e", "early");
    await hub.idle();
    expect(await hub.client.getStatus("x")).toMatchObject({
      runtimeStatus: "Pending",
      scheduledStartTime: new Date("2026-01-01T01:00:00Z"),
    });
    await hub.crash();
    await hub.advance(3_600_000);
    expect(await start.result(NOW)).toEqual(["2026-01-01T01:00:00.000Z", "early"]);
  });

  test("without data bring undefined", async () => {
    const waits = orchestration("waits", async (ctx) => [typeof (await ctx.waitForExternalEvent("e"))]);
    const hub = await open([waits]);
    const start = await hub.client.startNew(waits, { instanceId: "x" });
    await hub.client.raiseEvent("x", "e");
    await hub.idle();
    expect(await start.result(NOW)).toEqual(["undefined"]);
  });

  test("survive a crash between acceptance and delivery", async () => {
    const waits = orchestration("waits", async (ctx) => [
      await ctx.waitForExternalEvent("e"),
      await ctx.waitForExternalEvent("e"),
    ]);
    const hub = await open([waits]);
    const start = await hub.client.startNew(waits, { instanceId: "x" });
    await hub.idle();
    await hub.client.raiseEvent("x", "e", 1);
    await hub.stop();
    await hub.client.raiseEvent("x", "e", 2);
    await hub.start();
    await hub.idle();
    expect(await start.result(NOW)).toEqual([1, 2]);
  });

  test("are refused for one that has ended, or was never there, or with a name that is no name", async () => {
    const done = orchestration("done", async () => 1);
    const hub = await open([done]);
    await hub.client.startNew(done, { instanceId: "x" });
    await hub.idle();
    await expect(hub.client.raiseEvent("x", "e")).rejects.toMatchObject({ code: "InstanceEnded" });
    await expect(hub.client.raiseEvent("nobody", "e")).rejects.toMatchObject({ code: "InstanceNotFound" });
    await expect(hub.client.raiseEvent("x", "")).rejects.toMatchObject({ code: "InvalidArgument" });
  });

  test("keep their order where hundreds come at once, and an instance takes them in pieces", async () => {
    const collects = orchestration("collects", async (ctx, until: number) => {
      const seen: unknown[] = [];
      while (seen.length < until) {
        seen.push(await ctx.waitForExternalEvent("n"));
        if (seen.length % 50 === 0) await ctx.sleep(0);
      }
      return seen;
    });
    const hub = await open([collects]);
    const start = await hub.client.startNew(collects, { instanceId: "x", input: 500 });
    await Promise.all(Array.from({ length: 500 }, (_, n) => hub.client.raiseEvent("x", "n", n)));
    await hub.idle();
    await hub.advance(0);
    expect(await start.result(NOW)).toEqual(Array.from({ length: 500 }, (_, n) => n));
  });
});
