// node .sim/sim/conformance-run.js: the conformance suite on the stores of one process, until a case fails.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Store } from "../src/core/store.js";
import { type OpenStore, storeConformance } from "../src/stores/conformance/index.js";
import { MemoryDatabase } from "../src/stores/memory/database.js";
import { openMemoryStore } from "../src/stores/memory/store.js";
import { openSqliteStore } from "../src/stores/sqlite/store.js";
import { holdBackTaskRejections } from "../src/unhandled-rejections.js";
import { tell } from "./mutants-report.js";

/** Of each race. A guard that is gone fails a case of its own long before. */
const ROUNDS = 20;

const HOUR_MS = 3_600_000;

interface Case {
  readonly where: string;
  readonly run: (context: { skip(): void }) => Promise<void>;
}

holdBackTaskRejections({ debug: () => {}, info: () => {}, warn: () => {}, error: () => {} });
const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "tenure-conformance-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
await runAll([
  ...casesOf("memory", openMemory(false)),
  ...casesOf("memory shared by leases", openMemory(true)),
  ...casesOf("sqlite", openSqlite),
]);

function casesOf(store: string, open: OpenStore): Case[] {
  const cases: Case[] = [];
  storeConformance({
    test: (name, run) => cases.push({ where: `${store}: ${name}`, run }),
    open,
    rounds: ROUNDS,
  });
  return cases;
}

async function runAll(cases: readonly Case[]): Promise<void> {
  try {
    for (const { where, run } of cases) {
      await tell({ kind: "trying", where });
      try {
        await run({ skip: () => {} });
      } catch (error) {
        const check = error instanceof Error ? error.message : String(error);
        await tell({ kind: "caught", where, check });
        return;
      }
    }
    await tell({ kind: "through", tried: cases.length });
  } finally {
    process.disconnect?.();
  }
}

function openMemory(shared: boolean): OpenStore {
  return async ({ taskHub }) => {
    const database = new MemoryDatabase();
    const leases = { now: () => 0, leaseMs: HOUR_MS }; // they end when a case says so
    const open = (hub = taskHub): Store =>
      openMemoryStore({ taskHub: hub, database, ...(shared ? { leases } : {}) });
    const store = open();
    return {
      store,
      reopen: async () => {
        await store.close();
        return open();
      },
      another: async (hub) => open(hub),
      endLease: async (worker) => database.hub(taskHub).leases.expire(worker),
      dispose: () => store.close(),
    };
  };
}

async function openSqlite({ taskHub }: { readonly taskHub: string }): ReturnType<OpenStore> {
  const own = mkdtempSync(join(folder, "case-"));
  const stores: Store[] = [];
  const closeAll = (): Promise<unknown> => Promise.all(stores.map((store) => store.close()));
  const open = async (hub = taskHub): Promise<Store> => {
    const store = await openSqliteStore({ file: join(own, "hub.db"), taskHub: hub, inline: true });
    stores.push(store);
    return store;
  };
  return {
    store: await open(),
    another: open,
    reopen: async () => {
      await closeAll();
      return open();
    },
    dispose: async () => {
      await closeAll();
      rmSync(own, { recursive: true });
    },
  };
}
