import { InstanceHeldError, TaskFailedError } from "./errors.js";
import type { Failure } from "./failure.js";
import type { Holder } from "./instance.js";

/** Error classes of the language that a failure can come back as. */
const BUILT_IN: Readonly<Record<string, ErrorConstructor>> = {
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
};

/**
 * A failure as an error again: the language's own classes and ours by type, anything else an Error
 * that carries the type as its name, with message, stack and cause of the original.
 */
export function reviveError(failure: Failure): Error {
  const error = construct(failure);
  if (failure.stack !== undefined && failure.stack !== "") error.stack = failure.stack;
  return error;
}

function construct(failure: Failure): Error {
  const options = failure.inner === undefined ? undefined : { cause: reviveError(failure.inner) };
  if (failure.type === "InstanceHeldError") {
    const holder = failure.data?.["holder"];
    if (isHolder(holder)) return new InstanceHeldError(holder, failure.message);
  }
  if (failure.type === "TaskFailedError" && failure.inner !== undefined && failure.task !== undefined) {
    const error = new TaskFailedError("task", failure.task, failure.inner, options?.cause);
    error.message = failure.message;
    return error;
  }
  const builtIn = Object.hasOwn(BUILT_IN, failure.type) ? BUILT_IN[failure.type] : undefined;
  if (builtIn !== undefined) return new builtIn(failure.message, options);
  const error = new Error(failure.message, options);
  Object.defineProperty(error, "name", { value: failure.type, configurable: true, writable: true });
  return error;
}

function isHolder(value: unknown): value is Holder {
  if (typeof value !== "object" || value === null) return false;
  return (
    "instanceId" in value &&
    "name" in value &&
    "executionId" in value &&
    "runtimeStatus" in value &&
    "sinceMs" in value &&
    typeof value.sinceMs === "number"
  );
}
