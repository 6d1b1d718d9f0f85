// npm run sim:mutants [-- --schedules N --only NAME --write --postgres]
// Takes the engine's guards out, one by one and beside what masks them: the simulation and the conformance suite must
// notice each. With --postgres, those of the PostgreSQL store.
import { fork } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { besideName, blindness, type Mutant, storesOf, type Trial, trialsOf } from "./mutant.js";
import { MUTANTS } from "./mutant-list.js";
import { POSTGRES_MUTANTS } from "./mutant-list-postgres.js";
import { startPostgres } from "./mutants-postgres.js";
import { type Report, readReport } from "./mutants-report.js";
import { runTests } from "./mutants-tests.js";
import { type Copy, editedSources, unfold, unfoldSources } from "./mutants-unfold.js";

const { values } = parseArgs({
  options: {
    schedules: { type: "string", default: "150" },
    only: { type: "string", multiple: true },
    /** The PostgreSQL store's guards, against the conformance suite on a server. */
    postgres: { type: "boolean", default: false },
    /** Puts the table into docs/mutants.md. */
    write: { type: "boolean", default: false },
  },
});

/** Nothing that is tried takes this long: it hangs. */
const SILENCE_MS = 120_000;

const AT_ONCE = 2;

const STORES = values.postgres ? ["postgres"] : ["memory", "sqlite"];

/** What the list says cannot be seen is looked for in fewer seeds; and what is masked, for which scenes are written. */
const UNSEEN_SHARE = 10;

const PAGE = new URL("../../docs/mutants.md", import.meta.url);
const TABLE = [
  `<!-- table: npm run sim:mutants -- ${values.postgres ? "--postgres " : ""}--write -->`,
  "<!-- end of the table -->",
] as const;

/** What became of a mutant in one of the two. */
type Fate =
  | {
      readonly kind: "killed";
      readonly where: string;
      readonly by: string;
      /** Stores whose own guard is gone, too, and whose cases have all passed. */
      readonly overlooked: readonly string[];
    }
  | { readonly kind: "survived"; readonly tried: number }
  /** It was not tried: the reason why it could not be seen. */
  | { readonly kind: "unseen"; readonly because: string }
  /** It could not be tried: nothing is shown. */
  | { readonly kind: "broken"; readonly by: string };

interface Verdict {
  readonly trial: Trial;
  readonly simulation: Fate;
  readonly conformance: Fate;
}

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

/** What mutants are tried on: the simulation and the stores of one process, or a server. */
interface Doors {
  readonly seeds: number;
  readonly server?: string;
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

async function fatesOf(trial: Trial, { seeds, server }: Doors): Promise<Verdict> {
  const { name, beside, edits } = trial;
  using copy = unfold(name, [...beside, ...edits]);
  using rest = beside.length === 0 ? undefined : unfold(`${name} (the rest)`, beside);
  const isRare =
    trial.unseenBySimulation !== undefined || trial.redundant !== undefined || rest !== undefined;
  const tried = String(isRare ? Math.ceil(seeds / UNSEEN_SHARE) : seeds);
  const simulation: Fate =
    server === undefined
      ? await fateIn("mutants-hunt.js", [tried], [], copy, rest)
      : { kind: "unseen", because: "it has no PostgreSQL" };
  const because = blindness(trial);
  const conformance: Fate =
    trial.test !== undefined && rest === undefined
      ? await fateInTests(trial, trial.test)
      : because === undefined
        ? await fateIn("conformance-run.js", [], server === undefined ? [] : [server], copy, rest)
        : { kind: "unseen", because };
  const stores = rest === undefined && conformance.kind === "killed" ? storesOf(trial) : [];
  return {
    trial,
    simulation: withoutUnasked(simulation, []),
    conformance: withoutUnasked(conformance, stores),
  };
}

/** Runs a module on a copy; or, where there is a rest, only what passes with that alone. */
async function fateIn(
  module: string,
  before: readonly string[],
  after: readonly string[],
  copy: Copy,
  rest: Copy | undefined,
): Promise<Fate> {
  if (rest === undefined) return fateOf(await tryIn(copy.module(module), [...before, "first", ...after]));
  const { passed } = await tryIn(rest.module(module), [...before, "all", ...after]);
  if (passed.length === 0) return { kind: "broken", by: "nothing passes without what masks it" };
  return fateOf(await tryIn(copy.module(module), [...before, passed.join(","), ...after]));
}

/** Where a test of its own must fail. */
async function fateInTests({ name, edits }: Trial, file: string): Promise<Fate> {
  using copy = unfoldSources(name, edits);
  const { tests, failed, broken } = await runTests(copy.folder, file);
  if (broken !== undefined) return { kind: "broken", by: broken };
  if (failed === undefined) return { kind: "survived", tried: tests };
  return { kind: "killed", where: `${file}: ${failed}`, by: "fails", overlooked: [] };
}

/** What a process told, and how it ended. */
interface Told {
  readonly tried: number | undefined;
  readonly passed: readonly number[];
  readonly caught: readonly (Report & { readonly kind: "caught" })[];
  /** What it was at when it died or hung, if it was at anything. */
  readonly at: string | undefined;
  readonly died: string;
}

/** Runs a module that reports, to its end or until it hangs. */
function tryIn(module: string, args: readonly string[]): Promise<Told> {
  return new Promise((resolve) => {
    const child = fork(module, args, { stdio: ["ignore", "ignore", "pipe", "ipc"] });
    let at: string | undefined;
    let tried: number | undefined;
    const passed: number[] = [];
    const caught: (Report & { readonly kind: "caught" })[] = [];
    let hangs = false;
    let stderr = "";
    const watch = setTimeout(() => {
      hangs = true;
      child.kill("SIGKILL");
    }, SILENCE_MS);
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      stderr = (stderr + text).slice(-10_000);
    });
    child.on("message", (message) => {
      watch.refresh();
      const report = readReport(message);
      if (report.kind === "trying") at = report.where;
      else if (report.kind === "passed") passed.push(report.number);
      else if (report.kind === "caught") caught.push(report);
      else tried = report.tried;
    });
    child.on("close", () => {
      clearTimeout(watch);
      resolve({ tried, passed, caught, at, died: hangs ? "hangs" : errorIn(stderr) });
    });
  });
}

