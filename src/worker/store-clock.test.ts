import { expect, test } from "vitest";
import { silentLogger } from "../core/env.js";
import { systemEnv } from "../system-env.js";
import { StoreClock } from "./store-clock.js";

function clockAt(times: { own: number; monotonic: number }): StoreClock {
  return new StoreClock({
    ...systemEnv(silentLogger),
    now: () => times.own,
    monotonicMs: () => times.monotonic,
  });
}

test("is the process's own until the store has told the time", () => {
  expect(clockAt({ own: 77, monotonic: 5 }).now()).toBe(77);
});

test("goes on from what the store told, whatever happens to the process's own clock", () => {
  const times = { own: 3_600_000, monotonic: 100 };
  const clock = clockAt(times);
  clock.hear(5000);
  times.monotonic += 250;
  times.own = 0;
  expect([clock.now(), clock.env.now()]).toEqual([5250, 5250]);
});

test("does not go back because an answer took long, but does when the store's clock was set back", () => {
  const times = { own: 0, monotonic: 100 };
  const clock = clockAt(times);
  clock.hear(5000);
  times.monotonic += 250;
  expect(clock.now()).toBe(5250);
  clock.hear(5200);
  expect(clock.now()).toBe(5250);
  clock.hear(1000);
  expect(clock.now()).toBe(1000);
});

test("goes by the swiftest of the last answers: one that lags does not put it behind for what is timed meanwhile", () => {
  const times = { own: 0, monotonic: 0 };
  const clock = clockAt(times);
  const hear = (tookMs: number): void => {
    times.monotonic += 1000;
    clock.hear(50_000 + times.monotonic - tookMs);
  };
  hear(200);
  expect(clock.now()).toBe(50_800);
  hear(3);
  expect(clock.now()).toBe(51_997);
  for (let answers = 0; answers < 6; answers++) hear(400);
  expect(clock.now()).toBe(57_997);
  // Its swift answer is long ago by now: the two clocks may have drifted apart.
  for (let answers = 0; answers < 3; answers++) hear(400);
  expect(clock.now()).toBe(60_600);
});
