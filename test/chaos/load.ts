// Callers that start jobs, send them what they wait for, and look how they end, whatever happens meanwhile.
import type { TaskHubClient } from "../../src/client/task-hub-client.js";
import { InstanceEndedError, TenureError, WaitTimeoutError } from "../../src/core/errors.js";

/** A job that has not ended so long after it was started is lost. Longer than all that a fault may delay. */
const PATIENCE_MS = 90_000;

/** What a refused caller waits before it asks again. */
const RETRY_MS = 100;

/** Three steps, an event, a child on another shard, a timer, and what carries their results. */
const INPUT = { steps: 3, ms: 15, note: true, child: true, pauseMs: 20 };

export interface LoadOptions {
  readonly client: TaskHubClient;
  /** What the jobs' IDs begin with. */
  readonly prefix: string;
  /** Jobs under way at a time. */
  readonly inFlight: number;
  readonly name?: string;
}

/** Jobs started one after the other, so many of them under way at a time. */
export class Load {
  /** Jobs whose start was acknowledged. */
  readonly started: string[] = [];
  /** Jobs that were acknowledged and have not completed. */
  readonly lost: string[] = [];
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
    const more = (): boolean => (typeof until === "number" ? this.#numbers < until : !until.aborted);
    const lane = async (): Promise<void> => {
      while (more()) await this.#job(`${this.#options.prefix}-${++this.#numbers}`);
    };
    await Promise.all(Array.from({ length: this.#options.inFlight }, lane));
  }

  async #job(instanceId: string): Promise<void> {
    const { client, name = "job" } = this.#options;
    // The same request: a start whose answer was lost is not refused by itself.
    await this.#insist(() => client.startNew(name, { instanceId, input: INPUT, requestId: instanceId }));
    this.started.push(instanceId);
    await this.#insist(async () => {
      try {
        await client.raiseEvent(instanceId, "note", "noted");
      } catch (error) {
        // The answer to an earlier try was lost, and it was accepted.
        if (!(error instanceof InstanceEndedError)) throw error;
      }
    });
    try {
      const { runtimeStatus } = await this.#insist(() =>
        client.waitForCompletion(instanceId, { timeoutMs: PATIENCE_MS }),
      );
      if (runtimeStatus !== "Completed") this.lost.push(instanceId);
    } catch (error) {
      if (!(error instanceof WaitTimeoutError)) throw error;
      this.lost.push(instanceId);
    }
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
