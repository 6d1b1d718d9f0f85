import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { LookAround } from "./look-around.js";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** How often one looks in ten seconds, where each look brings messages up to the number that `read` tells. */
function looksWith(read: (look: number) => number | undefined, wroteSome = false): number {
  let looks = 0;
  const around = new LookAround(() => {
    looks += 1;
    around.sawMessages(read(looks), wroteSome);
  });
  around.set(true);
  vi.advanceTimersByTime(10_000);
  around.set(false);
  return looks;
}

test("while there is nothing to see, looks become seldom", () => {
  expect(looksWith(() => undefined)).toBeLessThan(20);
});

test("while others write, one looks often", () => {
  expect(looksWith((look) => look)).toBeGreaterThan(200);
});

test("what one has written oneself is no reason to look", () => {
  expect(looksWith((look) => look, true)).toBeLessThan(20);
});

test("messages that wait, seen time after time, are no reason to look", () => {
  expect(looksWith(() => 7)).toBeLessThan(25);
});
