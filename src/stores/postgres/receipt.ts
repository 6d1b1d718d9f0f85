import { randomBytes } from "node:crypto";

/** What a transaction of commands leaves, and when it was made by our clocks. */
export interface Receipt {
  readonly id: string;
  readonly monotonicMs: number;
  readonly wallMs: number;
}

/** How old a receipt is that is swept: whoever has not asked for it by then does not go by it any more. */
const KEPT = "interval '1 hour'";

/** How long a process goes by its receipts: by its own clocks, which may go slower than the database's. */
const TOLD_MS = 50 * 60 * 1000;

/** How many are swept at a time. */
export const RECEIPT_BATCH = 1000;

export const NEW_RECEIPT = "insert into @receipt (id) values ($1) on conflict (id) do nothing returning id";

export const SWEEP_RECEIPTS = `
  delete from @receipt where id in (
    select id from @receipt where created < now() - ${KEPT} limit ${RECEIPT_BATCH}
  )
  returning 1`;

export const DROP_RECEIPTS = "delete from @receipt where id = any($1::text[])";

export function newReceipt(): Receipt {
  return { id: randomBytes(16).toString("hex"), monotonicMs: performance.now(), wallMs: Date.now() };
}

/**
 * Whether a receipt that is not there never was: not for a process that, or whose whole machine, has stood still for
 * long, because the receipt may have been swept since. One of the clocks stands still while a machine sleeps, the other
 * may be put back: the longer time counts.
 */
export function isSurelyKept({ monotonicMs, wallMs }: Receipt): boolean {
  return Math.max(performance.now() - monotonicMs, Date.now() - wallMs) < TOLD_MS;
}
