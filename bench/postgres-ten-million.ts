import { TaskHub } from "tenure";
import { median } from "./measure.js";
import { type Filled, fill } from "./postgres-fill.js";
import { queriesOf, timesOf } from "./postgres-lists.js";
import { Member } from "./postgres-members.js";
import { PostgresMeter } from "./postgres-meter.js";
import { inFreshSchema, saySettings, startPostgres, storeUrl, withClient } from "./postgres-server.js";
import { type Figures, medians, Report, ratio, sayMachine } from "./report.js";

// `npm run bench:ten-million`: a store that holds 10 million ended instances (TENURE_BENCH_INSTANCES), against its
// own empty self. It purges a little of them. `-- --keep` leaves the filled schema, in the server at
// TENURE_TEST_POSTGRES, for the next run, and so does every run that finds it there. `-- lists starts purge` runs some.
const instances = Number(process.env["TENURE_BENCH_INSTANCES"] ?? 10_000_000);
const SCHEMA = `tenure_ended_${instances}`;
const rounds = Number(process.env["TENURE_BENCH_ROUNDS"] ?? 3);
const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));
const keep = process.argv.includes("--keep");

/** Hellos in flight, and for how long, where rates are compared. */
const IN_FLIGHT = 100;
const RATE_MS = 4000;
/** What was filled in is still on its way to the disk when they begin. */
const WARM_UP_MS = 15_000;

/** The foreground of a purge: starts a second, for so long before anything is measured. */
const PACE = 100;
const PACED_WARM_UP_MS = 5000;

/** Alone and beside a purge by turns: a second's worth of the worst starts may be one slow flush of the disk. */
const WINDOW_MS = 2000;
const WINDOWS = 20;
const SLICE_INSTANCES = 500;

/** A sweep cannot be interrupted: alone and beside it in longer rounds, each in a new process, as warm as the other. */
const SWEEP_ROUNDS = 5;
const SWEEP_MS = 10_000;

const report = new Report(`of ${instances.toLocaleString("en")}`);
const runsOf: Record<string, unknown> = {};
report.extra["instances"] = instances;
report.extra["runs"] = runsOf;

// As docs/postgres.md advises: checkpoints come by time.
const server = await startPostgres("max_wal_size=4GB");
const { url } = server;
const meter = await PostgresMeter.open(url);
try {
  sayMachine();
  await saySettings(url);
  const filled = await fill(url, SCHEMA, instances);
  if (runs("lists")) await lists(filled);
  if (runs("starts")) await starts();
  if (runs("purge")) await purges(filled);
} finally {
  if (!keep) await withClient(url, (client) => client.query(`drop schema if exists "${SCHEMA}" cascade`));
  await meter.close();
  await server.stop();
}
report.print();
report.save("postgres-ten-million");

function runs(name: string): boolean {
  return wanted.length === 0 || wanted.includes(name);
}

async function lists(filled: Filled): Promise<void> {
  for (const [name, query] of queriesOf(filled)) {
    const times = await timesOf(storeUrl(url, SCHEMA), meter, query);
    runsOf[`list: ${name}`] = times;
    say(`list: ${name}`, times);
    report.add(`list: ${name}`, `p95 of ${times["pages"]} pages`, times["p95Ms"], "ms", { atMost: 50 });
    report.add(`list: ${name}`, "CPU per page", times["cpuMsEach"], "ms");
  }
}

/** By turns on the full schema and on an empty one, each with its own process. */
async function starts(): Promise<void> {
  const full: Figures[] = [];
  const empty: Figures[] = [];
  await inFreshSchema(url, async (schema) => {
    const onFull = await Member.start(storeUrl(url, SCHEMA));
    const onEmpty = await Member.start(storeUrl(url, schema));
    try {
      await onFull.ask("hello5s", IN_FLIGHT, WARM_UP_MS);
      await onEmpty.ask("hello5s", IN_FLIGHT, WARM_UP_MS);
      for (let round = 0; round < rounds; round++) {
        full.push(await onFull.ask("hello5s", IN_FLIGHT, RATE_MS));
        empty.push(await onEmpty.ask("hello5s", IN_FLIGHT, RATE_MS));
      }
    } finally {
      await onFull.close();
      await onEmpty.close();
    }
  });
  runsOf["hello5, full"] = full;
  runsOf["hello5, empty"] = empty;
  const [ours, theirs] = [medians(full), medians(empty)];
  say("hello5, full", ours);
  say("hello5, empty", theirs);
  report.add("hello5", "rate on the full store", ours["perSecond"], "/s");
  report.add("hello5", "rate on an empty store", theirs["perSecond"], "/s");
  report.add("hello5", "full to empty", ratio(ours["perSecond"], theirs["perSecond"]), "", { atLeast: 0.6 });
}

