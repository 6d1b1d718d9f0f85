import type { Failure } from "./failure.js";
import type { RuntimeStatus, Tags } from "./instance.js";
import type { Payload } from "./payload.js";

/**
 * History events, one to one with the Durable Task protocol's (HistoryEvent in
 * orchestrator_service.proto). A turn is recorded as OrchestratorStarted, then the events that came
 * in, then the events of what the orchestrator did (`id` counts these within a generation, from 0).
 * What the execution's row already holds (name, input, tags, output, failure) is not repeated here.
 */
export type HistoryEvent = TurnStarted | IncomingEvent | ActionEvent | ExecutionCompleted;

export interface TurnStarted {
  readonly type: "OrchestratorStarted";
  readonly atMs: number;
}

/** Events that come to an orchestration from outside its code. */
export type IncomingEvent =
  | {
      readonly type: "ExecutionStarted";
      readonly atMs: number;
      /** After a rewind: the execution in which the turns that stand were first run. */
      readonly firstExecutionId?: string;
    }
  | {
      readonly type: "TaskCompleted";
      readonly atMs: number;
      readonly taskScheduledId: number;
      readonly result?: Payload;
    }
  | {
      readonly type: "TaskFailed";
      readonly atMs: number;
      readonly taskScheduledId: number;
      readonly failure: Failure;
    }
  | {
      readonly type: "SubOrchestrationInstanceCompleted";
      readonly atMs: number;
      readonly taskScheduledId: number;
      readonly result?: Payload;
    }
  | {
      readonly type: "SubOrchestrationInstanceFailed";
      readonly atMs: number;
      readonly taskScheduledId: number;
      readonly failure: Failure;
    }
  | {
      readonly type: "TimerFired";
      readonly atMs: number;
      readonly timerId: number;
      readonly fireAtMs: number;
    }
  | { readonly type: "EventRaised"; readonly atMs: number; readonly name: string; readonly input?: Payload }
  | { readonly type: "ExecutionSuspended"; readonly atMs: number; readonly reason?: string }
  | { readonly type: "ExecutionResumed"; readonly atMs: number; readonly reason?: string }
  | {
      readonly type: "ExecutionTerminated";
      readonly atMs: number;
      readonly reason?: string;
      readonly recurse: boolean;
    }
  | { readonly type: "ExecutionRewound"; readonly atMs: number; readonly reason?: string };

/** Events that record what an orchestrator asked for. */
export type ActionEvent =
  | {
      readonly type: "TaskScheduled";
      readonly atMs: number;
      readonly id: number;
      readonly name: string;
      readonly input?: Payload;
      /** Set where it left the owner's process by a queue. */
      readonly queue?: string;
    }
  | {
      readonly type: "SubOrchestrationInstanceCreated";
      readonly atMs: number;
      readonly id: number;
      readonly name: string;
      readonly instanceId: string;
      readonly input?: Payload;
      /** Started without a link: nobody waits for it. */
      readonly detached?: true;
      readonly tags?: Tags;
      readonly version?: string;
    }
  | { readonly type: "TimerCreated"; readonly atMs: number; readonly id: number; readonly fireAtMs: number }
  | {
      readonly type: "EventSent";
      readonly atMs: number;
      readonly id: number;
      readonly instanceId: string;
      readonly name: string;
      readonly input?: Payload;
    };

/** The last event of an execution. Its output or failure is in the execution's row. */
export interface ExecutionCompleted {
  readonly type: "ExecutionCompleted";
  readonly atMs: number;
  readonly status: Exclude<RuntimeStatus, "Pending" | "Running" | "Suspended">;
}

/** The most events one execution may record, and the most text (UTF-16 code units of encoded chunks). */
export const MAX_HISTORY_EVENTS = 250_000;
export const MAX_HISTORY_LENGTH = 50 * 1024 * 1024;

/** The most tasks an execution may wait for at once. */
export const MAX_PENDING_TASKS = 100_000;
