import { cpus } from "node:os";
import type { FileSample } from "./file-watch.js";
import type { InnerSample } from "./messages.js";
import { commonSlope, type Points, quantile, type Slope, sum, warm } from "./statistics.js";
import type { Tally } from "./tally.js";

export interface SoakSample extends InnerSample, FileSample {
  readonly life: number;
  readonly realMs: number;
}

/** All that was seen. */
export interface SoakRecord {
  readonly minutes: number;
  readonly speed: number;
  readonly load: number;
  readonly beganAt: Date;
  readonly samples: SoakSample[];
  /** When the process was killed, in real milliseconds since the beginning. */
  readonly kills: number[];
  readonly tally: Tally;
  /** The life without interruptions. */
  readonly calmLife: number;
  /** After everything was purged, and the rows that are left then. */
  rest?: FileSample & { readonly remains: ReadonlyMap<string, number> };
}

/** `broken` promises make the run fail; a `missed` goal is a figure that depends on the machine. */
type Outcome = "kept" | "broken" | "missed" | "void";

interface Verdict {
  readonly what: string;
  readonly seen: string;
  readonly limit: string;
  readonly outcome: Outcome;
}

const MB = 2 ** 20;
const TURNS = 100_000;

/**
 * How much memory may grow, in MB per {@link TURNS}. The heap of an engine that is left alone is steady enough to hold
 * it to that; what the system counts, and what short lives leave, must be far beyond it to be called a leak.
 */
const GOAL_MB = 1;
const LEAK_MB = 25;

/** The same for the file: it grows in steps, when the log is copied back. */
const FILE_GOAL = 1.1;
const FILE_LEAK = 1.25;

/** What may outlive all instances: floors of fencing tokens, refused starts, settings, each bounded by a constant. */
const REMAINS_MB = 2;

/** How the engine's errors are counted. */
export const ERROR = "error: ";

/** Fewer turns tell nothing about growth. */
const ENOUGH_TURNS = 20_000;

export function reportOf(record: SoakRecord): { readonly text: string; readonly isKept: boolean } {
  const verdicts = [
    nothingLost(record),
    noErrors(record),
    neverEarly(record),
    lateness(record, "steady"),
    lateness(record, "acrossOutage"),
    memory(record, "calm", "heap", GOAL_MB, ({ heapBytes }) => heapBytes),
    memory(record, "stormy", "heap", LEAK_MB, ({ heapBytes }) => heapBytes),
    memory(record, "calm", "resident memory", LEAK_MB, ({ rssBytes }) => rssBytes),
    flat(record, "open files", ({ descriptors }) => descriptors),
    flat(record, "other handles", ({ resources }) => resources),
    fileBounded(record),
    purged(record),
    ...faultsBit(record),
  ];
  const text = [
    ...heading(record),
    "",
    ...table(verdicts.map(({ what, seen, limit, outcome }) => [what, seen, limit, outcome])),
    "",
    ...sparklines(record),
    "",
    ...countsOf(record),
    ...record.tally.broken.slice(0, 20).map((promise) => `broken: ${promise}`),
  ].join("\n");
  return { text, isKept: verdicts.every(({ outcome }) => outcome === "kept" || outcome === "missed") };
}

function heading({ minutes, speed, load, beganAt, samples, kills }: SoakRecord): string[] {
  const virtualHours = (((samples.at(-1)?.realMs ?? 0) / 3_600_000) * speed).toFixed(1);
  const turns = turnsInAll(samples);
  const cores = `${cpus().length} cores, Node ${process.version}`;
  return [
    `soak of ${beganAt.toISOString().slice(0, 16)}Z: ${minutes} min × ${speed} = ${virtualHours} virtual hours, load ${load}`,
    `${cores}; ${turns.toLocaleString("en")} turns in ${kills.length + 1} lives, ${samples.length} samples`,
  ];
}

function turnsInAll(samples: readonly SoakSample[]): number {
  return sum(livesOf(samples).map((life) => life.at(-1)?.turns ?? 0));
}

/** The samples of each life, by its number. */
function livesOf(samples: readonly SoakSample[]): SoakSample[][] {
  const lives: SoakSample[][] = [];
  for (const sample of samples) (lives[sample.life] ??= []).push(sample);
  return lives;
}

// --- promises and goals ----------------------------------------------------------------------------------------------

function nothingLost({ tally }: SoakRecord): Verdict {
  const ended = sum([...tally.kept.values()]);
  const open = tally.open.length;
  return {
    what: "every accepted instance ended as it should",
    seen: `${ended.toLocaleString("en")} did, ${open} open, ${tally.broken.length} wrong`,
    limit: "all",
    outcome: ended === 0 ? "void" : open === 0 && tally.broken.length === 0 ? "kept" : "broken",
  };
}

