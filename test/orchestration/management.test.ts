import { expect, test } from "vitest";
import { activity, orchestration } from "../../src/index.js";
import { NOW, onEveryStore, storeWith, textLike } from "./support.js";

const echo = activity("echo", (_ctx, value: string) => value);
const waits = orchestration("waits", async (ctx) => ctx.waitForExternalEvent("go"));
const done = orchestration("done", async (_ctx, input?: number) => input);
const fails = orchestration("fails", async () => {
  throw new Error("it did");
});
const child = orchestration("child", async () => "child");
const parent = orchestration("parent", async (ctx, id: string) =>
  ctx.callSubOrchestrator(child, undefined, { instanceId: id }),
);

const HOUR_MS = 3_600_000;

onEveryStore("the history", (open) => {
  test("tells what came in and what was done, turn by turn", async () => {
    const tells = orchestration("tells", async (ctx) => {
      await ctx.callActivity(echo, "a");
      await ctx.sleep(1000);
      await ctx.waitForExternalEvent("e");
      return "end";
    });
    const hub = await open([tells, echo]);
    const startMs = hub.now.getTime();
    await hub.client.startNew(tells, { instanceId: "x" });
    await hub.advance(1000);
    await hub.client.raiseEvent("x", "e", { n: 1 });
    await hub.idle();
    const history = await hub.client.getHistory("x");
    expect(history?.events).toEqual([
      { type: "OrchestratorStarted", atMs: startMs },
      { type: "ExecutionStarted", atMs: startMs },
      { type: "TaskScheduled", atMs: startMs, id: 0, name: "echo", input: '"a"' },
      { type: "OrchestratorStarted", atMs: startMs },
      { type: "TaskCompleted", atMs: startMs, taskScheduledId: 0, result: '"a"' },
      { type: "TimerCreated", atMs: startMs, id: 1, fireAtMs: startMs + 1000 },
      { type: "OrchestratorStarted", atMs: startMs + 1000 },
      { type: "TimerFired", atMs: startMs + 1000, timerId: 1, fireAtMs: startMs + 1000 },
      { type: "OrchestratorStarted", atMs: startMs + 1000 },
      { type: "EventRaised", atMs: startMs + 1000, name: "e", input: '{"n":1}' },
      { type: "ExecutionCompleted", atMs: startMs + 1000, status: "Completed" },
    ]);
    expect(history?.execution).toMatchObject({ output: "end", runtimeStatus: "Completed" });
  });

  test("of former executions stays readable by their ID", async () => {
    const hub = await open([done, fails]);
    const first = await hub.client.startNew(fails, { instanceId: "x" });
    await hub.idle();
    await hub.client.startNew(done, { instanceId: "x" });
    await hub.idle();
    const former = await hub.client.getHistory("x", first.executionId);
    expect(former?.execution).toMatchObject({ name: "fails", runtimeStatus: "Failed", run: 1 });
    expect(former?.events.at(-1)).toMatchObject({ type: "ExecutionCompleted", status: "Failed" });
    expect(former?.status).toMatchObject({ runtimeStatus: "Completed", run: 2 });
    expect((await hub.client.listExecutions("x")).map((each) => each.name)).toEqual(["done", "fails"]);
  });

  test("is absent where there is no instance, or no such execution", async () => {
    const hub = await open([done]);
    await hub.client.startNew(done, { instanceId: "x" });
    await hub.idle();
    expect(await hub.client.getHistory("nobody")).toBeUndefined();
    expect(await hub.client.getHistory("x", "0".repeat(32))).toBeUndefined();
    expect(await hub.client.listExecutions("nobody")).toEqual([]);
  });
});

onEveryStore("the executions of an ID", (open) => {
  test("are paged with tokens, which belong to the ID and the run", async () => {
    const hub = await open([done]);
    for (let n = 0; n < 7; n++) {
      await hub.client.startNew(done, { instanceId: "x", input: n });
      await hub.idle();
    }
    const pages: number[][] = [];
    let continuationToken: string | undefined;
    do {
      const page = await hub.client.executionsPage("x", {
        top: 3,
        ...(continuationToken === undefined ? {} : { continuationToken }),
      });
      pages.push(page.executions.map(({ run }) => run));
      continuationToken = page.continuationToken;
      if (continuationToken === undefined) break;
      for (const [id, options] of [
        ["y", {}],
        ["x", { run: 1 }],
        ["x", { continuationToken: continuationToken.replace(/^./, (digit) => (digit === "1" ? "2" : "1")) }],
      ] as const)
        await expect(hub.client.executionsPage(id, { continuationToken, ...options })).rejects.toMatchObject({
          code: "InvalidToken",
        });
    } while (continuationToken !== undefined);
    expect(pages).toEqual([[7, 6, 5], [4, 3, 2], [1]]);
    expect(await hub.client.listExecutions("x", { run: 2 })).toMatchObject([{ run: 2, input: 1 }]);
    expect((await hub.client.listExecutions("x", { top: 2 })).map(({ run }) => run)).toEqual([7, 6]);
    for (const run of [0, 1.5, Number.NaN])
      await expect(hub.client.listExecutions("x", { run })).rejects.toMatchObject({ parameter: "run" });
  });

  test("are fewer on a page where payloads are large, and no more are read to learn how one run ended", async () => {
    let read = 0;
    const hub = await open([done], {}, (store) =>
      storeWith(store, {
        executions: async (query) => {
          const page = await store.executions(query);
          read += page.executions.length;
          return page;
        },
      }),
    );
    const input = "x".repeat(3 * 1024 * 1024);
    const first = await hub.client.startNew("done", { instanceId: "x", input });
    await hub.idle();
    for (let n = 0; n < 6; n++) {
      await hub.client.startNew("done", { instanceId: "x", input });
      await hub.idle();
    }
    expect((await hub.client.listExecutions("x")).map(({ run }) => run)).toEqual([7, 6]);
    read = 0;
    expect(await first.waitForCompletion()).toMatchObject({ run: 1, executionId: first.executionId });
    expect(read).toBe(2);
  });
});

