/** Shards per task hub: the unit in which work is spread over processes. */
export const SHARD_COUNT = 256;

/** How far above its even share a worker may be loaded. */
const UNEVENNESS = 1.25;

/** The shard of an instance ID: 32-bit FNV-1a over its UTF-16 code units, folded to 8 bits. */
export function shardOf(instanceId: string): number {
  const hash = fnv1a(instanceId);
  return ((hash >>> 24) ^ (hash >>> 16) ^ (hash >>> 8) ^ hash) & 0xff;
}

/**
 * Which worker should own each shard, by rendezvous hashing: each shard goes to the worker that ranks highest for
 * it, or, where that one has its fill, to the next. The same for everybody who knows of the same workers, in
 * whatever order; when one comes or goes, little else moves than its own shards.
 *
 * @returns the owner of each shard, by its number; nothing where there is no worker.
 */
export function ownersOf(workers: readonly string[]): readonly string[] {
  const seats = Math.ceil((SHARD_COUNT * UNEVENNESS) / workers.length);
  const members = workers.toSorted().map((id) => ({ id, hash: fnv1a(id), shards: 0 }));
  const owners: string[] = [];
  for (let shard = 0; shard < SHARD_COUNT && members.length > 0; shard++) {
    const [first, ...others] = members.filter((member) => member.shards < seats);
    if (first === undefined) break; // never: there are more seats than shards
    const owner = others.reduce(
      (best, other) => (rank(other, shard) > rank(best, shard) ? other : best),
      first,
    );
    owner.shards += 1;
    owners.push(owner.id);
  }
  return owners;
}

function rank({ hash }: { readonly hash: number }, shard: number): number {
  // The finalizer of MurmurHash3: neighbouring shards must not rank the workers alike.
  let mixed = hash ^ Math.imul(shard + 1, 0x9e3779b1);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash ^= text.charCodeAt(index);
    hash = Math.imul(hash, 0x01000193);
  }
  return hash;
}
