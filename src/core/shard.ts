/** Shards per task hub: the unit in which work is spread over processes. */
export const SHARD_COUNT = 256;

/** The shard of an instance ID: 32-bit FNV-1a over its UTF-16 code units, folded to 8 bits. */
export function shardOf(instanceId: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < instanceId.length; index++) {
    hash ^= instanceId.charCodeAt(index);
    hash = Math.imul(hash, 0x01000193);
  }
  return ((hash >>> 24) ^ (hash >>> 16) ^ (hash >>> 8) ^ hash) & 0xff;
}
