import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { until } from "../postgres/members.js";
import { SqliteStorm } from "./sqlite-storm.js";
import { between } from "./storm.js";

const FREEZES = 5;
const RACES = 20;

test(`a frozen engine keeps its file, and goes on when it wakes, ${FREEZES} times`, async () => {
  await using storm = await SqliteStorm.begin({ fault: "SIGSTOP, and a second engine" });
  const { load, engine } = storm;
  await storm.rage(async () => {
    for (let round = 0; round < FREEZES; round++) {
      const before = load.ended;
      await until(async () => (load.ended > before ? true : undefined));
      engine.pause();
      const second = storm.launch();
      expect(await second.runs()).toBe(false);
      expect(second.said).toContain(`is held by another engine (pid ${engine.pid} `);
      await sleep(between(500, 2500));
      engine.wake();
      storm.injected += 1;
      const woken = load.ended;
      await until(async () => (load.ended > woken ? true : undefined));
    }
    // Dead while it is frozen: then there is nobody who could wake and write.
    engine.pause();
    await engine.kill();
    await storm.start();
  });
  const { broken } = await storm.settle();
  expect(broken).toEqual([]);
});

test(`of two engines that start at the same moment one runs, ${RACES} times`, async () => {
  await using storm = await SqliteStorm.begin({ fault: "two engines at once" });
  await storm.rage(async () => {
    let running = storm.engine;
    for (let round = 0; round < RACES; round++) {
      await running.kill();
      const pair = [storm.launch(), storm.launch()];
      const runs = await Promise.all(pair.map((engine) => engine.runs()));
      expect(runs.filter(Boolean)).toHaveLength(1);
      const [winner, loser] = runs[0] === true ? pair : pair.toReversed();
      if (winner === undefined || loser === undefined) throw new Error("there were two");
      // The winner shows itself a moment after it has the file; until then nobody is named.
      expect(loser.said).toMatch(/is held by another engine(\.| \(pid )/);
      for (const [, pid] of loser.said.matchAll(/another engine \(pid (\d+)/g))
        expect(Number(pid)).toBe(winner.pid);
      storm.injected += 1;
      running = winner;
      await sleep(between(50, 200));
    }
  });
  const { broken } = await storm.settle();
  expect(broken).toEqual([]);
});
