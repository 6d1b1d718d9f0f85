import type { Failure } from "./failure.js";
import type { Holder, RuntimeStatus } from "./instance.js";
import type { BrokenMailLimit } from "./mail-limit.js";

/** Every reason a caller can act on, by the `code` its error carries. Codes never change their meaning. */
export type ErrorCode =
  | "InstanceHeld"
  | "InstanceNotFound"
  | "InstanceEnded"
  | "InvalidState"
  | "InvalidInstanceId"
  | "InvalidValue"
  | "InvalidArgument"
  | "InvalidToken"
  | "LimitExceeded"
  | "MailboxFull"
  | "UnregisteredName"
  | "WorkerNotFound"
  | "OrchestrationFailed"
  | "TaskFailed"
  | "TimerCanceled"
  | "WaitTimeout"
  | "NonDeterminism"
  | "ForeignAwait"
  | "ContextMisuse"
  | "OrchestratorBlocked"
  | "ProcessEnded"
  | "StoreHeld"
  | "StoreClosed"
  | "StoreUnusable"
  | "StoreConflict"
  | "StoreFailed"
  | "StoreDamaged"
  | "SchemaTooNew"
  | "HistoryUnreadable"
  | "AppLoad"
  | "Configuration"
  | "EngineFault";

/** The base of all our errors: a stable `code`, a message that says what to do, and the `cause`. */
export abstract class TenureError extends Error {
  abstract readonly code: ErrorCode;
}

/** The class's name as `name`, for logs and for failures that are revived by type. */
function named(constructor: { readonly prototype: object }, name: string): void {
  Object.defineProperty(constructor.prototype, "name", { value: name, configurable: true, writable: true });
}

/** A start was refused because the ID is held, or, with `ifEnded: "reject"`, because it was used before. */
export class InstanceHeldError extends TenureError {
  readonly code = "InstanceHeld";
  readonly holder: Holder;

  constructor(holder: Holder, why?: string) {
    super(
      why ??
        `An instance with ID '${holder.instanceId}' already exists: ${holder.name} is ${holder.runtimeStatus} ` +
          `since ${new Date(holder.sinceMs).toISOString()} (execution ${holder.executionId}). ` +
          "Wait for it to end, or start with ifLive or ifEnded set to another answer.",
    );
    this.holder = holder;
  }

  toFailureData(): { holder: Holder } {
    return { holder: this.holder };
  }
}

/** No instance has this ID. */
export class InstanceNotFoundError extends TenureError {
  readonly code = "InstanceNotFound";

  constructor(readonly instanceId: string) {
    super(`There is no instance with ID '${instanceId}'. Check the ID, or start it.`);
  }
}

/** The instance has ended and can no longer be signalled (HTTP 410). */
export class InstanceEndedError extends TenureError {
  readonly code = "InstanceEnded";

  constructor(
    readonly instanceId: string,
    readonly runtimeStatus: RuntimeStatus,
    operation: string,
  ) {
    super(`Cannot ${operation} instance '${instanceId}': it is ${runtimeStatus}. Start or restart it first.`);
  }
}

/** The operation needs another state of the instance (HTTP 412), e.g. rewind of one that has not failed. */
export class InvalidStateError extends TenureError {
  readonly code = "InvalidState";

  constructor(
    readonly instanceId: string,
    readonly runtimeStatus: RuntimeStatus,
    operation: string,
    needs: string,
  ) {
    super(`Cannot ${operation} instance '${instanceId}': it is ${runtimeStatus}, and must be ${needs}.`);
  }
}

/** An instance ID breaks a rule; see `parseInstanceId`. */
export class InvalidInstanceIdError extends TenureError {
  readonly code = "InvalidInstanceId";

  constructor(
    readonly value: unknown,
    readonly rule: string,
  ) {
    super(
      `The instance ID ${quote(value)} cannot be used: ${rule}. Use 1 to 256 characters without / \\ # ?, ` +
        "control characters or a leading @.",
    );
  }
}

/** A value cannot travel as JSON without being changed. */
export class InvalidValueError extends TenureError {
  readonly code = "InvalidValue";

  constructor(
    what: string,
    readonly path: readonly (string | number)[],
    kind: string,
    hint: string,
    cause?: unknown,
  ) {
    super(`Cannot send ${what}: ${pathText(path)} is ${kind}. Hint: ${hint}.`, { cause });
  }
}

/** An argument is missing or malformed. */
export class InvalidArgumentError extends TenureError {
  readonly code = "InvalidArgument";

  constructor(
    readonly parameter: string,
    problem: string,
    options?: ErrorOptions,
  ) {
    super(`${parameter}: ${problem}`, options);
  }
}

/** A continuation token was not made by this hub for this query. */
export class InvalidTokenError extends TenureError {
  readonly code = "InvalidToken";

  constructor() {
    super("The continuation token was not made by this task hub for this query. Start again without it.");
  }
}

