import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Store } from "../../src/core/store.js";
import { MemoryDatabase } from "../../src/stores/memory/database.js";
import { openMemoryStore } from "../../src/stores/memory/store.js";
import { openPostgresStore } from "../../src/stores/postgres/store.js";
import { openSqliteStore } from "../../src/stores/sqlite/store.js";
import { dropSchema, freshSchema, postgresUrl, storeUrl } from "../postgres-schema.js";
import { FLAWS, operations, TURN_KINDS } from "./operations.js";
import { type BatchOrder, type Coverage, Pair } from "./pair.js";

/** About 20 seconds; set DIFFERENTIAL_RUNS and DIFFERENTIAL_SEED for more, or for others. */
const RUNS = Number(process.env["DIFFERENTIAL_RUNS"] ?? 300);
const SEED = Number(process.env["DIFFERENTIAL_SEED"] ?? 20_260_101);

/** Also for making a failing sequence short. */
const TIMEOUT_MS = Math.max(120_000, RUNS * 2_000);

/** How many operations are done before everything is compared. */
const COMPARE_EVERY = 10;

interface Opened {
  readonly store: Store;
  readonly reopen: () => Promise<Store>;
}

interface StoreCase {
  readonly name: string;
  readonly runs: number;
  readonly order: BatchOrder;
  readonly open: () => Promise<Opened & AsyncDisposable>;
}

const STORES: readonly StoreCase[] = [
  { name: "SQLite", runs: RUNS, order: "one by one", open: onSqlite },
  // Each operation is a round trip or more, each run a schema of its own.
  { name: "PostgreSQL", runs: Math.ceil(RUNS / 3), order: "side by side", open: onPostgres },
];

test.for(STORES)(
  "$name and memory give the same answers to the same operations, and hold the same in the end",
  {
    timeout: TIMEOUT_MS,
  },
  async ({ runs, order, open }, { skip }) => {
    skip(open === onPostgres && postgresUrl === undefined, "there is no PostgreSQL server here");
    const coverage: Coverage = new Map();
    await fc.assert(
      fc.asyncProperty(operations, async (sequence) => {
        await using other = await open();
        const pair = new Pair(onMemory(), other, coverage, order);
        for (const [index, operation] of sequence.entries()) {
          await pair.do(operation);
          if (index % COMPARE_EVERY === 0) await pair.compare();
        }
        await pair.compare();
      }),
      {
        numRuns: runs,
        seed: SEED,
        plugins: [fc.interruptAfterTimeLimit(TIMEOUT_MS - 10_000, { failOnInterrupt: true })],
      },
    );
    const missing = mustHappen.filter((what) => !coverage.has(what));
    expect(missing, "what never happened in any run").toEqual([]);
  },
);

/** What the runs must have reached to mean anything. */
const mustHappen: readonly string[] = [
  ...["started", "remembered", "replaced", "attached", "returned"].map((outcome) => `start ${outcome}`),
  ...["held", "used", "otherName"].map((reason) => `start refused ${reason}`),
  ...["raise", "suspend", "resume", "terminate"].flatMap((command) =>
    ["done", "ended", "notFound"].map((outcome) => `${command} ${outcome}`),
  ),
  ...["done", "invalidState", "notFound", "started", "attached", "returned"].map(
    (outcome) => `rewind ${outcome}`,
  ),
  ...["purged with none", "purged with children", "invalidState", "notFound"].map(
    (outcome) => `purge ${outcome}`,
  ),
  ...["started", "attached", "returned", "refused otherName", "void"].map(
    (outcome) => `requested start ${outcome}`,
  ),
  ...["done", "ended", "notFound", "void"].map((outcome) => `requested raise ${outcome}`),
  ...["done", "ended", "notFound", "void"].map((outcome) => `requested terminate ${outcome}`),
  ...TURN_KINDS.flatMap((kind) => [`turn ${kind} none accepted`, `turn ${kind} ended refused`]),
  ...FLAWS.filter((flaw) => flaw !== "none").map(
    (flaw) => `turn ${flaw === "mail" ? "end" : "goOn"} ${flaw} refused`,
  ),
  ...["accepted", "refused"].map((outcome) => `recommit ${outcome}`),
  ...["poll", "due", "unfinished", "prune"].map((read) => `${read} some`),
  "record refusal",
  "strike",
  "clearStrikes",
  "reopen",
  "setting present",
  "dropped messages",
  "executions 4",
  ...["runtimeStatus", "name", "instanceIdPrefix", "tags", "createdFromMs", "updatedFromMs"].map(
    (key) => `list by ${key} some`,
  ),
  ...["Pending", "Running", "ContinuedAsNew", "Completed", "Failed", "Terminated", "Canceled"].map(
    (status) => `execution ${status}`,
  ),
];

function onMemory(): Opened {
  const database = new MemoryDatabase();
  return { store: openMemoryStore({ database }), reopen: async () => openMemoryStore({ database }) };
}

async function onSqlite(): Promise<Opened & AsyncDisposable> {
  const folder = mkdtempSync(join(tmpdir(), "tenure-differential-"));
  return opened(
    () => openSqliteStore({ file: join(folder, "hub.db"), inline: true }),
    async () => rmSync(folder, { recursive: true, force: true }),
  );
}

async function onPostgres(): Promise<Opened & AsyncDisposable> {
  const schema = freshSchema();
  return opened(
    () => openPostgresStore({ url: storeUrl(schema) }),
    () => dropSchema(schema),
  );
}

async function opened(
  open: () => Promise<Store>,
  remove: () => Promise<void>,
): Promise<Opened & AsyncDisposable> {
  let store = await open();
  return {
    store,
    reopen: async () => {
      await store.close();
      store = await open();
      return store;
    },
    [Symbol.asyncDispose]: async () => {
      await store.close();
      await remove();
    },
  };
}
