import type { OutboundRequest, RewindCommand, TimerRow } from "./command.js";
import type { HistoryEvent, IncomingEvent } from "./history.js";
import { decodeChunk, encodeChunk } from "./history-codec.js";
import type { ParentLink } from "./instance.js";
import { encodeRequest } from "./request.js";
import { rewindHistory } from "./rewind.js";
import { startPolicy } from "./start-policy.js";
import type { StoredHistory } from "./store.js";

/** The command that rewinds a failed execution, from its stored history. */
export function rewindCommand(
  stored: StoredHistory,
  at: {
    readonly atMs: number;
    readonly executionId: string;
    readonly reason?: string;
    readonly consumes?: number;
    readonly parent?: ParentLink;
  },
): RewindCommand {
  const { instance, of: failed } = stored;
  const history = stored.chunks.flatMap((chunk) => decodeChunk(chunk));
  const { kept, redelivered } = rewindHistory(history, failed.failure);
  const answered = new Set([...taskAnswers(kept), ...taskAnswers(redelivered)]);
  const rewound: IncomingEvent = {
    type: "ExecutionRewound",
    atMs: at.atMs,
    ...(at.reason === undefined ? {} : { reason: at.reason }),
  };
  const requests: OutboundRequest[] = [];
  const timers: TimerRow[] = [];
  let activities = 0;
  for (const event of kept) {
    if (event.type === "TimerCreated" && !answered.has(event.id))
      timers.push({ task: event.id, dueMs: event.fireAtMs });
    if (event.type === "TaskScheduled" && !answered.has(event.id)) activities += 1;
    if (
      event.type === "SubOrchestrationInstanceCreated" &&
      event.detached !== true &&
      !answered.has(event.id)
    ) {
      // Failed, still live, or ended unheard: whatever became of it, this generation waits for it anew.
      requests.push({
        instanceId: event.instanceId,
        deduplicationKey: `${at.executionId}:${event.id}`,
        startsChild: true,
        body: encodeRequest({
          kind: "rewind",
          ...(at.reason === undefined ? {} : { reason: at.reason }),
          restart: {
            kind: "start",
            name: event.name,
            tags: event.tags ?? {},
            policy: startPolicy(),
            ...(event.input === undefined ? {} : { input: event.input }),
            ...(event.version === undefined ? {} : { version: event.version }),
            parent: {
              iid: instance.iid,
              run: instance.run,
              generation: instance.generation + 1,
              task: event.id,
              instanceId: instance.instanceId,
              executionId: at.executionId,
              name: instance.name,
            },
          },
        }),
      });
    }
  }
  return {
    kind: "rewind",
    instanceId: instance.instanceId,
    atMs: at.atMs,
    expectedExecutionId: failed.executionId,
    executionId: at.executionId,
    history: encodeChunk(kept.map((event) => rememberExecution(event, failed.executionId))),
    activities,
    timers,
    mail: encodeChunk([rewound, ...redelivered]),
    requests,
    ...(at.consumes === undefined ? {} : { consumes: at.consumes }),
    ...(at.parent === undefined ? {} : { parent: at.parent }),
  };
}

function rememberExecution(event: HistoryEvent, executionId: string): HistoryEvent {
  return event.type === "ExecutionStarted" ? { firstExecutionId: executionId, ...event } : event;
}

function taskAnswers(events: readonly HistoryEvent[]): number[] {
  const tasks: number[] = [];
  for (const event of events) {
    switch (event.type) {
      case "TaskCompleted":
      case "TaskFailed":
      case "SubOrchestrationInstanceCompleted":
      case "SubOrchestrationInstanceFailed":
        tasks.push(event.taskScheduledId);
        break;
      case "TimerFired":
        tasks.push(event.timerId);
        break;
      default:
        break;
    }
  }
  return tasks;
}
