import { expect, test } from "vitest";
import { inThreads, type LaneReport } from "../../sim/lanes.js";

const SHARE = { from: 1, schedules: 4, threads: 2 };

/** A thread that does this. */
function script(code: string): URL {
  return new URL(`data:text/javascript,${encodeURIComponent(code)}`);
}

const REPORT = `import { parentPort, workerData } from "node:worker_threads";
  const report = (isVoid) => parentPort.postMessage({ isVoid, seed: workerData.first });`;

test("every thread tries its share of the schedules, those that are void not counted", async () => {
  const seen: LaneReport[] = [];
  const code = `${REPORT} report(false); report(true); report(false);`;
  await inThreads(script(code), SHARE, (tried: LaneReport) => seen.push(tried));
  expect(seen.filter(({ isVoid }) => !isVoid)).toHaveLength(4);
  expect(seen).toHaveLength(6);
});

test("a thread that ends before its share is tried has failed, although it ends well", async () => {
  const ends = inThreads(script(`${REPORT} report(false); report(true);`), SHARE, () => {});
  await expect(ends).rejects.toThrow("a thread ended with code 0 after 1 of 2 schedules");
});

test("a thread that ends itself has failed, although its share is tried", async () => {
  const code = `${REPORT} report(false); report(false); process.exitCode = 3;`;
  await expect(inThreads(script(code), SHARE, () => {})).rejects.toThrow("a thread ended with code 3");
});
