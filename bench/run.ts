import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { median } from "./measure.js";
import type { Figures } from "./scenarios.js";

// Runs every scenario beside its raw ceiling, in turns, and prints medians. Bounded to a few minutes.
// `npm run bench -- NAME…` runs some; TENURE_BENCH_ROUNDS sets how often each runs (default 3).
const here = fileURLToPath(new URL(".", import.meta.url));
const child = join(here, "child.js");
const rounds = Number(process.env["TENURE_BENCH_ROUNDS"] ?? 3);
const wanted = process.argv.slice(2);

interface Row {
  readonly what: string;
  readonly figure: string;
  readonly value: number;
  readonly unit: string;
  readonly goal: string;
  readonly reached: boolean | undefined;
}

const rows: Row[] = [];
const raw: Record<string, Figures> = {};

function main(): void {
  process.stderr.write(
    `${cpus()[0]?.model ?? "?"}, ${cpus().length} cores, Node ${process.version}, load ${loadavg()[0]}\n`,
  );
  hello5("hello5-100", { perSecond: 2000, cpuMsEach: 0.5, commitsEach: 0.2 });
  hello5("hello5-1000", {});
  alone();
  slowDisk();
  sequence();
  fanOut();
  idle();
  recovery();
  starts();
  print();
  save();
}

function hello5(name: string, goals: { perSecond?: number; cpuMsEach?: number; commitsEach?: number }): void {
  if (skipped(name)) return;
  const ours = measured("scenario", name);
  const ceiling = measured("raw", "hello5", String(ours["groupSize"] ?? 1));
  raw[name] = ceiling;
  add(name, "rate", ours["perSecond"], "/s", { atLeast: goals.perSecond });
  add(name, "CPU each", ours["cpuMsEach"], "ms", { atMost: goals.cpuMsEach });
  add(name, "commits each", ours["commitsEach"], "", { atMost: goals.commitsEach });
  add(name, "raw ceiling, same groups", ceiling["perSecond"], "/s", {});
  add(name, "of the raw ceiling", ratio(ours["perSecond"], ceiling["perSecond"]), "", {});
  add(name, "CPU, times raw", ratio(ours["cpuMsEach"], ceiling["cpuMsEach"]), "", {});
}

function alone(): void {
  if (skipped("hello5-alone")) return;
  add("hello5-alone", "latency", measured("scenario", "hello5-alone")["latencyMs"], "ms", { atMost: 4 });
}

function slowDisk(): void {
  if (skipped("hello5-slow-disk")) return;
  const shim = slowFsyncShim();
  if (shim === undefined) {
    process.stderr.write("hello5-slow-disk is skipped: it needs a C compiler (cc) and /dev/shm\n");
    return;
  }
  const ours = measured("scenario", "hello5-slow-disk", undefined, {
    LD_PRELOAD: shim,
    TENURE_BENCH_DIR: "/dev/shm",
  });
  add("hello5-slow-disk", "rate, fsync of 1 ms", ours["perSecond"], "/s", { atLeast: 1500 });
  add("hello5-slow-disk", "commits each", ours["commitsEach"], "", {});
}

function sequence(): void {
  if (skipped("sequence")) return;
  const ours = measured("scenario", "sequence");
  const ceiling = measured("raw", "sequence");
  raw["sequence"] = ceiling;
  add("sequence", "per step", ours["stepMs"], "ms", {});
  add("sequence", "raw commit", ceiling["stepMs"], "ms", {});
  add("sequence", "times one raw commit", ratio(ours["stepMs"], ceiling["stepMs"]), "", { atMost: 2.5 });
  add("sequence", "last 100 / first 100 steps", ours["lastToFirst"], "", { atMost: 1.2 });
}

function fanOut(): void {
  if (!skipped("fan-out-1000")) {
    const small = measured("scenario", "fan-out-1000");
    add("fan-out-1000", "time", small["wallMs"], "ms", { atMost: 60 });
    add("fan-out-1000", "turns", small["turns"], "", {});
  }
  if (skipped("fan-out-10000")) return;
  const large = measured("scenario", "fan-out-10000");
  add("fan-out-10000", "activities", large["activitiesPerSecond"], "/s", { atLeast: 45_000 });
  add("fan-out-10000", "turns", large["turns"], "", {});
  add("fan-out-10000", "peak memory", large["peakMb"], "MB", {});
}

function idle(): void {
  if (skipped("idle-10000")) return;
  const ours = measured("scenario", "idle-10000");
  add("idle-10000", "added memory", ours["addedMb"], "MB", { atMost: 60 });
  add("idle-10000", "idle CPU per second", ours["idleCpuMsPerSecond"], "ms", { atMost: 2 });
  add("idle-10000", "wake all", ours["wakeAllMs"], "ms", { atMost: 1000 });
}

