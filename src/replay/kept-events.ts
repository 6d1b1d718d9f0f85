import type { IncomingEvent } from "../core/history.js";

type EventRaised = IncomingEvent & { readonly type: "EventRaised" };

interface Kept {
  readonly event: EventRaised;
  /** Its place in the order of arrival. */
  readonly place: number;
}

/**
 * External events that no wait has taken, by name without regard to case. Taking one costs as much as ever,
 * however many of other names there are.
 */
export class KeptEvents {
  readonly #byName = new Map<string, Kept[]>();
  #places = 0;

  add(event: EventRaised): void {
    const key = event.name.toLowerCase();
    const kept = { event, place: this.#places++ };
    const sameName = this.#byName.get(key);
    if (sameName === undefined) this.#byName.set(key, [kept]);
    else sameName.push(kept);
  }

  /** The first that came of this name, which is lower-cased; it is no longer kept. */
  take(key: string): EventRaised | undefined {
    const sameName = this.#byName.get(key);
    const first = sameName?.shift();
    if (sameName?.length === 0) this.#byName.delete(key);
    return first?.event;
  }

  /** All of them, in order of arrival. */
  inOrder(): EventRaised[] {
    const all = [...this.#byName.values()].flat();
    return all.toSorted((a, b) => a.place - b.place).map(({ event }) => event);
  }
}
