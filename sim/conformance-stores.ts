import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Store } from "../src/core/store.js";
import type { OpenStore } from "../src/stores/conformance/index.js";
import { MemoryDatabase } from "../src/stores/memory/database.js";
import { openMemoryStore } from "../src/stores/memory/store.js";
import { openSqliteStore } from "../src/stores/sqlite/store.js";

const HOUR_MS = 60 * 60 * 1000;

/** The memory store for the conformance suite; `shared` by leases, which end when a case says so. */
export function memoryForConformance(shared: boolean): OpenStore {
  return async ({ taskHub }) => {
    const database = new MemoryDatabase();
    const leases = { now: () => 0, leaseMs: HOUR_MS };
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

/** The SQLite store for the conformance suite: a file for each case, in a folder of its own beneath this one. */
export function sqliteForConformance(folder: string, inline: boolean): OpenStore {
  return async ({ taskHub }) => {
    const own = await mkdtemp(join(folder, "tenure-"));
    const stores: Store[] = [];
    const closeAll = (): Promise<unknown> => Promise.all(stores.map((store) => store.close()));
    const open = async (hub = taskHub): Promise<Store> => {
      const store = await openSqliteStore({ file: join(own, "hub.db"), taskHub: hub, inline });
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
        await rm(own, { recursive: true });
      },
    };
  };
}
