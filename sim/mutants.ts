// npm run sim:mutants [-- --schedules N --only NAME --write --postgres --at-once N]
// Takes the engine's guards out, one by one and beside what masks them: the simulation and the conformance suite must
// notice each. With --postgres, those of the PostgreSQL store.
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { besideName, type Mutant, type Trial, trialsOf } from "./mutant.js";
import { MUTANTS } from "./mutant-list.js";
import { POSTGRES_MUTANTS } from "./mutant-list-postgres.js";
import { type Doors, type Fate, fatesOf, type Verdict } from "./mutants-fate.js";
import { startPostgres } from "./mutants-postgres.js";
import { editedSources } from "./mutants-unfold.js";

const { values } = parseArgs({
  options: {
    schedules: { type: "string", default: "150" },
    only: { type: "string", multiple: true },
    "at-once": { type: "string", default: "2" },
    /** The PostgreSQL store's guards, against the conformance suite on a server. */
    postgres: { type: "boolean", default: false },
    /** Puts the table into docs/mutants.md. */
    write: { type: "boolean", default: false },
  },
});

const PAGE = new URL("../../docs/mutants.md", import.meta.url);
const TABLE = [
  `<!-- table: npm run sim:mutants -- ${values.postgres ? "--postgres " : ""}--write -->`,
  "<!-- end of the table -->",
] as const;

/** What may stand in for a guard: that store's own first. */
const MASKS = values.postgres ? [...POSTGRES_MUTANTS, ...MUTANTS] : MUTANTS;

process.exitCode = await main();

async function main(): Promise<number> {
  const seeds = Number(values.schedules);
  if (!Number.isSafeInteger(seeds) || seeds < 1) throw new RangeError("--schedules must be a number above 0");
  const all = values.postgres ? POSTGRES_MUTANTS : MUTANTS;
  const chosen = all.filter(({ name }) => values.only?.includes(name) ?? true);
  if (chosen.length === 0) throw new RangeError(`no mutant is called ${values.only?.join(", ")}`);
  // All must fit before one is tried.
  for (const mutant of all) {
    for (const { name, beside, edits } of trialsOf(mutant, MASKS)) editedSources(name, [...beside, ...edits]);
  }
  if (!values.postgres) return tryAll(chosen, { seeds });
  await using server = await startPostgres();
  return await tryAll(chosen, { seeds, server: server.url });
}

async function tryAll(chosen: readonly Mutant[], doors: Doors): Promise<number> {
  const beganMs = performance.now();
  const whole = await fatesOf({ name: "none", guard: "", edits: [], beside: [] }, doors);
  if ([whole.simulation, whole.conformance].some(({ kind }) => kind === "killed" || kind === "broken")) {
    console.error(`The unchanged engine fails, so nothing is shown:\n${line(whole)}`);
    return 1;
  }
  console.log(line(whole));
  const trials = chosen.flatMap((mutant) => trialsOf(mutant, MASKS));
  const verdicts = await inTurn(trials, async (trial) => {
    const verdict = await fatesOf(trial, doors);
    console.log(line(verdict));
    return verdict;
  });
  const seconds = Math.round((performance.now() - beganMs) / 1000);
  return summarize(verdicts, seconds);
}

/** Some at a time, in order. */
async function inTurn<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const done: R[] = [];
  const left = [...items.entries()];
  const lane = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [at, item] = next;
      done[at] = await work(item);
    }
  };
  await Promise.all(Array.from({ length: Number(values["at-once"]) }, lane));
  return done;
}

// --- what is said of it ---------------------------------------------------------------------------------------------

function line({ trial, simulation, conformance }: Verdict): string {
  return `${trial.name}\n    simulation: ${told(simulation)}\n    conformance: ${told(conformance)}`;
}

function told(fate: Fate): string {
  switch (fate.kind) {
    case "killed":
      return `${fate.where.replace(/^simulation: /, "")}: ${short(fate.by)}${fate.overlooked.map((store) => `; NOT ON ${store}`).join("")}`;
    case "survived":
      return `SURVIVED ${fate.tried}`;
    case "unseen":
      return `not tried: ${fate.because}`;
    case "broken":
      return `BROKEN: ${fate.by}`;
  }
}

