// What users' tests import: the real engine on a memory store, under a clock that the test moves.

import { MemoryDatabase } from "../stores/memory/database.js";
import { openMemoryStore } from "../stores/memory/store.js";
import { TestHub, type TestHubOptions } from "./test-hub.js";

export { NothingWillHappenError, type SettleOptions, TestHub, type TestHubOptions } from "./test-hub.js";

/** Opens a task hub on a memory store of its own, under a virtual clock. */
export async function openTestHub(options: TestHubOptions): Promise<TestHub> {
  const database = new MemoryDatabase();
  return TestHub.open(options, async () => openMemoryStore({ database }));
}
