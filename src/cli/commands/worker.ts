import type { Command } from "commander";
import { InvalidArgumentError } from "../../core/errors.js";
import { type ClientOptions, clientCommand, withRemote } from "../client-command.js";
import { done } from "../done.js";
import { EXIT } from "../exit-code.js";
import { parseDuration } from "../option-values.js";
import { print, say } from "../output.js";
import type { Remote, WorkerData } from "../remote.js";

const HEAD = [
  "id",
  "host",
  "pid",
  "since",
  "shards",
  "lease ends",
  "state",
  "orchestrations",
  "activities",
] as const;

/** How often one looks whether a worker that drains has given back everything. */
const LOOK_MS = 200;

interface DrainOptions extends ClientOptions {
  readonly wait?: boolean;
  readonly timeout?: number;
}

/** `worker list` and `worker drain`: the processes that run a hub's work. */
export function addWorker(program: Command): void {
  const worker = program
    .command("worker")
    .description("show the processes that run a hub's work, and drain one");
  clientCommand(worker, "list", "list the workers that are alive, and what they hold").action(list);
  clientCommand(worker, "drain", "let a worker give its shards to the others, and take no more")
    .argument("<id>", "the worker's ID, as `worker list` shows it")
    .option("--wait", "until it holds none")
    .option("--timeout <time>", "with --wait: give up after this time, e.g. 30s; exits 6", parseDuration)
    .action(drain);
}

async function list(options: ClientOptions): Promise<void> {
  const workers = await withRemote(options, (remote) => remote.workers());
  await print(options.output, workers, (tables) => tables.listTable(process.stdout, HEAD, workers.map(row)));
}

function row(worker: WorkerData): string[] {
  return [
    worker.id,
    worker.host,
    String(worker.pid),
    worker.since,
    worker.shards === null ? "all" : String(worker.shards),
    worker.leaseEnd ?? "",
    worker.draining ? "draining" : "running",
    String(worker.orchestrations.length),
    String(worker.activities.length),
  ];
}

async function drain(id: string, options: DrainOptions): Promise<void> {
  if (options.timeout !== undefined && options.wait !== true)
    throw new InvalidArgumentError("--timeout", "goes with --wait");
  const { worker, emptied } = await withRemote(options, async (remote) => {
    const asked = await remote.drainWorker(id);
    return options.wait === true
      ? untilEmpty(remote, asked, options.timeout)
      : { worker: asked, emptied: asked.shards === 0 };
  });
  await done(options.output, sentenceOf(worker, emptied), worker);
  if (options.wait !== true || emptied) return;
  say("It still holds shards. It keeps those that nobody else is there to take.");
  process.exitCode = EXIT.timeout;
}

function sentenceOf({ id, shards }: WorkerData, emptied: boolean): string {
  return emptied
    ? `${id} has given back all its shards.`
    : `${id} drains: it holds ${shards ?? "all"} shards yet.`;
}

/** One that has ended meanwhile holds nothing either. */
async function untilEmpty(
  remote: Remote,
  asked: WorkerData,
  timeoutMs = Number.POSITIVE_INFINITY,
): Promise<{ readonly worker: WorkerData; readonly emptied: boolean }> {
  const deadlineMs = performance.now() + timeoutMs;
  for (let worker = asked; ; ) {
    if (worker.shards === 0) return { worker, emptied: true };
    const leftMs = deadlineMs - performance.now();
    if (leftMs <= 0) return { worker, emptied: false };
    await new Promise((resolve) => {
      setTimeout(resolve, Math.min(LOOK_MS, leftMs));
    });
    worker = (await remote.workers()).find(({ id }) => id === asked.id) ?? { ...worker, shards: 0 };
  }
}
