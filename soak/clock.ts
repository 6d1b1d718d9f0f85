import type { Env, Logger } from "../src/core/env.js";
import { systemEnv } from "../src/system-env.js";

/** A clock that runs faster than the real one. All processes that are given the same one agree on the time. */
export interface FastClock {
  /** When it showed the real time. */
  readonly originMs: number;
  /** Its milliseconds per real one. */
  readonly speed: number;
}

/** The virtual time; steps of the machine's clock within a process's life do not show. */
export function virtualNowMs({ originMs, speed }: FastClock): number {
  const realMs = performance.timeOrigin + performance.now();
  return Math.floor(originMs + (realMs - originMs) * speed);
}

/** The {@link Env} of a real process, but for its clock: whoever sleeps sleeps shorter. */
export function fastEnv(clock: FastClock, logger: Logger): Env {
  const system = systemEnv(logger);
  return {
    ...system,
    now: () => virtualNowMs(clock),
    monotonicMs: () => performance.now() * clock.speed,
    sleep: (ms, signal) => system.sleep(Math.ceil(ms / clock.speed), signal),
  };
}
