// A process killed at each of its storage calls in turn (every-call.mjs), another one that ends what it left, and what
// came of it. For any store.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { TaskHub } from "../../src/index.js";
import { fallenTokens, miscounts, ranAgain } from "../postgres/counted.js";
import { Witness } from "../postgres/members.js";

/** Lives under way at a time. */
const LANES = 3;

/** Far above the calls that it takes. */
const MAX_CALLS = 500;

/** A process of the scenario that has not ended by then never will. */
const STUCK_MS = 60_000;

export type Way = "before" | "after";

export interface Place {
  readonly url: string;
  readonly taskHub: string;
}

export interface EveryCallOptions {
  /** Kill it before the call, or when its effect is there. */
  readonly way: Way;
  /** A hub for itself, for each number. */
  readonly place: (at: number) => Place;
  readonly leaseTimes?: { leaseMs: number; renewMs: number; lateMs: number };
}

export interface EveryCallResult {
  readonly killed: number;
  /** Starts that were acknowledged. */
  readonly started: number;
  /** Turns that the store refused to commit. */
  readonly refused: number;
  readonly again: number;
  readonly lost: readonly string[];
  readonly doubled: readonly string[];
}

/** Goes on with ever higher numbers until the process is through before it is killed. */
export async function killAtEveryCall(options: EveryCallOptions): Promise<EveryCallResult> {
  const results: EveryCallResult[] = [];
  let next = 0;
  let through = false;
  const lane = async (): Promise<void> => {
    while (!through && next < MAX_CALLS) {
      const result = await killAt(++next, options);
      if (result === "through") through = true;
      else results.push(result);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  if (!through) throw new Error(`it was never through, of ${next} lives`);
  const sum = (of: (result: EveryCallResult) => number): number =>
    results.reduce((total, result) => total + of(result), 0);
  return {
    killed: sum(({ killed }) => killed),
    started: sum(({ started }) => started),
    refused: sum(({ refused }) => refused),
    again: sum(({ again }) => again),
    lost: results.flatMap(({ lost }) => lost),
    doubled: results.flatMap(({ doubled }) => doubled),
  };
}

async function killAt(at: number, options: EveryCallOptions): Promise<EveryCallResult | "through"> {
  const folder = mkdtempSync(join(tmpdir(), "tenure-every-call-"));
  const place = options.place(at);
  const files = {
    witness: join(folder, "witness"),
    acknowledged: join(folder, "acknowledged"),
    refused: join(folder, "refused"),
  };
  const { leaseTimes, way } = options;
  try {
    const killed = await live({ ...place, ...files, leaseTimes, at, way });
    if (killed === 0) return "through";
    const name = `${way} call ${at}`;
    if (killed !== "SIGKILL") throw new Error(`${name}: the process ended by itself, with ${killed}`);
    const before = linesOf(files.acknowledged).length;
    const ended = await live({ ...place, ...files, leaseTimes });
    const lost = ended === 0 ? [] : [`${name}: whoever came after it ended with ${ended}, after ${before}`];
    return await examine({ name, place, ...files, lost });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Holds what is in the hub against what was acknowledged, and what the activities testified. */
async function examine(life: {
  readonly name: string;
  readonly place: Place;
  readonly witness: string;
  readonly acknowledged: string;
  readonly refused: string;
  readonly lost: readonly string[];
}): Promise<EveryCallResult> {
  const { name, place } = life;
  const { client, ...connection } = await connected(place);
  try {
    const lost = [...life.lost];
    const started = linesOf(life.acknowledged).flatMap(
      (line) => acknowledgement.parse(JSON.parse(line)).started ?? [],
    );
    const status = async (id: string) => (await client.getStatus(id))?.runtimeStatus ?? "gone";
    for (const { instanceId, executionId } of started.filter((each) => each.instanceId !== "pause")) {
      // Begun anew is lost, too: what the caller was told is among its executions.
      const kept = (await client.listExecutions(instanceId)).map((execution) => execution.executionId);
      if (!kept.includes(executionId)) lost.push(`${name}: ${instanceId} is no more ${executionId}`);
    }
    for (const [id, expected] of Object.entries(EXPECTED)) {
      const found = await status(id);
      if (found !== expected) lost.push(`${name}: ${id} is ${found} and not ${expected}`);
    }
    const testimonies = new Witness(life.witness).read();
    const jobs = [...started.filter(({ instanceId }) => instanceId === "job"), "rounds"];
    const counted = lost.length > 0 ? [] : await miscounts(client, jobs, testimonies);
    return {
      killed: 1,
      started: started.length,
      refused: linesOf(life.refused).length,
      again: ranAgain(testimonies),
      lost,
      doubled: [
        ...counted.map(({ instanceId, problem }) => `${name}: ${instanceId} ${problem}`),
        ...fallenTokens(testimonies).map((problem) => `${name}: ${problem}`),
      ],
    };
  } finally {
    await connection.close();
  }
}

/** How the scenario ends, whoever was killed in it. */
const EXPECTED = { job: "Completed", rounds: "Completed", hold: "Terminated", pause: "gone" };

async function connected({ url, taskHub }: Place) {
  const connection = await TaskHub.connect({ store: url, taskHub });
  return { client: connection.client, close: () => connection.close() };
}

const acknowledgement = z.object({
  step: z.string(),
  started: z.object({ instanceId: z.string(), executionId: z.string() }).optional(),
});

function linesOf(file: string): readonly string[] {
  return existsSync(file) ? readFileSync(file, "utf8").split("\n").slice(0, -1) : [];
}

/** Runs the scenario; returns how the process ended. */
async function live(options: Readonly<Record<string, unknown>>): Promise<number | NodeJS.Signals | "stuck"> {
  const program = join(import.meta.dirname, "every-call.mjs");
  const child = spawn(process.execPath, [program, JSON.stringify(options)], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  const ended = once(child, "exit");
  const stuck = setTimeout(() => child.kill("SIGTERM"), STUCK_MS);
  await ended;
  clearTimeout(stuck);
  if (child.signalCode === "SIGTERM") return "stuck";
  return child.signalCode ?? child.exitCode ?? "stuck";
}
