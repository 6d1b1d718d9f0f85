import { test } from "vitest";
import { storeConformance } from "../conformance/index.js";
import { MemoryDatabase } from "./database.js";
import { openMemoryStore } from "./store.js";

storeConformance({
  test,
  rounds: 10_000,
  open: async ({ taskHub }) => {
    const database = new MemoryDatabase();
    const store = openMemoryStore({ taskHub, database });
    return {
      store,
      reopen: async () => {
        await store.close();
        return openMemoryStore({ taskHub, database });
      },
      another: async (hub = taskHub) => openMemoryStore({ taskHub: hub, database }),
      dispose: () => store.close(),
    };
  },
});
