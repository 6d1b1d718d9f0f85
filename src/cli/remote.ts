import type { z } from "zod";
import type { ExecutionsOptions, ListOptions, PurgeFilter } from "../client/task-hub-client.js";
import type { Tags } from "../core/instance.js";
import type { IfEnded, IfLive } from "../core/start-policy.js";
import type {
  executionSchema,
  historySchema,
  holderSchema,
  refusalSchema,
  statusSchema,
  workerSchema,
} from "../http/bodies.js";

/** The data that commands print: the bodies of the HTTP API, however the task hub is reached. */
export type StatusData = z.infer<typeof statusSchema>;
export type ExecutionData = z.infer<typeof executionSchema>;
export type HistoryData = z.infer<typeof historySchema>;
export type HolderData = z.infer<typeof holderSchema>;
export type RefusalData = z.infer<typeof refusalSchema>;
export type WorkerData = z.infer<typeof workerSchema>;

/** What a start led to. */
export interface StartedData {
  readonly outcome: "started" | "replaced" | "attached" | "returned";
  readonly instanceId: string;
  readonly executionId: string;
  readonly run: number;
  readonly generation: number;
}

/** A start, and a hold on its run. */
export interface Started {
  readonly data: StartedData;
  /** @throws WaitTimeoutError when the run has not ended in time; it goes on. */
  readonly waitForEnd: (timeoutMs: number | undefined) => Promise<StatusData>;
}

export interface StartRequest {
  readonly name: string;
  readonly instanceId?: string;
  /** Absent: the orchestrator gets undefined. */
  readonly input?: unknown;
  readonly ifLive?: IfLive;
  readonly ifEnded?: IfEnded;
  readonly requestId?: string;
  readonly startAt?: Date;
  readonly version?: string;
  readonly tags?: Tags;
  readonly allowUnregistered?: boolean;
}

export type ListRequest = ListOptions;

export interface ListAnswer {
  readonly instances: readonly StatusData[];
  readonly continuationToken: string | undefined;
}

export type ExecutionsRequest = ExecutionsOptions;

export interface ExecutionsAnswer {
  readonly executions: readonly ExecutionData[];
  readonly continuationToken: string | undefined;
}

export type PurgeRequest = Omit<PurgeFilter, "onProgress">;

/**
 * A task hub that commands talk to: over HTTP, or in its store. Methods about one instance reject with
 * the code InstanceNotFound where there is none.
 */
export interface Remote extends AsyncDisposable {
  /** Where it is, for messages. */
  readonly description: string;
  startNew(request: StartRequest): Promise<Started>;
  get(instanceId: string): Promise<StatusData>;
  /** One page. */
  list(request: ListRequest): Promise<ListAnswer>;
  history(instanceId: string, executionId: string | undefined): Promise<HistoryData>;
  /** One page, newest first. */
  executions(instanceId: string, request: ExecutionsRequest): Promise<ExecutionsAnswer>;
  /** @throws WaitTimeoutError when the instance has not ended in time. */
  waitForEnd(instanceId: string, timeoutMs: number | undefined): Promise<StatusData>;
  raiseEvent(instanceId: string, eventName: string, data: unknown): Promise<void>;
  suspend(instanceId: string, reason: string | undefined): Promise<void>;
  resume(instanceId: string, reason: string | undefined): Promise<void>;
  terminate(instanceId: string, reason: string | undefined, recursive: boolean): Promise<void>;
  rewind(instanceId: string, reason: string | undefined): Promise<void>;
  restart(instanceId: string, newInstanceId: boolean): Promise<StartedData>;
  /** Returns how many instances were deleted. */
  purge(instanceId: string, recursive: boolean): Promise<number>;
  /** @param onProgress hears every now and then how many were deleted so far. */
  purgeBy(request: PurgeRequest, onProgress: (instancesDeleted: number) => void): Promise<number>;
  refusals(instanceId: string | undefined, top: number): Promise<readonly RefusalData[]>;
  workers(): Promise<readonly WorkerData[]>;
  /** Asks it to give its shards to others. @returns how it stands now; rejects with the code WorkerNotFound. */
  drainWorker(workerId: string): Promise<WorkerData>;
}

/** A refusal that came over HTTP, or the server's absence. */
export class RemoteError extends Error {
  override readonly name = "RemoteError";

  constructor(
    /** An ErrorCode, an HttpErrorCode, one of a newer server, or `Unreachable`. */
    readonly code: string,
    message: string,
    readonly holder?: HolderData,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
