import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { MemoryDatabase } from "../../src/stores/memory/database.js";
import { openMemoryStore } from "../../src/stores/memory/store.js";
import { openSqliteStore } from "../../src/stores/sqlite/store.js";
import { FLAWS, operations, TURN_KINDS } from "./operations.js";
import { type Coverage, Pair } from "./pair.js";

/** About 20 seconds; set DIFFERENTIAL_RUNS and DIFFERENTIAL_SEED for more, or for others. */
const RUNS = Number(process.env["DIFFERENTIAL_RUNS"] ?? 300);
const SEED = Number(process.env["DIFFERENTIAL_SEED"] ?? 20_260_101);

/** Also for making a failing sequence short. */
const TIMEOUT_MS = Math.max(120_000, RUNS * 2_000);

/** How many operations are done before everything is compared. */
const COMPARE_EVERY = 10;

test("SQLite and memory give the same answers to the same operations, and hold the same in the end", {
  timeout: TIMEOUT_MS,
}, async () => {
  const coverage: Coverage = new Map();
  await fc.assert(
    fc.asyncProperty(operations, async (sequence) => {
      await using hubs = await openBoth();
      const pair = new Pair(hubs.memory, hubs.sqlite, coverage);
      for (const [index, operation] of sequence.entries()) {
        await pair.do(operation);
        if (index % COMPARE_EVERY === 0) await pair.compare();
      }
      await pair.compare();
    }),
    {
      numRuns: RUNS,
      seed: SEED,
      plugins: [fc.interruptAfterTimeLimit(TIMEOUT_MS - 10_000, { failOnInterrupt: true })],
    },
  );
  const missing = mustHappen.filter((what) => !coverage.has(what));
  expect(missing, "what never happened in any run").toEqual([]);
});

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

async function openBoth() {
  const folder = mkdtempSync(join(tmpdir(), "tenure-differential-"));
  const open = () => openSqliteStore({ file: join(folder, "hub.db"), inline: true });
  const database = new MemoryDatabase();
  const memory = { store: openMemoryStore({ database }), reopen: async () => openMemoryStore({ database }) };
  const sqlite = {
    store: await open(),
    reopen: async () => {
      await sqlite.store.close();
      return open();
    },
  };
  return {
    memory,
    sqlite,
    [Symbol.asyncDispose]: async () => {
      await sqlite.store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
