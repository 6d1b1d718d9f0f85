import type { Shards } from "../core/store.js";

/** Which shards this worker owns now, as far as it can tell. */
export interface OwnedShards {
  readonly shards: Shards;
  owns(shard: number): boolean;
}

/** An engine that shares its hub with nobody. */
export const EVERY_SHARD: OwnedShards = { shards: "all", owns: () => true };
