// node .sim/sim/mutants-hunt.js SEEDS: seeds 1, 2, 3, … on every ground, until a check fails.
import { holdBackTaskRejections } from "../src/unhandled-rejections.js";
import { GROUNDS, groundsOf } from "./ground.js";
import { tell } from "./mutants-report.js";
import { tryPlan } from "./trial.js";
import { workloadOf } from "./workload.js";

const seeds = Number(process.argv[2]);
holdBackTaskRejections({ debug: () => {}, info: () => {}, warn: () => {}, error: () => {} });
await hunt();

async function hunt(): Promise<void> {
  const all = await Promise.all(GROUNDS.map(async (kind) => ({ kind, grounds: await groundsOf(kind) })));
  try {
    for (let seed = 1; seed <= seeds; seed++) {
      for (const { kind, grounds } of all) {
        const where = `seed ${seed}, ${kind}`;
        await tell({ kind: "trying", where });
        const { problems } = await tryPlan({ seed, workload: workloadOf(seed) }, grounds);
        const [check] = problems;
        if (check === undefined) continue;
        await tell({ kind: "caught", where, check });
        return;
      }
    }
    await tell({ kind: "through", tried: seeds * GROUNDS.length });
  } finally {
    for (const { grounds } of all) grounds[Symbol.dispose]();
    process.disconnect?.();
  }
}
