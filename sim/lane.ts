// A thread that tries seeds: every how-manieth of a run.
import { parentPort, workerData } from "node:worker_threads";
import { z } from "zod";
import { holdBackTaskRejections } from "../src/unhandled-rejections.js";
import { AllGrounds, GROUNDS } from "./ground.js";
import type { LaneData, LaneReport } from "./lanes.js";
import { runAgain, tryPlan } from "./trial.js";
import { workloadOf } from "./workload.js";

const { first, step, count }: LaneData = z
  .object({ first: z.number(), step: z.number(), count: z.number() })
  .parse(workerData);

/** One in so many schedules is run again, to see that it runs the same again and on both stores. */
const REPLAYED = 50;

holdBackTaskRejections({ debug: () => {}, info: () => {}, warn: () => {}, error: () => {} });

using grounds = await AllGrounds.open();
let tried = 0;
for (let seed = first; tried < count; seed += step) {
  const ground = GROUNDS[seed % GROUNDS.length] ?? "memory";
  const plan = { seed, workload: workloadOf(seed) };
  const trial = await tryPlan(plan, grounds.on(ground));
  const replayed = Math.floor(seed / step) % REPLAYED === 0;
  const problems = [...trial.problems, ...(replayed ? await runAgain(plan, grounds, ground, trial) : [])];
  if (!trial.isVoid) tried += 1;
  const report: LaneReport = {
    seed,
    ground,
    problems,
    bit: [...trial.bit],
    refusedCommits: trial.refusedCommits,
    steps: trial.steps,
    isVoid: trial.isVoid,
    replayed,
  };
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort?.postMessage(report);
}
