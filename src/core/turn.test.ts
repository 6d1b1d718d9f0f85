import { describe, expect, test } from "vitest";
import type { TurnOutcome } from "./executor.js";
import { MAX_HISTORY_EVENTS, MAX_HISTORY_LENGTH, MAX_PENDING_TASKS } from "./history.js";
import { decodeChunk } from "./history-codec.js";
import type { Execution, Instance } from "./instance.js";
import { applyTurn, type OpenActivity, openTasksOf, type TurnInput, type TurnState } from "./turn.js";

const instance: Instance = {
  iid: 1,
  instanceId: "x",
  kind: "orchestration",
  name: "job",
  executionId: "e1",
  run: 1,
  generation: 1,
  sequence: 4,
  fencingToken: 1,
  status: "Running",
  suspended: false,
  mail: 3,
  activities: 0,
  createdAtMs: 0,
  updatedAtMs: 0,
};

const execution: Execution = {
  executionId: "e1",
  run: 1,
  generation: 1,
  name: "job",
  tags: {},
  status: "Running",
  fencingToken: 1,
  createdAtMs: 0,
  updatedAtMs: 0,
  droppedMessages: 0,
};

const state: TurnState = {
  instance,
  execution,
  openActivities: new Map(),
  otherOpenTasks: 0,
  historyEvents: 10,
  historyLength: 100,
  mailSeen: 3,
};

const input: TurnInput = { atMs: 1000, events: [], consumed: [], firedTimers: [] };
const writer = { id: "w", commitNumber: 9, nextExecutionId: "e2" };
const waiting: TurnOutcome = { kind: "waiting", actions: [] };

function openActivities(count: number): Map<number, OpenActivity> {
  return new Map(Array.from({ length: count }, (_, task) => [task, { task, name: "a" }]));
}

describe("applyTurn", () => {
  test("records one result of each activity, the first; others are consumed and left out", () => {
    const open = { ...state, openActivities: openActivities(2) };
    const result = (task: number, value: string) =>
      ({ type: "TaskCompleted", atMs: 900, taskScheduledId: task, result: value }) as const;
    const events = [result(0, "1"), result(0, "2"), result(7, "3")];
    const { commit, closed } = applyTurn(open, { ...input, events, consumed: [4, 5, 6] }, waiting, writer);
    const recorded = commit.chunk === undefined ? [] : decodeChunk(commit.chunk);
    expect(recorded.filter(({ type }) => type === "TaskCompleted")).toEqual([result(0, "1")]);
    expect([closed, commit.consumed, commit.activities]).toEqual([[0], [4, 5, 6], 1]);
  });

  test("records the turn, what came in and what was done, in this order", () => {
    const { commit } = applyTurn(
      state,
      { ...input, events: [{ type: "EventRaised", atMs: 900, name: "e" }], consumed: [7] },
      {
        kind: "waiting",
        actions: [
          { type: "ScheduleTask", id: 0, name: "a", input: "1" },
          { type: "CreateTimer", id: 1, fireAtMs: 2000 },
        ],
      },
      writer,
    );
    expect(decodeChunk(commit.chunk ?? "")).toEqual([
      { type: "OrchestratorStarted", atMs: 1000 },
      { type: "EventRaised", atMs: 900, name: "e" },
      { type: "TaskScheduled", atMs: 1000, id: 0, name: "a", input: "1" },
      { type: "TimerCreated", atMs: 1000, id: 1, fireAtMs: 2000 },
    ]);
    expect(commit).toMatchObject({
      iid: 1,
      generation: 1,
      sequence: 4,
      writer: "w",
      commitNumber: 9,
      consumed: [7],
      activities: 1,
      timersSet: [{ task: 1, dueMs: 2000 }],
    });
  });

  test("sets no timer that was cancelled in its own turn, and clears one of an earlier turn", () => {
    const { commit } = applyTurn(
      state,
      input,
      {
        kind: "waiting",
        actions: [
          { type: "CreateTimer", id: 5, fireAtMs: 2000 },
          { type: "CancelTimer", timerId: 5 },
          { type: "CancelTimer", timerId: 2 },
        ],
      },
      writer,
    );
    expect(commit.timersSet).toEqual([]);
    expect(commit.timersCleared).toEqual([2]);
  });

  test("compares the mail counter where it ends the run, and starts nothing more", () => {
    const { commit, scheduled } = applyTurn(
      state,
      input,
      { kind: "completed", actions: [{ type: "ScheduleTask", id: 0, name: "a" }], output: '"o"' },
      writer,
    );
    expect(commit).toMatchObject({ status: "Completed", mail: 3, activities: 0, end: { output: '"o"' } });
    expect(scheduled).toEqual([]);
  });

  test("names the timers whose firing it took in, which must still be set", () => {
    const { commit } = applyTurn(state, { ...input, firedTimers: [1, 2] }, waiting, writer);
    expect(commit.timersFired).toEqual([1, 2]);
    expect(commit.timersCleared).toEqual([]);
  });

  test("writes nothing but the reason where it parks", () => {
    const { commit, after } = applyTurn(
      state,
      { ...input, consumed: [7], firedTimers: [1] },
      { kind: "parked", code: "ForeignAwait", message: "m" },
      writer,
    );
    expect(commit).toMatchObject({
      consumed: [],
      timersCleared: [],
      parked: { code: "ForeignAwait", sinceMs: 1000 },
    });
    expect(commit.chunk).toBeUndefined();
    expect(commit.timersFired).toBeUndefined();
    expect(after).toMatchObject({ historyEvents: 10 });
  });

  test("carries events over a continue-as-new behind its start, and a suspension before it", () => {
    const { commit } = applyTurn(
      state,
      input,
      {
        kind: "continuedAsNew",
        actions: [],
        customStatus: '"s"',
        carryover: [
          { type: "ExecutionSuspended", atMs: 1 },
          { type: "EventRaised", atMs: 2, name: "e" },
        ],
      },
      writer,
    );
    expect(commit.next?.executionId).toBe("e2");
    expect(commit.customStatus).toBe('"s"');
    expect(decodeChunk(commit.next?.events ?? "").map((event) => event.type)).toEqual([
      "ExecutionSuspended",
      "ExecutionStarted",
      "EventRaised",
    ]);
  });
});

