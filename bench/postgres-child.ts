import { raws } from "./postgres-raw.js";
import { runScenario } from "./postgres-scenarios.js";
import type { Figures } from "./report.js";

// One scenario per process: `node postgres-child.js URL scenario NAME`, `URL raw NAME GROUP`.
const [url, kind, name, argument] = process.argv.slice(2);
const figures = await run();
process.stdout.write(`${JSON.stringify(figures)}\n`);

async function run(): Promise<Figures> {
  if (url === undefined || name === undefined)
    throw new Error("usage: postgres-child.js URL scenario|raw NAME [GROUP]");
  switch (kind) {
    case "scenario":
      return runScenario(url, name);
    case "raw":
      return raws(url, name, Number(argument ?? 1));
    default:
      throw new Error(`unknown kind ${kind}`);
  }
}
