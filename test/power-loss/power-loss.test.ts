import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LIES } from "./lies.js";
import { type CutReport, cutPower, differences } from "./power-loss.js";
import { type Recording, record, whyNot } from "./recording.js";

/** A short recording, cut a few times; `npm run test:power-loss` does more of both. */
const WORKLOAD = { stories: 24, padding: 24_000 };
const CUTS = 60;
const LIE_CUTS = 100;
const SEED = 1;
const TIMEOUT_MS = 120_000;

const reason = whyNot();
if (reason !== undefined) process.stderr.write(`power loss is not tested: ${reason}\n`);

describe.skipIf(reason !== undefined)("after a power loss", () => {
  let folder: string;
  let scratch: string;
  let recording: Recording;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "tenure-power-loss-"));
    scratch = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "tenure-power-loss-"));
    recording = record(folder, WORKLOAD);
  }, TIMEOUT_MS);

  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
    rmSync(scratch, { recursive: true, force: true });
  });

  test("everything that was done to the files is known", () => {
    expect(differences(recording)).toEqual([]);
  });

  test(
    "nothing that was acknowledged is lost",
    async () => {
      const report = await cutPower(recording, { cuts: CUTS, seed: SEED, scratch, goOnEvery: 20 });
      expect(report.problems).toEqual([]);
      expect(report.cuts).toBe(CUTS);
      const { inCheckpoint, forgetful, torn, wentOn, acknowledged } = report;
      for (const count of [inCheckpoint, forgetful, torn, wentOn, acknowledged])
        expect(count).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );

  test.each(LIES)(
    "something is, on a disk that says it did each fsync and $name",
    async ({ isLie }) => {
      const options = { cuts: LIE_CUTS, seed: SEED, scratch, goOnEvery: 20, isLie, stopsAtLoss: true };
      const report: CutReport = await cutPower(recording, options);
      expect(report.problems).not.toEqual([]);
    },
    TIMEOUT_MS,
  );
});
