import { expect, test } from "vitest";
import { ownersOf, SHARD_COUNT } from "./shard.js";

const workers = (count: number, from = 0): string[] =>
  Array.from(
    { length: count },
    (_, index) => `0192f0c4a1b270008000${(from + index).toString(16).padStart(12, "0")}`,
  );

function shardsOf(owners: readonly string[]): Map<string, number> {
  const shards = new Map<string, number>();
  for (const owner of owners) shards.set(owner, (shards.get(owner) ?? 0) + 1);
  return shards;
}

test("a lone worker should own every shard, and nobody where there is none", () => {
  expect(ownersOf(["a"])).toEqual(Array.from({ length: SHARD_COUNT }, () => "a"));
  expect(ownersOf([])).toEqual([]);
});

test("three workers share evenly", () => {
  for (let set = 0; set < 50; set++) {
    const counts = [...shardsOf(ownersOf(workers(3, set * 3))).values()];
    expect(counts).toHaveLength(3);
    expect(Math.max(...counts)).toBeLessThanOrEqual(Math.ceil((SHARD_COUNT / 3) * 1.25));
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(Math.floor((SHARD_COUNT / 3) * 0.65));
  }
  const counts = [...shardsOf(ownersOf(["worker-1", "worker-2", "worker-3"])).values()];
  for (const count of counts)
    expect(Math.abs(count - SHARD_COUNT / 3)).toBeLessThan((SHARD_COUNT / 3) * 0.25);
});

test("no worker is far above its share, however many there are", () => {
  for (const count of [2, 5, 16, 64, 200]) {
    const most = Math.max(...shardsOf(ownersOf(workers(count))).values());
    expect(most).toBeLessThanOrEqual(Math.ceil((SHARD_COUNT / count) * 1.25));
  }
});

test("when one leaves, only its shards move", () => {
  const before = ownersOf(["worker-1", "worker-2", "worker-3"]);
  const after = ownersOf(["worker-1", "worker-3"]);
  const moved = before.filter((owner, shard) => owner !== "worker-2" && owner !== after[shard]);
  expect(moved).toEqual([]);
});

test("of many workers, few shards move besides those of the one that leaves", () => {
  const all = workers(16);
  const before = ownersOf(all);
  const after = ownersOf(all.slice(1));
  const moved = before.filter((owner, shard) => owner !== all[0] && owner !== after[shard]);
  expect(moved.length).toBeLessThan(SHARD_COUNT / 8);
});

test("the order in which workers are named does not matter", () => {
  const all = workers(7);
  expect(ownersOf(all.toReversed())).toEqual(ownersOf(all));
});
