import { Disk, HUB } from "./disk.js";
import type { Random } from "./random.js";
import type { Step } from "./recording.js";

/**
 * Where to cut: half of them anywhere, a quarter while a checkpoint is under way, a quarter beside a step after which
 * somebody relies on something (an fsync that returned, an acknowledgement). Only where something can be forgotten.
 */
export function drawMoments(
  steps: readonly Step[],
  cuts: number,
  random: Random,
): { readonly moments: readonly number[]; readonly voids: number } {
  const disk = new Disk();
  const able: boolean[] = [];
  const checkpoints: number[] = [];
  const boundaries: number[] = [];
  for (const [number, step] of steps.entries()) {
    disk.take(step, number);
    const moment = number + 1;
    able[moment] = disk.isPending();
    if (disk.isPending(HUB)) checkpoints.push(moment);
    if (step.kind === "synced" || step.kind === "said") boundaries.push(moment);
  }
  const moments: number[] = [];
  let voids = 0;
  while (moments.length < cuts) {
    const kind = random.next();
    const from = kind < 0.25 ? checkpoints : kind < 0.5 ? boundaries : undefined;
    const moment = from?.[random.integer(from.length)] ?? random.integer(steps.length) + 1;
    if (able[moment] === true) moments.push(moment);
    else voids += 1;
  }
  return { moments: moments.toSorted((one, other) => one - other), voids };
}
