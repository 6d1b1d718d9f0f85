import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Definition, type ExecutionStatus, TaskHub } from "tenure";
import { createHttpHandler, type HttpHandler } from "tenure/http";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import * as app from "../examples/singleton/app.js";

/** How many callers come at the same instant. */
const CALLERS = 200;

const functions: readonly Definition[] = Object.values(app);
const folder = mkdtempSync(join(tmpdir(), "tenure-singleton-"));
let hub: TaskHub;
let handler: HttpHandler;
let files = 0;

beforeEach(async () => {
  files += 1;
  hub = await TaskHub.open({ store: `sqlite:${join(folder, `${files}.db`)}`, functions });
  handler = createHttpHandler(hub);
});

afterEach(async () => {
  await hub.close({ drainMs: 100 });
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function post(path: string, input?: unknown): Promise<Response> {
  return handler(
    new Request(`http://localhost:7071/api/${path}`, {
      method: "POST",
      ...(input === undefined
        ? {}
        : { body: JSON.stringify(input), headers: { "content-type": "application/json" } }),
    }),
  );
}

/** Everybody at once; how often each status was answered. */
async function postAll(path: string, input?: unknown): Promise<Record<number, number>> {
  const answers = await Promise.all(Array.from({ length: CALLERS }, () => post(path, input)));
  const counts: Record<number, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

/** Runs of an ID, generations of one run counted once. */
async function runsOf(instanceId: string): Promise<number> {
  const executions: readonly ExecutionStatus[] = await hub.client.listExecutions(instanceId);
  return new Set(executions.map(({ run }) => run)).size;
}

async function ended(instanceId: string): Promise<string> {
  return (await hub.client.waitForCompletion(instanceId, { timeoutMs: 10_000 })).runtimeStatus;
}

describe("the preview's trigger", () => {
  const id = "MySingletonInstanceId";

  test("starts one instance, and leads every caller to it", async () => {
    const answers = await Promise.all(Array.from({ length: CALLERS }, () => post("EnsureSingletonTrigger")));
    expect(answers.every(({ status }) => status === 202)).toBe(true);
    const bodies = new Set(await Promise.all(answers.map((answer) => answer.text())));
    expect(bodies.size).toBe(1);
    expect([...bodies][0]).toContain(`"id":"${id}"`);
    expect(answers[0]?.headers.get("location")).toContain(`/instances/${id}`);
    expect(await hub.client.listExecutions(id)).toHaveLength(1);
  });

  test("never starts it again once it has ended", async () => {
    await post("EnsureSingletonTrigger");
    await hub.client.terminate(id, "enough");
    expect(await postAll("EnsureSingletonTrigger")).toEqual({ 202: CALLERS });
    expect(await hub.client.listExecutions(id)).toHaveLength(1);
    await hub.client.purge(id);
    expect(await postAll("EnsureSingletonTrigger")).toEqual({ 202: CALLERS });
    expect(await hub.client.listExecutions(id)).toHaveLength(1);
  });
});

describe("version 1.x's trigger", () => {
  test("starts one instance and answers 409 to all others", async () => {
    expect(await postAll("v1/orchestrators/EternalMonitor/v1")).toEqual({ 202: 1, 409: CALLERS - 1 });
    expect(await runsOf("v1")).toBe(1);
    const refused = await post("v1/orchestrators/EternalMonitor/v1");
    expect(await refused.json()).toMatchObject({ code: "InstanceHeld", holder: { instanceId: "v1" } });
  });

  test.each(["HelloSequence", "FailingJob", "ParentJob"])(
    "answers 409 once %s has ended, until it is purged",
    async (name) => {
      const path = `v1/orchestrators/${name}/v1`;
      expect((await post(path)).status).toBe(202);
      await ended("v1");
      expect(await postAll(path)).toEqual({ 409: CALLERS });
      const refused = await post(path);
      expect(await refused.text()).toContain("An instance with ID 'v1' already exists");
      expect(await hub.client.listExecutions("v1")).toHaveLength(1);
      await hub.client.purge("v1");
      const again = await postAll(path);
      expect(again).toEqual({ 202: 1, 409: CALLERS - 1 });
      expect(await hub.client.listExecutions("v1")).toHaveLength(1);
    },
  );
});

describe("version 2.x's trigger", () => {
  test("starts one instance and answers 409 to all others while it lives", async () => {
    expect(await postAll("orchestrators/EternalMonitor/v2", { everyMs: 20 })).toEqual({
      202: 1,
      409: CALLERS - 1,
    });
    const first = await hub.client.getStatus("v2");
    // Across continue-as-new the ID stays held.
    await expect.poll(async () => (await hub.client.getStatus("v2"))?.generation).toBeGreaterThan(2);
    expect(await postAll("orchestrators/EternalMonitor/v2")).toEqual({ 409: CALLERS });
    expect(await runsOf("v2")).toBe(1);
    await hub.client.suspend("v2");
    expect(await postAll("orchestrators/EternalMonitor/v2")).toEqual({ 409: CALLERS });
    expect((await hub.client.getStatus("v2"))?.run).toBe(first?.run);
  });

  test.each<[name: string, end: string]>([
    ["MySingletonOrchestrator", "Terminated"],
    ["EternalMonitor", "Terminated"],
    ["HelloSequence", "Completed"],
    ["ParentJob", "Completed"],
    ["FailingJob", "Failed"],
  ])("recreates %s once it is %s, one run for all callers", async (name, end) => {
    const path = `orchestrators/${name}/v2`;
    expect((await post(path)).status).toBe(202);
    if (end === "Terminated") await hub.client.terminate("v2", "enough");
    expect(await ended("v2")).toBe(end);
    const counts = await postAll(path);
    // What ends quickly may be started again by a later caller of the same crowd, and each start is told so.
    const started = counts[202] ?? 0;
    expect(started).toBeGreaterThanOrEqual(1);
    expect(counts[409] ?? 0).toBe(CALLERS - started);
    expect(started === 1 || end !== "Terminated").toBe(true);
    expect(await runsOf("v2")).toBe(1 + started);
  });

  test("the jobs do what they are for", async () => {
    await post("orchestrators/ParentJob/family", [["Oslo"], ["Bergen", "Voss"]]);
    const parent = await hub.client.waitForCompletion("family", { timeoutMs: 10_000 });
    expect(parent.output).toEqual([["Hello, Oslo!"], ["Hello, Bergen!", "Hello, Voss!"]]);
    expect((await hub.client.getStatus("family-2"))?.parentInstanceId).toBe("family");
    await post("orchestrators/FailingJob/broken");
    const broken = await hub.client.waitForCompletion("broken", { timeoutMs: 10_000 });
    expect(broken.failure?.message).toContain("broke down");
    await post("orchestrators/MySingletonOrchestrator/short", { rounds: 2, pauseMs: 5 });
    const short = await hub.client.waitForCompletion("short", { timeoutMs: 10_000 });
    expect([short.output, short.customStatus]).toEqual([{ rounds: 2 }, { round: 2, of: 2 }]);
  });
});
