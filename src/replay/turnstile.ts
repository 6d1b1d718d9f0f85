/**
 * Lets one turn at a time run user code. Turns only compute, so nothing is lost by it; and whatever
 * happens meanwhile (a blocked event loop, an unhandled rejection) is that turn's.
 */
export class Turnstile {
  #held = false;
  readonly #waiting: (() => void)[] = [];

  async enter(): Promise<void> {
    if (!this.#held) {
      this.#held = true;
      return;
    }
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  /** Hands over to whoever waits longest. */
  leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#held = false;
    else next();
  }
}
