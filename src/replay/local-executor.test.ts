import { expect, test } from "vitest";
import { silentLogger } from "../core/env.js";
import type { Execution, Instance } from "../core/instance.js";
import { jsonCodec } from "../core/payload.js";
import { activity, orchestration } from "../index.js";
import { systemEnv } from "../system-env.js";
import { createRegistry } from "./definitions.js";
import { LocalExecutor } from "./local-executor.js";

const shared = {
  executionId: "e1",
  run: 1,
  generation: 1,
  name: "job",
  status: "Running",
  fencingToken: 1,
  createdAtMs: 0,
  updatedAtMs: 0,
} as const;
const execution: Execution = { ...shared, tags: {}, droppedMessages: 0 };
const instance: Instance = {
  ...shared,
  iid: 1,
  instanceId: "x",
  kind: "orchestration",
  sequence: 0,
  suspended: false,
  mail: 1,
  activities: 0,
};

test("an activity that begins while a turn waits for its drain is not shown as that turn", async () => {
  const cells = new BigInt64Array(new SharedArrayBuffer(24));
  const seen = new Map<string, bigint>();
  const look = (where: string): void => {
    seen.set(where, Atomics.load(cells, 0));
  };
  const env = systemEnv(silentLogger);
  const executor: LocalExecutor = new LocalExecutor({
    registry: createRegistry([
      orchestration("job", async (ctx) => {
        look("turn");
        await ctx.waitForExternalEvent("never");
      }),
      activity("step", () => look("activity")),
    ]),
    codec: jsonCodec,
    logger: silentLogger,
    board: { cells, worker: "w" },
    env: {
      ...env,
      drain: async () => {
        const { signal } = new AbortController();
        await executor.runActivity({ instance, fencingToken: 1, task: 1, name: "step", signal });
        look("drain");
        await env.drain();
      },
    },
  });
  const newEvents = [{ type: "ExecutionStarted", atMs: 0 }] as const;
  await executor.runTurn({ instance, execution, history: async () => [], atMs: 0, newEvents });
  expect(seen).toEqual(
    new Map([
      ["turn", 1n],
      ["activity", -1n],
      ["drain", 1n],
    ]),
  );
  expect(Atomics.load(cells, 0)).toBe(-1n);
});
