import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Announcer, type News } from "./announcer.js";

const NOTHING: News = { shards: [], instanceIds: [] };

let said: News[];
let announcer: Announcer;

beforeEach(() => {
  vi.useFakeTimers();
  said = [];
  announcer = new Announcer(async (news) => {
    said.push(news);
  });
});

afterEach(() => {
  vi.useRealTimers();
});

test("work is told of soon, a changed status a little later, and both in one go", async () => {
  announcer.tell({ ...NOTHING, instanceIds: ["a"] });
  announcer.tell({ ...NOTHING, began: [{ iid: 7, shard: 3 }] });
  announcer.tell({ ...NOTHING, shards: [4] });
  await vi.advanceTimersByTimeAsync(10);
  expect(said).toEqual([{ shards: [4], began: [{ iid: 7, shard: 3 }], instanceIds: ["a"], alive: [] }]);
  announcer.tell({ ...NOTHING, instanceIds: ["a"] });
  await vi.advanceTimersByTimeAsync(24);
  expect(said).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(said).toHaveLength(2);
});

test("after many instances were told of at once, work waits as long as a status; after few, it does not", async () => {
  const began = Array.from({ length: 8 }, (_, iid) => ({ iid, shard: 1 }));
  announcer.tell({ ...NOTHING, began });
  await vi.advanceTimersByTimeAsync(10);
  expect(said).toHaveLength(1);
  announcer.tell({ ...NOTHING, shards: [1] });
  await vi.advanceTimersByTimeAsync(24);
  expect(said).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(said).toHaveLength(2);
  announcer.tell({ ...NOTHING, shards: [1] });
  await vi.advanceTimersByTimeAsync(10);
  expect(said).toHaveLength(3);
});
