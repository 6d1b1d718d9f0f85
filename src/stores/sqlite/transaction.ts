import type { Connection } from "./connection.js";

/** An open write transaction on one hub of the file, and what others are to be told once it is durable. */
export interface Transaction {
  readonly connection: Connection;
  /** The row ID of the hub. Every statement names it: several hubs may live in one file. */
  readonly hub: number;
  /** The number that stands for a worker's ID in rows. */
  readonly writerOf: (worker: string) => number;
  readonly notice: Notice;
}

/** What a write leads to, for {@link ChangeHint}. */
export interface Notice {
  messages: boolean;
  nextDueMs: number | undefined;
}

export function noticeDue(notice: Notice, dueMs: number): void {
  if (notice.nextDueMs === undefined || dueMs < notice.nextDueMs) notice.nextDueMs = dueMs;
}