/** One that dies, hangs, or ends before it is through has met the mutant, too; but not before it was at anything. */
function fateOf({ tried, caught, at, died }: Told): Fate {
  const [first, ...others] = caught;
  if (first !== undefined) {
    const same = [first, ...others.filter(({ where }) => where === first.where)];
    const where = `${same.map(({ group }) => group).join(" and ")}: ${first.where}`;
    const more = others.filter((other) => other.where !== first.where);
    return {
      kind: "killed",
      where: [where, ...more.map((other) => `${other.group}: ${other.where}`)].join("; "),
      by: first.check,
      overlooked:
        tried === undefined ? [] : STORES.filter((store) => caught.every(({ group }) => group !== store)),
    };
  }
  if (tried !== undefined) return { kind: "survived", tried };
  return at === undefined
    ? { kind: "broken", by: `at its start, ${died}` }
    : { kind: "killed", where: at, by: died, overlooked: [] };
}

/** Only a store whose own guard is gone can overlook that. */
function withoutUnasked(fate: Fate, stores: readonly string[]): Fate {
  if (fate.kind !== "killed") return fate;
  return { ...fate, overlooked: fate.overlooked.filter((store) => stores.includes(store)) };
}

/** What a process that died has said last. */
function errorIn(stderr: string): string {
  const said = stderr.split("\n").find((text) => /^\w*Error\b/.test(text));
  return said === undefined ? "never comes to an end" : `dies: ${said}`;
}

/** Two at a time, in order. */
async function inTurn<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const done: R[] = [];
  const left = [...items.entries()];
  const lane = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [at, item] = next;
      done[at] = await work(item);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return done;
}

// --- what is said of it ---------------------------------------------------------------------------------------------

function line({ trial, simulation, conformance }: Verdict): string {
  return `${trial.name}\n    simulation: ${told(simulation)}\n    conformance: ${told(conformance)}`;
}

function told(fate: Fate): string {
  switch (fate.kind) {
    case "killed":
      return `${fate.where}: ${short(fate.by)}${fate.overlooked.map((store) => `; NOT ON ${store}`).join("")}`;
    case "survived":
      return `SURVIVED ${fate.tried}`;
    case "unseen":
      return `not tried: ${fate.because}`;
    case "broken":
      return `BROKEN: ${fate.by}`;
  }
}

function summarize(verdicts: readonly Verdict[], seconds: number): number {
  const counted = verdicts.filter(({ trial }) => trial.redundant === undefined);
  const by = (door: "simulation" | "conformance"): number =>
    counted.filter((verdict) => verdict[door].kind === "killed").length;
  const alive = counted.filter(isAlive);
  const missed = alive.filter(({ trial }) => !isCovered(trial, verdicts));
  console.log(
    `\n${counted.length} mutants in ${seconds} s: ${by("simulation")} killed by the simulation, ` +
      `${by("conformance")} by the conformance suite, ${alive.length - missed.length} masked alone and killed ` +
      `beside what masks them, ${missed.length} survived; ${verdicts.length - counted.length} redundant`,
  );
  for (const { trial } of missed) console.log(`survived: ${trial.name}`);
  const wrong = verdicts.flatMap(complaintsOf);
  for (const complaint of wrong) console.log(complaint);
  if (values.write && values.only === undefined) writeTable(verdicts);
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
  const { name, beside, redundant } = trial;
  const fates = [simulation, conformance];
  const broken = fates.flatMap((fate) =>
    fate.kind === "broken" ? [`could not be tried: ${name}: ${fate.by}`] : [],
  );
  const overlooked = fates.flatMap((fate) =>
    fate.kind === "killed" ? fate.overlooked.map((store) => `survived on ${store}: ${name}`) : [],
  );
  if (beside.length > 0) return broken; // its other row says what is expected
  if (redundant !== undefined)
    return [
      ...broken,
      ...(fates.some(({ kind }) => kind === "killed") ? [`it is not redundant: ${name}`] : []),
    ];
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

function writeTable(verdicts: readonly Verdict[]): void {
  const page = readFileSync(PAGE, "utf8");
  const [before, rest] = page.split(TABLE[0]);
  const [, ...after] = rest?.split(TABLE[1]) ?? [];
  if (before === undefined || after.length === 0)
    throw new Error("docs/mutants.md has no place for the table");
  const rows = verdicts.map(rowOf);
  const table = [
    "| taken out | what it guards | simulation: scene or seed, ground, check | conformance: store, case |",
    "| --- | --- | --- | --- |",
    ...rows,
  ];
  writeFileSync(
    PAGE,
    `${before}${TABLE[0]}\n\n${table.join("\n")}\n\n${[TABLE[1], after.join(TABLE[1])].join("")}`,
  );
}

function rowOf({ trial, simulation, conformance }: Verdict): string {
  const { name, guard, redundant, beside } = trial;
  if (redundant !== undefined) return `| ${name} | ${guard} | **redundant**: ${redundant} | |`;
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
