import type { Refusal } from "../../core/store.js";

const MAX_PER_ID = 100;
const MAX_PER_HUB = 10_000;

/** The refused starts of a hub, bounded. */
export class Refusals {
  /** Oldest first. */
  readonly #refusals: Refusal[] = [];
  readonly #perId = new Map<string, number>();

  /** Where there is no room for a row, the newest one of the ID stands for this refusal as well. */
  add(refusal: Refusal): void {
    const ofId = this.#perId.get(refusal.instanceId) ?? 0;
    if (ofId < MAX_PER_ID && this.#refusals.length < MAX_PER_HUB) {
      this.#refusals.push(refusal);
      this.#perId.set(refusal.instanceId, ofId + 1);
      return;
    }
    const newest = this.#refusals.findLastIndex(({ instanceId }) => instanceId === refusal.instanceId);
    const counted = this.#refusals[newest];
    if (counted !== undefined) this.#refusals[newest] = { ...counted, count: counted.count + refusal.count };
  }

  /** Newest first. */
  list(instanceId: string | undefined, limit: number): Refusal[] {
    return this.#refusals
      .filter((refusal) => instanceId === undefined || refusal.instanceId === instanceId)
      .reverse()
      .slice(0, limit);
  }
}
