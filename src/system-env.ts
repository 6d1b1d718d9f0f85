import { createHash, randomBytes } from "node:crypto";
import { setMaxListeners } from "node:events";
import { performance } from "node:perf_hooks";
import { setImmediate as nextRound } from "node:timers/promises";
import type { Env, Logger } from "./core/env.js";
import { StoreClosedError } from "./core/errors.js";

/** The longest delay a Node timer can hold. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The {@link Env} of a real process: its clock, its randomness, its event loop. */
export function systemEnv(logger: Logger): Env {
  return {
    now: () => Date.now(),
    monotonicMs: () => performance.now(),
    random: () => Math.random(),
    id: uuidV7Source(),
    hash: (algorithm, text) => createHash(algorithm).update(text).digest("hex"),
    sleep,
    drain,
    yieldNow: () => nextRound(),
    spawn: (name, task) => {
      task().catch((error: unknown) => {
        // Whoever closes a store ends what was still under way on it.
        if (!(error instanceof StoreClosedError)) logger.error(`${name} failed`, { error });
      });
    },
  };
}

function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) {
      resolve();
      return;
    }
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, Math.min(Math.max(ms, 0), MAX_TIMER_MS));
    if (signal === undefined) return;
    setMaxListeners(0, signal); // any number of loops may end by one signal, and Node would warn of a leak
    signal.addEventListener("abort", done, { once: true });
  });
}

/**
 * `process.nextTick` queued from a microtask runs once the microtask queue is empty: by then every
 * continuation of what was delivered has run, however many awaits deep.
 */
function drain(): Promise<void> {
  return new Promise((resolve) => {
    queueMicrotask(() => process.nextTick(resolve));
  });
}

/** Random bytes are drawn for so many IDs at once: a draw costs more than an ID. */
const IDS_PER_DRAW = 256;

/** RFC 9562 UUIDv7 as 32 hex digits: 48 bits of time, then 74 random bits. */
function uuidV7Source(): () => string {
  let drawn = Buffer.alloc(0);
  let used = 0;
  return () => {
    if (used === drawn.length) {
      drawn = randomBytes(16 * IDS_PER_DRAW);
      used = 0;
    }
    const bytes = drawn.subarray(used, used + 16);
    used += 16;
    bytes.writeUIntBE(Date.now(), 0, 6);
    bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6);
    bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
    return bytes.toString("hex");
  };
}
