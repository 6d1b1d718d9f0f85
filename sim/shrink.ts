import { IDS } from "./app.js";
import type { Grounds } from "./ground.js";
import type { Plan } from "./schedule.js";
import { type Trial, tryPlan } from "./trial.js";
import type { Operation, Workload } from "./workload.js";

/** What a problem names of its schedule: IDs, and whatever has a number in it. */
const NAMED = new RegExp(`\\b(?:${IDS.join("|")})\\b|[^\\s,:]*\\d[^\\s,:]*`, "g");

/** A plan that still fails with the same problem, with as little in it as could be found. */
export async function shrink(
  plan: Plan,
  grounds: Grounds,
  failed: Pick<Trial, "problems" | "faultsDrawn">,
  maxTries = 400,
): Promise<Plan> {
  const [problem = ""] = failed.problems;
  let smallest: Plan = { ...plan, without: plan.without ?? new Set() };
  let { faultsDrawn } = failed;
  for (let tries = 0; ; ) {
    let found: Plan | undefined;
    for (const candidate of smaller(smallest, faultsDrawn)) {
      if (++tries > maxTries) return smallest;
      const trial = await tryPlan(candidate, grounds);
      if (!isAmong(problem, trial.problems)) continue;
      found = candidate;
      ({ faultsDrawn } = trial); // with less in it, other calls are made, and others of them struck
      break;
    }
    if (found === undefined) return smallest;
    smallest = found;
  }
}

/** Whether it is among these, whichever instance, process or time it is told of. */
function isAmong(problem: string, problems: readonly string[]): boolean {
  return problems.some((each) => kindOf(each) === kindOf(problem));
}

/** A problem without what differs from schedule to schedule: names, and how many of them. */
function kindOf(problem: string): string {
  return problem.replaceAll(NAMED, "#").replaceAll(/#(?:, (?:[a-z]+ )*#)*/g, "#");
}

/** One step smaller, the largest steps first: a client, an operation, a fault, an instruction. */
function* smaller({ seed, workload, without = new Set() }: Plan, faultsDrawn: number): Generator<Plan> {
  for (const [n, operations] of workload.entries())
    if (operations.length > 0) yield { seed, workload: changed(workload, n, () => []), without };
  for (const [n, operations] of workload.entries()) {
    for (const at of operations.keys())
      yield { seed, workload: changed(workload, n, (all) => all.toSpliced(at, 1)), without };
  }
  for (let fault = 0; fault < faultsDrawn; fault++) {
    if (!without.has(fault)) yield { seed, workload, without: new Set([...without, fault]) };
  }
  for (const [n, operations] of workload.entries()) {
    for (const [at, operation] of operations.entries()) {
      if (operation.do !== "start") continue;
      for (const line of operation.program.keys()) {
        const shorter = { ...operation, program: operation.program.toSpliced(line, 1) };
        yield { seed, workload: changed(workload, n, (all) => all.toSpliced(at, 1, shorter)), without };
      }
    }
  }
}

function changed(
  workload: Workload,
  client: number,
  change: (operations: Operation[]) => Operation[],
): Workload {
  return workload.map((operations, n) => (n === client ? change([...operations]) : operations));
}
