// npm run test:power-loss -- --cuts 1000 --seed 1
// One recording, many power losses. A recording in which something was lost is kept, and `--recording FOLDER` with the
// same seed cuts it at the same moments. `--normal` records SQLite with synchronous=NORMAL: then something must be lost.
// The SQLite is that of the Node that runs it.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";
import { loadDriver } from "../../dist/stores/sqlite/driver.js";
import { LIES } from "./lies.js";
import { type CutOptions, type CutReport, cutPower, differences } from "./power-loss.js";
import { type Recording, readRecording, record, whyNot } from "./recording.js";

/** Several checkpoints in each of the two lives. */
const WORKLOAD = { stories: 100, padding: 30_000 };
const GO_ON_EVERY = 25;

/** How many cuts each lie gets to be found out. */
const LIE_CUTS = 100;

const { values } = parseArgs({
  options: {
    cuts: { type: "string", default: "1000" },
    seed: { type: "string", default: "1" },
    recording: { type: "string" },
    normal: { type: "boolean", default: false },
  },
});

/** Cells of a line, the first one to the left. */
const WIDTHS = [28, 6, 6, 14, 7, 6, 9, 13, 6, 7];
const HEADS = [
  "disk",
  "cuts",
  "void",
  "in checkpoint",
  "forgot",
  "torn",
  "went on",
  "acknowledged",
  "lost",
  "cuts/s",
];

process.exitCode = await main();

async function main(): Promise<number> {
  const reason = whyNot();
  if (reason !== undefined) {
    say(`test:power-loss cannot run here: ${reason}. Nothing was tested.`);
    return 2;
  }
  const folder = values.recording ?? mkdtempSync(join(tmpdir(), "tenure-power-loss-"));
  const scratch = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "tenure-power-loss-"));
  try {
    const passed = await cutAll(folder, scratch);
    if (passed && values.recording === undefined) rmSync(folder, { recursive: true, force: true });
    else if (!passed)
      say(
        `again: npm run test:power-loss -- --recording ${folder} --cuts ${values.cuts} --seed ${values.seed}`,
      );
    return passed ? 0 : 1;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function cutAll(folder: string, scratch: string): Promise<boolean> {
  const recording =
    values.recording === undefined
      ? record(folder, { ...WORKLOAD, isNormal: values.normal })
      : readRecording(folder);
  const fsyncs = recording.steps.filter(({ kind }) => kind === "synced").length;
  say(`${await sqlite()}; recorded ${recording.steps.length} steps, ${fsyncs} fsyncs; seed ${values.seed}`);
  const missed = differences(recording);
  if (missed.length > 0) {
    say(`the recorder missed what was done to ${missed.join(", ")}: nothing is proved`);
    return false;
  }
  say(line(HEADS));
  const common = { seed: Number(values.seed), scratch, goOnEvery: GO_ON_EVERY };
  if (values.normal) return loses(recording, common);
  const honest = await timed("as POSIX promises", () =>
    cutPower(recording, { ...common, cuts: Number(values.cuts) }),
  );
  for (const problem of honest.problems.slice(0, 20)) say(problem);
  let passed =
    honest.problems.length === 0 && honest.forgetful > 0 && honest.torn > 0 && honest.inCheckpoint > 0;
  for (const { name, isLie } of LIES) {
    const options = { ...common, cuts: LIE_CUTS, isLie, stopsAtLoss: true };
    const report = await timed(name, () => cutPower(recording, options));
    if (report.problems.length > 0) continue;
    say(`a disk that ${name}, and nothing was found to be lost: the check is blind`);
    passed = false;
  }
  return passed;
}

/** With synchronous=NORMAL, something must be: or that setting was not in force, and FULL shows nothing. */
async function loses(recording: Recording, options: Omit<CutOptions, "cuts">): Promise<boolean> {
  const { lossy, cuts, problems } = await timed("synchronous=NORMAL", () =>
    cutPower(recording, { ...options, cuts: Number(values.cuts) }),
  );
  for (const problem of problems.slice(0, 5)) say(problem);
  say(`something that was acknowledged was lost in ${lossy} of ${cuts} cuts`);
  return lossy > 0;
}

/** Which SQLite it is about. */
async function sqlite(): Promise<string> {
  const Driver = await loadDriver();
  const memory = new Driver(":memory:", { enableForeignKeyConstraints: false });
  try {
    const { version } = z
      .object({ version: z.string() })
      .parse(memory.prepare("select sqlite_version() as version").get());
    const from =
      process.getBuiltinModule("node:sqlite") === undefined ? "@photostructure/sqlite" : "node:sqlite";
    return `SQLite ${version} of ${from}, Node ${process.version}`;
  } finally {
    memory.close();
  }
}

/** Carries out and prints the line. */
async function timed(disk: string, work: () => Promise<CutReport>): Promise<CutReport> {
  const sinceMs = performance.now();
  const report = await work();
  const perSecond = (1000 * report.cuts) / (performance.now() - sinceMs);
  const { cuts, voids, inCheckpoint, forgetful, torn, wentOn, acknowledged, problems } = report;
  const cells = [cuts, voids, inCheckpoint, forgetful, torn, wentOn, acknowledged, problems.length];
  say(line([disk, ...cells.map(String), perSecond.toFixed(1)]));
  return report;
}

function line(cells: readonly string[]): string {
  return cells
    .map((cell, column) => (column === 0 ? cell.padEnd(WIDTHS[0] ?? 0) : cell.padStart(WIDTHS[column] ?? 0)))
    .join(" ");
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
