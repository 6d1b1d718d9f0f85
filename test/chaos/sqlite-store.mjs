// A SQLite store that tells of each turn it refused to write: in a file, and at once, for a process that is killed.
import { appendFileSync } from "node:fs";
import { openSqliteStore } from "../../dist/stores/sqlite/store.js";

/** @param witness beside this file lies the one with the refusals, which sqlite-engine.ts reads. */
export async function openTelling(file, witness) {
  const store = await openSqliteStore({ file });
  const commit = async (turns) => {
    const results = await store.commit(turns);
    for (const [index, { accepted }] of results.entries()) {
      if (!accepted) appendFileSync(`${witness}-refused`, `${turns[index].instanceId}\n`);
    }
    return results;
  };
  return new Proxy(store, {
    get(target, key) {
      if (key === "commit") return commit;
      const value = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
