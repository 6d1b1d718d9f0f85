import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect } from "vitest";
import type { Store } from "../../src/core/store.js";
import { MemoryDatabase } from "../../src/stores/memory/database.js";
import { openMemoryStore } from "../../src/stores/memory/store.js";
import { openSqliteStore } from "../../src/stores/sqlite/store.js";
import { TestHub, type TestHubOptions } from "../../src/testing/test-hub.js";

/** Opens a hub for one test; closed, and its data removed, when the test has ended. */
export type OpenHub = (
  functions: TestHubOptions["functions"],
  options?: Omit<TestHubOptions, "functions">,
  /** Puts something between the engine and its store, e.g. to damage what it reads. */
  wrap?: (store: Store) => Store,
) => Promise<TestHub>;

interface StoreCase {
  readonly name: string;
  readonly replayEveryTurn: boolean;
  /** @returns how the same data is opened, again and again. */
  readonly data: () => Promise<{ readonly open: () => Promise<Store>; readonly remove: () => Promise<void> }>;
}

const memory: StoreCase["data"] = async () => {
  const database = new MemoryDatabase();
  return { open: async () => openMemoryStore({ database }), remove: async () => {} };
};

const sqlite: StoreCase["data"] = async () => {
  const folder = await mkdtemp(join(tmpdir(), "tenure-test-"));
  return {
    open: () => openSqliteStore({ file: join(folder, "hub.db"), inline: true }),
    remove: () => rm(folder, { recursive: true }),
  };
};

const STORES: readonly StoreCase[] = [
  { name: "memory, replaying at every turn", replayEveryTurn: true, data: memory },
  { name: "memory", replayEveryTurn: false, data: memory },
  { name: "sqlite", replayEveryTurn: false, data: sqlite },
];

/** Runs a subject's tests on every store. */
export function onEveryStore(subject: string, tests: (open: OpenHub) => void): void {
  describe.each(STORES)(`${subject} ($name)`, ({ replayEveryTurn, data }) => {
    const opened: (() => Promise<void>)[] = [];
    afterEach(async () => {
      for (const close of opened.splice(0)) await close();
    });
    tests(async (functions, options = {}, wrap = (store) => store) => {
      const { open, remove } = await data();
      const hub = await TestHub.open({ replayEveryTurn, ...options, functions }, async () =>
        wrap(await open()),
      );
      opened.push(async () => {
        await hub.close();
        await remove();
      });
      return hub;
    });
  });
}

/** For what must have happened by now: fails at once where it has not. */
export const NOW = { timeoutMs: 0 };

/** A store of which some methods are others. */
export function storeWith(store: Store, methods: Partial<Store>): Store {
  return new Proxy(store, {
    get(target, key) {
      const own: unknown = Reflect.get(methods, key);
      if (own !== undefined) return own;
      const member: unknown = Reflect.get(target, key);
      if (typeof member !== "function") return member;
      return (...args: unknown[]): unknown => Reflect.apply(member, target, args);
    },
  });
}

/** A promise that a test settles: to hold an activity until the test says so. */
export interface Gate<T = void> {
  readonly passed: Promise<T>;
  readonly open: (value: T) => void;
}

export function gate<T = void>(): Gate<T> {
  let open: (value: T) => void = () => {};
  const passed = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { passed, open };
}

/** Stands for any text with this in it, where a value is compared with an expected one. */
export function textWith(part: string): unknown {
  return expect.stringContaining(part);
}

/** Stands for any text of this form. */
export function textLike(form: RegExp): unknown {
  return expect.stringMatching(form);
}