/** What is amiss for a moment the engine warns of; an error means that it gave something up. */
function noErrors(record: SoakRecord): Verdict {
  const errors = [...countsIn(record)].filter(([what]) => what.startsWith(ERROR));
  const seen = errors.map(([what, times]) => `${times} × ${what.slice(ERROR.length)}`).join(", ");
  return {
    what: "errors logged by the engine",
    seen: seen === "" ? "none" : seen,
    limit: "none",
    outcome: errors.length === 0 ? "kept" : "broken",
  };
}

function latenessOf(samples: readonly SoakSample[], kind: keyof SoakSample["lateness"]): number[] {
  return samples.flatMap((sample) => sample.lateness[kind]);
}

function neverEarly({ samples, speed }: SoakRecord): Verdict {
  const all = [...latenessOf(samples, "steady"), ...latenessOf(samples, "acrossOutage")];
  const early = all.filter((ms) => ms < 0);
  return {
    what: "timers never fired early",
    seen: `${early.length} of ${all.length.toLocaleString("en")}${early.length === 0 ? "" : `, by ${(-Math.min(...early) / speed).toFixed(1)} ms`}`,
    limit: "0",
    outcome: all.length === 0 ? "void" : early.length === 0 ? "kept" : "broken",
  };
}

function lateness({ samples, speed }: SoakRecord, kind: keyof SoakSample["lateness"]): Verdict {
  const late = latenessOf(samples, kind);
  const real = (share: number): number => (quantile(late, share) ?? 0) / speed;
  const goal = kind === "steady" ? 1000 : undefined;
  const when = kind === "steady" ? "while the engine ran" : "while none ran";
  return {
    what: `lateness of timers due ${when}: p50, p99, max`,
    seen:
      late.length === 0 ? "none" : `${[0.5, 0.99, 1].map((share) => real(share).toFixed(0)).join(", ")} ms`,
    limit: goal === undefined ? "" : `p99 < ${goal} ms`,
    outcome: late.length === 0 ? "void" : goal === undefined || real(0.99) < goal ? "kept" : "missed",
  };
}

/** What grows within lives once they are warm: in calm weather what the engine keeps, in storms what is left of each. */
function memory(
  record: SoakRecord,
  weather: "calm" | "stormy",
  what: string,
  leakMb: number,
  bytesOf: (sample: SoakSample) => number,
): Verdict {
  const lives = livesOf(record.samples).filter(
    (_, life) => (life === record.calmLife) === (weather === "calm"),
  );
  const warmed = lives.map((samples) => warm(samples));
  const { perX, uncertainty } = slopeOf(warmed, bytesOf);
  const turns = sum(warmed.map((life) => (life.at(-1)?.turns ?? 0) - (life[0]?.turns ?? 0)));
  const sure = perX - uncertainty;
  return {
    what: `${what} per 100k turns, ${weather === "calm" ? "engine left alone" : "engine opened again and again"}`,
    seen: `${perX.toFixed(2)} ± ${uncertainty.toFixed(2)} MB, over ${turns.toLocaleString("en")} turns`,
    limit: `< ${GOAL_MB} MB beyond noise`,
    outcome: turns < ENOUGH_TURNS ? "void" : sure < GOAL_MB ? "kept" : sure < leakMb ? "missed" : "broken",
  };
}

/** In MB per {@link TURNS}. */
function slopeOf(groups: readonly (readonly SoakSample[])[], bytesOf: (sample: SoakSample) => number): Slope {
  const points = (samples: readonly SoakSample[]): Points =>
    samples.map((sample) => ({ x: sample.turns / TURNS, y: bytesOf(sample) / MB }));
  return commonSlope(groups.map(points));
}

/** Within each life: the middle of its last third is not above that of the third before. */
function flat(
  { samples }: SoakRecord,
  what: string,
  countOf: (sample: SoakSample) => number | undefined,
): Verdict {
  const lives = livesOf(samples).map((life) => {
    const counts = life.flatMap((each) => countOf(each) ?? []);
    const third = Math.floor(counts.length / 3);
    const middle = (from: number, to?: number): number => quantile(counts.slice(from, to), 0.5) ?? 0;
    return { before: middle(third, 2 * third), after: middle(2 * third), seen: counts.length };
  });
  const grown = Math.max(...lives.map(({ before, after }) => after - before));
  return {
    what: `${what} in each life, then and later`,
    seen: lives.map(({ before, after }) => `${before}→${after}`).join(" "),
    limit: "at most 2 more",
    outcome: lives.every(({ seen }) => seen === 0) ? "void" : grown <= 2 ? "kept" : "broken",
  };
}

