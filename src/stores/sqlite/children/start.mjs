// Starts instances one after the other, or all at once, and prints each ID once it is accepted, then "held"
// lines for those that were refused. Arguments: the file, how many, the prefix of their IDs, "inline" or "thread".
import { startPolicy } from "../../../../dist/core/start-policy.js";
import { openSqliteStore } from "../../../../dist/stores/sqlite/store.js";

const [file, count, prefix, mode] = process.argv.slice(2);
const store = await openSqliteStore({ file, inline: mode === "inline" });
for (let index = 0; index < Number(count); index++) {
  const instanceId = `${prefix}${index}`;
  const [answer] = await store.execute([
    {
      kind: "start",
      instanceId,
      atMs: Date.now(),
      name: "Order",
      tags: {},
      executionId: `${process.pid}-${index}`.padStart(32, "0"),
      policy: startPolicy(),
    },
  ]);
  process.stdout.write(`${answer.outcome} ${instanceId}\n`);
}
// No close: what was answered must be there all the same, and an open store must not keep the process alive.
