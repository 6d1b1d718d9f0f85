import { InvalidArgumentError } from "../../core/errors.js";

/**
 * How leases are kept. They bound how long the work of a process that is gone lies about: `lateMs + renewMs` where
 * sessions show that it is gone, `leaseMs + renewMs` where they do not. All processes of a hub should have the same.
 */
export interface LeaseTimes {
  /** How long a lease lasts from its last renewal. */
  readonly leaseMs: number;
  /** How often to renew. */
  readonly renewMs: number;
  /** How old a renewal must be before others look whether the worker is gone. */
  readonly lateMs: number;
}

const LEASE_MS = 10_000;

/** Of a lease of at least ten times as long. */
const RENEW_MS = 1_000;

/**
 * How long the answer to a statement about leases is waited for, before it is sent anew on another connection: so
 * short that there is time for a few within the default lease.
 */
export const LEASE_SILENCE_MS = 3_000;

/**
 * How much later than we another process may be back at a database that was away for everybody: it may just have
 * begun to wait for an answer that never comes, and then pauses.
 */
export const COMING_BACK_MS = LEASE_SILENCE_MS + 1_000;

const SHORTEST_RENEWAL_MS = 50;
const LONGEST_LEASE_MS = 10 * 60 * 1000;

/**
 * The times, with what is not given derived from what is.
 *
 * @throws InvalidArgumentError for times with which a process that lives would be taken for dead.
 */
export function parseLeaseTimes(given: Partial<LeaseTimes>): LeaseTimes {
  const { leaseMs = LEASE_MS } = given;
  const { renewMs = Math.min(RENEW_MS, Math.floor(leaseMs / 10)) } = given;
  const { lateMs = Math.floor(renewMs * 1.5) } = given;
  inRange("leaseMs", leaseMs, SHORTEST_RENEWAL_MS, LONGEST_LEASE_MS, "");
  inRange("renewMs", renewMs, SHORTEST_RENEWAL_MS, Math.floor(leaseMs / 3), ", a third of leaseMs");
  inRange("lateMs", lateMs, Math.ceil(renewMs * 1.5), leaseMs, ", from one and a half renewMs to leaseMs");
  return { leaseMs, renewMs, lateMs };
}

function inRange(name: keyof LeaseTimes, ms: number, least: number, most: number, why: string): void {
  if (Number.isInteger(ms) && ms >= least && ms <= most) return;
  throw new InvalidArgumentError(
    name,
    `must be whole milliseconds, at least ${least} and at most ${most}${why}`,
  );
}
