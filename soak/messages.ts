// What the process under load and the one that watches it tell each other.
import type { RuntimeStatus } from "../src/core/instance.js";
import type { FastClock } from "./clock.js";

/** An instance that was asked for, and how it must end. */
export interface Job {
  readonly id: string;
  readonly kind: string;
  readonly input: number;
  readonly status: RuntimeStatus;
  /** Where it completes. */
  readonly output?: number;
}

/** A piece of the run between two kills. Only in stormy ones the engine is closed and opened again. */
export type Weather = "stormy" | "calm";

/** What a new life is told: the file, the time, and what the lives before it left unfinished. */
export interface Life {
  readonly number: number;
  readonly weather: Weather;
  readonly file: string;
  readonly clock: FastClock;
  /** How much of everything goes on at once. */
  readonly load: number;
  readonly sampleMs: number;
  /** Accepted starts, and those whose answer nobody heard. */
  readonly open: readonly { readonly job: Job; readonly accepted: boolean }[];
}

/** How late timers were, in virtual milliseconds. */
export interface Lateness {
  /** Due while the engine ran. */
  readonly steady: readonly number[];
  /** Due while none did. */
  readonly acrossOutage: readonly number[];
}

/** The process, looked at once from inside; memory after a collection. */
export interface InnerSample {
  readonly virtualMs: number;
  /** Turns committed in this life. */
  readonly turns: number;
  readonly heapBytes: number;
  readonly externalBytes: number;
  readonly rssBytes: number;
  readonly residents: number;
  /** Open file descriptors; absent where the system does not tell. */
  readonly descriptors?: number;
  /** What keeps the event loop alive, but for timers; and those. */
  readonly resources: number;
  readonly timers: number;
  readonly lateness: Lateness;
  /** How often each thing was done or happened since the sample before. */
  readonly counts: Readonly<Record<string, number>>;
}

export type FromEngine =
  | { readonly kind: "asking"; readonly job: Job }
  | { readonly kind: "accepted"; readonly id: string }
  /** The start was never carried out: the process was killed before. */
  | { readonly kind: "neverBegan"; readonly id: string }
  | { readonly kind: "ended"; readonly id: string; readonly status: RuntimeStatus; readonly output: unknown }
  | { readonly kind: "sample"; readonly sample: InnerSample }
  | { readonly kind: "broken"; readonly promise: string }
  /** Everything has ended and is purged. */
  | { readonly kind: "finished" };

export type ToEngine = ({ readonly kind: "live" } & Life) | { readonly kind: "finish" };

export function isFromEngine(message: unknown): message is FromEngine {
  return typeof message === "object" && message !== null && "kind" in message;
}

export function isToEngine(message: unknown): message is ToEngine {
  return typeof message === "object" && message !== null && "kind" in message;
}
