// Callers that start jobs, send them what they wait for, and look how they end, whatever happens meanwhile.
import type { TaskHubClient } from "../../src/client/task-hub-client.js";
import {
  InstanceHeldError,
  InstanceNotFoundError,
  TenureError,
  WaitTimeoutError,
} from "../../src/core/errors.js";
import type { Accepted } from "../postgres/counted.js";
import { witnessMs } from "../postgres/members.js";

/** A job that has not ended so long after it was started is lost. Longer than all that a fault may delay. */
const PATIENCE_MS = 90_000;

/** What a refused caller waits before it asks again. */
const RETRY_MS = 100;

/** Events that each job takes, numbered from 1. */
const NOTES = 3;

/** Three steps, events, a child on another shard, a timer, and what carries their results. */
const INPUT = { steps: 3, ms: 15, note: NOTES, child: true, pauseMs: 20 };

/** Pairs of callers that start the same IDs, and how often they use each, one run after the other. */
const RIVALS = 4;
const RUNS_PER_ID = 5;

export interface LoadOptions {
  readonly client: TaskHubClient;
  /** Whom the others ask of those who start the same ID at the same time; without it nobody does. */
  readonly rival?: TaskHubClient;
  /** What the jobs' IDs begin with. */
  readonly prefix: string;
  /** Jobs under way at a time. */
  readonly inFlight: number;
  readonly name?: string;
}

/** A run of a job, as its callers saw it; by the witness's clock. */
export interface Job extends Accepted {
  /** When they heard that it was started. */
  readonly acceptedMs: number;
  /** When they saw that it had ended, or gave it up. */
  endedMs?: number;
}

/** What a caller was told who asked for a start. */
interface Told {
  readonly outcome: string;
  readonly executionId: string;
  /** Absent for who was refused. */
  readonly waitForCompletion?: (limit: { timeoutMs: number }) => Promise<{ readonly runtimeStatus: string }>;
}

/** Jobs started one after the other, so many of them under way at a time. */
export class Load {
  /** Jobs whose start was acknowledged. */
  readonly started: Job[] = [];
  /** Jobs that were acknowledged and have not completed. */
  readonly lost: Job[] = [];
  /** IDs that rivals were told different things of. */
  readonly disputed: string[] = [];
  /** What callers were told, and how often; they asked again. */
  readonly errors = new Map<string, number>();
  readonly #options: LoadOptions;
  #numbers = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  /** How many have ended. */
  #ended = 0;
  get ended(): number {
    return this.#ended;
  }

  /** Starts jobs until it is told to stop, or so many are started; returns once all have ended, or are lost. */
  async run(until: AbortSignal | number): Promise<void> {
    const { client, rival, inFlight, prefix } = this.#options;
    const more = (): boolean => (typeof until === "number" ? this.#numbers < until : !until.aborted);
    const alone = async (): Promise<void> => {
      while (more()) {
        const instanceId = `${prefix}-${++this.#numbers}`;
        const told = await this.#start(client, { instanceId, requestId: instanceId });
        await this.#accompany(instanceId, told, [client]);
      }
    };
    const rivals = async (other: TaskHubClient): Promise<void> => {
      while (more()) {
        const instanceId = `${prefix}-${++this.#numbers}`;
        for (let run = 1; run === 1 || (run <= RUNS_PER_ID && more()); run++) {
          if (run > 1) this.#numbers += 1;
          if (!(await this.#compete(instanceId, run, [client, other]))) break;
        }
      }
    };
    const pairs = rival === undefined ? [] : Array.from({ length: RIVALS }, () => rivals(rival));
    await Promise.all([...pairs, ...Array.from({ length: inFlight }, alone)]);
  }

  /** Both start one ID at a time at which it is free: one has started it, the other is told of that very run. */
  async #compete(
    instanceId: string,
    run: number,
    clients: readonly [TaskHubClient, TaskHubClient],
  ): Promise<boolean> {
    // The job waits for its events, so that it lives until both are answered.
    const ifLive = run % 2 === 1 ? "reject" : "attach";
    const told = await Promise.all(
      clients.map((client, at) =>
        this.#start(client, { instanceId, requestId: `${instanceId}-${run}-${at}`, ifLive }),
      ),
    );
    const [winner] = told.filter(({ outcome }) => outcome === "started");
    const others = told.map(({ outcome }) => outcome).filter((outcome) => outcome !== "started");
    const expected = ifLive === "reject" ? "refused" : "attached";
    const isOne = new Set(told.map(({ executionId }) => executionId)).size === 1;
    if (winner === undefined || others.join() !== expected || !isOne) {
      const answers = told.map(({ outcome, executionId }) => `${outcome} ${executionId}`);
      this.disputed.push(`${instanceId}, run ${run}, ${ifLive}: two were told ${answers.join(" and ")}`);
    }
    for (const each of told.filter(({ outcome }) => outcome === "started"))
      await this.#accompany(instanceId, each, clients);
    return winner !== undefined;
  }

  /** The same request however often it is sent: a start whose answer was lost is not refused by itself. */
  async #start(
    client: TaskHubClient,
    options: {
      readonly instanceId: string;
      readonly requestId: string;
      readonly ifLive?: "reject" | "attach";
    },
  ): Promise<Told> {
    const { name = "job" } = this.#options;
    try {
      return await this.#insist(() => client.startNew(name, { ...options, input: INPUT }));
    } catch (error) {
      if (!(error instanceof InstanceHeldError)) throw error;
      return { outcome: "refused", executionId: error.holder.executionId };
    }
  }

  /** From its acceptance to its end: sends it its events, by turns from each of its callers. */
  async #accompany(
    instanceId: string,
    { executionId, waitForCompletion }: Told,
    clients: readonly [TaskHubClient, ...TaskHubClient[]],
  ): Promise<void> {
    const job: Job = { instanceId, executionId, acceptedMs: witnessMs() };
    this.started.push(job);
    for (let note = 1; note <= NOTES; note++) {
      const client = clients[note % clients.length] ?? clients[0];
      // Whoever is told to try again knows that it was not accepted: nothing comes twice.
      await this.#insist(() => client.raiseEvent(instanceId, "note", note));
    }
    try {
      const ended = await this.#insist(async () => waitForCompletion?.({ timeoutMs: PATIENCE_MS }));
      if (ended?.runtimeStatus !== "Completed") this.lost.push(job);
    } catch (error) {
      // Another run in its place is no end of this one.
      if (!(error instanceof WaitTimeoutError || error instanceof InstanceNotFoundError)) throw error;
      this.lost.push(job);
    }
    job.endedMs = witnessMs();
    this.#ended += 1;
  }

  /** Asks until it is answered. What is no error of ours, or says that the caller is wrong, is a bug. */
  async #insist<T>(ask: () => Promise<T>): Promise<T> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (!isPassing(error) || performance.now() > deadline) throw error;
        this.errors.set(error.code, (this.errors.get(error.code) ?? 0) + 1);
        await new Promise((resolve) => {
          setTimeout(resolve, RETRY_MS);
        });
      }
    }
  }
}

/** Whether an error says "not now". */
function isPassing(error: unknown): error is TenureError {
  return (
    error instanceof TenureError && (error.code === "StoreConflict" || error.code === "UnregisteredName")
  );
}
