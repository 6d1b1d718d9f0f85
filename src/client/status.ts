import type { Failure } from "../core/failure.js";
import {
  type Execution,
  type InstanceRecord,
  isEnded,
  type Parked,
  type RuntimeStatus,
  runtimeStatusOf,
  type Tags,
} from "../core/instance.js";
import { decodeValue, type PayloadCodec } from "../core/payload.js";

/** An orchestration instance as its users see it. */
export interface OrchestrationStatus<O = unknown> {
  readonly name: string;
  readonly instanceId: string;
  readonly runtimeStatus: RuntimeStatus;
  readonly input: unknown;
  readonly customStatus: unknown;
  /** What the orchestrator returned; for a terminated instance, the reason. */
  readonly output: O | undefined;
  readonly createdTime: Date;
  readonly lastUpdatedTime: Date;
  readonly executionId: string;
  readonly run: number;
  readonly generation: number;
  readonly fencingToken: number;
  readonly version: string | undefined;
  readonly tags: Tags;
  readonly failure: Failure | undefined;
  /** Set while a scheduled start waits. */
  readonly scheduledStartTime: Date | undefined;
  /** Set while a live instance stands still, with the reason. */
  readonly parked: Parked | undefined;
  readonly worker: string | undefined;
  readonly parentInstanceId: string | undefined;
}

/** One execution of an instance, past or current. */
export interface ExecutionStatus {
  readonly executionId: string;
  readonly run: number;
  readonly generation: number;
  readonly name: string;
  readonly version: string | undefined;
  readonly tags: Tags;
  readonly runtimeStatus: RuntimeStatus;
  readonly fencingToken: number;
  readonly input: unknown;
  readonly customStatus: unknown;
  readonly output: unknown;
  readonly failure: Failure | undefined;
  readonly createdTime: Date;
  readonly endedTime: Date | undefined;
  /** Messages accepted but dropped because the run was ended from outside. */
  readonly droppedMessages: number;
}

/** Reads an instance's record for its users. */
export function statusOf({ instance, execution }: InstanceRecord, codec: PayloadCodec): OrchestrationStatus {
  return {
    name: instance.name,
    instanceId: instance.instanceId,
    runtimeStatus: runtimeStatusOf(instance),
    input: decodeValue(codec, execution.input),
    customStatus: decodeValue(codec, execution.customStatus),
    output: decodeValue(codec, execution.output),
    createdTime: new Date(instance.createdAtMs),
    lastUpdatedTime: new Date(instance.updatedAtMs),
    executionId: instance.executionId,
    run: instance.run,
    generation: instance.generation,
    fencingToken: instance.fencingToken,
    version: execution.version,
    tags: execution.tags,
    failure: execution.failure,
    scheduledStartTime:
      instance.status === "Pending" && instance.startAtMs !== undefined
        ? new Date(instance.startAtMs)
        : undefined,
    parked: isEnded(instance.status) ? undefined : instance.parked,
    worker: instance.worker,
    parentInstanceId: instance.parent?.instanceId,
  };
}

/** Reads an execution's row for its users. */
export function executionStatusOf(execution: Execution, codec: PayloadCodec): ExecutionStatus {
  return {
    executionId: execution.executionId,
    run: execution.run,
    generation: execution.generation,
    name: execution.name,
    version: execution.version,
    tags: execution.tags,
    runtimeStatus: execution.status,
    fencingToken: execution.fencingToken,
    input: decodeValue(codec, execution.input),
    customStatus: decodeValue(codec, execution.customStatus),
    output: decodeValue(codec, execution.output),
    failure: execution.failure,
    createdTime: new Date(execution.createdAtMs),
    endedTime: execution.endedAtMs === undefined ? undefined : new Date(execution.endedAtMs),
    droppedMessages: execution.droppedMessages,
  };
}