function summarize(verdicts: readonly Verdict[], seconds: number): number {
  const by = (door: "simulation" | "conformance"): number =>
    verdicts.filter((verdict) => verdict[door].kind === "killed").length;
  const alive = verdicts.filter(isAlive);
  const missed = alive.filter(({ trial }) => !isCovered(trial, verdicts));
  console.log(
    `\n${verdicts.length} mutants in ${seconds} s: ${by("simulation")} killed by the simulation, ` +
      `${by("conformance")} by the conformance suite, ${alive.length - missed.length} masked alone and killed ` +
      `beside what masks them, ${missed.length} survived`,
  );
  for (const { trial } of missed) console.log(`survived: ${trial.name}`);
  const wrong = verdicts.flatMap(complaintsOf);
  for (const complaint of wrong) console.log(complaint);
  if (values.write) writeTable(verdicts);
  return missed.length + wrong.length === 0 ? 0 : 1;
}

function isAlive({ simulation, conformance }: Verdict): boolean {
  return [simulation, conformance].every(({ kind }) => kind !== "killed");
}

/** Whether this guard is noticed to be gone where what stands in for it is gone, too. */
function isCovered(trial: Trial, verdicts: readonly Verdict[]): boolean {
  const pair = verdicts.find((verdict) => verdict.trial.name === besideName(trial));
  return trial.maskedBy !== undefined && pair !== undefined && !isAlive(pair);
}

/** Where a mutant shows nothing, or the list says of it what was not seen. */
function complaintsOf({ trial, simulation, conformance }: Verdict): readonly string[] {
  const { name, beside } = trial;
  const fates = [simulation, conformance];
  const broken = fates.flatMap((fate) =>
    fate.kind === "broken" ? [`could not be tried: ${name}: ${fate.by}`] : [],
  );
  const overlooked = fates.flatMap((fate) =>
    fate.kind === "killed" ? fate.overlooked.map((store) => `survived on ${store}: ${name}`) : [],
  );
  if (beside.length > 0) return broken; // its other row says what is expected
  return [
    ...broken,
    ...overlooked,
    ...unexplained("the simulation", name, simulation, trial.unseenBySimulation),
    ...unexplained(trial.test ?? "the conformance suite", name, conformance, trial.unseenByConformance),
  ];
}

function unexplained(
  door: string,
  name: string,
  { kind }: Fate,
  reason: string | undefined,
): readonly string[] {
  if (kind === "killed" && reason !== undefined)
    return [`the reason why ${door} should not see it is out of date: ${name}`];
  if (kind === "survived" && reason === undefined)
    return [`${door} should see it, or the list should say why it cannot: ${name}`];
  return [];
}

/** Rows of what was not tried now stay as they are. */
function writeTable(verdicts: readonly Verdict[]): void {
  const page = readFileSync(PAGE, "utf8");
  const [before, rest] = page.split(TABLE[0]);
  const [old, ...after] = rest?.split(TABLE[1]) ?? [];
  if (before === undefined || old === undefined || after.length === 0)
    throw new Error("docs/mutants.md has no place for the table");
  const rows = new Map(old.split("\n").map((row) => [row.split(" | ")[0], row]));
  for (const verdict of verdicts) rows.set(`| ${verdict.trial.name}`, rowOf(verdict));
  const all = values.postgres ? POSTGRES_MUTANTS : MUTANTS;
  const named = all.flatMap((mutant) => trialsOf(mutant, MASKS)).map(({ name }) => `| ${name}`);
  const table = [
    "| taken out | what it guards | simulation: scene or seed, ground, check | conformance: store, case; or test |",
    "| --- | --- | --- | --- |",
    ...named.flatMap((name) => rows.get(name) ?? []),
  ];
  writeFileSync(PAGE, `${before}${TABLE[0]}\n\n${table.join("\n")}\n\n${TABLE[1]}${after.join(TABLE[1])}`);
}

function rowOf({ trial, simulation, conformance }: Verdict): string {
  const { name, guard, beside } = trial;
  const masked = beside.length > 0 ? "it fails as often without this guard" : undefined;
  const bySimulation = cell(simulation, trial.unseenBySimulation ?? masked);
  const byConformance = cell(conformance, trial.unseenByConformance ?? masked);
  return `| ${name} | ${guard} | ${bySimulation} | ${byConformance} |`;
}

function cell(fate: Fate, reason: string | undefined): string {
  return textOf(fate, reason).replaceAll("|", "\\|");
}

function textOf(fate: Fate, reason: string | undefined): string {
  if (fate.kind === "killed") {
    const where = fate.where.replace(/^simulation: /, "");
    return where === fate.where ? where : `${where}: ${short(fate.by)}`;
  }
  return `**not seen**: ${fate.kind === "unseen" ? fate.because : (reason ?? "why is not known")}`;
}

/** One line, without numbers that say nothing. */
function short(text: string): string {
  const [first = ""] = text.split("\n");
  const named = first.replaceAll(/\b[0-9a-f]{32}\b/g, "…");
  return named.length > 140 ? `${named.slice(0, 140)}…` : named;
}
