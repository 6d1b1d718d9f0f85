import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { median } from "./measure.js";
import { rateOf, takeovers } from "./postgres-members.js";
import { saySettings, startPostgres } from "./postgres-server.js";
import { type Figures, medians, parseFigures, Report, ratio, sayMachine } from "./report.js";

// `npm run bench:postgres`: as run.ts, on PostgreSQL, each round in a fresh schema. `-- NAME…` runs some;
// TENURE_BENCH_ROUNDS sets how often each runs (default 3), TENURE_BENCH_TAKEOVERS how often a process is killed (20).
const child = join(fileURLToPath(new URL(".", import.meta.url)), "postgres-child.js");
const rounds = Number(process.env["TENURE_BENCH_ROUNDS"] ?? 3);
const kills = Number(process.env["TENURE_BENCH_TAKEOVERS"] ?? 20);
const wanted = process.argv.slice(2);

const report = new Report(`median of ${rounds}`);
const runsOf: Record<string, readonly Figures[]> = {};
report.extra["rounds"] = rounds;
report.extra["runs"] = runsOf;

const server = await startPostgres();
const { url } = server;
try {
  sayMachine();
  await saySettings(url);
  await hello5("hello5-100", { perSecond: 1000, cpuMsEach: 1, transactionsEach: 0.3 });
  await hello5("hello5-1000", {});
  await alone();
  await fanOut();
  await sequence();
  await refused();
  await processes();
  await takeover();
} finally {
  await server.stop();
}
report.print();
report.save("postgres");

async function hello5(
  name: string,
  goals: { perSecond?: number; cpuMsEach?: number; transactionsEach?: number },
): Promise<void> {
  if (skipped(name)) return;
  const ours = await measured("scenario", name);
  const raw = await measured("raw", "hello5", String(ours["groupSize"] ?? 1));
  report.add(name, "rate", ours["perSecond"], "/s", { atLeast: goals.perSecond });
  report.add(name, "CPU each, process and database", ours["cpuMsEach"], "ms", { atMost: goals.cpuMsEach });
  report.add(name, "of it in the process", ours["nodeMsEach"], "ms");
  report.add(name, "of it in the database", ours["databaseMsEach"], "ms");
  report.add(name, "transactions each", ours["transactionsEach"], "", { atMost: goals.transactionsEach });
  report.add(name, "round trips each", ours["roundTripsEach"], "");
  report.add(name, "points per group", ours["groupSize"], "");
  report.add(name, "WAL each", ours["walBytesEach"], "bytes");
  report.add(name, "latency, median", ours["latencyMs"], "ms");
  report.add(name, "latency, p99", ours["latencyP99Ms"], "ms");
  report.add(name, "raw ceiling, same groups", raw["perSecond"], "/s");
  report.add(name, "of the raw ceiling", ratio(ours["perSecond"], raw["perSecond"]), "");
  const rawCpuMs = (raw["cpuMsEach"] ?? Number.NaN) + (raw["databaseMsEach"] ?? Number.NaN);
  report.add(name, "CPU, times raw", ratio(ours["cpuMsEach"], rawCpuMs), "");
  report.add(name, "WAL, times raw", ratio(ours["walBytesEach"], raw["walBytesEach"]), "");
}

async function alone(): Promise<void> {
  if (skipped("hello5-alone")) return;
  const ours = await measured("scenario", "hello5-alone");
  report.add("hello5-alone", "latency, tables nearly empty", ours["emptyMs"], "ms", { atMost: 6 });
  report.add("hello5-alone", "latency, tables grown", ours["grownMs"], "ms", { atMost: 6 });
  report.add("hello5-alone", "latency, tables grown, p99", ours["grownP99Ms"], "ms");
}

async function fanOut(): Promise<void> {
  if (skipped("fan-out-1000")) return;
  const ours = await measured("scenario", "fan-out-1000");
  report.add("fan-out-1000", "time", ours["wallMs"], "ms", { atMost: 100 });
}

async function sequence(): Promise<void> {
  if (skipped("sequence")) return;
  const ours = await measured("scenario", "sequence");
  const raw = await measured("raw", "sequence");
  report.add("sequence", "per step", ours["stepMs"], "ms", { atMost: 0.6 });
  report.add("sequence", "raw statement", raw["stepMs"], "ms");
  report.add("sequence", "times one raw statement", ratio(ours["stepMs"], raw["stepMs"]), "");
  report.add("sequence", "last 100 / first 100", ours["lastToFirst"], "", { atMost: 1.2 });
}

async function refused(): Promise<void> {
  if (skipped("refused")) return;
  const ours = await measured("scenario", "refused");
  const raw = await measured("raw", "refused");
  report.add("refused", "starts on a held ID", ours["perSecond"], "/s");
  report.add("refused", "bare selects", raw["perSecond"], "/s");
  report.add("refused", "of bare selects", ratio(ours["perSecond"], raw["perSecond"]), "", { atLeast: 0.7 });
}

async function processes(): Promise<void> {
  if (skipped("processes")) return;
  const rates: number[] = [];
  for (const count of [1, 2, 3]) {
    const ours = await rounded(`${count} processes`, () => rateOf(url, count));
    rates.push(ours["perSecond"] ?? Number.NaN);
    report.add("processes", `${count}: rate`, ours["perSecond"], "/s");
    const cpuMs = (ours["nodeMsEach"] ?? Number.NaN) + (ours["databaseMsEach"] ?? Number.NaN);
    report.add("processes", `${count}: CPU each, processes and database`, cpuMs, "ms");
  }
  const [one, two, three] = rates;
  report.add("processes", "2 to 1", ratio(two, one), "", { atLeast: 1 });
  report.add("processes", "3 to 1", ratio(three, one), "", { atLeast: 1 });
}

async function takeover(): Promise<void> {
  if (skipped("takeover")) return;
  process.stderr.write("takeover ");
  const runs = await takeovers(url, kills);
  process.stderr.write("\n");
  runsOf["takeover"] = runs;
  const of = (name: string): number[] => runs.map((run) => run[name] ?? Number.NaN);
  report.add("takeover", `first progress, median of ${kills}`, median(of("firstMs")), "ms");
  report.add("takeover", `first progress, worst of ${kills}`, Math.max(...of("firstMs")), "ms", {
    atMost: 3000,
  });
  report.add("takeover", `all of its instances, median of ${kills}`, median(of("lastMs")), "ms");
  report.add("takeover", `all of its instances, worst of ${kills}`, Math.max(...of("lastMs")), "ms", {
    atMost: 3000,
  });
}

function measured(kind: string, name: string, argument?: string): Promise<Figures> {
  const args = [url, kind, name, ...(argument === undefined ? [] : [argument])];
  return rounded(`${kind} ${name}`, () => runChild(args));
}

async function rounded(what: string, run: () => Promise<Figures>): Promise<Figures> {
  process.stderr.write(`${what} `);
  const runs: Figures[] = [];
  for (let round = 0; round < rounds; round++) {
    runs.push(await run());
    process.stderr.write(".");
  }
  process.stderr.write("\n");
  runsOf[what] = runs;
  return medians(runs);
}

async function runChild(args: readonly string[]): Promise<Figures> {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [child, ...args], {
    encoding: "utf8",
    timeout: 180_000,
    maxBuffer: 64 * 1024 * 1024,
  });
  process.stderr.write(stderr);
  return parseFigures(stdout);
}

function skipped(name: string): boolean {
  return wanted.length > 0 && !wanted.includes(name);
}
