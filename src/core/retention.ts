import { InvalidArgumentError } from "./errors.js";
import type { EndedStatus } from "./instance.js";

/**
 * How long ended instances, and past executions of live ones, are kept: an age per status in
 * milliseconds since the end. A status left out is kept until it is purged. Of continue-as-new, the
 * last {@link KEPT_GENERATIONS} executions are kept whatever their age.
 */
export type Retention = Readonly<Ages>;

type Ages = { [S in EndedStatus as `${Uncapitalize<S>}Ms`]?: number };

/** The setting of the hub that holds its retention. */
export const RETENTION_SETTING = "retention";

/** Generations of one run that are kept: enough to see what an eternal orchestration did lately. */
export const KEPT_GENERATIONS = 10;

/** Which member of {@link Retention} is about which status. */
export const RETENTION_BY_STATUS: { readonly [S in EndedStatus]: keyof Retention } = {
  Completed: "completedMs",
  Failed: "failedMs",
  Terminated: "terminatedMs",
  Canceled: "canceledMs",
};

/** @throws InvalidArgumentError naming the member that cannot be. */
export function parseRetention(value: unknown): Retention {
  if (typeof value !== "object" || value === null)
    throw new InvalidArgumentError("retention", "must be an object");
  const known = Object.values(RETENTION_BY_STATUS);
  const retention: Ages = {};
  for (const [key, ms] of Object.entries(value)) {
    const member = known.find((name) => name === key);
    if (member === undefined) {
      throw new InvalidArgumentError(`retention.${key}`, `is not one of ${known.join(", ")}`);
    }
    if (ms === undefined || ms === null) continue;
    // A fraction would be refused by a database at every sweep, where nobody is told.
    if (typeof ms !== "number" || !Number.isSafeInteger(ms) || ms < 0) {
      throw new InvalidArgumentError(`retention.${key}`, "must be whole milliseconds, 0 or more");
    }
    retention[member] = ms;
  }
  return retention;
}
