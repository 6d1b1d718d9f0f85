import { describe, test } from "vitest";
import { storeConformance } from "../conformance/index.js";
import { MemoryDatabase } from "./database.js";
import { openMemoryStore } from "./store.js";

const HOUR_MS = 60 * 60 * 1000;

describe.each([
  { place: "with one engine", shared: false },
  { place: "whose engines share it by leases", shared: true },
])("the memory store $place", ({ shared }) => {
  storeConformance({
    test,
    rounds: 10_000,
    open: async ({ taskHub }) => {
      const database = new MemoryDatabase();
      // Leases end when a case says so.
      const leases = { now: () => 0, leaseMs: HOUR_MS };
      const open = (hub = taskHub) =>
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
    },
  });
});
