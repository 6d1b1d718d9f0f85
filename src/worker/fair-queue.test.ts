import { expect, test } from "vitest";
import { FairQueue } from "./fair-queue.js";

function taken(queue: FairQueue<string>): string[] {
  const items: string[] = [];
  for (let item = queue.shift(); item !== undefined; item = queue.shift()) items.push(item);
  return items;
}

test("keys take turns, however much one of them has waiting", () => {
  const queue = new FairQueue<string>();
  for (const item of ["a1", "a2", "a3", "a4"]) queue.push(1, item);
  for (const item of ["b1", "b2"]) queue.push(2, item);
  expect(taken(queue)).toEqual(["a1", "b1", "a2", "b2", "a3", "a4"]);
});

test("a key that comes later does not go before those that wait already, nor behind all of them", () => {
  const queue = new FairQueue<string>();
  for (const item of ["a1", "a2", "a3"]) queue.push(1, item);
  expect(queue.shift()).toBe("a1");
  queue.push(2, "b1");
  expect(taken(queue)).toEqual(["a2", "b1", "a3"]);
});

test("what was taken is not counted any more", () => {
  const queue = new FairQueue<string>();
  queue.push(1, "a1");
  queue.push(1, "a2");
  queue.shift();
  expect(queue.size).toBe(1);
  queue.shift();
  expect([queue.size, queue.shift()]).toEqual([0, undefined]);
});
