import type { HistoryResult } from "../client/task-hub-client.js";
import type { HistoryEvent } from "../core/history.js";
import type { Payload } from "../core/payload.js";

/** Reads a payload of this hub. */
export type DecodePayload = (payload: Payload | undefined) => unknown;

/** A history item as Durable Functions' status shows it. */
export type AggregatedEvent = { readonly EventType: string; readonly Timestamp: string } & Readonly<
  Record<string, unknown>
>;

/**
 * The history in Durable Functions' words (DurableClient.GetDurableOrchestrationStatusAsync of the
 * extension): PascalCase, each task's scheduling folded into its result as `ScheduledTime` and
 * `FunctionName`, turn marks and internal numbers left out. Inputs are shown as their text, results as values.
 */
export function aggregatedHistory(
  history: HistoryResult,
  decode: DecodePayload,
  show: { readonly input: boolean; readonly output: boolean },
): AggregatedEvent[] {
  const results = new Set<number>();
  const scheduled = new Map<number, Scheduled>();
  for (const event of history.events) {
    if (event.type === "TaskScheduled" || event.type === "SubOrchestrationInstanceCreated") {
      scheduled.set(event.id, event);
    }
    const task = answeredTask(event);
    if (task !== undefined) results.add(task);
  }
  const texts = (input: Payload | undefined): { Input?: string | null } =>
    show.input ? { Input: inputText(input, decode) } : {};
  const values = (result: Payload | undefined): { Result?: unknown } =>
    show.output ? { Result: decode(result) ?? null } : {};
  const folded = (task: number): Record<string, unknown> => {
    const from = scheduled.get(task);
    if (from === undefined) return {};
    return { ScheduledTime: timestamp(from.atMs), FunctionName: from.name, ...texts(from.input) };
  };
  const items: AggregatedEvent[] = [];
  for (const event of history.events) {
    const head = { EventType: event.type, Timestamp: timestamp(event.atMs) };
    switch (event.type) {
      case "OrchestratorStarted":
        break;
      case "ExecutionStarted":
        items.push({ ...head, FunctionName: history.execution.name, ...executionInput(history, show.input) });
        break;
      case "TaskScheduled":
        if (!results.has(event.id)) items.push({ ...head, Name: event.name, ...texts(event.input) });
        break;
      case "SubOrchestrationInstanceCreated":
        if (!results.has(event.id)) {
          items.push({ ...head, InstanceId: event.instanceId, Name: event.name, ...texts(event.input) });
        }
        break;
      case "TaskCompleted":
      case "SubOrchestrationInstanceCompleted":
        items.push({ ...head, ...values(event.result), ...folded(event.taskScheduledId) });
        break;
      case "TaskFailed":
      case "SubOrchestrationInstanceFailed":
        items.push({
          ...head,
          Reason: event.failure.message,
          Details: event.failure.stack ?? null,
          FailureDetails: event.failure,
          ...folded(event.taskScheduledId),
        });
        break;
      case "TimerCreated":
      case "TimerFired":
        items.push({ ...head, FireAt: timestamp(event.fireAtMs) });
        break;
      case "EventRaised":
        items.push({ ...head, Name: event.name, ...texts(event.input) });
        break;
      case "EventSent":
        items.push({ ...head, InstanceId: event.instanceId, Name: event.name, ...texts(event.input) });
        break;
      case "ExecutionSuspended":
      case "ExecutionResumed":
      case "ExecutionRewound":
        items.push({ ...head, Reason: event.reason ?? null });
        break;
      case "ExecutionTerminated":
        items.push({ ...head, ...(show.input ? { Input: event.reason ?? null } : {}) });
        break;
      case "ExecutionCompleted":
        items.push({ ...head, OrchestrationStatus: event.status, ...executionResult(history, show.output) });
        break;
    }
  }
  return items;
}

type Scheduled = Extract<HistoryEvent, { type: "TaskScheduled" | "SubOrchestrationInstanceCreated" }>;

function answeredTask(event: HistoryEvent): number | undefined {
  switch (event.type) {
    case "TaskCompleted":
    case "TaskFailed":
    case "SubOrchestrationInstanceCompleted":
    case "SubOrchestrationInstanceFailed":
      return event.taskScheduledId;
    default:
      return undefined;
  }
}

function executionInput({ execution }: HistoryResult, show: boolean): { Input?: string | null } {
  if (!show) return {};
  return { Input: execution.input === undefined ? null : JSON.stringify(execution.input) };
}

function executionResult({ execution }: HistoryResult, show: boolean): Record<string, unknown> {
  if (!show) return {};
  if (execution.failure === undefined) return { Result: execution.output ?? null };
  return { Result: execution.failure.message, FailureDetails: execution.failure };
}

/** Payloads of a codec are shown as what they hold, not as they are stored. */
function inputText(input: Payload | undefined, decode: DecodePayload): string | null {
  return input === undefined ? null : JSON.stringify(decode(input));
}

/** One event as our own history route shows it: every member, times as text, payloads as values. */
export function eventBody(
  event: HistoryEvent,
  decode: DecodePayload,
): { readonly type: string; readonly timestamp: string } & Record<string, unknown> {
  const { type, atMs, ...members } = event;
  const shown: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(members)) {
    if (key === "fireAtMs") shown["fireAt"] = timestamp(Number(value));
    else if (key === "input" || key === "result")
      shown[key] = decode(typeof value === "string" ? value : undefined);
    else shown[key] = value;
  }
  return { type, timestamp: timestamp(atMs), ...shown };
}

function timestamp(ms: number): string {
  return new Date(ms).toISOString();
}
