import { expect, test } from "vitest";
import { Slots } from "./slots.js";

test("so many have a slot at a time, and the others get theirs in order", async () => {
  const slots = new Slots(2);
  const taken: number[] = [];
  const takes = [1, 2, 3, 4].map(async (each) => {
    await slots.take();
    taken.push(each);
  });
  await Promise.all(takes.slice(0, 2));
  expect(taken).toEqual([1, 2]);
  slots.giveBack();
  await takes[2];
  expect(taken).toEqual([1, 2, 3]);
  slots.giveBack();
  await takes[3];
  slots.giveBack();
  slots.giveBack();
  await slots.take();
  await slots.take();
  expect(taken).toEqual([1, 2, 3, 4]);
});
