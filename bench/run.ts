import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Figures, medians, parseFigures, Report, ratio, sayMachine } from "./report.js";

// Runs every scenario beside its raw ceiling, in turns, and prints medians. Bounded to a few minutes.
// `npm run bench -- NAME…` runs some; TENURE_BENCH_ROUNDS sets how often each runs (default 3).
const here = fileURLToPath(new URL(".", import.meta.url));
const child = join(here, "child.js");
const rounds = Number(process.env["TENURE_BENCH_ROUNDS"] ?? 3);
const wanted = process.argv.slice(2);

const report = new Report(`median of ${rounds}`);
const raw: Record<string, Figures> = {};
report.extra["rounds"] = rounds;
report.extra["raw"] = raw;

function main(): void {
  sayMachine();
  hello5("hello5-100", { perSecond: 2000, cpuMsEach: 0.5, commitsEach: 0.2 });
  hello5("hello5-1000", {});
  alone();
  slowDisk();
  sequence();
  fanOut();
  idle();
  recovery();
  starts();
  report.print();
  report.save("latest");
}

function hello5(name: string, goals: { perSecond?: number; cpuMsEach?: number; commitsEach?: number }): void {
  if (skipped(name)) return;
  const ours = measured("scenario", name);
  const ceiling = measured("raw", "hello5", String(ours["groupSize"] ?? 1));
  raw[name] = ceiling;
  report.add(name, "rate", ours["perSecond"], "/s", { atLeast: goals.perSecond });
  report.add(name, "CPU each", ours["cpuMsEach"], "ms", { atMost: goals.cpuMsEach });
  report.add(name, "commits each", ours["commitsEach"], "", { atMost: goals.commitsEach });
  report.add(name, "raw ceiling, same groups", ceiling["perSecond"], "/s", {});
  report.add(name, "of the raw ceiling", ratio(ours["perSecond"], ceiling["perSecond"]), "", {});
  report.add(name, "CPU, times raw", ratio(ours["cpuMsEach"], ceiling["cpuMsEach"]), "", {});
}

function alone(): void {
  if (skipped("hello5-alone")) return;
  report.add("hello5-alone", "latency", measured("scenario", "hello5-alone")["latencyMs"], "ms", {
    atMost: 4,
  });
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
  report.add("hello5-slow-disk", "rate, fsync of 1 ms", ours["perSecond"], "/s", { atLeast: 1500 });
  report.add("hello5-slow-disk", "commits each", ours["commitsEach"], "", {});
}

function sequence(): void {
  if (skipped("sequence")) return;
  const ours = measured("scenario", "sequence");
  const ceiling = measured("raw", "sequence");
  raw["sequence"] = ceiling;
  report.add("sequence", "per step", ours["stepMs"], "ms", {});
  report.add("sequence", "raw commit", ceiling["stepMs"], "ms", {});
  report.add("sequence", "times one raw commit", ratio(ours["stepMs"], ceiling["stepMs"]), "", {
    atMost: 2.5,
  });
  report.add("sequence", "last 100 / first 100 steps", ours["lastToFirst"], "", { atMost: 1.2 });
}

function fanOut(): void {
  if (!skipped("fan-out-1000")) {
    const small = measured("scenario", "fan-out-1000");
    report.add("fan-out-1000", "time", small["wallMs"], "ms", { atMost: 60 });
    report.add("fan-out-1000", "turns", small["turns"], "", {});
  }
  if (skipped("fan-out-10000")) return;
  const large = measured("scenario", "fan-out-10000");
  report.add("fan-out-10000", "activities", large["activitiesPerSecond"], "/s", { atLeast: 45_000 });
  report.add("fan-out-10000", "turns", large["turns"], "", {});
  report.add("fan-out-10000", "peak memory", large["peakMb"], "MB", {});
}

function idle(): void {
  if (skipped("idle-10000")) return;
  const ours = measured("scenario", "idle-10000");
  report.add("idle-10000", "added memory", ours["addedMb"], "MB", { atMost: 60 });
  report.add("idle-10000", "idle CPU per second", ours["idleCpuMsPerSecond"], "ms", { atMost: 2 });
  report.add("idle-10000", "wake all", ours["wakeAllMs"], "ms", { atMost: 1000 });
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
  report.add("recovery", "kill -9, 10,000 unfinished: first progress", ours["firstProgressMs"], "ms", {
    atMost: 500,
  });
  report.add("recovery", "all complete (steps of 3 s)", ours["allCompleteMs"], "ms", {});
  report.add("cold start", "first completed orchestration", medians(cold)["firstCompletedMs"], "ms", {
    atMost: 400,
  });
}

function starts(): void {
  if (skipped("starts")) return;
  const ours = measured("scenario", "starts");
  const ceiling = measured("raw", "starts", "100");
  raw["starts"] = ceiling;
  report.add("starts", "fresh IDs", ours["freshPerSecond"], "/s", {});
  report.add("starts", "of bare inserts", ratio(ours["freshPerSecond"], ceiling["freshPerSecond"]), "", {});
  report.add("starts", "refused on a held ID", ours["refusedPerSecond"], "/s", {});
  report.add(
    "starts",
    "of bare selects",
    ratio(ours["refusedPerSecond"], ceiling["refusedPerSecond"]),
    "",
    {},
  );
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
  return parseFigures(stdout);
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

main();
