// Plays sqlite-scenario.mjs on files of their own, kills it in a system call, has another process take up what is left,
// and says what became of what was acknowledged.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { z } from "zod";
import type { TaskHubClient } from "../../src/client/task-hub-client.js";
import { TaskHub } from "../../src/index.js";
import { fallenTokens, miscounts, ranAgain } from "../postgres/counted.js";
import { Witness } from "../postgres/members.js";
import type { Job } from "./load.js";
import { longestSilence } from "./silence.js";
import { refusedBeside } from "./sqlite-engine.js";
import { damage, leftIn } from "./sqlite-storm.js";
import { printSummary } from "./summary.js";

/** What a process dies under: strace with its orders. */
export type Death = readonly string[];

const line = z.object({
  acknowledged: z.string().optional(),
  /** The execution that a start began. */
  started: z.string().optional(),
  atMs: z.number().optional(),
  /** It was played to its end; what went wrong, if anything did. */
  over: z.string().nullish(),
});

interface Acknowledgement {
  /** A verb, and the instance that it was about. */
  readonly step: string;
  readonly started: string | undefined;
  readonly atMs: number;
}

/** What came of one who played: undefined where it died in it. */
interface Played {
  readonly acknowledged: readonly Acknowledgement[];
  readonly over: { readonly problem: string | undefined } | undefined;
}

