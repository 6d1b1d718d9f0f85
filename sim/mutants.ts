// npm run sim:mutants [-- --schedules N --only NAME --write]
// Takes the engine's guards out, one by one and in groups: the simulation and the conformance suite must notice each.
import { fork } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { blindness, type Mutant } from "./mutant.js";
import { MUTANTS } from "./mutant-list.js";
import { readReport } from "./mutants-report.js";
import { editedSources, unfold } from "./mutants-unfold.js";

const { values } = parseArgs({
  options: {
    schedules: { type: "string", default: "150" },
    only: { type: "string", multiple: true },
    /** Puts the table into docs/mutants.md. */
    write: { type: "boolean", default: false },
  },
});

/** Nothing that is tried takes this long: it hangs. */
const SILENCE_MS = 120_000;

const AT_ONCE = 2;

/** What the list says cannot be seen is looked for in fewer seeds. */
const UNSEEN_SHARE = 10;

const PAGE = new URL("../../docs/mutants.md", import.meta.url);
const TABLE = ["<!-- table: npm run sim:mutants -- --write -->", "<!-- end of the table -->"] as const;

/** What became of a mutant in one of the two. */
type Fate =
  | { readonly kind: "killed"; readonly where: string; readonly by: string }
  | { readonly kind: "survived"; readonly tried: number }
  /** It was not tried: the reason why it could not be seen. */
  | { readonly kind: "unseen"; readonly because: string };

interface Verdict {
  readonly mutant: Mutant;
  readonly simulation: Fate;
  readonly conformance: Fate;
}

process.exitCode = await main();

async function main(): Promise<number> {
  const seeds = Number(values.schedules);
  if (!Number.isSafeInteger(seeds) || seeds < 1) throw new RangeError("--schedules must be a number above 0");
  const chosen = MUTANTS.filter(({ name }) => values.only?.includes(name) ?? true);
  if (chosen.length === 0) throw new RangeError(`no mutant is called ${values.only?.join(", ")}`);
  for (const { name, edits } of MUTANTS) editedSources(name, edits); // all must fit before one is tried
  const beganMs = performance.now();
  const whole = await fatesOf({ name: "none", guard: "", edits: [] }, seeds);
  if (whole.simulation.kind === "killed" || whole.conformance.kind === "killed") {
    console.error(`The unchanged engine fails, so nothing is shown:\n${line(whole)}`);
    return 1;
  }
  console.log(line(whole));
  const verdicts = await inTurn(chosen, async (mutant) => {
    const verdict = await fatesOf(mutant, seeds);
    console.log(line(verdict));
    return verdict;
  });
  const seconds = Math.round((performance.now() - beganMs) / 1000);
  return summarize(verdicts, seconds);
}

async function fatesOf(mutant: Mutant, seeds: number): Promise<Verdict> {
  using copy = unfold(mutant.name, mutant.edits);
  const tried = mutant.unseenBySimulation === undefined ? seeds : Math.ceil(seeds / UNSEEN_SHARE);
  const simulation = await tryIn(copy.module("mutants-hunt.js"), [String(tried)]);
  const because = blindness(mutant);
  const conformance: Fate =
    because === undefined ? await tryIn(copy.module("conformance-run.js"), []) : { kind: "unseen", because };
  return { mutant, simulation, conformance };
}

/** Runs a module that reports. One that dies, hangs, or ends before it is through has met a mutant, too. */
function tryIn(module: string, args: readonly string[]): Promise<Fate> {
  return new Promise((resolve) => {
    const child = fork(module, args, { stdio: ["ignore", "ignore", "pipe", "ipc"] });
    let where = "at its start";
    let fate: Fate | undefined;
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
      if (report.kind === "trying") where = report.where;
      else if (report.kind === "caught") fate = { kind: "killed", where: report.where, by: report.check };
      else fate = { kind: "survived", tried: report.tried };
    });
    child.on("close", () => {
      clearTimeout(watch);
      const by = hangs ? "hangs" : errorIn(stderr);
      resolve(fate ?? { kind: "killed", where, by });
    });
  });
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

