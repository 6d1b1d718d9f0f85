import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { SqliteStorm } from "./sqlite-storm.js";
import { between } from "./storm.js";

/** For how long engines are killed, and how long each lives. */
const RAGES_MS = 60_000;
const LIVES_MS = [500, 5000] as const;

test("the engine is killed with SIGKILL at random, and started again, for 60 s", async () => {
  await using storm = await SqliteStorm.begin({ fault: "SIGKILL of the engine" });
  await storm.rage(async () => {
    const over = AbortSignal.timeout(RAGES_MS);
    while (!over.aborted) {
      await sleep(between(...LIVES_MS));
      const { engine } = storm;
      await engine.kill();
      // One that was not at work shows nothing.
      if (storm.witness.read().some(({ pid }) => pid === engine.pid)) storm.injected += 1;
      await storm.start();
    }
  });
  const { broken } = await storm.settle();
  expect(broken).toEqual([]);
});
