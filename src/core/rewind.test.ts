import { describe, expect, test } from "vitest";
import type { HistoryEvent } from "./history.js";
import { rewindHistory } from "./rewind.js";

const turn = { type: "OrchestratorStarted", atMs: 0 } as const;
const started = { type: "ExecutionStarted", atMs: 0 } as const;
const ended = { type: "ExecutionCompleted", atMs: 0, status: "Failed" } as const;
const failure = { type: "Error", message: "m" };

const scheduled = (id: number): HistoryEvent => ({ type: "TaskScheduled", atMs: 0, id, name: "a" });
const completed = (id: number): HistoryEvent => ({ type: "TaskCompleted", atMs: 0, taskScheduledId: id });
const failed = (id: number): HistoryEvent => ({ type: "TaskFailed", atMs: 0, taskScheduledId: id, failure });

describe("rewindHistory", () => {
  test("cuts before the turn that took in the failure that the end names", () => {
    const first = [turn, started, scheduled(0), scheduled(1)];
    const handled = [turn, failed(0), scheduled(2)];
    const rewound = rewindHistory([...first, ...handled, turn, failed(2), ended], {
      type: "TaskFailedError",
      message: "m",
      task: 2,
      inner: { ...failure, task: 0 },
    });
    expect(rewound.kept).toEqual([...first, ...handled]);
  });

  test("brings in again what had succeeded after the cut for tasks from before it, and nothing else", () => {
    const first = [turn, started, scheduled(0), scheduled(1)];
    const event: HistoryEvent = { type: "EventRaised", atMs: 0, name: "e" };
    const rewound = rewindHistory(
      [...first, turn, failed(0), scheduled(2), turn, completed(2), completed(1), event, ended],
      { ...failure, task: 0 },
    );
    expect(rewound.kept).toEqual(first);
    expect(rewound.redelivered).toEqual([completed(1), event]);
  });

  test("cuts before the last turn where no task had failed", () => {
    const first = [turn, started, scheduled(0)];
    const rewound = rewindHistory([...first, turn, completed(0), ended], failure);
    expect(rewound.kept).toEqual(first);
    expect(rewound.redelivered).toEqual([completed(0)]);
  });

  test("keeps nothing but the start where the first turn failed", () => {
    expect(rewindHistory([turn, started, ended], failure)).toMatchObject({
      kept: [],
      redelivered: [started],
    });
  });

  test("resumes where the turns that stand leave the instance suspended", () => {
    const suspended: HistoryEvent = { type: "ExecutionSuspended", atMs: 0 };
    const resumed: HistoryEvent = { type: "ExecutionResumed", atMs: 0 };
    const before = [turn, started, scheduled(0)];
    const held = [turn, suspended];
    expect(
      rewindHistory([...before, ...held, turn, failed(0), turn, resumed, ended], { ...failure, task: 0 })
        .redelivered,
    ).toEqual([resumed]);
    expect(
      rewindHistory([...before, ...held, turn, resumed, turn, failed(0), ended], { ...failure, task: 0 })
        .redelivered,
    ).toEqual([]);
  });
});