/** Plays, for as long as it lives. */
class Player implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(under: Death = []) {
    const [command, ...args] = [...under, process.execPath];
    const program = join(import.meta.dirname, "sqlite-scenario.mjs");
    this.#child = spawn(command ?? process.execPath, [...args, program], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#child.stdin?.on("error", () => {}); // it may be dead
    if (this.#child.stdout === null) throw new TypeError("its output is not piped");
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Takes up what is in the file, but for steps that were answered before. */
  async play(file: string, witness: string, before: readonly Acknowledgement[] = []): Promise<Played> {
    const done = before.map(({ step }) => step);
    this.#child.stdin?.write(`${JSON.stringify({ file, witness, done })}\n`);
    const acknowledged: Acknowledgement[] = [];
    for (;;) {
      const next = await this.#lines.next();
      if (next.done === true) return { acknowledged, over: undefined };
      const said = line.parse(JSON.parse(next.value));
      if (said.acknowledged === undefined) return { acknowledged, over: { problem: said.over ?? undefined } };
      acknowledged.push({ step: said.acknowledged, started: said.started, atMs: said.atMs ?? 0 });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { exitCode, signalCode } = this.#child;
    const ended = exitCode === null && signalCode === null ? once(this.#child, "exit") : undefined;
    this.#child.stdin?.end();
    await ended;
  }
}

interface Verdict {
  readonly died: boolean;
  readonly lost: readonly string[];
  readonly broken: readonly string[];
  readonly refused: number;
  readonly recoverMs: number;
  readonly runs: number;
  readonly again: number;
}

/** One death, and what came after it. */
async function dieAndGoOn(death: Death, survivor: Player): Promise<Verdict> {
  const folder = mkdtempSync(join(tmpdir(), "tenure-death-"));
  try {
    const file = join(folder, "hub.db");
    const witness = new Witness(join(folder, "witness"));
    const first = await playUntilDeath(death, file, witness.file);
    const second = await survivor.play(file, witness.file, first.acknowledged);
    const acknowledged = [...first.acknowledged, ...second.acknowledged];
    const testimonies = witness.read();
    await using connection = await TaskHub.connect({ store: `sqlite:${file}` });
    const { client } = connection;
    const lost = await losses(client, acknowledged, second);
    const jobs = jobsOf(acknowledged);
    const accepted = [...jobs.filter(({ instanceId }) => instanceId === "job-1"), "again-1"];
    const counted = lost.length > 0 ? [] : await miscounts(client, accepted, testimonies);
    const { instances } = await client.list({ runtimeStatus: ["Pending", "Running"] });
    return {
      died: first.over === undefined,
      lost,
      broken: [
        ...counted.map(({ instanceId, problem }) => `${instanceId} ${problem}`),
        ...instances.map(({ instanceId, runtimeStatus }) => `${instanceId} stays ${runtimeStatus}`),
        ...fallenTokens(testimonies),
        ...(await leftIn(file)),
        ...(await damage(file)),
      ],
      refused: refusedBeside(witness.file).length,
      recoverMs: longestSilence(jobs, testimonies),
      runs: jobs.length,
      again: ranAgain(testimonies),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The starts that were answered, and when their ends were. */
function jobsOf(acknowledged: readonly Acknowledgement[]): readonly Job[] {
  const ends = new Map(acknowledged.map(({ step, atMs }) => [step, atMs]));
  return acknowledged.flatMap(({ step, started: executionId, atMs: acceptedMs }) => {
    const [verb, instanceId = ""] = step.split(" ");
    if (verb !== "start" || executionId === undefined) return [];
    const endedMs = ends.get(`end ${instanceId}`);
    return [{ instanceId, executionId, acceptedMs, ...(endedMs === undefined ? {} : { endedMs }) }];
  });
}

async function playUntilDeath(death: Death, file: string, witness: string): Promise<Played> {
  await using doomed = new Player(death);
  const played = await doomed.play(file, witness);
  const problem = played.over?.problem;
  if (problem !== undefined) throw new Error(`it failed instead of dying: ${problem}`);
  return played;
}

/**
 * What was acknowledged, or had to come of it, and is not so. No step was asked twice that had been answered, so that
 * what was lost is missing in the end.
 */
async function losses(
  client: TaskHubClient,
  acknowledged: readonly Acknowledgement[],
  { over }: Played,
): Promise<readonly string[]> {
  const lost: string[] = [];
  if (over === undefined) lost.push("who took it up has died, too");
  else if (over.problem !== undefined) lost.push(`who took it up: ${over.problem}`);
  for (const { instanceId, executionId } of jobsOf(acknowledged)) {
    if (instanceId === "hold-1") continue; // it is purged
    // Begun anew is lost, too.
    const kept = (await client.listExecutions(instanceId)).map((execution) => execution.executionId);
    if (!kept.includes(executionId)) lost.push(`${instanceId}: execution ${executionId} is gone`);
  }
  for (const [instanceId, expected] of Object.entries(EXPECTED)) {
    const found = (await client.getStatus(instanceId))?.runtimeStatus ?? "gone";
    if (found !== expected) lost.push(`${instanceId} is ${found} and not ${expected}`);
  }
  const rounds = (await client.listExecutions("again-1")).length;
  if (rounds !== 3) lost.push(`again-1 had ${rounds} executions`);
  return lost;
}

/** How the scenario ends, whoever has died in it. */
const EXPECTED = { "job-1": "Completed", "again-1": "Completed", "hold-1": "gone" };

/**
 * Dies again and again, each time elsewhere, until it is through without dying; prints the line of the table.
 * @returns how often it died, and what was broken.
 */
export async function dieEverywhere(
  fault: string,
  lanes: number,
  deathAt: (nth: number) => Death,
): Promise<{ readonly died: number; readonly broken: readonly string[] }> {
  const beganMs = performance.now();
  const verdicts: Verdict[] = [];
  const broken: string[] = [];
  let next = 0;
  let through = false;
  const lane = async (): Promise<void> => {
    await using survivor = new Player();
    while (!through) {
      const nth = ++next;
      const verdict = await dieAndGoOn(deathAt(nth), survivor);
      verdicts.push(verdict);
      for (const problem of [...verdict.lost, ...verdict.broken]) broken.push(`death ${nth}: ${problem}`);
      if (!verdict.died) through = true;
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  const sum = (of: (verdict: Verdict) => number): number =>
    verdicts.reduce((total, verdict) => total + of(verdict), 0);
  const died = sum((verdict) => (verdict.died ? 1 : 0));
  printSummary({
    fault: `SQLite: ${fault}`,
    runs: sum(({ runs }) => runs),
    injected: died,
    refused: sum(({ refused }) => refused),
    again: sum(({ again }) => again),
    lost: sum(({ lost }) => lost.length),
    doubled: sum((verdict) => verdict.broken.length),
    recoverMs: Math.max(...verdicts.map(({ recoverMs }) => recoverMs)),
    seconds: (performance.now() - beganMs) / 1000,
    errors: "",
  });
  return { died, broken };
}
