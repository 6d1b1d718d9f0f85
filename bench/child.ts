import { raws } from "./raw.js";
import { recovery } from "./recovery.js";
import { runScenario } from "./scenarios.js";

// One scenario per process: `node child.js scenario NAME`, `raw NAME GROUP`, `recovery ROLE FOLDER`.
const [kind, name, argument] = process.argv.slice(2);
const figures = await run();
if (figures !== undefined) process.stdout.write(`${JSON.stringify(figures)}\n`);

async function run(): Promise<Record<string, number> | undefined> {
  if (name === undefined) throw new Error("usage: child.js scenario|raw|recovery NAME [ARGUMENT]");
  switch (kind) {
    case "scenario":
      return runScenario(name);
    case "raw":
      return raws(name, Number(argument ?? 1));
    case "recovery":
      return recovery(name, argument ?? "");
    default:
      throw new Error(`unknown kind ${kind}`);
  }
}
