import type { Env, Logger } from "../core/env.js";
import {
  StoreConflictError,
  StoreDamagedError,
  StoreFailedError,
  StoreUnusableError,
} from "../core/errors.js";

/** What asking again needs. */
export interface PersistParts {
  readonly env: Env;
  readonly logger: Logger;
  /** Whether it is not worth while any more: the worker stops. */
  readonly isOver?: () => boolean;
}

/** Whether a store's fault is of this moment, and nobody's but the store's: what was asked may be asked again. */
export function isPassing(error: unknown): boolean {
  return error instanceof StoreConflictError || error instanceof StoreUnusableError;
}

/** Whether a store will serve this process no more (`Store.failure`): no instance is to blame for that. */
export function isLost(error: unknown): boolean {
  return error instanceof StoreFailedError || error instanceof StoreDamagedError;
}

/**
 * A store that cannot serve now (busy, disk full, restarted, its password changed) is asked again for as long as it
 * takes, or until it is over: the work is not lost, only late.
 */
export async function persist<T>(
  { env, logger, isOver }: PersistParts,
  operation: () => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await operation();
    } catch (error) {
      if (!isPassing(error) || isOver?.() === true) throw error;
      logger.warn("the store could not serve the worker; trying again", { error, attempt });
      await env.sleep(Math.min(50 * 2 ** attempt, 5000) * (0.5 + env.random()));
    }
  }
}
