// node .sim/sim/mutants-hunt.js SEEDS: the scenes and then seeds 1, 2, 3, … on every ground, until a check fails.
import { holdBackTaskRejections } from "../src/unhandled-rejections.js";
import { GROUNDS, type GroundKind, type Grounds, groundsOf } from "./ground.js";
import { tell } from "./mutants-report.js";
import { planOf } from "./scene.js";
import { scenesOn } from "./scenes.js";
import type { Plan } from "./schedule.js";
import { tryPlan } from "./trial.js";
import { workloadOf } from "./workload.js";

const seeds = Number(process.argv[2]);
holdBackTaskRejections({ debug: () => {}, info: () => {}, warn: () => {}, error: () => {} });
await hunt();

async function hunt(): Promise<void> {
  const all = await Promise.all(GROUNDS.map(async (kind) => ({ kind, grounds: await groundsOf(kind) })));
  let tried = 0;
  try {
    for (const { where, plan, on } of plansOn(all)) {
      await tell({ kind: "trying", where });
      tried += 1;
      const { problems } = await tryPlan(plan, on);
      const [check] = problems;
      if (check === undefined) continue;
      await tell({ kind: "caught", where, check });
      return;
    }
    await tell({ kind: "through", tried });
  } finally {
    for (const { grounds } of all) grounds[Symbol.dispose]();
    process.disconnect?.();
  }
}

interface Laid {
  readonly kind: GroundKind;
  readonly grounds: Grounds;
}

function* plansOn(
  all: readonly Laid[],
): Generator<{ readonly where: string; readonly plan: Plan; readonly on: Grounds }> {
  for (const { kind, grounds } of all) {
    for (const scene of scenesOn(kind))
      yield { where: `scene "${scene.name}", ${kind}`, plan: planOf(scene), on: grounds };
  }
  for (let seed = 1; seed <= seeds; seed++) {
    for (const { kind, grounds } of all)
      yield { where: `seed ${seed}, ${kind}`, plan: { seed, workload: workloadOf(seed) }, on: grounds };
  }
}
