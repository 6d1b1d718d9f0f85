import type { Grounds } from "./ground.js";
import type { Plan } from "./schedule.js";
import { tryPlan } from "./trial.js";
import type { Operation, Workload } from "./workload.js";

/** A plan that still fails, with as little in it as could be found. */
export async function shrink(
  plan: Plan,
  grounds: Grounds,
  faultsDrawn: number,
  maxTries = 400,
): Promise<Plan> {
  let smallest: Plan = { ...plan, without: plan.without ?? new Set() };
  for (let tries = 0; ; ) {
    let found: Plan | undefined;
    for (const candidate of smaller(smallest, faultsDrawn)) {
      if (++tries > maxTries) return smallest;
      if ((await tryPlan(candidate, grounds)).problems.length === 0) continue;
      found = candidate;
      break;
    }
    if (found === undefined) return smallest;
    smallest = found;
  }
}

/** One step smaller, the largest steps first: a client, an operation, a fault, an instruction. */
function* smaller({ seed, workload, without = new Set() }: Plan, faultsDrawn: number): Generator<Plan> {
  for (const n of workload.keys()) yield { seed, workload: changed(workload, n, () => []), without };
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
  const before = workload[client];
  const isEmptied = before === undefined || (before.length === 0 && change([]).length === 0);
  return isEmptied
    ? workload
    : workload.map((operations, n) => (n === client ? change([...operations]) : operations));
}
