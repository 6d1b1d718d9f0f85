import { Task, type TaskScope } from "./task.js";

/** The results of a tuple or array of tasks. */
export type Results<T extends readonly Task<unknown>[]> = { -readonly [K in keyof T]: Awaited<T[K]> };

/** The settled results of a tuple or array of tasks. */
export type SettledResults<T extends readonly Task<unknown>[]> = {
  -readonly [K in keyof T]: PromiseSettledResult<Awaited<T[K]>>;
};

/** Promise.all over tasks: all results, or the first failure in the order of the history. */
export function all<T>(scope: TaskScope, tasks: readonly Task<T>[]): Task<T[]> {
  const outer = new Task<T[]>(scope);
  let left = tasks.length;
  if (left === 0) outer.complete([]);
  for (const task of tasks) {
    task.onSettled(() => {
      left -= 1;
      if (task.isFaulted) outer.fail(errorOf(task));
      else if (left === 0) outer.complete(tasks.map((each) => each.result()));
    });
  }
  return outer;
}

/** Promise.allSettled over tasks. Never fails. */
export function allSettled<T>(scope: TaskScope, tasks: readonly Task<T>[]): Task<PromiseSettledResult<T>[]> {
  const outer = new Task<PromiseSettledResult<T>[]>(scope);
  let left = tasks.length;
  const finish = (): void =>
    outer.complete(
      tasks.map((task) =>
        task.isFaulted
          ? { status: "rejected", reason: errorOf(task) }
          : { status: "fulfilled", value: task.result() },
      ),
    );
  if (left === 0) finish();
  for (const task of tasks) {
    task.onSettled(() => {
      left -= 1;
      if (left === 0) finish();
    });
  }
  return outer;
}

/** Promise.any over tasks: the first to complete, or an AggregateError when all have failed. */
export function any<T>(scope: TaskScope, tasks: readonly Task<T>[]): Task<T> {
  const outer = new Task<T>(scope);
  let left = tasks.length;
  if (left === 0) outer.fail(new AggregateError([], "All tasks failed: there were none."));
  for (const task of tasks) {
    task.onSettled(() => {
      left -= 1;
      if (!task.isFaulted) outer.complete(task.result());
      else if (left === 0) outer.fail(new AggregateError(tasks.map(errorOf), "All tasks failed."));
    });
  }
  return outer;
}

/** Promise.race over tasks: the first to settle decides. */
export function race<T>(scope: TaskScope, tasks: readonly Task<T>[]): Task<T> {
  const outer = new Task<T>(scope);
  for (const task of tasks) {
    task.onSettled(() => {
      if (task.isFaulted) outer.fail(errorOf(task));
      else outer.complete(task.result());
    });
  }
  return outer;
}

/** Durable Functions' Task.any: tells which task settled first, whether it completed or failed. */
export function whenAny<T extends Task<unknown>>(scope: TaskScope, tasks: readonly T[]): Task<Winner<T>> {
  const outer = new Task<Winner<T>>(scope);
  for (const task of tasks) task.onSettled(() => outer.complete(new Winner(task)));
  return outer;
}

/**
 * The winner of whenAny, in a box: promises resolve through what is thenable, so a task that resolved
 * to a task would be awaited itself. `await` and `yield*` give the box, a plain `yield` its task, as in
 * Durable Functions.
 */
export class Winner<T extends Task<unknown>> {
  constructor(readonly task: T) {}
}

function errorOf(task: Task<unknown>): unknown {
  try {
    task.result();
    return undefined;
  } catch (error) {
    return error;
  }
}
