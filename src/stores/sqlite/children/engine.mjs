// Joins a file's hub as its engine and stays until it is killed. Arguments: the file.
import { openSqliteStore } from "../../../../dist/stores/sqlite/store.js";

const store = await openSqliteStore({ file: process.argv[2] });
await store.join({
  id: "engine-child",
  host: "here",
  pid: process.pid,
  sinceMs: Date.now(),
  orchestrations: [],
  activities: [],
});
process.stdout.write("joined\n");
setInterval(() => {}, 1_000);
