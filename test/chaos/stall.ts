// How long a fault is felt: the longest time in which a job that was alive made no progress.
import process from "node:process";

/** What showed that a job goes on: its start was accepted, an activity of it testified, its end was seen. */
export interface Progress {
  readonly instanceId: string;
  /** By the machine's monotonic clock, as activities testify. */
  readonly atMs: number;
}

/** The machine's monotonic clock: one for all processes, and nobody sets it. */
export function machineMs(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

/** The longest time between two signs of progress of one job; what its child does is progress of the job. */
export function longestStall(progress: readonly Progress[]): number {
  const last = new Map<string, number>();
  let longest = 0;
  for (const { instanceId, atMs } of progress.toSorted((one, other) => one.atMs - other.atMs)) {
    const job = instanceId.replace(/-part$/, "");
    longest = Math.max(longest, atMs - (last.get(job) ?? atMs));
    last.set(job, atMs);
  }
  return longest;
}
