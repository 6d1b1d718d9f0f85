import { expect, test } from "vitest";
import { systemEnv } from "../system-env.js";
import { type Env, silentLogger } from "./env.js";
import { Pace } from "./pace.js";

/** Time that passes only while somebody works, or sleeps. */
class Worked {
  nowMs = 0;
  readonly restsMs: number[] = [];
  readonly env: Env = {
    ...systemEnv(silentLogger),
    monotonicMs: () => this.nowMs,
    sleep: (ms) => {
      this.restsMs.push(ms);
      this.nowMs += ms;
      return Promise.resolve();
    },
  };

  for(ms: number): () => Promise<number> {
    return () => {
      this.nowMs += ms;
      return Promise.resolve(ms);
    };
  }
}

test("between batches it rests twice as long as the last one took, a second at most", async () => {
  const worked = new Worked();
  const pace = new Pace(worked.env);
  for (const ms of [20, 5, 3000, 7]) expect(await pace.batch(worked.for(ms))).toBe(ms);
  expect(worked.restsMs).toEqual([40, 10, 1000]);
});

test("it rests after a batch that failed, too", async () => {
  const worked = new Worked();
  const pace = new Pace(worked.env);
  const failing = pace.batch(async () => {
    await worked.for(30)();
    throw new Error("no");
  });
  await expect(failing).rejects.toThrow("no");
  await pace.batch(worked.for(1));
  expect(worked.restsMs).toEqual([60]);
});
