import type { Env, Logger } from "../core/env.js";
import { StoreConflictError } from "../core/errors.js";

/** What asking again needs. */
export interface PersistParts {
  readonly env: Env;
  readonly logger: Logger;
}

/** A store that cannot serve now (busy, disk full) is asked again: the work is not lost, only late. */
export async function persist<T>({ env, logger }: PersistParts, operation: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await operation();
    } catch (error) {
      if (!(error instanceof StoreConflictError)) throw error;
      logger.warn("the store could not serve the worker; trying again", { error, attempt });
      await env.sleep(Math.min(50 * 2 ** attempt, 5000) * (0.5 + env.random()));
    }
  }
}