onEveryStore("purge", (open) => {
  test("deletes an ended instance, and only that", async () => {
    const hub = await open([done, waits]);
    await hub.client.startNew(done, { instanceId: "x" });
    await hub.client.startNew(done, { instanceId: "y" });
    await hub.client.startNew(waits, { instanceId: "live" });
    await hub.idle();
    expect(await hub.client.purge("x")).toBe(1);
    expect(await hub.client.purge("x")).toBe(0);
    expect(await hub.client.getStatus("x")).toBeUndefined();
    expect(await hub.client.getHistory("x")).toBeUndefined();
    await expect(hub.client.purge("live")).rejects.toMatchObject({
      code: "InvalidState",
      runtimeStatus: "Running",
    });
    expect((await hub.client.list()).instances.map((each) => each.instanceId)).toEqual(["y", "live"]);
  });

  test("deletes ended children where it is recursive, and not otherwise", async () => {
    const hub = await open([parent, child]);
    for (const id of ["a", "b"]) await hub.client.startNew(parent, { instanceId: id, input: `kid ${id}` });
    await hub.idle();
    expect(await hub.client.purge("a")).toBe(1);
    expect(await hub.client.purge("b", { recursive: true })).toBe(2);
    expect((await hub.client.list()).instances.map((each) => each.instanceId)).toEqual(["kid a"]);
  });

  test("page by page looks at everything that matches once", async () => {
    const hub = await open([done, waits]);
    for (const id of ["a1", "a2", "a3", "b1"]) await hub.client.startNew(done, { instanceId: id });
    await hub.client.startNew(waits, { instanceId: "a4" });
    await hub.idle();
    const filter = { instanceIdPrefix: "a", top: 2 };
    const first = await hub.client.purgePage(filter);
    const { instancesDeleted, continuationToken = "" } = first;
    expect(instancesDeleted).toBe(2);
    const other = hub.client.purgePage({ ...filter, instanceIdPrefix: "b", continuationToken });
    await expect(other).rejects.toMatchObject({ code: "InvalidToken" });
    expect(await hub.client.purgePage({ ...filter, continuationToken })).toEqual({
      instancesDeleted: 1,
      continuationToken: undefined,
    });
    expect((await hub.client.list()).instances.map((each) => each.instanceId)).toEqual(["b1", "a4"]);
  });

  test("by filter deletes the ended instances that match", async () => {
    const hub = await open([done, fails, waits]);
    for (const id of ["a1", "a2", "b1"]) await hub.client.startNew(done, { instanceId: id });
    await hub.client.startNew(fails, { instanceId: "a3" });
    await hub.client.startNew(waits, { instanceId: "a4" });
    await hub.idle();
    await hub.advance(HOUR_MS);
    await hub.client.startNew(done, { instanceId: "a5" });
    await hub.idle();
    const progress: number[] = [];
    expect(
      await hub.client.purgeBy({
        instanceIdPrefix: "a",
        runtimeStatus: ["Completed"],
        createdTimeTo: new Date(hub.now.getTime() - 1),
        onProgress: (count) => progress.push(count),
      }),
    ).toBe(2);
    expect(progress).toEqual([2]);
    expect((await hub.client.list()).instances.map((each) => each.instanceId)).toEqual([
      "b1",
      "a3",
      "a4",
      "a5",
    ]);
    expect(await hub.client.purgeBy()).toBe(3);
    expect((await hub.client.list()).instances.map((each) => each.instanceId)).toEqual(["a4"]);
  });
});

