// Plays sqlite-scenario.mjs on files of their own, kills it somewhere, has another process take up what is left, and
// says what became of what was acknowledged.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import type { TaskHubClient } from "../../src/client/task-hub-client.js";
import { TaskHub } from "../../src/index.js";
import { fallenTokens, miscounts } from "../postgres/counted.js";
import { Witness } from "../postgres/members.js";
import { damage } from "./sqlite-storm.js";
import { printSummary } from "./summary.js";

/** Where a process dies. */
export interface Death {
  /** What Node is started by, e.g. strace with its orders. */
  readonly under?: readonly string[];
  /** At which storage call it kills itself, and whether that call has its effect. */
  readonly dieAt?: number;
  readonly effect?: boolean;
}

interface Ended {
  readonly died: boolean;
  readonly acknowledged: readonly string[];
}

/** Plays on after deaths: one process for many files, because to start one costs more than to play. */
export class Survivor implements AsyncDisposable {
  readonly #child = launch([]);
  readonly #lines: AsyncIterator<string>;

  constructor() {
    this.#lines = linesOf(this.#child)[Symbol.asyncIterator]();
  }

  /** Takes up what is in the file, and plays it to its end. */
  async play(file: string, witness: string): Promise<void> {
    this.#child.stdin?.write(`${JSON.stringify({ file, witness })}\n`);
    for (;;) {
      const line = await this.#lines.next();
      if (line.done === true) throw new Error("who was to take it up has died, too");
      if (line.value.startsWith("done")) return;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, "exit");
    this.#child.stdin?.end();
    await ended;
  }
}

export interface Verdict {
  readonly died: boolean;
  readonly lost: readonly string[];
  readonly broken: readonly string[];
  /** From the start of the next process's play to its end. */
  readonly recoverMs: number;
  readonly runs: number;
  readonly again: number;
}

/** One death, and what came after it. */
export async function dieAndGoOn(death: Death, survivor: Survivor): Promise<Verdict> {
  const folder = mkdtempSync(join(tmpdir(), "tenure-death-"));
  try {
    const file = join(folder, "hub.db");
    const witness = new Witness(join(folder, "witness"));
    const { died, acknowledged } = await playUntilDeath(death, file, witness.file);
    const beganMs = performance.now();
    await using connection = await TaskHub.connect({ store: `sqlite:${file}` });
    const { client } = connection;
    const lost = await missing(client, acknowledged);
    await survivor.play(file, witness.file);
    const testimonies = witness.read();
    const counted = await miscounts(client, ["job-1", "again-1"], testimonies);
    const executions = (await client.listExecutions("again-1")).length;
    const { instances } = await client.list({ runtimeStatus: ["Pending", "Running"] });
    return {
      died,
      lost,
      broken: [
        ...counted.map(({ instanceId, problem }) => `${instanceId} ${problem}`),
        ...(executions === 3 ? [] : [`again-1 had ${executions} executions`]),
        ...((await client.getStatus("hold-1")) === undefined ? [] : ["hold-1 is there after its purge"]),
        ...instances.map(({ instanceId, runtimeStatus }) => `${instanceId} stays ${runtimeStatus}`),
        ...fallenTokens(testimonies),
        ...(await damage(file)),
      ],
      recoverMs: performance.now() - beganMs,
      runs: new Set(acknowledged.filter((what) => what.startsWith("start "))).size,
      again:
        testimonies.length -
        new Set(testimonies.map(({ executionId, taskId }) => `${executionId} ${taskId}`)).size,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Dies again and again, each time elsewhere; prints the line of the table. @returns what was broken. */
export async function dieEverywhere(
  fault: string,
  lanes: number,
  next: () => Death | undefined,
  onVerdict: (verdict: Verdict, death: Death) => void = () => {},
): Promise<readonly string[]> {
  const beganMs = performance.now();
  const verdicts: Verdict[] = [];
  const broken: string[] = [];
  const lane = async (): Promise<void> => {
    await using survivor = new Survivor();
    for (let death = next(); death !== undefined; death = next()) {
      const verdict = await dieAndGoOn(death, survivor);
      verdicts.push(verdict);
      for (const problem of [...verdict.lost, ...verdict.broken])
        broken.push(`${JSON.stringify(death)}: ${problem}`);
      onVerdict(verdict, death);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  const sum = (of: (verdict: Verdict) => number): number =>
    verdicts.reduce((total, verdict) => total + of(verdict), 0);
  const injected = sum(({ died }) => (died ? 1 : 0));
  printSummary({
    fault: `SQLite: ${fault}`,
    runs: sum(({ runs }) => runs),
    injected,
    refused: 0,
    again: sum(({ again }) => again),
    lost: sum(({ lost }) => lost.length),
    doubled: sum((verdict) => verdict.broken.length),
    recoverMs: Math.max(...verdicts.map(({ recoverMs }) => recoverMs)),
    seconds: (performance.now() - beganMs) / 1000,
    errors: "",
  });
  return injected === 0 ? [...broken, "nothing died: this shows nothing"] : broken;
}

async function playUntilDeath(
  { under = [], dieAt, effect }: Death,
  file: string,
  witness: string,
): Promise<Ended> {
  const child = launch(under);
  const ended = once(child, "exit");
  child.stdin?.on("error", () => {}); // it may be dead
  child.stdin?.end(`${JSON.stringify({ file, witness, dieAt, effect })}\n`);
  const acknowledged: string[] = [];
  let done = false;
  for await (const line of linesOf(child)) {
    if (line.startsWith("acknowledged ")) acknowledged.push(line.slice("acknowledged ".length));
    if (line.startsWith("done ")) done = true;
  }
  await ended;
  if (!done && child.exitCode === 1) throw new Error("it failed instead of dying");
  return { died: !done, acknowledged };
}

/** What was acknowledged and is not to be seen. */
async function missing(client: TaskHubClient, acknowledged: readonly string[]): Promise<readonly string[]> {
  const found: string[] = [];
  const isOver = (await client.getStatus("hold-1"))?.runtimeStatus ?? "Terminated";
  for (const what of acknowledged) {
    const [verb, instanceId = ""] = what.split(" ");
    const status = await client.getStatus(instanceId);
    // Whose purge was under way may be gone.
    if (
      verb === "start" &&
      status === undefined &&
      !(instanceId === "hold-1" && acknowledged.includes("terminate hold-1"))
    )
      found.push(`${what} was acknowledged, and it is not there`);
    if (verb === "terminate" && isOver !== "Terminated")
      found.push(`${what} was acknowledged, and it is ${isOver}`);
    if (verb === "purge" && status !== undefined) found.push(`${what} was acknowledged, and it is there`);
  }
  return found;
}

function launch(under: readonly string[]): ChildProcess {
  const [command, ...rest] = [...under, process.execPath];
  const args = [
    ...rest,

    join(import.meta.dirname, "sqlite-scenario.mjs"),
  ];
  return spawn(command ?? process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
}

function linesOf({ stdout }: ChildProcess): Interface {
  if (stdout === null) throw new TypeError("its output is not piped");
  return createInterface({ input: stdout });
}
