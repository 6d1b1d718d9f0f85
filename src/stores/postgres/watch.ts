import { Worker } from "node:worker_threads";
import type { TurnBoard } from "../../core/store.js";

/** What the watching thread is given. */
export interface WatchedHub {
  readonly connectionString: string;
  readonly schema: string;
  readonly hub: number;
  readonly board: TurnBoard;
}

/** Starts the thread that watches this thread's turns, see watch-thread.ts. It keeps no process alive. */
export function startWatch(watched: WatchedHub): Worker {
  // Node 20 starts no thread from TypeScript: where a test runner loads the source, the thread is the built one.
  const built = import.meta.url.endsWith(".ts")
    ? "../../../dist/stores/postgres/watch-thread.js"
    : "./watch-thread.js";
  const thread = new Worker(new URL(built, import.meta.url), {
    workerData: watched,
    name: "tenure-watch",
    execArgv: [],
    resourceLimits: { maxYoungGenerationSizeMb: 2 },
  });
  thread.on("error", () => {}); // turns go on unwatched
  thread.unref();
  return thread;
}

/** @throws TypeError for what {@link startWatch} does not give. */
export function watchedHubOf(given: unknown): WatchedHub {
  if (isObject(given) && isObject(given["board"]) && given["board"]["cells"] instanceof BigInt64Array) {
    return {
      connectionString: String(given["connectionString"]),
      schema: String(given["schema"]),
      hub: Number(given["hub"]),
      board: { cells: given["board"]["cells"], worker: String(given["board"]["worker"]) },
    };
  }
  throw new TypeError("the watching thread was started without a hub");
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
