import type { LoadedInstance } from "../../core/store.js";
import type { Query } from "./query.js";

/** An open transaction on one hub, and what others are to be told once it is durable. */
export interface Transaction {
  readonly query: Query;
  /** The row ID of the hub. Every statement names it: several hubs share a schema. */
  readonly hub: number;
  readonly notice: Notice;
}

/** What a write leads to, for ChangeHint and for those who listen in other processes. */
export interface Notice {
  /** Shards that have new messages. */
  readonly shards: Set<number>;
  nextDueMs: number | undefined;
  /** New instances that have begun with a first mail, which is not counted above: the shard of each, by iid. */
  began?: Map<number, number>;
  /** Those of them of which all is known that a load would show. */
  loaded?: LoadedInstance[];
  /** There are new tasks, for whoever can do them. */
  tasks?: true;
}

export function newNotice(): Notice {
  return { shards: new Set(), nextDueMs: undefined };
}

export function noticeDue(notice: Notice, dueMs: number): void {
  if (notice.nextDueMs === undefined || dueMs < notice.nextDueMs) notice.nextDueMs = dueMs;
}

export function noticeBegan(notice: Notice, iid: number, shard: number): void {
  notice.began ??= new Map();
  notice.began.set(iid, shard);
}