/** A named limit of the engine was passed. */
export class LimitExceededError extends TenureError {
  readonly code = "LimitExceeded";

  constructor(
    readonly limit: string,
    readonly allowed: number,
    readonly actual: number,
    what: string,
  ) {
    super(`The limit "${limit}" is ${allowed}, and ${what} has ${actual}. Send less, or a reference to it.`);
  }
}

/** The instance has taken in too little of what was sent to it for more to be accepted (HTTP 429). */
export class MailboxFullError extends TenureError {
  readonly code = "MailboxFull";
  readonly limit: string;
  readonly allowed: number;
  readonly actual: number;

  constructor(
    readonly instanceId: string,
    readonly runtimeStatus: RuntimeStatus,
    { limit, allowed, actual }: BrokenMailLimit,
  ) {
    super(
      `Instance '${instanceId}' is ${runtimeStatus} and has not taken in what waits for it: the limit "${limit}" is ` +
        `${allowed}, and this would be beyond it. What was accepted is kept. Try again once it has: see that a worker ` +
        "runs it, and resume it if it is suspended or parked.",
    );
    this.limit = limit;
    this.allowed = allowed;
    this.actual = actual;
  }
}

/** No live worker has registered the orchestrator's name. */
export class UnregisteredNameError extends TenureError {
  readonly code = "UnregisteredName";

  constructor(
    readonly orchestrator: string,
    readonly knownNames: readonly string[],
  ) {
    super(
      `No worker of this task hub has registered an orchestrator named '${orchestrator}'. ` +
        `Known: ${knownNames.length === 0 ? "none" : knownNames.join(", ")}. ` +
        "Register it, correct the name, or start with allowUnregistered: true to let it wait.",
    );
  }
}

/** No worker that is alive has this ID. */
export class WorkerNotFoundError extends TenureError {
  readonly code = "WorkerNotFound";

  constructor(readonly workerId: string) {
    super(`There is no live worker with ID '${workerId}'. \`tenure worker list\` shows them.`);
  }
}

/** The awaited orchestration did not complete: it failed, or was terminated. */
export class OrchestrationFailedError extends TenureError {
  readonly code = "OrchestrationFailed";

  constructor(
    readonly instanceId: string,
    readonly runtimeStatus: RuntimeStatus,
    readonly failure: Failure | undefined,
    cause?: unknown,
  ) {
    super(
      `Orchestration '${instanceId}' is ${runtimeStatus}${failure === undefined ? "" : `: ${failure.type}: ${failure.message}`}`,
      { cause },
    );
  }
}

/** An activity or a sub-orchestration failed; thrown inside the orchestrator at its await. */
export class TaskFailedError extends TenureError {
  readonly code = "TaskFailed";

  constructor(
    readonly taskName: string,
    readonly taskId: number,
    readonly failure: Failure,
    cause?: unknown,
  ) {
    super(`'${taskName}' (task ${taskId}) failed: ${failure.type}: ${failure.message}`, { cause });
  }

  /** Whether the failure, or one inside it, was thrown as this error class (compared by name). */
  isCausedBy(errorClass: { readonly name: string }): boolean {
    for (let failure: Failure | undefined = this.failure; failure !== undefined; failure = failure.inner) {
      if (failure.type === errorClass.name) return true;
    }
    return false;
  }
}

/** Awaiting a durable timer after its `cancel()`. */
export class TimerCanceledError extends TenureError {
  readonly code = "TimerCanceled";

  constructor(readonly taskId: number) {
    super(`Timer ${taskId} was cancelled. Do not await a timer after cancel().`);
  }
}

/** The time to wait ran out; the instance goes on. */
export class WaitTimeoutError extends TenureError {
  readonly code = "WaitTimeout";

  constructor(
    readonly instanceId: string,
    readonly timeoutMs: number,
    readonly runtimeStatus: RuntimeStatus,
  ) {
    super(
      `Instance '${instanceId}' was still ${runtimeStatus} after ${timeoutMs} ms. It goes on; wait again.`,
    );
  }
}

/** An orchestrator's code no longer matches its recorded history. Parks the instance. */
export class NonDeterminismError extends TenureError {
  readonly code = "NonDeterminism";

  constructor(
    readonly expected: string,
    readonly actual: string,
    where: string,
  ) {
    super(
      `The orchestrator's code does not match its history at ${where}: recorded ${expected}, but the code did ${actual}. ` +
        "The instance is parked and its history untouched. Deploy code that does what was recorded, then resume it or restart the process.",
    );
  }
}

/** An orchestrator waits for something that is not a task of its context. Parks the instance. */
export class ForeignAwaitError extends TenureError {
  readonly code = "ForeignAwait";

  constructor(orchestrator: string) {
    super(
      `Orchestrator '${orchestrator}' awaits something that its context did not make (a fetch, a setTimeout, another promise). ` +
        "Only tasks of the context survive a restart: move the work into an activity, or use ctx.sleep and ctx.waitForExternalEvent.",
    );
  }
}

