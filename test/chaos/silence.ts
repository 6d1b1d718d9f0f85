// How long work stood still: the table's column "recover s", for both stores.
import { jobOf } from "../postgres/counted.js";
import type { Testimony } from "../postgres/members.js";
import type { Job } from "./load.js";

/**
 * The longest time in which any job gave no sign of life, from when its callers heard that it was accepted until they
 * saw its end. Signs are the starts of its activities and of its child's, on one clock. What its callers were not
 * answered meanwhile is in it, and so is whatever a job takes without any fault.
 */
export function longestSilence(jobs: readonly Job[], testimonies: readonly Testimony[]): number {
  const signs = new Map<string, number[]>();
  for (const { instanceId, atMs } of testimonies) {
    const id = jobOf(instanceId);
    const known = signs.get(id);
    if (known === undefined) signs.set(id, [atMs]);
    else known.push(atMs);
  }
  const silences = jobs.map(({ instanceId, acceptedMs, endedMs }) => {
    const ends = endedMs === undefined ? [] : [endedMs];
    const [lastMs = Number.POSITIVE_INFINITY] = ends;
    const between = (signs.get(instanceId) ?? []).filter((atMs) => atMs > acceptedMs && atMs < lastMs);
    const times = [acceptedMs, ...between.toSorted((a, b) => a - b), ...ends];
    return longestOf(times.map((atMs, index) => atMs - (times[index - 1] ?? atMs)));
  });
  return longestOf(silences);
}

/** Of any number: more than a call takes arguments. */
function longestOf(times: readonly number[]): number {
  return times.reduce((longest, time) => Math.max(longest, time), 0);
}