function line({ mutant, simulation, conformance }: Verdict): string {
  return `${mutant.name}\n    simulation: ${told(simulation)}\n    conformance: ${told(conformance)}`;
}

function told(fate: Fate): string {
  if (fate.kind === "killed") return `${fate.where}: ${short(fate.by)}`;
  return fate.kind === "survived" ? `SURVIVED ${fate.tried}` : `not tried: ${fate.because}`;
}

function summarize(verdicts: readonly Verdict[], seconds: number): number {
  const by = (door: "simulation" | "conformance"): number =>
    verdicts.filter((verdict) => verdict[door].kind === "killed").length;
  const alive = verdicts.filter(isAlive);
  const missed = alive.filter(({ mutant }) => !isCovered(mutant, verdicts));
  console.log(
    `\n${verdicts.length} mutants in ${seconds} s: ${by("simulation")} killed by the simulation, ` +
      `${by("conformance")} by the conformance suite, ${alive.length - missed.length} masked alone and killed ` +
      `in their group, ${missed.length} survived`,
  );
  for (const { mutant } of missed) console.log(`survived: ${mutant.name}`);
  for (const { mutant, simulation } of verdicts.filter(isUnexplained))
    console.log(
      simulation.kind === "killed"
        ? `the reason why the simulation should not see it is out of date: ${mutant.name}`
        : `the simulation should see it, or the list should say why it cannot: ${mutant.name}`,
    );
  if (values.write && values.only === undefined) writeTable(verdicts);
  return missed.length === 0 ? 0 : 1;
}

function isAlive({ simulation, conformance }: Verdict): boolean {
  return [simulation, conformance].every(({ kind }) => kind !== "killed");
}

/** Whether something stands in for this guard, and taking that out, too, is noticed. Not asked for with `--only`. */
function isCovered({ maskedBy }: Mutant, verdicts: readonly Verdict[]): boolean {
  if (maskedBy === undefined) return false;
  const group = verdicts.find(({ mutant }) => mutant.name === maskedBy);
  return group === undefined ? values.only !== undefined : !isAlive(group);
}

/** What the list says of the simulation is not what was seen. */
function isUnexplained({ mutant, simulation }: Verdict): boolean {
  return (simulation.kind === "killed") === (mutant.unseenBySimulation !== undefined);
}

function writeTable(verdicts: readonly Verdict[]): void {
  const page = readFileSync(PAGE, "utf8");
  const [before, rest] = page.split(TABLE[0]);
  const after = rest?.split(TABLE[1])[1];
  if (before === undefined || after === undefined)
    throw new Error("docs/mutants.md has no place for the table");
  const rows = verdicts.map(({ mutant, simulation, conformance }) => {
    const bySimulation = cell(simulation, mutant.unseenBySimulation);
    const byConformance = cell(conformance, mutant.unseenByConformance);
    return `| ${mutant.name} | ${mutant.guard} | ${bySimulation} | ${byConformance} |`;
  });
  const table = [
    "| taken out | what it guards | simulation: scene or seed, ground, check | conformance: store, case |",
    "| --- | --- | --- | --- |",
    ...rows,
  ];
  writeFileSync(PAGE, `${before}${TABLE[0]}\n\n${table.join("\n")}\n\n${TABLE[1]}${after}`);
}

function cell(fate: Fate, reason: string | undefined): string {
  const text =
    fate.kind === "killed"
      ? `${fate.where}${/^s(eed|cene)\b/.test(fate.where) ? `: ${short(fate.by)}` : ""}`
      : `**not seen**: ${fate.kind === "unseen" ? fate.because : (reason ?? "why is not known")}`;
  return text.replaceAll("|", "\\|");
}

/** One line, without numbers that say nothing. */
function short(text: string): string {
  const [first = ""] = text.split("\n");
  const named = first.replaceAll(/\b[0-9a-f]{32}\b/g, "…");
  return named.length > 140 ? `${named.slice(0, 140)}…` : named;
}
