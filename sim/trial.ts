import { createHash } from "node:crypto";
import { hasBitten } from "./faults.js";
import { ALIKE, type AllGrounds, type GroundKind, type Grounds } from "./ground.js";
import { unlinearizable } from "./linearizability.js";
import { Oracle } from "./oracle.js";
import { misreplayed } from "./replayed.js";
import { type Plan, type Run, runSchedule } from "./schedule.js";
import type { Effect } from "./store-line.js";

/** A schedule that was run, and what every check says of it. */
export interface Trial extends Run {
  /** The same for the same plan, on every store that can do the same. */
  readonly digest: string;
  /** Nothing went wrong in it, or not all that was to: it shows nothing. */
  readonly isVoid: boolean;
}

/** In one of so many schedules the code is run again over every history. */
const REPLAYED = 8;

/** Runs a plan and checks it: by the engine's own assertions, the oracle, the callers' view, and the end of it all. */
export async function tryPlan(plan: Plan, grounds: Grounds): Promise<Trial> {
  const oracle = new Oracle();
  const effects: Effect[] = [];
  const replays: string[] = [];
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
    onCalm: (store) => oracle.compare(store),
    onPurge: async (store, instanceIds) => {
      for (const instanceId of instanceIds) await oracle.compareOne(store, instanceId);
    },
    onEnd: async (store) => {
      await oracle.conclude(store);
      if (plan.seed % REPLAYED === 0) replays.push(...(await misreplayed(store)));
    },
  });
  const disordered = unlinearizable(
    run.calls,
    effects.filter(({ step }) => step <= run.begunAgainAt),
  );
  const repeated = plan.scene?.once === true ? begun.filter((each, at) => begun.indexOf(each) < at) : [];
  const problems = [...run.problems, ...oracle.problems, ...replays, ...disordered, ...repeated];
  const hash = createHash("sha256");
  for (const line of run.log) hash.update(line).update("\n");
  return {
    ...run,
    problems,
    digest: hash.digest("hex"),
    isVoid: plan.scene === undefined ? !hasBitten(run.bit) : run.missed.length > 0,
  };
}

/**
 * Runs a plan again, on the ground that it was tried on and on those that are alike: each must give the log that it
 * gave, and those that are alike the same one. @returns what was otherwise.
 */
export async function runAgain(
  plan: Plan,
  grounds: AllGrounds,
  on: GroundKind,
  first: Pick<Trial, "digest">,
): Promise<readonly string[]> {
  const digests = new Map<GroundKind, string>([[on, first.digest]]);
  const problems: string[] = [];
  for (const kind of new Set([on, ...ALIKE])) {
    const again = await tryPlan(plan, grounds.on(kind));
    problems.push(...again.problems.map((problem) => `run again on ${kind}: ${problem}`));
    const other = [kind, ...ALIKE.filter(() => ALIKE.includes(kind))].find((each) => digests.has(each));
    if (other !== undefined && digests.get(other) !== again.digest)
      problems.push(`on ${kind} it went another way than before on ${other}`);
    digests.set(kind, again.digest);
  }
  return problems;
}
