// What the counting is for: each of these has happened to somebody, and must not pass unseen.
import { afterEach, beforeEach, expect, test } from "vitest";
import { activity, orchestration, TaskHub } from "../../src/index.js";
import { longestSilence } from "../chaos/silence.js";
import { type Accepted, fallenTokens, miscounts, ranAgain } from "./counted.js";
import type { Testimony } from "./members.js";

const NOTES = 3;

let hub: TaskHub;
let testimonies: Testimony[];

const step = activity("step", ({ instanceId, executionId, taskId, fencingToken }) => {
  const result = `${executionId} ${taskId}`;
  const times = { atMs: 10 * testimonies.length, clockMs: 0 };
  testimonies.push({ instanceId, executionId, taskId, fencingToken, result, pid: 1, ...times });
  return result;
});
const part = orchestration("part", async (ctx) => ctx.callActivity(step));
const job = orchestration("job", async (ctx, { note }: { note: number }) => {
  const results = [await ctx.callActivity(step)];
  const noted: unknown[] = [];
  while (noted.length < note) noted.push(await ctx.waitForExternalEvent("note"));
  await ctx.sleep(1);
  const options = { instanceId: `${ctx.instanceId}-part` };
  return { results, noted, part: await ctx.callSubOrchestrator(part, undefined, options) };
});

beforeEach(async () => {
  testimonies = [];
  hub = await TaskHub.open({ store: "memory", functions: [step, part, job] });
});

afterEach(async () => {
  await hub.close();
});

/** A run of the job "a", with these events. */
async function run(notes: readonly number[] = [1, 2, 3]): Promise<Accepted> {
  const handle = await hub.client.startNew(job, { instanceId: "a", input: { note: NOTES } });
  for (const note of notes) await hub.client.raiseEvent("a", "note", note);
  await handle.waitForCompletion();
  return { instanceId: "a", executionId: handle.executionId };
}

async function problems(accepted: readonly Accepted[], lines = testimonies): Promise<readonly string[]> {
  const found = await miscounts(hub.client, accepted, lines);
  return found.map(({ instanceId, problem }) => `${instanceId} ${problem}`);
}

test("nothing is wrong with a job that ran once, nor with an ID that was used again", async () => {
  const first = await run();
  expect(await problems([first])).toEqual([]);
  expect(await problems([first, await run()])).toEqual([]);
  expect(ranAgain(testimonies)).toBe(0);
});

test("a run that nobody was told of", async () => {
  const [told, other] = [await run(), await run()];
  expect(await problems([told])).toEqual([
    `a was started as ${told.executionId}, and has ${told.executionId} ${other.executionId}`,
    "a-part ran 2 times for 1 runs",
  ]);
});

test("one run that two were told they had started", async () => {
  const told = await run();
  expect(await problems([told, told])).toContain(
    `a was started twice: ${told.executionId} ${told.executionId}`,
  );
});

test("an acknowledged run that is not there", async () => {
  const { executionId } = await run();
  const found = await problems([{ instanceId: "a", executionId: "another" }]);
  expect(found).toContain("a is no more another");
  expect(found).toContain(`a was started as another, and has ${executionId}`);
});

test("a result of another run of the same task", async () => {
  const told = await run();
  const lines = testimonies.map((line) => (line.taskId === 0 ? { ...line, executionId: "former" } : line));
  const found = await problems([told], lines);
  expect(found).toContain("a has a result of task 0 that no run of it gave");
  expect(found).toContain(`a has ${told.executionId}, and former ran`);
});

test("an event that came twice, was lost, or came too early", async () => {
  for (const notes of [
    [1, 2, 2],
    [1, 3, 4],
    [2, 1, 3],
  ]) {
    const { executionId } = await run(notes);
    const mine = testimonies.filter(
      (line) => line.instanceId === "a-part" || line.executionId === executionId,
    );
    const found = await problems([{ instanceId: "a", executionId }], mine);
    expect(found).toContain(`a was sent 1 2 3, and has ${notes.join(" ")}`);
    expect(found).toContain(`a took in ${notes.join(" ")}`);
  }
});

test("an activity that two processes ran under one token, or under one that had been passed", async () => {
  const told = await run();
  const [first, ...others] = testimonies;
  if (first === undefined) throw new Error("it has not run");
  const again = [first, { ...first, pid: 2 }, ...others];
  expect(await problems([told], again)).toEqual([
    `a two processes ran task 0 under token ${first.fencingToken}`,
  ]);
  expect(ranAgain(again)).toBe(1);
  const overtaken = [{ ...first, fencingToken: first.fencingToken + 1 }, first, ...others];
  expect(await problems([told], overtaken)).toEqual([]);
  expect(fallenTokens(overtaken)).toEqual([
    `a's token fell from ${first.fencingToken + 1} (task 0, process 1) to ${first.fencingToken} (task 0, process 1), 0 ms later`,
  ]);
});

test("the longest silence of a job is from its acceptance to its end, its child's steps among its own", async () => {
  const told = await run(); // its step at 0, its child's at 10
  const silence = (acceptedMs: number, endedMs?: number): number =>
    longestSilence([{ ...told, acceptedMs, ...(endedMs === undefined ? {} : { endedMs }) }], testimonies);
  expect(silence(-30, 12)).toBe(30);
  expect(silence(-1, 12)).toBe(10);
  expect(silence(-1, 50)).toBe(40);
  expect(silence(-1)).toBe(10);
});
