import { expect, test } from "vitest";
import { orchestration } from "../../src/index.js";
import { NOW, onEveryStore, textLike, textWith } from "./support.js";

const waits = orchestration("waits", async (ctx, input?: string) => [
  input ?? null,
  await ctx.waitForExternalEvent("go"),
]);
const other = orchestration("other", async (ctx) => ctx.waitForExternalEvent("go"));
const done = orchestration("done", async (_ctx, input?: number) => input);
const fails = orchestration("fails", async () => {
  throw new Error("it did");
});

onEveryStore("a start", (open) => {
  test("under an ID that is held is refused with the holder, and listed with who asked", async () => {
    const hub = await open([waits]);
    const first = await hub.client.startNew(waits, { instanceId: "x" });
    await hub.idle();
    await expect(hub.client.startNew(waits, { instanceId: "x", requester: "someone" })).rejects.toMatchObject(
      {
        code: "InstanceHeld",
        message: textWith("An instance with ID 'x' already exists: waits is Running"),
        holder: {
          instanceId: "x",
          name: "waits",
          executionId: first.executionId,
          run: 1,
          generation: 1,
          runtimeStatus: "Running",
          sinceMs: hub.now.getTime(),
          lastProgressMs: hub.now.getTime(),
          worker: textLike(/./),
        },
      },
    );
    expect(await hub.client.listRefusals()).toMatchObject([
      {
        instanceId: "x",
        requester: "someone",
        orchestrator: "waits",
        reason: "held",
        policy: { ifLive: "reject" },
      },
    ]);
  });

  test("of 200 callers at once begins one execution, and tells the others of it", async () => {
    const hub = await open([waits]);
    const settled = await Promise.allSettled(
      Array.from({ length: 200 }, () => hub.client.startNew(waits, { instanceId: "x" })),
    );
    const won = settled.filter((each) => each.status === "fulfilled");
    const lost = settled.filter((each) => each.status === "rejected");
    expect(won).toHaveLength(1);
    const executionId = won[0]?.value.executionId;
    for (const { reason } of lost) expect(reason).toMatchObject({ holder: { executionId } });
    expect(await hub.client.listExecutions("x")).toHaveLength(1);
  });

  test("with ifLive attach joins the live run, whose end both see", async () => {
    const hub = await open([waits]);
    const first = await hub.client.startNew(waits, { instanceId: "x", input: "a" });
    await hub.idle();
    const second = await hub.client.startNew(waits, { instanceId: "x", input: "b", ifLive: "attach" });
    expect([first.outcome, second.outcome]).toEqual(["started", "attached"]);
    expect(second.executionId).toBe(first.executionId);
    await hub.client.raiseEvent("x", "go", 1);
    await hub.idle();
    expect(await second.result(NOW)).toEqual(await first.result(NOW));
    expect(await second.result(NOW)).toEqual(["a", 1]);
  });

  test("cannot join or return an instance of another orchestrator", async () => {
    const hub = await open([waits, other, done]);
    await hub.client.startNew(other, { instanceId: "live" });
    await hub.client.startNew(done, { instanceId: "ended" });
    await hub.idle();
    await expect(hub.client.startNew(waits, { instanceId: "live", ifLive: "attach" })).rejects.toMatchObject({
      code: "InstanceHeld",
      message: textWith("belongs to an instance of other, which a start of waits cannot join"),
    });
    await expect(
      hub.client.startNew(waits, { instanceId: "ended", ifEnded: "return" }),
    ).rejects.toMatchObject({
      code: "InstanceHeld",
    });
    expect((await hub.client.listRefusals()).map((each) => each.reason)).toEqual(["otherName", "otherName"]);
  });

  test("with ifLive terminate replaces the live run, its children with it", async () => {
    const child = orchestration("child", async (ctx) => ctx.waitForExternalEvent("go"));
    const parent = orchestration("parent", async (ctx) =>
      ctx.callSubOrchestrator(child, undefined, { instanceId: `kid ${ctx.run}` }),
    );
    const hub = await open([parent, child]);
    const first = await hub.client.startNew(parent, { instanceId: "x" });
    await hub.idle();
    const second = await hub.client.startNew(parent, { instanceId: "x", ifLive: "terminate" });
    await hub.idle();
    expect(second).toMatchObject({ outcome: "replaced", run: 2 });
    expect(await first.waitForCompletion(NOW)).toMatchObject({
      runtimeStatus: "Terminated",
      output: textWith(`Replaced by a new start of parent (execution ${second.executionId})`),
    });
    expect((await hub.client.getStatus("kid 1"))?.runtimeStatus).toBe("Terminated");
    await hub.client.raiseEvent("kid 2", "go", "new");
    await hub.idle();
    expect(await second.result(NOW)).toBe("new");
  });

  test("over an instance that was terminated from outside runs, although its former run is in memory", async () => {
    const hub = await open([waits]);
    await hub.client.startNew(waits, { instanceId: "x", input: "old" });
    await hub.idle();
    await hub.client.terminate("x");
    const again = await hub.client.startNew(waits, { instanceId: "x", input: "new" });
    await hub.idle();
    await hub.client.raiseEvent("x", "go", 1);
    await hub.idle();
    expect(await again.result(NOW)).toEqual(["new", 1]);
  });

  test("at a later time over such an instance begins then", async () => {
    const hub = await open([waits]);
    await hub.client.startNew(waits, { instanceId: "x", input: "old" });
    await hub.idle();
    const startAt = new Date(hub.now.getTime() + 1000);
    const again = await hub.client.startNew(waits, {
      instanceId: "x",
      input: "new",
      ifLive: "terminate",
      startAt,
    });
    await hub.advance(1000);
    await hub.client.raiseEvent("x", "go", 1);
    await hub.idle();
    expect(await again.result(NOW)).toEqual(["new", 1]);
  });

  test("over an ended instance begins a new run by default", async () => {
    const hub = await open([done]);
    const first = await hub.client.startNew(done, { instanceId: "x", input: 1 });
    await hub.idle();
    const second = await hub.client.startNew(done, { instanceId: "x", input: 2 });
    await hub.idle();
    expect(second).toMatchObject({ outcome: "started", run: 2 });
    expect([await first.result(NOW), await second.result(NOW)]).toEqual([1, 2]);
  });

  test("with ifEnded return gives the ended execution back", async () => {
    const hub = await open([done]);
    const first = await hub.client.startNew(done, { instanceId: "x", input: 1 });
    await hub.idle();
    const second = await hub.client.startNew(done, { instanceId: "x", input: 2, ifEnded: "return" });
    expect(second).toMatchObject({ outcome: "returned", executionId: first.executionId });
    expect(await second.result(NOW)).toBe(1);
  });

  test("with ifEnded by status answers each ended status on its own", async () => {
    const hub = await open([done, fails]);
    await hub.client.startNew(done, { instanceId: "completed" });
    await hub.client.startNew(fails, { instanceId: "failed" });
    await hub.idle();
    const ifEnded = { Completed: "reject", Failed: "start" } as const;
    await expect(hub.client.startNew(done, { instanceId: "completed", ifEnded })).rejects.toMatchObject({
      code: "InstanceHeld",
      holder: { runtimeStatus: "Completed" },
    });
    const again = await hub.client.startNew(done, { instanceId: "failed", ifEnded });
    expect(again).toMatchObject({ outcome: "started", run: 2 });
  });

  test("with the same request ID gets the first answer again, for 24 hours", async () => {
    const hub = await open([done]);
    const request = { instanceId: "x", requestId: "r1", input: 1 };
    const first = await hub.client.startNew(done, request);
    await hub.idle();
    const retried = await hub.client.startNew(done, request);
    expect(retried).toMatchObject({ outcome: "started", executionId: first.executionId, run: 1 });
    await hub.advance(24 * 3_600_000);
    const later = await hub.client.startNew(done, request);
    expect(later).toMatchObject({ outcome: "started", run: 2 });
  });

  test("with a request ID and no instance ID finds its first attempt", async () => {
    const hub = await open([done]);
    const [first, second] = await Promise.all([
      hub.client.startNew(done, { requestId: "r1", input: 1 }),
      hub.client.startNew(done, { requestId: "r1", input: 1 }),
    ]);
    expect(second.instanceId).toBe(first.instanceId);
    expect(second.executionId).toBe(first.executionId);
  });

  test("at a later time waits for it, visibly Pending, and holds its ID", async () => {
    const hub = await open([done]);
    const startAt = new Date(hub.now.getTime() + 60_000);
    const start = await hub.client.startNew(done, { instanceId: "x", input: 1, startAt });
    await hub.advance(59_999);
    expect(await hub.client.getStatus("x")).toMatchObject({
      runtimeStatus: "Pending",
      scheduledStartTime: startAt,
    });
    await expect(hub.client.startNew(done, { instanceId: "x" })).rejects.toMatchObject({
      code: "InstanceHeld",
    });
    await hub.advance(1);
    expect(await start.result(NOW)).toBe(1);
    expect((await hub.client.getStatus("x"))?.scheduledStartTime).toBeUndefined();
  });

  test("at a time that has passed begins at once", async () => {
    const hub = await open([done]);
    const start = await hub.client.startNew(done, { input: 1, startAt: new Date(0) });
    await hub.idle();
    expect(await start.result(NOW)).toBe(1);
  });

  test("without an ID gets one of 32 hex digits", async () => {
    const hub = await open([done]);
    const [one, two] = [await hub.client.startNew(done), await hub.client.startNew(done)];
    expect(one.instanceId).toMatch(/^[0-9a-f]{32}$/);
    expect(two.instanceId).not.toBe(one.instanceId);
  });
});

