import { ContextMisuseError } from "../core/errors.js";

/** Where tasks tell what happens to them: the orchestration that they belong to. */
export interface TaskScope {
  /** One more, or one fewer, pending task is awaited: the orchestration is parked on something of its own. */
  countAwaited(change: 1 | -1): void;
}

type State<T> =
  | { readonly kind: "pending" }
  | { readonly kind: "completed"; readonly value: T }
  | { readonly kind: "failed"; readonly error: unknown };

/**
 * Something an orchestration waits for. `await` it, `yield*` it (typed) or `yield` it; use it with
 * Promise.all and Promise.race or the context's own all, any, race, allSettled and whenAny. Settles
 * in the order of the history, live and in replay alike.
 */
export class Task<T> implements PromiseLike<T> {
  readonly #scope: TaskScope;
  #state: State<T> = { kind: "pending" };
  /**
   * Made when somebody first awaits it: of a wide fan-out, nobody awaits the single tasks, and a failure
   * that nobody looks at is no unhandled rejection of the process.
   */
  #deferred: Deferred<T> | undefined;
  #listeners: (() => void)[] | undefined;

  constructor(scope: TaskScope) {
    this.#scope = scope;
  }

  /** Whether it has completed or failed. */
  get isCompleted(): boolean {
    return this.#state.kind !== "pending";
  }

  /** Whether it has failed. */
  get isFaulted(): boolean {
    return this.#state.kind === "failed";
  }

  /** The result of a completed task; throws the error of a failed one. */
  result(): T {
    switch (this.#state.kind) {
      case "completed":
        return this.#state.value;
      case "failed":
        throw this.#state.error;
      case "pending":
        throw new ContextMisuseError(
          "The task is pending: await it, or look at isCompleted, before its result.",
        );
    }
  }

  // oxlint-disable-next-line unicorn/no-thenable -- being awaitable is what a task is for
  then<A = T, B = never>(
    onCompleted?: ((value: T) => A | PromiseLike<A>) | null,
    onFailed?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#promise().then(onCompleted, onFailed);
  }

  catch<B = never>(onFailed?: ((error: unknown) => B | PromiseLike<B>) | null): Promise<T | B> {
    return this.#promise().catch(onFailed);
  }

  finally(onSettled?: (() => void) | null): Promise<T> {
    return this.#promise().finally(onSettled);
  }

  /** `yield* task` in a generator orchestrator: typed, where `yield task` is not. */
  *[Symbol.iterator](): Generator<Task<T>, T, unknown> {
    yield this;
    return this.result();
  }

  /** Calls the listener once it has settled, within the delivery that settles it. */
  onSettled(listener: () => void): void {
    if (this.#state.kind !== "pending") listener();
    else if (this.#listeners === undefined) this.#listeners = [listener];
    else this.#listeners.push(listener);
  }

  /** Settles it; the first time counts. For the engine. */
  complete(value: T): void {
    this.#settle({ kind: "completed", value });
  }

  /** Settles it as failed; the first time counts. For the engine. */
  fail(error: unknown): void {
    this.#settle({ kind: "failed", error });
  }

  #settle(state: State<T>): void {
    if (this.#state.kind !== "pending") return;
    this.#state = state;
    if (this.#deferred !== undefined) {
      this.#scope.countAwaited(-1);
      settleDeferred(this.#deferred, state);
    }
    const listeners = this.#listeners;
    this.#listeners = undefined;
    for (const listener of listeners ?? []) listener();
  }

  #promise(): Promise<T> {
    if (this.#deferred === undefined) {
      this.#deferred = defer();
      if (this.#state.kind === "pending") this.#scope.countAwaited(1);
      else settleDeferred(this.#deferred, this.#state);
    }
    return this.#deferred.promise;
  }
}

/** Methods, so that a task of a string is a task of unknown. */
interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

const NOT_YET = { resolve: () => {}, reject: () => {} };

function defer<T>(): Deferred<T> {
  let settle: Pick<Deferred<T>, "resolve" | "reject"> = NOT_YET;
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject };
  });
  return { promise, resolve: settle.resolve, reject: settle.reject };
}

function settleDeferred<T>(deferred: Deferred<T>, state: State<T>): void {
  if (state.kind === "completed") deferred.resolve(state.value);
  else if (state.kind === "failed") deferred.reject(state.error);
}

/** A task that can be given up: a durable timer, or a wait for an external event. */
export class CancelableTask<T> extends Task<T> {
  readonly #onCancel: () => void;
  #canceled = false;

  constructor(scope: TaskScope, onCancel: () => void) {
    super(scope);
    this.#onCancel = onCancel;
  }

  get isCanceled(): boolean {
    return this.#canceled;
  }

  /** Gives it up. Does nothing once it has completed. */
  cancel(): void {
    if (this.isCompleted || this.#canceled) return;
    this.#canceled = true;
    this.#onCancel();
  }
}
