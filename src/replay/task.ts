import { ContextMisuseError } from "../core/errors.js";

/** Where tasks tell what happens to them: the orchestration that they belong to. */
export interface TaskScope {
  /** A pending task is awaited: the orchestration is parked on something of its own. */
  awaited(task: object): void;
  /** A task that was awaited has settled. */
  settled(task: object): void;
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
  readonly #promise: Promise<T>;
  readonly #listeners: (() => void)[] = [];
  // Methods, so that a task of a string is a task of unknown.
  #settle: { resolve(value: T): void; reject(error: unknown): void } = {
    resolve: () => {},
    reject: () => {},
  };
  #state: State<T> = { kind: "pending" };

  constructor(scope: TaskScope) {
    this.#scope = scope;
    this.#promise = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    // A failure that the orchestrator does not look at is no unhandled rejection of the process.
    this.#promise.catch(() => {});
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
    if (this.#state.kind === "pending") this.#scope.awaited(this);
    return this.#promise.then(onCompleted, onFailed);
  }

  catch<B = never>(onFailed?: ((error: unknown) => B | PromiseLike<B>) | null): Promise<T | B> {
    return this.then(undefined, onFailed);
  }

  finally(onSettled?: (() => void) | null): Promise<T> {
    if (this.#state.kind === "pending") this.#scope.awaited(this);
    return this.#promise.finally(onSettled);
  }

  /** `yield* task` in a generator orchestrator: typed, where `yield task` is not. */
  *[Symbol.iterator](): Generator<Task<T>, T, unknown> {
    yield this;
    return this.result();
  }

  /** Calls the listener once it has settled, within the delivery that settles it. */
  onSettled(listener: () => void): void {
    if (this.#state.kind === "pending") this.#listeners.push(listener);
    else listener();
  }

  /** Settles it; the first time counts. For the engine. */
  complete(value: T): void {
    if (this.#state.kind !== "pending") return;
    this.#state = { kind: "completed", value };
    this.#settle.resolve(value);
    this.#afterSettling();
  }

  /** Settles it as failed; the first time counts. For the engine. */
  fail(error: unknown): void {
    if (this.#state.kind !== "pending") return;
    this.#state = { kind: "failed", error };
    this.#settle.reject(error);
    this.#afterSettling();
  }

  #afterSettling(): void {
    this.#scope.settled(this);
    for (const listener of this.#listeners.splice(0)) listener();
  }
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
