import { describe, expect, test } from "vitest";
import { plot } from "../soak/plot.js";
import { reportOf, type SoakRecord, type SoakSample } from "../soak/report.js";
import { commonSlope } from "../soak/statistics.js";
import { Tally } from "../soak/tally.js";

const MB = 2 ** 20;

/** What a run looks like in which all is well; `change` spoils it. */
function record(change: (sample: SoakSample, n: number) => Partial<SoakSample> = () => ({})): SoakRecord {
  const samples = Array.from({ length: 90 }, (_, n): SoakSample => {
    const sample: SoakSample = {
      life: n < 45 ? 0 : 1,
      realMs: n * 1000,
      virtualMs: n * 72_000,
      turns: n * 1000,
      heapBytes: (20 + (n % 3)) * MB,
      externalBytes: MB,
      rssBytes: (100 + (n % 3)) * MB,
      residents: 100,
      descriptors: 20,
      resources: 4,
      timers: 10,
      lateness: { steady: [0, 72], acrossOutage: [720] },
      counts: { "engine closed without having drained": 1, "fault: store busy": 1 },
      fileBytes: 10 * MB,
      logBytes: MB,
      usedBytes: 5 * MB,
      instances: 1000,
    };
    return { ...sample, ...change(sample, n) };
  });
  const tally = new Tally();
  const job = { id: "steps-1", kind: "steps", input: 3, status: "Completed", output: 3 } as const;
  tally.note({ kind: "asking", job });
  tally.note({ kind: "accepted", id: job.id });
  tally.note({ kind: "ended", id: job.id, status: "Completed", output: 3 });

  const beganAt = new Date(0);
  return { minutes: 1, speed: 72, load: 1, beganAt, samples, kills: [1], tally, calmLife: 0, rest: rest() };
}

describe("the report of a soak", () => {
  test("is content where nothing is wrong", () => {
    expect(reportOf(record())).toMatchObject({ isKept: true });
  });

  test.each<[string, SoakRecord]>([
    [
      "a heap that grows by 3 MB per 100k turns",
      record(({ turns }) => ({ heapBytes: (20 + turns / 33_333) * MB })),
    ],
    [
      "a timer that fired early",
      record((_, n) => (n === 50 ? { lateness: { steady: [-1], acrossOutage: [] } } : {})),
    ],
    ["file descriptors that stay open", record((_, n) => ({ descriptors: 20 + Math.floor(n / 5) }))],
    ["a file that grows on", record((_, n) => ({ fileBytes: (10 + n) * MB }))],
    ["an error of the engine", record((sample) => ({ counts: { ...sample.counts, "error: gave up": 1 } }))],
    ["faults that never came", record(() => ({ counts: {} }))],
    ["timers of which none was due", record(() => ({ lateness: { steady: [], acrossOutage: [720] } }))],
    ["outages in which no timer was due", record(() => ({ lateness: { steady: [0], acrossOutage: [] } }))],
    ["rows that a purge left", { ...record(), rest: { ...rest(), remains: new Map([["hist", 1]]) } }],
  ])("fails the run for %s", (_what, spoilt) => {
    expect(reportOf(spoilt).isKept).toBe(false);
  });

  test("fails the run for an instance that nobody saw end", () => {
    const spoilt = record();
    spoilt.tally.note({ kind: "asking", job: { id: "x", kind: "steps", input: 3, status: "Completed" } });
    expect(reportOf(spoilt).isKept).toBe(false);
  });

  test("fails the run for an instance that ended otherwise than it should", () => {
    const spoilt = record();
    spoilt.tally.note({ kind: "asking", job: { id: "x", kind: "steps", input: 3, status: "Completed" } });
    spoilt.tally.note({ kind: "ended", id: "x", status: "Failed", output: undefined });
    expect(reportOf(spoilt).isKept).toBe(false);
  });
});

describe("the plot of a soak", () => {
  test("has a line for each thing that was measured, a point for each sample, and the kills", () => {
    const svg = plot(record());
    const lines = [...svg.matchAll(/class="line c\d" d="M([^"]+)"/g)].map(
      ([, path]) => path?.split("L").length,
    );
    expect(lines.filter((points) => points === 90)).toHaveLength(10);
    expect(svg.match(/class="kill"/g)).toHaveLength(1);
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  });
});

function rest(): NonNullable<SoakRecord["rest"]> {
  return { fileBytes: 10 * MB, logBytes: 0, usedBytes: MB / 2, instances: 0, remains: new Map() };
}

describe("the slope of several groups", () => {
  test("is what they have in common, whatever their levels", () => {
    const line = (level: number) => Array.from({ length: 20 }, (_, x) => ({ x, y: level + 2 * x + (x % 2) }));
    const { perX, uncertainty } = commonSlope([line(0), line(1000)]);
    expect(Math.abs(perX - 2)).toBeLessThanOrEqual(uncertainty);
    expect(uncertainty).toBeLessThan(0.1);
  });
});