function recovery(): void {
  if (skipped("recovery")) return;
  const runs: Figures[] = [];
  const cold: Figures[] = [];
  for (let round = 0; round < rounds; round++) {
    const folder = mkdtempSync(join(tmpdir(), "tenure-bench-"));
    try {
      killWhenUnfinished(folder);
      runs.push(runChild(["recovery", "survivor", folder]));
      cold.push(runChild(["recovery", "cold", join(folder, "cold")]));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  const ours = medians(runs);
  add("recovery", "kill -9, 10,000 unfinished: first progress", ours["firstProgressMs"], "ms", {
    atMost: 500,
  });
  add("recovery", "all complete (steps of 3 s)", ours["allCompleteMs"], "ms", {});
  add("cold start", "first completed orchestration", medians(cold)["firstCompletedMs"], "ms", {
    atMost: 400,
  });
}

function starts(): void {
  if (skipped("starts")) return;
  const ours = measured("scenario", "starts");
  const ceiling = measured("raw", "starts", "100");
  raw["starts"] = ceiling;
  add("starts", "fresh IDs", ours["freshPerSecond"], "/s", {});
  add("starts", "of bare inserts", ratio(ours["freshPerSecond"], ceiling["freshPerSecond"]), "", {});
  add("starts", "refused on a held ID", ours["refusedPerSecond"], "/s", {});
  add("starts", "of bare selects", ratio(ours["refusedPerSecond"], ceiling["refusedPerSecond"]), "", {});
}

/** The victim says when its instances are unfinished, and dies of SIGKILL at once. */
function killWhenUnfinished(folder: string): void {
  const script = `
    const { spawn } = require("node:child_process");
    const victim = spawn(process.execPath, [${JSON.stringify(child)}, "recovery", "victim", ${JSON.stringify(folder)}],
      { stdio: ["ignore", "pipe", "inherit"] });
    victim.stdout.once("data", () => victim.kill("SIGKILL"));`;
  execFileSync(process.execPath, ["-e", script], {
    timeout: 120_000,
    stdio: ["ignore", "ignore", "inherit"],
  });
}

function measured(kind: string, name: string, argument?: string, env: NodeJS.ProcessEnv = {}): Figures {
  process.stderr.write(`${kind} ${name} `);
  const runs: Figures[] = [];
  for (let round = 0; round < rounds; round++) {
    runs.push(runChild([kind, name, ...(argument === undefined ? [] : [argument])], env));
    process.stderr.write(".");
  }
  process.stderr.write("\n");
  return medians(runs);
}

function runChild(args: readonly string[], env: NodeJS.ProcessEnv = {}): Figures {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--expose-gc", child, ...args], {
    encoding: "utf8",
    env: { ...process.env, ...env },
    timeout: 180_000,
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status !== 0) throw new Error(`${args.join(" ")} failed (${status}):\n${stderr}`);
  return parseFigures(stdout.trim().split("\n").at(-1) ?? "");
}

function parseFigures(line: string): Figures {
  const parsed: unknown = JSON.parse(line);
  if (typeof parsed !== "object" || parsed === null) throw new Error(`not figures: ${line}`);
  return Object.fromEntries(Object.entries(parsed).map(([key, value]) => [key, Number(value)]));
}

function medians(runs: readonly Figures[]): Figures {
  const names = Object.keys(runs[0] ?? {});
  return Object.fromEntries(names.map((name) => [name, median(runs.map((run) => run[name] ?? Number.NaN))]));
}

function add(
  what: string,
  figure: string,
  value: number | undefined,
  unit: string,
  goal: { readonly atLeast?: number | undefined; readonly atMost?: number | undefined },
): void {
  const measuredValue = value ?? Number.NaN;
  const { atLeast, atMost } = goal;
  const text = atLeast !== undefined ? `≥ ${atLeast}` : atMost !== undefined ? `≤ ${atMost}` : "";
  const reached =
    atLeast !== undefined
      ? measuredValue >= atLeast
      : atMost !== undefined
        ? measuredValue <= atMost
        : undefined;
  rows.push({ what, figure, value: measuredValue, unit, goal: text, reached });
}

function ratio(a: number | undefined, b: number | undefined): number {
  return (a ?? Number.NaN) / (b ?? Number.NaN);
}

function skipped(name: string): boolean {
  return wanted.length > 0 && !wanted.includes(name);
}

function slowFsyncShim(): string | undefined {
  if (!existsSync("/dev/shm")) return undefined;
  const source = join(here, "..", "bench", "slow-fsync.c");
  const library = join(here, "slow-fsync.so");
  const compiled = spawnSync("cc", ["-shared", "-fPIC", "-O2", "-o", library, source]);
  return compiled.status === 0 ? library : undefined;
}

function print(): void {
  const shown = (value: number): string =>
    value >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(3);
  const table = rows.map(({ what, figure, value, unit, goal, reached }) => [
    what,
    figure,
    `${shown(value)}${unit === "" ? "" : ` ${unit}`}`,
    goal,
    reached === undefined ? "" : reached ? "reached" : "NOT reached",
  ]);
  const all = [["scenario", "figure", `median of ${rounds}`, "goal", ""], ...table];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
  for (const row of all) {
    process.stdout.write(
      `${row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd()}\n`,
    );
  }
}

function save(): void {
  const folder = join(here, "..", "bench", "results");
  mkdirSync(folder, { recursive: true });
  const file = join(folder, "latest.json");
  const machine = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version, load: loadavg() };
  writeFileSync(file, `${JSON.stringify({ machine, rounds, rows, raw }, null, 2)}\n`);
  process.stderr.write(`written to ${file}\n`);
}

main();
