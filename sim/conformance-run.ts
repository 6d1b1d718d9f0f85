// node .sim/sim/conformance-run.js: the conformance suite on the stores of one process, until a case fails.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type OpenStore, storeConformance } from "../src/stores/conformance/index.js";
import { holdBackTaskRejections } from "../src/unhandled-rejections.js";
import { memoryForConformance, sqliteForConformance } from "./conformance-stores.js";
import { tell } from "./mutants-report.js";

/** Of each race. A guard that is gone fails a case of its own long before. */
const ROUNDS = 20;

interface Case {
  readonly where: string;
  readonly run: (context: { skip(): void }) => Promise<void>;
}

holdBackTaskRejections({ debug: () => {}, info: () => {}, warn: () => {}, error: () => {} });
const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "tenure-conformance-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
await runAll([
  ...casesOf("memory", memoryForConformance(false)),
  ...casesOf("memory shared by leases", memoryForConformance(true)),
  ...casesOf("sqlite", sqliteForConformance(folder, true)),
]);

function casesOf(store: string, open: OpenStore): Case[] {
  const cases: Case[] = [];
  storeConformance({
    test: (name, run) => cases.push({ where: `${store}: ${name}`, run }),
    open,
    rounds: ROUNDS,
  });
  return cases;
}

async function runAll(cases: readonly Case[]): Promise<void> {
  try {
    for (const { where, run } of cases) {
      await tell({ kind: "trying", where });
      try {
        await run({ skip: () => {} });
      } catch (error) {
        const check = error instanceof Error ? error.message : String(error);
        await tell({ kind: "caught", where, check });
        return;
      }
    }
    await tell({ kind: "through", tried: cases.length });
  } finally {
    process.disconnect?.();
  }
}
