/** So many instances are remembered. */
const LIMIT = 2_000;

/** A moment, for {@link ChangeLog.since}. */
export type Moment = number;

/** Remembers for a while which instances were said to have changed, in what order. */
export class ChangeLog {
  /** In the order of their last changes. */
  readonly #last = new Map<string, Moment>();
  #now: Moment = 0;
  /** Of what came before nothing is known any more. */
  #from: Moment = 0;

  get now(): Moment {
    return this.#now;
  }

  /** Whether this instance may have changed since then. */
  since(moment: Moment, instanceId: string): boolean {
    return moment < this.#from || (this.#last.get(instanceId) ?? 0) > moment;
  }

  add(instanceId: string): void {
    this.#now += 1;
    this.#last.delete(instanceId);
    this.#last.set(instanceId, this.#now);
    if (this.#last.size <= LIMIT) return;
    for (const [oldest, moment] of this.#last) {
      this.#last.delete(oldest);
      this.#from = moment;
      return;
    }
  }

  /** Anything may have changed. */
  addAll(): void {
    this.#now += 1;
    this.#from = this.#now;
    this.#last.clear();
  }
}
