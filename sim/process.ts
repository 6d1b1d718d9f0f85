import type { Env, Logger } from "../src/core/env.js";
import { systemEnv } from "../src/system-env.js";
import type { Random } from "./random.js";
import type { Actor, Scheduler } from "./scheduler.js";

/** When the simulated world begins. */
export const START_MS = Date.UTC(2026, 0, 1);

/**
 * A simulated process: an {@link Env} whose every effect is a step of the scheduler. It can be killed (what its code
 * waits for never comes), paused as by SIGSTOP, and its wall clock can be set.
 */
export class SimProcess implements Actor {
  readonly name: string;
  readonly env: Env;
  dead = false;
  pausedUntilMs = 0;
  /** How far its wall clock is off. */
  skewMs = 0;
  /** The latest that its wall clock has ever shown it. */
  latestMs = Number.NEGATIVE_INFINITY;
  #ids = 0;

  constructor(name: string, number: number, scheduler: Scheduler, random: Random, logger: Logger) {
    this.name = name;
    const system = systemEnv(logger);
    const prefix = number.toString(16).padStart(8, "0");
    this.env = {
      now: () => {
        const nowMs = START_MS + Math.floor(scheduler.nowMs) + this.skewMs; // whole, as Date.now() is
        this.latestMs = Math.max(this.latestMs, nowMs);
        return nowMs;
      },
      monotonicMs: () => scheduler.nowMs,
      random: () => random.next(),
      id: () => `${prefix}${(++this.#ids).toString(16).padStart(24, "0")}`,
      hash: (algorithm, text) => system.hash(algorithm, text),
      sleep: (ms, signal) => scheduler.sleep(this, ms, signal),
      drain: () => system.drain(),
      yieldNow: () => scheduler.sleep(this, 0),
      spawn: (name, task) => system.spawn(name, task),
    };
  }

  /** The time by everybody's clock but its own. */
  get trueNowMs(): number {
    return this.env.now() - this.skewMs;
  }

  kill(): void {
    this.dead = true;
  }
}
