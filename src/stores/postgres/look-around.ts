/** Between two looks for what others wrote: soon after something happened, seldom while nothing does. */
const FIRST_MS = 20;
const LONGEST_MS = 1_000;

/**
 * Tells at growing intervals that others may have written, for where nobody says so. Each time that there is
 * something to see it begins anew with short ones.
 */
export class LookAround {
  readonly #look: () => void;
  #timer: NodeJS.Timeout | undefined;
  #intervalMs = FIRST_MS;
  #on = false;
  #heard = false;
  /** The highest number of a message that was ever seen. */
  #highest = 0;

  constructor(look: () => void) {
    this.#look = look;
  }

  set(on: boolean): void {
    this.#on = on;
    this.#intervalMs = FIRST_MS;
    this.#again();
  }

  /** Whether others are heard when they write: then a look is for what went unheard. */
  hears(heard: boolean): void {
    this.#heard = heard;
    if (!heard) this.sawSomething();
  }

  /** Something has happened: more may follow soon. */
  sawSomething(): void {
    if (this.#heard || this.#intervalMs === FIRST_MS) return;
    this.#intervalMs = FIRST_MS;
    this.#again();
  }

  /**
   * Messages up to this number were read, which this process may have written itself. Those that wait for long, as
   * for an instance that is parked, are seen each time; they are no news.
   */
  sawMessages(highest = 0, wroteSome = false): void {
    if (highest <= this.#highest) return;
    this.#highest = highest;
    if (!wroteSome) this.sawSomething();
  }

  #again(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#on) return;
    // Not all processes at the same moment.
    const pauseMs = (this.#heard ? LONGEST_MS : this.#intervalMs) * (0.8 + 0.4 * Math.random());
    this.#timer = setTimeout(() => {
      this.#intervalMs = Math.min(2 * this.#intervalMs, LONGEST_MS);
      this.#again();
      this.#look();
    }, pauseMs);
  }
}
