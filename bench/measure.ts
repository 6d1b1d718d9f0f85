import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getHeapSpaceStatistics } from "node:v8";

/** What a piece of work cost this process, all its threads included. */
export interface Cost {
  readonly wallMs: number;
  readonly cpuMs: number;
}

/** Runs work and tells what it cost. */
export async function costOf(work: () => Promise<unknown> | void): Promise<Cost> {
  const cpu = process.cpuUsage();
  const start = performance.now();
  await work();
  const wallMs = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  return { wallMs, cpuMs: (user + system) / 1000 };
}

/** Calls `one` this many times, so many at a time. */
export async function closedLoop(
  total: number,
  inFlight: number,
  one: (index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < total; index = next++) await one(index);
  };
  await Promise.all(Array.from({ length: Math.min(inFlight, total) }, lane));
}

/** A folder that goes away afterwards. `TENURE_BENCH_DIR` chooses the disk. */
export async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(process.env["TENURE_BENCH_DIR"] ?? tmpdir(), "tenure-bench-"));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The middle value; of an even number, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low, high] = [sorted[(sorted.length - 1) >> 1] ?? Number.NaN, sorted[middle] ?? Number.NaN];
  return (low + high) / 2;
}

/** The value that this share of all lie at or below: 0.5 for the median, 1 for the highest. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

/**
 * Resident memory in MB, after collections where the process allows them: the first empties pages, the second gives
 * them back, in the background. Without V8's young generation of this thread, which is empty then, and of which V8
 * keeps 1 or 33 MB as it likes.
 */
export async function residentMb(): Promise<number> {
  for (let collection = 0; collection < 2; collection++) {
    globalThis.gc?.();
    await settle(300);
  }
  const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space");
  return (process.memoryUsage.rss() - (young?.physical_space_size ?? 0)) / 1024 / 1024;
}

/** Lets what is under way come to rest. */
export function settle(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
