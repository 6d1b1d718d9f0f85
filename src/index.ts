// The public surface. Loads no driver, HTTP library or validator before one is needed.

export type { OrchestrationHandle } from "./client/orchestration-handle.js";
export type { ExecutionStatus, OrchestrationStatus } from "./client/status.js";
export type {
  ExecutionPage,
  ExecutionsOptions,
  HistoryResult,
  InstancePage,
  ListOptions,
  PurgedPage,
  PurgeFilter,
  PurgePageOptions,
  StartNewOptions,
  TaskHubClient,
} from "./client/task-hub-client.js";
export type { ActivityDefinition, Definition, OrchestrationDefinition } from "./core/definition.js";
export type { Env, Logger } from "./core/env.js";
export * from "./core/errors.js";
export type { Failure } from "./core/failure.js";
export type { HistoryEvent } from "./core/history.js";
export type { Holder, RuntimeStatus, Tags } from "./core/instance.js";
export type { LeaseStatus } from "./core/leases.js";
export type { PayloadCodec } from "./core/payload.js";
export type { Retention } from "./core/retention.js";
export type { RetryPolicy } from "./core/retry.js";
export type { IfEnded, IfLive } from "./core/start-policy.js";
export type { Refusal, ShownWorker, Store, WorkerInfo } from "./core/store.js";
export type { DurableClient, HttpManagementPayload } from "./http/trigger/durable-client.js";
export {
  type HttpTriggerContext,
  type HttpTriggerDefinition,
  type HttpTriggerHandler,
  type HttpTriggerOptions,
  httpTrigger,
} from "./http/trigger.js";
export type { ActivityContext } from "./replay/activity-context.js";
export { activity, orchestration } from "./replay/definitions.js";
export type { OrchestrationContext } from "./replay/orchestration-context.js";
export type { CancelableTask, Task } from "./replay/task.js";
export type { ConnectOptions, TaskHubOptions, TaskHubStatus } from "./task-hub.js";
export { TaskHub, TaskHubConnection } from "./task-hub.js";