/** The oldest are purged, by the process that also runs the foreground: by request, and past their retention. */
async function purges({ instances: there, fromMs, toMs }: Filled): Promise<void> {
  const store = storeUrl(url, SCHEMA);
  const sliceMs = Math.max(1, Math.round((toMs - fromMs) / there) * SLICE_INSTANCES);
  const byFilter = await warmMember(store, (member) =>
    member.ask("paced-purging", PACE, WINDOW_MS, WINDOWS, fromMs, sliceMs),
  );
  runsOf["purge by filter"] = byFilter;
  show("purge by filter", byFilter, ratio(byFilter["p99Ms"], byFilter["quietP99Ms"]));
  const rounds = await sweeps(store, byFilter["reachedMs"] ?? fromMs, (toMs - fromMs) / 20);
  runsOf["retention sweep"] = rounds;
  show(
    "retention sweep",
    medians(rounds),
    median(rounds.map((round) => ratio(round["p99Ms"], round["quietP99Ms"]))),
  );
  // Behind a purge lie index entries of nobody, until autovacuum has come.
  const times = await timesOf(store, meter, {});
  runsOf["list after the purges"] = times;
  say("list after the purges", times);
  report.add("list after the purges", `p95 of ${times["pages"]} pages`, times["p95Ms"], "ms", { atMost: 50 });
}

/** A worker sweeps as it starts: so many times one more starts, with so much more to purge, after one with nothing. */
async function sweeps(store: string, fromMs: number, partMs: number): Promise<readonly Figures[]> {
  const rounds: Figures[] = [];
  await using connection = await TaskHub.connect({ store });
  try {
    for (let round = 0; round < SWEEP_ROUNDS; round++) {
      await connection.client.setRetention({});
      const quiet = await warmMember(store, (member) => member.ask("paced", PACE, SWEEP_MS));
      const toMs = Math.round(fromMs + (round + 1) * partMs);
      const ageMs = Date.now() - toMs;
      await connection.client.setRetention({ completedMs: ageMs, failedMs: ageMs, terminatedMs: ageMs });
      rounds.push(
        await warmMember(store, async (member) => {
          const [before, startedMs] = [await count(toMs), performance.now()];
          const during = await member.ask("paced", PACE, SWEEP_MS);
          const purged = before - (await count(toMs));
          const purgedPerSecond = (purged / (performance.now() - startedMs)) * 1000;
          return {
            ...during,
            quietMedianMs: quiet["medianMs"] ?? 0,
            quietP95Ms: quiet["p95Ms"] ?? 0,
            quietP99Ms: quiet["p99Ms"] ?? 0,
            purged,
            purgedPerSecond,
          };
        }),
      );
    }
  } finally {
    await connection.client.setRetention({});
  }
  return rounds;
}

async function warmMember<T>(store: string, work: (member: Member) => Promise<T>): Promise<T> {
  const member = await Member.start(store);
  try {
    await member.ask("paced", PACE, PACED_WARM_UP_MS);
    return await work(member);
  } finally {
    await member.close();
  }
}

function show(name: string, figures: Figures, duringToWithout: number | undefined): void {
  say(name, figures);
  report.add(name, "purged", figures["purgedPerSecond"], "/s");
  report.add(name, "foreground, p99 without", figures["quietP99Ms"], "ms");
  report.add(name, "foreground, p99 during", figures["p99Ms"], "ms");
  report.add(name, "during to without", duringToWithout, "", { atMost: 2 });
}

/** How many were created before a time. */
function count(beforeMs: number): Promise<number> {
  return withClient(url, async (client) => {
    const { rows } = await client.query<unknown[]>({
      text: `select count(*) from "${SCHEMA}".inst where created < $1`,
      values: [beforeMs],
      rowMode: "array",
    });
    return Number(rows[0]?.[0]);
  });
}

function say(what: string, figures: Figures): void {
  const shown = Object.entries(figures).map(([name, value]) => `${name} ${Math.round(value * 10) / 10}`);
  process.stderr.write(`${what}: ${shown.join(", ")}\n`);
}
