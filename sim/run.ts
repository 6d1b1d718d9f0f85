// npm run sim [-- --schedules N --from SEED --threads N]   the scenes, and many schedules
// npm run sim -- --seed N [--log]                          one of them again, made smaller if it fails
// npm run sim -- --scene NAME [--log]                      a scene again; all whose names have that in them
import { parseArgs } from "node:util";
import { holdBackTaskRejections } from "../src/unhandled-rejections.js";
import { AllGrounds, GROUNDS } from "./ground.js";
import { inThreads, type LaneReport } from "./lanes.js";
import { planOf } from "./scene.js";
import { scenesOn } from "./scenes.js";
import { shrink } from "./shrink.js";
import { runAgain, tryPlan } from "./trial.js";
import { workloadOf } from "./workload.js";

const { values } = parseArgs({
  options: {
    schedules: { type: "string", default: "20000" },
    from: { type: "string", default: "1" },
    threads: { type: "string", default: "2" },
    seed: { type: "string" },
    scene: { type: "string" },
    log: { type: "boolean", default: false },
  },
});

const ignore = (): void => {};
holdBackTaskRejections({ debug: ignore, info: ignore, warn: ignore, error: ignore });
if (values.seed !== undefined) process.exitCode = await tryOne(whole("seed", values.seed));
else if (values.scene !== undefined) process.exitCode = (await play(values.scene)).failed === 0 ? 0 : 1;
else process.exitCode = await tryMany();

function whole(name: string, text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number > 0) return number;
  console.error(`--${name} must be a whole number above 0, not ${text}`);
  process.exit(2);
}

async function tryMany(): Promise<number> {
  const schedules = whole("schedules", values.schedules);
  const from = whole("from", values.from);
  const scenes = await play("");
  const threads = whole("threads", values.threads);
  const beganMs = performance.now();
  const bit = new Map<string, number>();
  const failed: LaneReport[] = [];
  const seen = { schedules: 0, steps: 0, refused: 0, void: 0, replayed: 0 };
  let shownMs = beganMs;
  const note = (report: LaneReport): void => {
    seen.steps += report.steps;
    seen.refused += report.refusedCommits;
    seen.replayed += report.replayed ? 1 : 0;
    if (report.isVoid) seen.void += 1;
    else seen.schedules += 1;
    for (const [kind, times] of report.bit) bit.set(kind, (bit.get(kind) ?? 0) + times);
    if (report.problems.length > 0) {
      failed.push(report);
      console.error(`seed ${report.seed} on ${report.ground}: ${report.problems.join("; ")}`);
    }
    if (performance.now() - shownMs < 10_000) return;
    shownMs = performance.now();
    console.error(`${seen.schedules} of ${schedules} schedules, ${failed.length} failed`);
  };
  await inThreads(new URL("./lane.js", import.meta.url), { from, schedules, threads }, note);
  const seconds = (performance.now() - beganMs) / 1000;
  const lines = [
    ["scenes played", scenes.played],
    ["schedules in which something went wrong", seen.schedules],
    ["void (nothing did)", seen.void],
    ["run again with the same log", seen.replayed],
    ["steps", seen.steps],
    ["commits refused", seen.refused],
    ...[...bit]
      .toSorted(([a], [b]) => a.localeCompare(b))
      .map(([kind, times]) => [`fault: ${kind}`, times] as const),
    ["seconds", Math.round(seconds)],
    ["schedules per second", Math.round((seen.schedules + seen.void) / seconds)],
    ["failed", failed.length + scenes.failed],
  ] as const;
  for (const [what, count] of lines) console.log(`${what.padEnd(46)} ${String(count).padStart(10)}`);
  for (const { seed } of failed.slice(0, 5)) console.log(`npm run sim -- --seed ${seed}`);
  return failed.length + scenes.failed === 0 ? 0 : 1;
}

/** Plays the scenes with this in their name on every ground. One in which not everything went wrong has failed, too. */
async function play(name: string): Promise<{ readonly played: number; readonly failed: number }> {
  let played = 0;
  let failed = 0;
  using grounds = await AllGrounds.open();
  for (const kind of GROUNDS) {
    for (const scene of scenesOn(kind)) {
      if (!scene.name.includes(name)) continue;
      const { problems, missed, log } = await tryPlan(planOf(scene), grounds.on(kind));
      played += 1;
      if (values.log) console.log(log.join("\n"));
      const wrong = [...problems, ...missed.map((direction) => `never came to pass: ${direction}`)];
      if (wrong.length === 0) continue;
      failed += 1;
      console.error(`scene "${scene.name}" on ${kind}: ${wrong.join("; ")}`);
    }
  }
  return { played, failed };
}

/** Runs one seed on every ground, twice and with the same log, and shows the smallest plan that still fails. */
async function tryOne(seed: number): Promise<number> {
  const plan = { seed, workload: workloadOf(seed) };
  let failures = 0;
  using grounds = await AllGrounds.open();
  for (const kind of GROUNDS) {
    const trial = await tryPlan(plan, grounds.on(kind));
    const problems = [...trial.problems, ...(await runAgain(plan, grounds, kind, trial))];
    console.log(
      `${kind}: log ${trial.digest.slice(0, 16)}, ${trial.steps} steps, ${problems.join("; ") || "fine"}`,
    );
    if (values.log) console.log(trial.log.join("\n"));
    if (problems.length > 0) failures += 1;
    if (trial.problems.length === 0) continue;
    const small = await shrink(plan, grounds.on(kind), trial);
    const again = await tryPlan(small, grounds.on(kind));
    console.log(again.log.join("\n"));
    console.log(`\nthe smallest that was found: ${again.problems.join("; ")}`);
    for (const [client, operations] of small.workload.entries())
      for (const operation of operations) console.log(`client ${client}: ${JSON.stringify(operation)}`);
    console.log(`faults: ${[...again.bit].map(([kind, times]) => `${times} ${kind}`).join(", ") || "none"}`);
  }
  return failures === 0 ? 0 : 1;
}
