import { ContextMisuseError } from "../core/errors.js";
import { Winner } from "./combinators.js";
import { Task } from "./task.js";

/**
 * Drives what an orchestrator function of any of the three shapes returned to its end: `async function`,
 * `function*` (Durable Functions v3) or `async function*` (durabletask-js). One promise stands for all.
 *
 * @param onMisuse is told of a generator that yields what is not a task. Such a one is left where it is:
 *   its code is to be fixed, and then goes on from there.
 */
export function drive(returned: unknown, onMisuse: (error: ContextMisuseError) => void): Promise<unknown> {
  if (isAsyncGenerator(returned)) return driveAsyncGenerator(returned);
  if (isGenerator(returned)) return driveGenerator(returned, onMisuse);
  return Promise.resolve(returned);
}

async function driveGenerator(
  generator: Iterator<unknown, unknown, unknown>,
  onMisuse: (error: ContextMisuseError) => void,
): Promise<unknown> {
  let step = generator.next();
  while (step.done !== true) {
    const yielded = step.value;
    if (!(yielded instanceof Task)) {
      onMisuse(notATask(yielded));
      return new Promise(() => {});
    }
    try {
      const value: unknown = await yielded;
      step = generator.next(unboxed(value));
    } catch (error) {
      if (generator.throw === undefined) throw error;
      step = generator.throw(error);
    }
  }
  return step.value;
}

/** `yield` in an async generator awaits by itself: what arrives here has settled. */
async function driveAsyncGenerator(generator: AsyncIterator<unknown, unknown, unknown>): Promise<unknown> {
  let step = await generator.next();
  while (step.done !== true) step = await generator.next(unboxed(step.value));
  return step.value;
}

function unboxed(value: unknown): unknown {
  return value instanceof Winner ? value.task : value;
}

function notATask(yielded: unknown): ContextMisuseError {
  return new ContextMisuseError(
    `The orchestrator yielded ${yielded === null ? "null" : `a value of type ${typeof yielded}`}. Yield only tasks of its context; for several at once, ctx.all([...]).`,
  );
}

function isGenerator(value: unknown): value is Iterator<unknown, unknown, unknown> {
  return isObject(value) && Symbol.iterator in value && "next" in value && "throw" in value;
}

function isAsyncGenerator(value: unknown): value is AsyncIterator<unknown, unknown, unknown> {
  return isObject(value) && Symbol.asyncIterator in value && "next" in value && "throw" in value;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
