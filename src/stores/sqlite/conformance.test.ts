import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test, vi } from "vitest";
import type { Store } from "../../core/store.js";
import { storeConformance } from "../conformance/index.js";
import { openSqliteStore } from "./store.js";

/** Ten thousand rounds of a race take a while on a busy machine. */
vi.setConfig({ testTimeout: 900_000 });

describe.each([
  { place: "in a thread of its own", inline: false },
  { place: "inline", inline: true },
])("the SQLite store $place", ({ inline }) => {
  storeConformance({
    test,
    rounds: 10_000,
    open: async ({ taskHub }) => {
      const folder = await mkdtemp(join(tmpdir(), "tenure-"));
      const file = join(folder, "hub.db");
      const stores: Store[] = [];
      const open = async (hub = taskHub): Promise<Store> => {
        const store = await openSqliteStore({ file, taskHub: hub, inline });
        stores.push(store);
        return store;
      };
      return {
        store: await open(),
        another: open,
        reopen: async () => {
          await Promise.all(stores.map((store) => store.close()));
          return open();
        },
        dispose: async () => {
          await Promise.all(stores.map((store) => store.close()));
          await rm(folder, { recursive: true });
        },
      };
    },
  });
});
