// A thread that tries seeds: every how-manieth of a run.
import { parentPort, workerData } from "node:worker_threads";
import { z } from "zod";
import { holdBackTaskRejections } from "../src/unhandled-rejections.js";
import { GROUNDS, type Grounds, groundsOf } from "./ground.js";
import { tryPlan } from "./trial.js";
import { workloadOf } from "./workload.js";

const { first, step, count } = z
  .object({ first: z.number(), step: z.number(), count: z.number() })
  .parse(workerData);

/** One in so many schedules is run twice more, to see that it runs the same again and on both stores. */
const REPLAYED = 50;

export interface LaneReport {
  readonly seed: number;
  readonly ground: string;
  readonly problems: readonly string[];
  readonly bit: readonly (readonly [string, number])[];
  readonly refusedCommits: number;
  readonly steps: number;
  readonly isVoid: boolean;
  readonly replayed: boolean;
}

holdBackTaskRejections({ debug: () => {}, info: () => {}, warn: () => {}, error: () => {} });

const grounds = new Map<string, Grounds>();
for (const kind of GROUNDS) grounds.set(kind, await groundsOf(kind));

function on(kind: string): Grounds {
  const found = grounds.get(kind);
  if (found === undefined) throw new TypeError(`no ground ${kind}`);
  return found;
}

let tried = 0;
for (let seed = first; tried < count; seed += step) {
  const ground = GROUNDS[seed % GROUNDS.length] ?? "memory";
  const plan = { seed, workload: workloadOf(seed) };
  const trial = await tryPlan(plan, on(ground));
  const problems = [...trial.problems];
  const replayed = Math.floor(seed / step) % REPLAYED === 0;
  if (replayed) {
    for (const other of ground === "memory" ? ["memory"] : ["memory alone", "sqlite"]) {
      const { digest } = await tryPlan(plan, on(other));
      if (digest !== trial.digest) problems.push(`run again on ${other}, it went another way`);
    }
  }
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
for (const each of grounds.values()) each[Symbol.dispose]();
