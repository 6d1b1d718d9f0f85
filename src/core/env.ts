/**
 * Everything that is not a pure function of its input, in one injected object: nothing in core,
 * replay, worker or client touches Date, timers, Math.random, crypto or process. The simulation runs
 * the same engine under a seeded implementation of it.
 */
export interface Env {
  /** Milliseconds since the epoch by this process's clock. Never decides ownership. */
  now(): number;
  /** Milliseconds that only ever grow, for measuring durations. */
  monotonicMs(): number;
  /** A number in [0, 1). */
  random(): number;
  /** A new ID: a UUIDv7 as 32 hex digits, so that generated IDs sort by time. */
  id(): string;
  /** The hex digest of a text. `sha1` is for RFC 9562 name-based UUIDs only. */
  hash(algorithm: "sha1" | "sha256", text: string): string;
  /** Resolves after this many milliseconds (at most 2^31 - 1), or at once when the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Resolves when the microtask queue has run empty: every continuation of what was delivered has run. */
  drain(): Promise<void>;
  /** Lets other work of the event loop run. */
  yieldNow(): Promise<void>;
  /** Runs a task that nobody awaits; its failure is reported, never swallowed. */
  spawn(name: string, task: () => Promise<void>): void;
}

/** What the engine says while it works. Libraries take one of these and never print by themselves. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export type LogFields = Readonly<Record<string, unknown>>;

/** Says nothing: the default of an embedded hub. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
};
