// What the tests of hostile input share: a hub on each store, and what must not have happened afterwards.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { TaskHub, type TaskHubOptions } from "../../src/index.js";
import { dropSchema, freshSchema, postgresUrl, storeUrl } from "../postgres-schema.js";

/** Long enough for a busy machine; a test that waits so long has failed. */
export const SOON = { timeoutMs: 20_000 };

interface StoreCase {
  readonly name: string;
  /** @returns a store's address, and how to remove what it kept. */
  readonly make: () => { readonly store: string; readonly remove: () => Promise<void> };
}

const STORES: readonly StoreCase[] = [
  { name: "memory", make: () => ({ store: "memory", remove: async () => {} }) },
  {
    name: "SQLite",
    make: () => {
      const folder = mkdtempSync(join(tmpdir(), "tenure-hostile-"));
      return {
        store: `sqlite:${join(folder, "hub.db")}`,
        remove: async () => rmSync(folder, { recursive: true }),
      };
    },
  },
  ...(postgresUrl === undefined ? [] : [{ name: "PostgreSQL", make: postgres }]),
];

if (postgresUrl === undefined)
  process.stdout.write("Hostile input: no PostgreSQL server, its cases are left out.\n");

function postgres(): ReturnType<StoreCase["make"]> {
  const schema = freshSchema();
  return { store: storeUrl(schema), remove: () => dropSchema(schema) };
}

/**
 * Runs a subject's tests on every store, with one hub for all of them: what one does must not harm the next. By its
 * name a test file names PostgreSQL, which is what makes the run start a server.
 */
export function onMemorySqliteAndPostgres(
  subject: string,
  functions: TaskHubOptions["functions"],
  tests: (hub: () => TaskHub) => void,
): void {
  describe.each(STORES)(`${subject} ($name)`, ({ make }) => {
    const { store, remove } = make();
    let opened: TaskHub | undefined;
    const hub = (): TaskHub => {
      if (opened === undefined) throw new Error("the hub is not open");
      return opened;
    };
    beforeAll(async () => {
      opened = await TaskHub.open({ store, functions });
    });
    afterAll(async () => {
      await opened?.close({ drainMs: 0 });
      await remove();
    });
    tests(hub);
  });
}

/** Runs a subject's tests on each store that outlives its process, empty at the first of them. */
export function onSqliteAndPostgres(subject: string, tests: (store: string, name: string) => void): void {
  describe.each(STORES.filter(({ name }) => name !== "memory"))(`${subject} ($name)`, ({ name, make }) => {
    const { store, remove } = make();
    afterAll(remove);
    tests(store, name);
  });
}

/** What a call that must be refused was refused with; fails where it was not. */
export async function refusalOf(call: () => unknown): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new Error("it was accepted");
}

/** The members that every object has, as they were before any test. */
const PROTOTYPE = Object.getOwnPropertyNames(Object.prototype).sort();

/** Nothing that came in has changed what all objects share. */
export function expectNoPollution(): void {
  expect(Object.getOwnPropertyNames(Object.prototype).sort()).toEqual(PROTOTYPE);
  expect(Reflect.get({}, "polluted")).toBeUndefined();
}

/** Calls a method as JavaScript lets one: with arguments that its types forbid. */
export function misuse(target: object, method: string, ...args: unknown[]): unknown {
  const found: unknown = Reflect.get(target, method);
  if (typeof found !== "function") throw new TypeError(`${method} is no method`);
  const answer: unknown = Reflect.apply(found, target, args);
  return answer;
}
