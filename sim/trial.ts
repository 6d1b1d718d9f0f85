import { createHash } from "node:crypto";
import type { Grounds } from "./ground.js";
import { unlinearizable } from "./linearizability.js";
import { Oracle } from "./oracle.js";
import { type Plan, type Run, runSchedule } from "./schedule.js";
import type { Effect } from "./store-line.js";

/** A schedule that was run, and what every check says of it. */
export interface Trial extends Run {
  /** The same for the same plan, on every store that can do the same. */
  readonly digest: string;
  /** Nothing went wrong in it, or not all that was to: it shows nothing. */
  readonly isVoid: boolean;
}

/** Runs a plan and checks it: by the engine's own assertions, the oracle, the callers' view, and the end of it all. */
export async function tryPlan(plan: Plan, grounds: Grounds): Promise<Trial> {
  const oracle = new Oracle();
  const effects: Effect[] = [];
  const begun: string[] = [];
  const run = await runSchedule(plan, grounds, {
    onEffect: (effect) => {
      effects.push(effect);
      oracle.see(effect);
    },
    onActivity: (seen) => {
      oracle.witness(seen);
      begun.push(`${seen.instanceId}: activity ${seen.taskId} of ${seen.executionId} began twice`);
    },
    onEnd: (store) => oracle.compare(store),
  });
  const disordered = unlinearizable(
    run.calls,
    effects.filter(({ step }) => step <= run.begunAgainAt),
  ).map((id) => `${id}: no order of the calls explains what their callers were told`);
  const repeated = plan.scene?.once === true ? begun.filter((each, at) => begun.indexOf(each) < at) : [];
  const problems = [...run.problems, ...oracle.problems, ...disordered, ...repeated];
  const hash = createHash("sha256");
  for (const line of run.log) hash.update(line).update("\n");
  return {
    ...run,
    problems,
    digest: hash.digest("hex"),
    isVoid: plan.scene === undefined ? run.bit.size === 0 && run.refusedCommits === 0 : run.missed.length > 0,
  };
}
