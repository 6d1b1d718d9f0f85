import type { Instruction } from "./app.js";
import type { Direction } from "./directions.js";
import type { Plan } from "./schedule.js";
import type { Sharing } from "./store-line.js";
import type { Operation, Workload } from "./workload.js";

/**
 * A schedule that is written down, not drawn: a race that is too rare to be left to seeds. Who does what, what goes wrong
 * at which call, and how many work. Only the order of steps at one moment is left to the seed. Every instance must come
 * to its end without being poked.
 */
export interface Scene {
  readonly name: string;
  /** How many workers there are at first: `worker1`, `worker2`, … */
  readonly workers: number;
  /** When one more comes. */
  readonly joinsAtMs?: number;
  /** How workers share the hub, until nothing goes wrong any more: by leases, where nothing is said. */
  readonly sharing?: Sharing;
  /** It needs a store like PostgreSQL's: with tasks, or with message numbers that may come late. */
  readonly asPostgres?: true;
  /** How many instances a worker keeps in memory: 50, where nothing is said. */
  readonly residents?: number;
  readonly clients: Workload;
  readonly directions: readonly Direction[];
  /** For how long things may go wrong once the clients have done what they do. */
  readonly lingerMs: number;
  /** By then everything must have ended, while things still go wrong: what is found late only is found too late. */
  readonly inTime?: true;
  /** No activity is begun twice, as it may be where a worker dies or stands still. */
  readonly once?: true;
}

/** What is tried of it, always the same. */
export function planOf(scene: Scene): Plan {
  return { seed: 1, workload: scene.clients, scene };
}

type Start = Operation & { readonly do: "start" };

/** Who works has found its share, and rests. */
export const SETTLED_MS = 2_000;

/** What a client does: from when everybody has found its share. */
export function client(...operations: readonly Operation[]): readonly Operation[] {
  return [pass(SETTLED_MS), ...operations];
}

export function pass(ms: number): Operation {
  return { do: "pass", ms };
}

export function start(
  id: string,
  program: readonly Instruction[],
  options: Partial<Pick<Start, "ifLive" | "inMs">> = {},
): Operation {
  return {
    do: "start",
    id,
    name: "one",
    ifLive: "reject",
    ifEnded: { Completed: "start", Failed: "start", Terminated: "start", Canceled: "start" },
    requestId: undefined,
    inMs: undefined,
    program,
    ...options,
  };
}

export function raise(id: string): Operation {
  return { do: "raise", id };
}

export function terminate(id: string): Operation {
  return { do: "terminate", id, recursive: true };
}

export const event: Instruction = { do: "event" };
export const again: Instruction = { do: "again" };

export function activity(ms: number, fails = 0): Instruction {
  return { do: "activity", ms, fails };
}

/** An activity that the program does not wait for. */
export function begun(ms: number): Instruction {
  return { do: "activities", count: 1, ms, waits: false };
}

export function timer(ms: number, waits = true): Instruction {
  return { do: "timer", ms, waits };
}

export function child(
  program: readonly Instruction[],
  { ifLive = "reject", waits = true }: Partial<Pick<Instruction & { do: "child" }, "ifLive" | "waits">> = {},
): Instruction {
  return { do: "child", id: 0, ifLive, waits, program };
}
