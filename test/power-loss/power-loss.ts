import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { problemsOf } from "./check.js";
import { Disk, HUB, type Lie, type Remains } from "./disk.js";
import { drawFate, keepsEverything } from "./fate.js";
import { Ledger } from "./ledger.js";
import { drawMoments } from "./moments.js";
import { Random } from "./random.js";
import type { Recording } from "./recording.js";

export interface CutOptions {
  readonly cuts: number;
  readonly seed: number;
  /** Where disks are rebuilt: best a folder in memory. */
  readonly scratch: string;
  /** Fsyncs that do nothing: the check must notice. */
  readonly isLie?: Lie;
  /** The hub runs again after every n-th cut. */
  readonly goOnEvery: number;
  /** Stop at the first cut with problems. */
  readonly stopsAtLoss?: boolean;
}

export interface CutReport {
  readonly cuts: number;
  /** Drawn, and drawn again because nothing could be forgotten, or nothing was. */
  readonly voids: number;
  readonly inCheckpoint: number;
  readonly forgetful: number;
  readonly torn: number;
  readonly wentOn: number;
  /** Acknowledgements that a cut was checked for, in the mean. */
  readonly acknowledged: number;
  /** Cuts with problems. */
  readonly lossy: number;
  readonly problems: readonly string[];
}

/** Cuts the power of a recorded disk at many moments, and checks the hub that is found after each. */
export async function cutPower({ steps }: Recording, options: CutOptions): Promise<CutReport> {
  const random = new Random(options.seed);
  const { moments, voids: drawnInVain } = drawMoments(steps, options.cuts, random);
  const disk = new Disk(options.isLie);
  const ledger = new Ledger();
  const report = {
    cuts: 0,
    voids: drawnInVain,
    inCheckpoint: 0,
    forgetful: 0,
    torn: 0,
    wentOn: 0,
    lossy: 0,
    acknowledged: 0,
  };
  const problems: string[] = [];
  let said = 0;
  let taken = 0;
  for (const moment of moments) {
    for (const step of steps.slice(taken, moment)) {
      if (step.kind === "said") {
        ledger.enter(step.said);
        if (step.said.say !== "asked") said += 1;
      }
      disk.take(step, taken++);
    }
    const pending = disk.pending();
    let remains: Remains;
    for (;;) {
      remains = disk.afterPowerLoss(drawFate(random, pending));
      if (remains.forgotten + remains.torn > 0) break;
      report.voids += 1;
    }
    const goesOn = report.cuts % options.goOnEvery === 0;
    report.cuts += 1;
    report.acknowledged += said;
    if (disk.isPending(HUB)) report.inCheckpoint += 1;
    if (remains.forgotten > 0) report.forgetful += 1;
    if (remains.torn > 0) report.torn += 1;
    if (goesOn) report.wentOn += 1;
    const found = await checkRemains(remains, ledger, goesOn, options.scratch, random);
    if (found.length > 0) report.lossy += 1;
    problems.push(...found.map((problem) => `cut after step ${moment} of ${steps.length}: ${problem}`));
    if (options.stopsAtLoss === true && problems.length > 0) break;
  }
  return { ...report, acknowledged: Math.round(report.acknowledged / report.cuts), problems };
}

/** Lays a disk out in a folder, and checks the hub on it. */
async function checkRemains(
  { folders, files }: Remains,
  ledger: Ledger,
  goesOn: boolean,
  scratch: string,
  random: Random,
): Promise<readonly string[]> {
  const folder = mkdtempSync(join(scratch, "cut-"));
  try {
    for (const path of folders) mkdirSync(join(folder, path), { recursive: true });
    for (const [path, content] of files) writeFileSync(join(folder, path), content);
    const file = join(folder, HUB);
    // Shared memory is never synced: any rubbish may be in it.
    if (files.has(HUB) && random.chance(0.5)) {
      const rubbish = Buffer.from(Array.from({ length: 32 * 1024 }, () => random.integer(256)));
      writeFileSync(`${file}-shm`, rubbish);
    }
    return await problemsOf(file, ledger, goesOn);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Files that differ between what the recorded process left and what the recording says that it left: none, or the
 * recorder missed something and the cuts prove nothing.
 */
export function differences({ steps, folder }: Recording): readonly string[] {
  const disk = new Disk();
  for (const [number, step] of steps.entries()) disk.take(step, number);
  const { files } = disk.afterPowerLoss(keepsEverything);
  const hub = dirname(HUB);
  const names = new Set([
    ...readdirSync(join(folder, hub)),
    ...[...files.keys()].map((path) => path.slice(hub.length + 1)),
  ]);
  return [...names].filter((name) => {
    if (name.endsWith("-shm")) return false;
    const recorded = files.get(`${hub}/${name}`);
    return recorded === undefined || !recorded.equals(readFileSync(join(folder, hub, name)));
  });
}
