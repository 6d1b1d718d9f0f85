import { fork } from "node:child_process";
import { blindness, storesOf, type Trial } from "./mutant.js";
import { type Report, readReport } from "./mutants-report.js";
import { runTests } from "./mutants-tests.js";
import { type Copy, unfold, unfoldSources } from "./mutants-unfold.js";

/** Nothing that is tried takes this long: it hangs. */
const SILENCE_MS = 120_000;

/** What the list says cannot be seen is looked for in fewer seeds; and what is masked, for which scenes are written. */
const UNSEEN_SHARE = 10;

/** What a statement says that no longer is one: the edit shows nothing of the guard. */
const NONSENSE =
  /syntax error|out of range|there is no parameter|could not determine data type|is not defined/i;

/** What became of a mutant in one of the two. */
export type Fate =
  | {
      readonly kind: "killed";
      readonly where: string;
      readonly by: string;
      /** The stores on which something failed. */
      readonly groups: readonly string[];
      /** Stores whose own guard is gone, too, and whose cases have all passed. */
      readonly overlooked: readonly string[];
    }
  | { readonly kind: "survived"; readonly tried: number }
  /** It was not tried: the reason why it could not be seen. */
  | { readonly kind: "unseen"; readonly because: string }
  /** It could not be tried: nothing is shown. */
  | { readonly kind: "broken"; readonly by: string };

export interface Verdict {
  readonly trial: Trial;
  readonly simulation: Fate;
  readonly conformance: Fate;
}

/** What mutants are tried on: the simulation and the stores of one process, or a server. */
export interface Doors {
  readonly seeds: number;
  readonly server?: string;
}

/** Tries a mutant by every door. */
export async function fatesOf(trial: Trial, doors: Doors): Promise<Verdict> {
  const { name, beside, edits } = trial;
  using copy = unfold(name, [...beside, ...edits]);
  using rest = beside.length === 0 ? undefined : unfold(`${name} (the rest)`, beside);
  return {
    trial,
    simulation: await fateInSimulation(trial, doors, copy, rest),
    conformance: await fateInConformance(trial, doors, copy, rest),
  };
}

async function fateInSimulation(
  trial: Trial,
  { seeds, server }: Doors,
  copy: Copy,
  rest: Copy | undefined,
): Promise<Fate> {
  if (server !== undefined) return { kind: "unseen", because: "it has no PostgreSQL" };
  const isRare = trial.unseenBySimulation !== undefined || rest !== undefined;
  const tried = String(isRare ? Math.ceil(seeds / UNSEEN_SHARE) : seeds);
  return fateIn("mutants-hunt.js", [tried], [], copy, rest);
}

async function fateInConformance(
  trial: Trial,
  { server }: Doors,
  copy: Copy,
  rest: Copy | undefined,
): Promise<Fate> {
  if (trial.test !== undefined) return fateInTests(trial, trial.test, server);
  const because = blindness(trial);
  if (because !== undefined) return { kind: "unseen", because };
  const after = server === undefined ? [] : [server, trial.cases ?? ""];
  const fate = await fateIn("conformance-run.js", [], after, copy, rest);
  if (fate.kind !== "killed" || rest !== undefined) return fate;
  return { ...fate, overlooked: storesOf(trial).filter((store) => !fate.groups.includes(store)) };
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
async function fateInTests({ name, edits }: Trial, file: string, server: string | undefined): Promise<Fate> {
  using copy = unfoldSources(name, edits);
  const { tests, failed, broken } = await runTests(copy.folder, file, server);
  if (broken !== undefined) return { kind: "broken", by: broken };
  if (failed === undefined) return { kind: "survived", tried: tests };
  return { kind: "killed", where: `${file}: ${failed}`, by: "fails", groups: [], overlooked: [] };
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
    const nonsense = caught.find(({ check }) => NONSENSE.test(check));
    if (nonsense !== undefined) return { kind: "broken", by: nonsense.check };
    const same = [first, ...others.filter(({ where }) => where === first.where)];
    const more = others.filter(({ where }) => where !== first.where);
    const where = [
      `${same.map(({ group }) => group).join(" and ")}: ${first.where}`,
      ...more.map((other) => `${other.group}: ${other.where}`),
    ].join("; ");
    return {
      kind: "killed",
      where,
      by: first.check,
      groups: caught.map(({ group }) => group),
      overlooked: [],
    };
  }
  if (tried !== undefined) return { kind: "survived", tried };
  return at === undefined
    ? { kind: "broken", by: `at its start, ${died}` }
    : { kind: "killed", where: at, by: died, groups: ["memory", "sqlite", "postgres"], overlooked: [] };
}

/** What a process that died has said last. */
function errorIn(stderr: string): string {
  const said = stderr.split("\n").find((text) => /^\w*Error\b/.test(text));
  return said === undefined ? "never comes to an end" : `dies: ${said}`;
}
