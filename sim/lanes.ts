import { Worker } from "node:worker_threads";

/** What a thread tells of a schedule that it has tried. */
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

/** Which seeds a thread tries: every `step`th from `first` on, until `count` schedules were not void. */
export interface LaneData {
  readonly first: number;
  readonly step: number;
  readonly count: number;
}

/**
 * Tries so many schedules in threads that share the seeds. A thread that ends before its share is tried has failed,
 * however it ends: what was not tried must not pass for what went well.
 */
export async function inThreads(
  script: URL,
  {
    from,
    schedules,
    threads,
  }: { readonly from: number; readonly schedules: number; readonly threads: number },
  note: (report: LaneReport) => void,
): Promise<void> {
  const count = Math.ceil(schedules / threads);
  await Promise.all(
    Array.from({ length: threads }, (_, lane) =>
      inThread(script, { first: from + lane, step: threads, count }, note),
    ),
  );
}

function inThread(script: URL, data: LaneData, note: (report: LaneReport) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(script, { workerData: data });
    let counted = 0;
    worker.on("message", (report: LaneReport) => {
      if (!report.isVoid) counted += 1;
      note(report);
    });
    worker.on("error", reject);
    worker.on("exit", (code) => {
      if (code === 0 && counted === data.count) resolve();
      else reject(new Error(`a thread ended with code ${code} after ${counted} of ${data.count} schedules`));
    });
  });
}
