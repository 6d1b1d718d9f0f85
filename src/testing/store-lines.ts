import type { ChangeHint, Store } from "../core/store.js";
import type { VirtualProcess } from "./virtual-clock.js";

/** The store as a process uses it: calls under way count as work of that process. */
export function storeOf(process: VirtualProcess, store: Store): Store {
  return new Proxy(store, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key);
      if (typeof member !== "function") return member;
      return (...args: unknown[]): unknown => {
        const returned: unknown = Reflect.apply(member, target, args);
        return returned instanceof Promise ? process.track(() => returned) : returned;
      };
    },
  });
}

/** A client's store: leads to whichever store the engine uses now, across crashes. */
export class StoreSwitch {
  /** Stays the same object whatever it leads to. */
  readonly store: Store;
  #current: Store;
  readonly #listeners = new Map<(hint: ChangeHint) => void, () => void>();

  constructor(first: Store) {
    this.#current = first;
    this.store = new Proxy(first, { get: (_target, key) => this.#member(key) });
  }

  switchTo(next: Store): void {
    this.#current = next;
    for (const listener of this.#listeners.keys()) {
      this.#listeners.set(listener, next.subscribe(listener));
      listener({ from: "elsewhere" });
    }
  }

  #member(key: string | symbol): unknown {
    if (key === "subscribe") return (listener: (hint: ChangeHint) => void) => this.#subscribe(listener);
    if (key === "close") return () => Promise.resolve(); // the engine's to close
    const member: unknown = Reflect.get(this.#current, key);
    return typeof member === "function" ? member.bind(this.#current) : member;
  }

  #subscribe(listener: (hint: ChangeHint) => void): () => void {
    this.#listeners.set(listener, this.#current.subscribe(listener));
    return () => {
      this.#listeners.get(listener)?.();
      this.#listeners.delete(listener);
    };
  }
}
