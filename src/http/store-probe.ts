/** How long an answer of the store's is good for, in milliseconds: a probe asks more rarely. */
const GOOD_FOR_MS = 1000;

/**
 * Whether the store answers. Asked at most once a second and once at a time, however many ask us: anybody may, and
 * each look is a query.
 */
export class StoreProbe {
  readonly #look: () => Promise<unknown>;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #looking = false;
  #answers: Promise<boolean> = Promise.resolve(false);

  constructor(look: () => Promise<unknown>) {
    this.#look = look;
  }

  answers(): Promise<boolean> {
    if (!this.#looking && performance.now() - this.#lookedAtMs >= GOOD_FOR_MS) this.#answers = this.#ask();
    return this.#answers;
  }

  async #ask(): Promise<boolean> {
    this.#looking = true;
    this.#lookedAtMs = performance.now();
    try {
      await this.#look();
      return true;
    } catch {
      return false; // why is in the store's log; a probe only needs the answer
    } finally {
      this.#looking = false;
    }
  }
}