describe("limits", () => {
  const events = Array.from({ length: 10 }, () => ({ type: "EventRaised", atMs: 0, name: "e" }) as const);

  test.each([
    [
      "history events",
      { historyEvents: MAX_HISTORY_EVENTS - 11 },
      { historyEvents: MAX_HISTORY_EVENTS - 10 },
    ],
    ["history size", { historyLength: MAX_HISTORY_LENGTH - 1000 }, { historyLength: MAX_HISTORY_LENGTH }],
    [
      "pending tasks",
      { openActivities: openActivities(10), otherOpenTasks: MAX_PENDING_TASKS - 10 },
      { openActivities: openActivities(10), otherOpenTasks: MAX_PENDING_TASKS - 9 },
    ],
  ])("%s: the last that fits goes on, one more fails by name and can be purged", (limit, fits, breaks) => {
    expect(
      applyTurn({ ...state, ...fits }, { ...input, events }, waiting, writer).commit.end,
    ).toBeUndefined();
    const { commit } = applyTurn({ ...state, ...breaks }, { ...input, events }, waiting, writer);
    expect(commit).toMatchObject({
      status: "Failed",
      end: { failure: { type: "LimitExceededError", nonRetriable: true } },
    });
    expect(commit.end?.failure?.message).toContain(`The limit "${limit}"`);
  });

  test("let an instance that has reached them end", () => {
    const full = { ...state, historyEvents: MAX_HISTORY_EVENTS - 2 };
    expect(applyTurn(full, input, { kind: "completed", actions: [] }, writer).commit.status).toBe(
      "Completed",
    );
  });
});

describe("openTasksOf", () => {
  test("counts what was asked for and has not been answered", () => {
    const { openActivities: open, otherOpenTasks } = openTasksOf([
      { type: "TaskScheduled", atMs: 0, id: 0, name: "a" },
      { type: "TaskScheduled", atMs: 0, id: 1, name: "b", input: "1" },
      { type: "TimerCreated", atMs: 0, id: 2, fireAtMs: 9 },
      { type: "SubOrchestrationInstanceCreated", atMs: 0, id: 3, name: "c", instanceId: "c" },
      { type: "SubOrchestrationInstanceCreated", atMs: 0, id: 4, name: "d", instanceId: "d", detached: true },
      { type: "TaskCompleted", atMs: 0, taskScheduledId: 0 },
      { type: "TimerFired", atMs: 0, timerId: 2, fireAtMs: 9 },
    ]);
    expect([...open.values()]).toEqual([{ task: 1, name: "b", input: "1" }]);
    expect(otherOpenTasks).toBe(1);
  });
});