onEveryStore("a handle", (open) => {
  test("is about its own run, whatever came after", async () => {
    const hub = await open([done, fails]);
    const first = await hub.client.startNew(fails, { instanceId: "x" });
    await hub.idle();
    const second = await hub.client.startNew(done, { instanceId: "x", input: 2 });
    await hub.idle();
    expect(await first.waitForCompletion(NOW)).toMatchObject({
      runtimeStatus: "Failed",
      run: 1,
      name: "fails",
    });
    await expect(first.result(NOW)).rejects.toMatchObject({ code: "OrchestrationFailed" });
    expect(await second.result(NOW)).toBe(2);
  });

  test("of a run that was purged finds nothing, not the run that came after", async () => {
    const hub = await open([done]);
    const first = await hub.client.startNew(done, { instanceId: "x", input: 1 });
    await hub.idle();
    await hub.client.purge("x");
    await expect(first.waitForCompletion(NOW)).rejects.toMatchObject({ code: "InstanceNotFound" });
    await hub.client.startNew(done, { instanceId: "x", input: 2 });
    await hub.idle();
    await expect(first.waitForCompletion(NOW)).rejects.toMatchObject({ code: "InstanceNotFound" });
  });

  test("of a purged run does not wait for the run that came after", async () => {
    const hub = await open([done, waits]);
    const first = await hub.client.startNew(done, { instanceId: "x", input: 1 });
    await hub.idle();
    await hub.client.purge("x");
    await hub.client.startNew(waits, { instanceId: "x" });
    await hub.idle();
    await expect(first.waitForCompletion(NOW)).rejects.toMatchObject({ code: "InstanceNotFound" });
  });

  test("waits until its time is up, and says how the run stands", async () => {
    const hub = await open([waits]);
    const start = await hub.client.startNew(waits, { instanceId: "x" });
    await hub.idle();
    const waiting = start.waitForCompletion({ timeoutMs: 5000 }).catch((error: unknown) => error);
    await hub.advance(5000);
    expect(await waiting).toMatchObject({
      code: "WaitTimeout",
      runtimeStatus: "Running",
      message: "Instance 'x' was still Running after 5000 ms. It goes on; wait again.",
    });
  });

  test("waits no longer when its signal aborts", async () => {
    const hub = await open([waits]);
    const start = await hub.client.startNew(waits);
    const controller = new AbortController();
    const waiting = start.waitForCompletion({ signal: controller.signal }).catch((error: unknown) => error);
    await hub.idle();
    controller.abort();
    expect(await waiting).toMatchObject({ code: "WaitTimeout" });
  });
});

