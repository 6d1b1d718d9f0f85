// The recorded process: a hub with its default settings, closed and opened again in the middle, killed at the end.
import { openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { TaskHub } from "tenure";
import { HUB } from "./disk.js";
import { SAID_FILE, type Said } from "./said.js";
import { functionsOf, live } from "./workload.js";

const [folder = "", stories = "", padding = ""] = process.argv.slice(2);

const file = openSync(join(folder, SAID_FILE), "wx");
const say = (said: Said): void => {
  writeSync(file, `${JSON.stringify(said)}\n`);
};

for (const life of ["first", "second"]) {
  const functions = functionsOf(say);
  const hub = await TaskHub.open({
    store: `sqlite:${join(folder, HUB)}`,
    functions: Object.values(functions),
  });
  const ids = Array.from({ length: Number(stories) }, (_, index) => `${life}-${index}`);
  await live(hub, functions, say, { ids, atOnce: 12, padding: Number(padding) });
  if (life === "first") await hub.close();
}
process.kill(process.pid, "SIGKILL");
