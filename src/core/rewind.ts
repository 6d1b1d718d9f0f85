import type { Failure } from "./failure.js";
import type { HistoryEvent, IncomingEvent } from "./history.js";

/** What a failed execution goes on from. */
export interface RewoundHistory {
  /** The turns that stand, each as it was recorded. */
  readonly kept: readonly HistoryEvent[];
  /** What came in after them and still counts: it comes in again, in the same order. */
  readonly redelivered: readonly IncomingEvent[];
}

/**
 * The history without the failure that ended it. The cut is before the first turn that took in a
 * failure which the final one names (through its causes), or, where it names none, any failure at
 * all. From there on, what came in successfully for tasks scheduled before the cut comes in again,
 * failures are forgotten, and so is everything the code did: it does it again. Turns before the cut
 * stand, failures that the code handled among them. Where no task failed (the code itself threw), the
 * cut is before the last turn, and the code runs that turn again.
 *
 * The protocol's rule (remove all failed tasks from the history) breaks replay when the code had gone
 * on after a failure; cutting does not.
 */
export function rewindHistory(
  history: readonly HistoryEvent[],
  failure: Failure | undefined,
): RewoundHistory {
  const turns = splitTurns(history);
  const cut = cutTurn(turns, causalTasks(failure));
  const kept = turns.slice(0, cut).flat();
  const scheduled = new Set<number>();
  for (const event of kept) {
    if (
      event.type === "TaskScheduled" ||
      event.type === "SubOrchestrationInstanceCreated" ||
      event.type === "TimerCreated"
    ) {
      scheduled.add(event.id);
    }
  }
  const redelivered: IncomingEvent[] = [...resumeAfter(kept)];
  for (const event of turns.slice(cut).flat()) {
    switch (event.type) {
      case "TaskFailed":
      case "SubOrchestrationInstanceFailed":
        break; // forgotten: without an answer it runs again
      case "TaskCompleted":
      case "SubOrchestrationInstanceCompleted":
        if (scheduled.has(event.taskScheduledId)) redelivered.push(event);
        break;
      case "TimerFired":
        if (scheduled.has(event.timerId)) redelivered.push(event);
        break;
      case "ExecutionStarted":
      case "EventRaised":
      case "ExecutionRewound":
        redelivered.push(event);
        break;
      case "ExecutionSuspended": // see resumeAfter
      case "ExecutionResumed":
      case "ExecutionTerminated":
      case "ExecutionCompleted":
      case "OrchestratorStarted":
      case "TaskScheduled":
      case "SubOrchestrationInstanceCreated":
      case "TimerCreated":
      case "EventSent":
        break;
    }
  }
  return { kept, redelivered };
}

/** A rewound instance is not suspended: where the turns that stand leave it so, it resumes first. */
function resumeAfter(kept: readonly HistoryEvent[]): IncomingEvent[] {
  const last = kept.findLast(
    (event) => event.type === "ExecutionSuspended" || event.type === "ExecutionResumed",
  );
  return last?.type === "ExecutionSuspended" ? [{ type: "ExecutionResumed", atMs: last.atMs }] : [];
}

function splitTurns(history: readonly HistoryEvent[]): HistoryEvent[][] {
  const turns: HistoryEvent[][] = [];
  for (const event of history) {
    if (event.type === "OrchestratorStarted" || turns.length === 0) turns.push([event]);
    else turns.at(-1)?.push(event);
  }
  return turns;
}

function cutTurn(turns: readonly HistoryEvent[][], causal: ReadonlySet<number>): number {
  const failedAt = (tasks: ReadonlySet<number> | undefined): number =>
    turns.findIndex((turn) =>
      turn.some(
        (event) =>
          (event.type === "TaskFailed" || event.type === "SubOrchestrationInstanceFailed") &&
          (tasks === undefined || tasks.has(event.taskScheduledId)),
      ),
    );
  const byCause = causal.size > 0 ? failedAt(causal) : -1;
  const cut = byCause >= 0 ? byCause : failedAt(undefined);
  return cut >= 0 ? cut : turns.length - 1;
}

function causalTasks(failure: Failure | undefined): ReadonlySet<number> {
  const tasks = new Set<number>();
  for (let at = failure; at !== undefined; at = at.inner) {
    // Below a task's failure lie the causes inside that task: other executions' task numbers.
    if (at.task === undefined) continue;
    tasks.add(at.task);
    break;
  }
  return tasks;
}
