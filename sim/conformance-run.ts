// node .sim/sim/conformance-run.js [first|all|NUMBERS] [URL [CASES]]: the conformance suite, on each store until a case of it
// fails: on the stores of one process; or, where the URL of a server is given, on PostgreSQL.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type OpenStore, storeConformance } from "../src/stores/conformance/index.js";
import { holdBackTaskRejections } from "../src/unhandled-rejections.js";
import { postgresForConformance } from "./conformance-postgres.js";
import { memoryForConformance, sqliteForConformance } from "./conformance-stores.js";
import { type Attempt, choiceOf, tryEach } from "./mutants-report.js";

/** Of each race. A guard that is gone fails a case of its own long before. */
const ROUNDS = 20;

const [, , choice, server, cases = ""] = process.argv;
holdBackTaskRejections({ debug: () => {}, info: () => {}, warn: () => {}, error: () => {} });
await (server === undefined ? onStoresOfOneProcess() : onPostgres(server));
process.disconnect?.();

async function onStoresOfOneProcess(): Promise<void> {
  const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "tenure-conformance-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const cases = [
    ...casesOf("memory", "", memoryForConformance(false)),
    ...casesOf("memory", " (shared by leases)", memoryForConformance(true)),
    ...casesOf("sqlite", "", sqliteForConformance(folder, true)),
  ];
  await tryEach(cases, choiceOf(choice));
}

async function onPostgres(url: string): Promise<void> {
  await using postgres = await postgresForConformance(url);
  const asked = new RegExp(cases);
  const attempts = casesOf("postgres", "", postgres.open).filter(({ where }) => asked.test(where));
  await tryEach(attempts, choiceOf(choice));
}

function casesOf(store: string, how: string, open: OpenStore): readonly Attempt[] {
  const cases: Attempt[] = [];
  storeConformance({
    test: (name, run) =>
      cases.push({
        group: store,
        where: `${name}${how}`,
        run: async () => {
          try {
            await run({ skip: () => {} });
            return undefined;
          } catch (error) {
            return error instanceof Error ? error.message : String(error);
          }
        },
      }),
    open,
    rounds: ROUNDS,
  });
  return cases;
}
