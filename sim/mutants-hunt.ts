// node .sim/sim/mutants-hunt.js SEEDS [first|all|NUMBERS]: the scenes and then seeds 1, 2, 3, … on every ground.
import { holdBackTaskRejections } from "../src/unhandled-rejections.js";
import { GROUNDS, type GroundKind, type Grounds, groundsOf } from "./ground.js";
import { type Attempt, choiceOf, tryEach } from "./mutants-report.js";
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
  try {
    await tryEach(attemptsOn(all), choiceOf(process.argv[3]));
  } finally {
    for (const { grounds } of all) grounds[Symbol.dispose]();
    process.disconnect?.();
  }
}

interface Laid {
  readonly kind: GroundKind;
  readonly grounds: Grounds;
}

function* attemptsOn(all: readonly Laid[]): Generator<Attempt> {
  const attempt = (where: string, plan: Plan, grounds: Grounds): Attempt => ({
    group: "simulation", // what fails on one ground need not be found on the others
    where,
    run: async () => (await tryPlan(plan, grounds)).problems[0],
  });
  for (const { kind, grounds } of all) {
    for (const scene of scenesOn(kind))
      yield attempt(`scene "${scene.name}", ${kind}`, planOf(scene), grounds);
  }
  for (let seed = 1; seed <= seeds; seed++) {
    for (const { kind, grounds } of all)
      yield attempt(`seed ${seed}, ${kind}`, { seed, workload: workloadOf(seed) }, grounds);
  }
}
