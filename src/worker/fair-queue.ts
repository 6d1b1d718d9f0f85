/** What waits for its turn: by turns between keys, and for one key in the order in which it came. */
export class FairQueue<T> {
  readonly #lines = new Map<number, { readonly items: T[]; head: number }>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(key: number, item: T): void {
    const line = this.#lines.get(key);
    if (line === undefined) this.#lines.set(key, { items: [item], head: 0 });
    else line.items.push(item);
    this.#size += 1;
  }

  /** Takes from the key whose last turn is the longest ago. */
  shift(): T | undefined {
    for (const [key, line] of this.#lines) {
      const item = line.items[line.head++];
      this.#lines.delete(key);
      if (line.head < line.items.length) this.#lines.set(key, line);
      this.#size -= 1;
      return item;
    }
    return undefined;
  }
}