/** Pages that a purge frees are used again: once ended instances leave as fast as they come, the file stays as it is. */
function fileBounded({ samples }: SoakRecord): Verdict {
  const third = Math.floor(samples.length / 3);
  const most = (from: number, to?: number): number =>
    Math.max(...samples.slice(from, to).map(({ fileBytes }) => fileBytes));
  const [before, after] = [most(third, 2 * third), most(2 * third)];
  const growth = after / before;
  return {
    what: "size of the file: most in the second, in the last third",
    seen: `${(before / MB).toFixed(1)}, ${(after / MB).toFixed(1)} MB`,
    limit: "+ 10 %",
    outcome: third === 0 ? "void" : growth < FILE_GOAL ? "kept" : growth < FILE_LEAK ? "missed" : "broken",
  };
}

function purged({ rest }: SoakRecord): Verdict {
  const left = [...(rest?.remains ?? [])].filter(([, rows]) => rows > 0);
  const free = rest === undefined ? 0 : 1 - rest.usedBytes / rest.fileBytes;
  const small = (rest?.usedBytes ?? 0) < REMAINS_MB * MB;
  const rows = left.length === 0 ? "no rows" : left.map(([table, count]) => `${count} ${table}`).join(", ");
  return {
    what: "left after everything was purged",
    seen: `${rows}; ${((rest?.usedBytes ?? 0) / MB).toFixed(2)} MB, ${(free * 100).toFixed(0)} % of the file free`,
    limit: `no rows, < ${REMAINS_MB} MB`,
    outcome: rest === undefined ? "void" : left.length === 0 && small ? "kept" : "broken",
  };
}

/** A run in which nothing went wrong on the way has shown nothing. */
function faultsBit(record: SoakRecord): Verdict[] {
  const counts = countsIn(record);
  const faults: readonly (readonly [string, number])[] = [
    ["kill -9 of the process", record.kills.length],
    ["engine closed without having drained", counts.get("engine closed without having drained") ?? 0],
    ["store busy", counts.get("fault: store busy") ?? 0],
  ];
  return faults.map(([fault, times]) => ({
    what: `fault: ${fault}`,
    seen: `${times} times`,
    limit: "1 or more",
    outcome: times > 0 ? "kept" : "void",
  }));
}

// --- how it is shown -------------------------------------------------------------------------------------------------

function countsIn({ samples }: SoakRecord): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const sample of samples)
    for (const [what, times] of Object.entries(sample.counts))
      counts.set(what, (counts.get(what) ?? 0) + times);
  return counts;
}

function countsOf(record: SoakRecord): string[] {
  const { tally } = record;
  const counts = [...countsIn(record)].toSorted(([a], [b]) => a.localeCompare(b));
  const rows = [...counts, ["starts that a kill came before", tally.neverBegan] as const];
  return table(rows.map(([what, times]) => [what, times.toLocaleString("en")]));
}

const BARS = "▁▂▃▄▅▆▇█";
const BAR_COUNT = 60;

function sparklines({ samples, speed }: SoakRecord): string[] {
  const rate = turnRates(samples);
  const late = samples.map(({ lateness: { steady } }) => (quantile(steady, 0.99) ?? 0) / speed);
  return table([
    ["heap, MB", ...sparkline(samples.map(({ heapBytes }) => heapBytes / MB))],
    ["resident, MB", ...sparkline(samples.map(({ rssBytes }) => rssBytes / MB))],
    ["file, MB", ...sparkline(samples.map(({ fileBytes }) => fileBytes / MB))],
    ["turns per second", ...sparkline(rate)],
    ["timers late (p99), ms", ...sparkline(late)],
  ]);
}

/** From 0 to the most, each bar the mean of its neighbours. */
function sparkline(values: readonly number[]): [string, string] {
  const size = Math.max(1, Math.ceil(values.length / BAR_COUNT));
  const means = Array.from({ length: Math.ceil(values.length / size) }, (_, n) => {
    const part = values.slice(n * size, (n + 1) * size);
    return sum(part) / part.length;
  });
  const most = Math.max(...means);
  const bar = (value: number): string => BARS[Math.round((value / (most || 1)) * (BARS.length - 1))] ?? "";
  return [means.map(bar).join(""), `up to ${most.toFixed(most < 10 ? 1 : 0)}`];
}

/** Turns per real second between a sample and the one before. */
export function turnRates(samples: readonly SoakSample[]): number[] {
  return samples.map((sample, n) => {
    const before = samples[n - 1];
    if (before === undefined || before.life !== sample.life) return 0;
    return (1000 * (sample.turns - before.turns)) / (sample.realMs - before.realMs);
  });
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