onEveryStore("retention", (open) => {
  test("purges ended instances once they are as old as their status allows", async () => {
    const hub = await open([done, fails, waits], {
      retention: { completedMs: HOUR_MS, failedMs: 2 * HOUR_MS },
    });
    await hub.client.startNew(done, { instanceId: "completed" });
    await hub.client.startNew(fails, { instanceId: "failed" });
    await hub.client.startNew(waits, { instanceId: "terminated" });
    await hub.client.startNew(waits, { instanceId: "live" });
    await hub.idle();
    await hub.client.terminate("terminated");
    const left = async (): Promise<string[]> =>
      (await hub.client.list()).instances.map((each) => each.instanceId);
    await hub.advance(HOUR_MS - 1);
    expect(await left()).toHaveLength(4);
    await hub.advance(HOUR_MS / 2);
    expect(await left()).toEqual(["failed", "terminated", "live"]);
    await hub.advance(HOUR_MS);
    expect(await left()).toEqual(["terminated", "live"]);
  });

  test("is kept in the store, and can be changed", async () => {
    const hub = await open([done], { retention: { completedMs: HOUR_MS } });
    await hub.crash();
    expect(await hub.client.getRetention()).toEqual({ completedMs: HOUR_MS });
    await hub.client.setRetention({ failedMs: 5 });
    expect(await hub.client.getRetention()).toEqual({ failedMs: 5 });
    await expect(hub.client.setRetention({ completedMs: -1 })).rejects.toMatchObject({
      code: "InvalidArgument",
      parameter: "retention.completedMs",
    });
  });

  test("also takes former executions of an instance that lives on", async () => {
    const hub = await open([done, waits], { retention: { completedMs: HOUR_MS } });
    await hub.client.startNew(done, { instanceId: "x" });
    await hub.idle();
    await hub.client.startNew(waits, { instanceId: "x" });
    await hub.idle();
    expect(await hub.client.listExecutions("x")).toHaveLength(2);
    await hub.advance(2 * HOUR_MS);
    expect((await hub.client.listExecutions("x")).map((each) => each.name)).toEqual(["waits"]);
  });
});

onEveryStore("the list", (open) => {
  test("is ordered by creation, filtered, and paged with tokens", async () => {
    const hub = await open([done, waits]);
    for (let n = 0; n < 25; n++)
      await hub.client.startNew(n % 5 === 0 ? waits : done, {
        instanceId: `i${n}`,
        tags: { mod: String(n % 3) },
      });
    await hub.idle();
    const ids: string[] = [];
    let continuationToken: string | undefined;
    do {
      const page = await hub.client.list({
        top: 10,
        name: "done",
        ...(continuationToken === undefined ? {} : { continuationToken }),
      });
      ids.push(...page.instances.map((each) => each.instanceId));
      continuationToken = page.continuationToken;
    } while (continuationToken !== undefined);
    expect(ids).toEqual(Array.from({ length: 25 }, (_, n) => `i${n}`).filter((_, n) => n % 5 !== 0));
    const running = await hub.client.list({ runtimeStatus: ["Running"], tags: { mod: "0" } });
    expect(running.instances.map((each) => each.instanceId)).toEqual(["i0", "i15"]);
  });

  test("refuses a token that was changed, or made for another filter", async () => {
    const hub = await open([done]);
    for (let n = 0; n < 3; n++) await hub.client.startNew(done);
    const { continuationToken = "" } = await hub.client.list({ top: 1 });
    expect(continuationToken).not.toBe("");
    for (let at = 0; at < continuationToken.length; at++) {
      const changed = continuationToken[at] === "0" ? "1" : "0";
      const token = continuationToken.slice(0, at) + changed + continuationToken.slice(at + 1);
      await expect(hub.client.list({ continuationToken: token })).rejects.toMatchObject({
        code: "InvalidToken",
      });
    }
    await expect(hub.client.list({ continuationToken, name: "done" })).rejects.toMatchObject({
      code: "InvalidToken",
    });
  });
});

onEveryStore("a status", (open) => {
  test("tells input, output, times, worker and failure", async () => {
    const hub = await open([done, fails]);
    const createdTime = hub.now;
    const start = await hub.client.startNew(done, {
      instanceId: "x",
      input: 7,
      tags: { a: "b" },
      version: "1",
    });
    await hub.idle();
    expect(await hub.client.getStatus("x")).toEqual({
      name: "done",
      instanceId: "x",
      runtimeStatus: "Completed",
      input: 7,
      output: 7,
      customStatus: undefined,
      createdTime,
      lastUpdatedTime: createdTime,
      executionId: start.executionId,
      run: 1,
      generation: 1,
      fencingToken: 1,
      version: "1",
      tags: { a: "b" },
      failure: undefined,
      scheduledStartTime: undefined,
      parked: undefined,
      worker: textLike(/^[0-9a-f]{32}$/),
      parentInstanceId: undefined,
    });
    const failed = await hub.client.startNew(fails);
    await hub.idle();
    expect(await failed.waitForCompletion(NOW)).toMatchObject({
      output: undefined,
      failure: { type: "Error", message: "it did" },
    });
  });
});
