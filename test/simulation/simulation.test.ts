// A short, fixed part of `npm run sim`: enough to see that the engine and the simulation still fit. What it has found
// has tests of its own (docs/track-record.md): with the engine, what a seed brings about changes.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AllGrounds, GROUNDS, type GroundKind } from "../../sim/ground.js";
import { planOf } from "../../sim/scene.js";
import { scenesOn } from "../../sim/scenes.js";
import { tryPlan } from "../../sim/trial.js";
import { workloadOf } from "../../sim/workload.js";
import { holdBackTaskRejections } from "../../src/unhandled-rejections.js";

const SEEDS = Array.from({ length: 40 }, (_, index) => index + 1);

let grounds: AllGrounds;
let letRejectionsGo: () => void = () => {};

beforeAll(async () => {
  grounds = await AllGrounds.open();
  const ignore = (): void => {};
  letRejectionsGo = holdBackTaskRejections({ debug: ignore, info: ignore, warn: ignore, error: ignore });
});

afterAll(() => {
  letRejectionsGo();
  grounds[Symbol.dispose]();
});

async function tried(seed: number, kind: GroundKind) {
  return tryPlan({ seed, workload: workloadOf(seed) }, grounds.on(kind));
}

/** On a machine that has more to do, a few seconds' work takes long. */
const PATIENCE = { timeout: 180_000 };

describe("simulated processes on one hub", PATIENCE, () => {
  test.each(GROUNDS)("keep every promise under faults, on %s", async (kind) => {
    let bitten = 0;
    for (const seed of SEEDS) {
      const { problems, isVoid } = await tried(seed, kind);
      expect(problems, `npm run sim -- --seed ${seed}`).toEqual([]);
      if (!isVoid) bitten += 1;
    }
    expect(bitten, "schedules in which something went wrong").toBeGreaterThan(SEEDS.length / 2);
  });

  test.each(GROUNDS)("keep every promise in each race that is written down, on %s", async (kind) => {
    for (const scene of scenesOn(kind)) {
      const { problems, missed } = await tryPlan(planOf(scene), grounds.on(kind));
      expect({ problems, missed }, `npm run sim -- --scene "${scene.name}"`).toEqual({
        problems: [],
        missed: [],
      });
    }
  });

  test("do the same again from the same seed, byte by byte, and the same on SQLite as in memory", async () => {
    for (const seed of [1, 2, 3, 5, 8, 13]) {
      const once = await tried(seed, "memory alone");
      expect(await tried(seed, "memory alone")).toEqual(once);
      expect((await tried(seed, "sqlite")).digest).toBe(once.digest);
    }
    for (const scene of scenesOn("sqlite")) {
      const once = await tryPlan(planOf(scene), grounds.on("memory alone"));
      expect((await tryPlan(planOf(scene), grounds.on("sqlite"))).digest).toBe(once.digest);
    }
  });
});
