import { ContextMisuseError } from "../core/errors.js";
import { Winner } from "./combinators.js";
import { Task } from "./task.js";

/**
 * Runs an orchestrator function of any of the three shapes to its end: `async function`, `function*`
 * (Durable Functions v3) or `async function*` (durabletask-js). One promise stands for all of them.
 */
export async function drive(call: () => unknown): Promise<unknown> {
  const returned = call();
  if (isAsyncGenerator(returned)) return driveAsyncGenerator(returned);
  if (isGenerator(returned)) return driveGenerator(returned);
  return returned;
}

async function driveGenerator(generator: Iterator<unknown, unknown, unknown>): Promise<unknown> {
  let step = generator.next();
  while (step.done !== true) {
    const yielded = step.value;
    try {
      if (!(yielded instanceof Task)) throw notATask(yielded);
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
