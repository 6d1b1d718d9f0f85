/** How long a thread stays awake for the other one's message: about what a small commit takes on a good disk. */
export const AWAKE_MS = 0.4;

/** A commit of few operations: somebody waits for that one, and the next follows from it. */
export function isLone(operations: readonly unknown[]): boolean {
  return operations.length <= 4;
}

/**
 * Keeps this thread's event loop turning for a short while, so that a message which is about to come finds
 * it awake: on a machine whose cores sleep, being woken takes 0.1 ms, half as long as a flush. The loop is
 * never blocked, and a busy one, whose commits are large, is left alone.
 */
export class Vigil {
  #untilMs = 0;
  #turning = false;

  /** Awake for so long from now, or until it ends. */
  keep(ms: number): void {
    this.#untilMs = performance.now() + ms;
    if (this.#turning) return;
    this.#turning = true;
    setImmediate(this.#turn);
  }

  end(): void {
    this.#untilMs = 0;
  }

  readonly #turn = (): void => {
    if (performance.now() < this.#untilMs) setImmediate(this.#turn);
    else this.#turning = false;
  };
}
