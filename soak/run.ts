// npm run soak [-- --minutes N --speed N --load N --to FOLDER]
// Mixed load with faults under a clock that runs fast. docs/soak.md says how to read what it prints.
import { type ChildProcess, fork } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { loadDriver } from "../src/stores/sqlite/driver.js";
import type { FastClock } from "./clock.js";
import { FileWatch } from "./file-watch.js";
import { isFromEngine, type ToEngine, type Weather } from "./messages.js";
import { plot } from "./plot.js";
import { reportOf, type SoakRecord } from "./report.js";
import { Tally } from "./tally.js";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "20" },
    speed: { type: "string", default: "72" },
    load: { type: "string", default: "1" },
    to: { type: "string", default: join("soak", "results") },
  },
});

/** The lives of the process, each ended by SIGKILL but for the last; and their shares of the time. */
const LIVES: readonly { readonly weather: Weather; readonly share: number }[] = [
  { weather: "stormy", share: 0.15 },
  { weather: "stormy", share: 0.1 },
  { weather: "calm", share: 0.5 },
  { weather: "stormy", share: 0.15 },
  { weather: "stormy", share: 0.1 },
];

/** So many samples make a run, within reason. */
const SAMPLES = 200;

const minutes = positive("minutes", values.minutes);
const speed = positive("speed", values.speed);
const load = positive("load", values.load);
const sampleMs = Math.min(Math.max((minutes * 60_000) / SAMPLES, 1000), 30_000);
const driver = await loadDriver();
const folder = mkdtempSync(join(tmpdir(), "tenure-soak-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));
process.exitCode = await soak();

async function soak(): Promise<number> {
  const file = join(folder, "hub.db");
  const clock: FastClock = { originMs: Date.now(), speed };
  const tally = new Tally();
  const record: SoakRecord = {
    minutes,
    speed,
    load,
    beganAt: new Date(clock.originMs),
    samples: [],
    kills: [],
    tally,
    calmLife: LIVES.findIndex(({ weather }) => weather === "calm"),
  };
  for (const [index, { weather, share }] of LIVES.entries()) {
    const child = fork(new URL("./engine.js", import.meta.url), { execArgv: ["--expose-gc"] });
    const exited = listen(child, index, record, file);
    send(child, {
      kind: "live",
      number: index + 1,
      weather,
      file,
      clock,
      load,
      sampleMs,
      open: tally.open,
    });
    await Promise.race([exited, sleep(minutes * share * 60_000)]);
    if (child.exitCode !== null) {
      tally.broken.push(`the engine's process ended by itself: ${child.exitCode}`);
      break;
    }
    if (index < LIVES.length - 1) {
      child.kill("SIGKILL");
      record.kills.push(Date.now() - clock.originMs);
    } else send(child, { kind: "finish" });
    await exited;
  }
  if (record.samples.length > 0) lookAtTheRest(record, file);
  const report = reportOf(record);
  console.log(report.text);
  mkdirSync(values.to, { recursive: true });
  writeFileSync(join(values.to, "report.txt"), `${report.text}\n`);
  writeFileSync(join(values.to, "plot.svg"), plot(record));
  writeFileSync(join(values.to, "samples.json"), `${JSON.stringify(record.samples)}\n`);
  console.error(`written to ${values.to}`);
  return report.isKept ? 0 : 1;
}

/** What is left in the file once everything was purged and the engine has gone. */
function lookAtTheRest(record: SoakRecord, file: string): void {
  using watch = new FileWatch(driver, file);
  record.rest = { ...watch.look(), remains: watch.remains() };
}

/** Hears what a life tells, and looks at the file whenever the engine has looked at itself. */
function listen(child: ChildProcess, index: number, record: SoakRecord, file: string): Promise<void> {
  let watch: FileWatch | undefined;
  child.on("message", (message) => {
    if (!isFromEngine(message)) return;
    record.tally.note(message);
    // The first sample is from before the file was opened.
    if (message.kind !== "sample" || message.sample.turns === 0) return;
    watch ??= new FileWatch(driver, file);
    const realMs = Date.now() - record.beganAt.getTime();
    record.samples.push({ ...message.sample, ...watch.look(), life: index, realMs });
    showProgress(record);
  });
  return new Promise((resolve) => {
    child.once("close", () => {
      watch?.[Symbol.dispose]();
      resolve();
    });
  });
}

function showProgress({ samples, tally }: SoakRecord): void {
  const sample = samples.at(-1);
  if (sample === undefined) return;
  const share = Math.min((100 * sample.realMs) / (minutes * 60_000), 100).toFixed(0);
  const turns = sample.turns.toLocaleString("en");
  const heap = (sample.heapBytes / 2 ** 20).toFixed(1);
  const broken = tally.broken.length;
  console.error(
    `${share.padStart(3)} %, life ${sample.life + 1}: ${turns} turns, heap ${heap} MB, ` +
      `${tally.open.length} under way${broken === 0 ? "" : `, ${broken} promises broken: ${tally.broken.at(-1)}`}`,
  );
}

function send(child: ChildProcess, message: ToEngine): void {
  child.send(message);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

function positive(name: string, text: string): number {
  const number = Number(text);
  if (number > 0 && Number.isFinite(number)) return number;
  console.error(`--${name} must be a number above 0, not ${text}`);
  process.exit(2);
}
