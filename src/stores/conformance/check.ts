import type { OpenedStore, TestHub } from "./test-hub.js";

/** The caller's test function: vitest's, node:test's, or another one that gives its tests a context with `skip`. */
export type TestFunction = (
  name: string,
  run: (context: { skip(reason?: string): void }) => Promise<void>,
) => unknown;

/** Opens a task hub of this name on data of its own: each case gets one. */
export type OpenStore = (options: { readonly taskHub: string }) => Promise<OpenedStore>;

/** Declares a case; its name is a sentence about behaviour. */
export type Check = (name: string, run: (hub: TestHub) => Promise<void>) => void;