onEveryStore("waiting", (open) => {
  test("for a start ends with the first turn, and for completion with the end", async () => {
    const hub = await open([waits]);
    await hub.stop();
    await hub.client.startNew(waits, { instanceId: "x" });
    await expect(hub.client.waitForStart("x", NOW)).rejects.toMatchObject({
      code: "WaitTimeout",
      runtimeStatus: "Pending",
    });
    const started = hub.client.waitForStart("x");
    const ended = hub.client.waitForCompletion("x");
    await hub.start();
    expect((await started).runtimeStatus).toBe("Running");
    await hub.client.raiseEvent("x", "go", 1);
    expect((await ended).runtimeStatus).toBe("Completed");
  });

  test("for an instance that is not there is refused at once", async () => {
    const hub = await open([waits]);
    await expect(hub.client.waitForStart("x")).rejects.toMatchObject({ code: "InstanceNotFound" });
    await expect(hub.client.waitForCompletion("x")).rejects.toMatchObject({ code: "InstanceNotFound" });
  });
});

onEveryStore("restart", (open) => {
  test("begins again with the same name, input, version and tags, by default under a new ID", async () => {
    const facts = orchestration("facts", async (ctx, input: number) => [input, ctx.version, ctx.tags]);
    const hub = await open([facts]);
    const first = await hub.client.startNew(facts, {
      instanceId: "x",
      input: 5,
      version: "2",
      tags: { a: "b" },
    });
    await hub.idle();
    const copy = await hub.client.restart("x");
    const same = await hub.client.restart("x", { newInstanceId: false });
    await hub.idle();
    expect(copy.instanceId).not.toBe("x");
    expect(same).toMatchObject({ instanceId: "x", run: 2 });
    expect(same.executionId).not.toBe(first.executionId);
    for (const start of [copy, same]) expect(await start.result(NOW)).toEqual([5, "2", { a: "b" }]);
  });

  test("of a live instance works under a new ID only", async () => {
    const hub = await open([waits]);
    await hub.client.startNew(waits, { instanceId: "x" });
    await expect(hub.client.restart("x", { newInstanceId: false })).rejects.toMatchObject({
      code: "InstanceHeld",
    });
    expect((await hub.client.restart("x")).outcome).toBe("started");
    await expect(hub.client.restart("nobody")).rejects.toMatchObject({ code: "InstanceNotFound" });
  });
});