/** The orchestration context was used at a moment, or in a way, that replay cannot repeat. Parks the instance. */
export class ContextMisuseError extends TenureError {
  readonly code = "ContextMisuse";
}

/** An orchestrator blocked the event loop in three process starts and is not run again. Parks the instance. */
export class OrchestratorBlockedError extends TenureError {
  readonly code = "OrchestratorBlocked";

  constructor(orchestrator: string, starts: number) {
    super(
      `A turn of orchestrator '${orchestrator}' blocked its process in ${starts} process starts and never ended. ` +
        "It is not run again by itself: fix the code, then resume the instance, or terminate it.",
    );
  }
}

/** The process ended three times while this instance's turns or activities ran. It is not run again. Parks the instance. */
export class ProcessEndedError extends TenureError {
  readonly code = "ProcessEnded";

  constructor(orchestrator: string, starts: number) {
    super(
      `In ${starts} process starts the process ended while turns or activities of orchestrator '${orchestrator}' ran. ` +
        "It is not run again by itself: fix the code (or give the process more memory) and deploy it, then resume the " +
        "instance, or terminate it.",
    );
  }
}

/** Another engine runs on this store. */
export class StoreHeldError extends TenureError {
  readonly code = "StoreHeld";

  constructor(
    readonly store: string,
    readonly pid: number | undefined,
    readonly host: string | undefined,
    readonly sinceMs: number | undefined,
  ) {
    super(
      `${store} is held by another engine` +
        (pid === undefined ? "" : ` (pid ${pid} on ${host ?? "this host"}`) +
        (sinceMs === undefined ? "" : `, since ${new Date(sinceMs).toISOString()}`) +
        (pid === undefined ? "" : ")") +
        ". One engine runs per file: stop that one, wait for it with --wait, or use TaskHub.connect to start and query beside it.",
    );
  }
}

/** The store was closed while, or before, it was asked. */
export class StoreClosedError extends TenureError {
  readonly code = "StoreClosed";

  constructor() {
    super("The store is closed. Open the task hub again.");
  }
}

/** The store cannot give what safety needs, e.g. a pragma reads back another value. */
export class StoreUnusableError extends TenureError {
  readonly code = "StoreUnusable";
}

/** The store could not serve the call now (busy, disk full); nothing was written, and it may be tried again. */
export class StoreConflictError extends TenureError {
  readonly code = "StoreConflict";
}

/**
 * The store failed in a way that this process must not go on from: what was written last may or may not be durable.
 * An engine stops; a new process recovers what was acknowledged.
 */
export class StoreFailedError extends TenureError {
  readonly code = "StoreFailed";
}

/** The store's file is damaged: nothing of it is served, and a backup must be restored. */
export class StoreDamagedError extends TenureError {
  readonly code = "StoreDamaged";
}

/** The store was written by a newer program that older ones must not touch. */
export class SchemaTooNewError extends TenureError {
  readonly code = "SchemaTooNew";

  constructor(store: string, minReader: number, version: number) {
    super(
      `${store} needs a program that reads schema ${minReader} or newer; this one reads up to ${version}. Update tenure.`,
    );
  }
}

/** A stored record is of a format that this program does not know. Parks the instance. */
export class HistoryUnreadableError extends TenureError {
  readonly code = "HistoryUnreadable";
}

/** The app module could not be loaded, or exports nothing to run. */
export class AppLoadError extends TenureError {
  readonly code = "AppLoad";
}

/** Settings that do not fit together; the process must not start. */
export class ConfigurationError extends TenureError {
  readonly code = "Configuration";
}

/** A fault of the engine itself. Parks the instance that met it. */
export class EngineFaultError extends TenureError {
  readonly code = "EngineFault";
}

for (const [name, constructor] of Object.entries({
  InstanceHeldError,
  InstanceNotFoundError,
  InstanceEndedError,
  InvalidStateError,
  InvalidInstanceIdError,
  InvalidValueError,
  InvalidArgumentError,
  InvalidTokenError,
  LimitExceededError,
  MailboxFullError,
  UnregisteredNameError,
  WorkerNotFoundError,
  OrchestrationFailedError,
  TaskFailedError,
  TimerCanceledError,
  WaitTimeoutError,
  NonDeterminismError,
  ForeignAwaitError,
  ContextMisuseError,
  OrchestratorBlockedError,
  StoreHeldError,
  StoreClosedError,
  StoreUnusableError,
  StoreConflictError,
  StoreFailedError,
  StoreDamagedError,
  SchemaTooNewError,
  HistoryUnreadableError,
  AppLoadError,
  ConfigurationError,
  EngineFaultError,
})) {
  named(constructor, name);
}

function quote(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value.slice(0, 80)) : `of type ${typeof value}`;
}

function pathText(path: readonly (string | number)[]): string {
  if (path.length === 0) return "the value itself";
  return path
    .map((part, index) => (typeof part === "number" ? `[${part}]` : index === 0 ? part : `.${part}`))
    .join("");
}
