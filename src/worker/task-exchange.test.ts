import { expect, test } from "vitest";
import { jsonCodec } from "../core/payload.js";
import { activity, orchestration } from "../index.js";
import { createRegistry } from "../replay/definitions.js";
import { LocalExecutor } from "../replay/local-executor.js";
import { openMemoryStore } from "../stores/memory/store.js";
import { systemEnv } from "../system-env.js";
import { ActivityRunner } from "./activity-runner.js";
import { TaskExchange } from "./task-exchange.js";

const LOGGER = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

test("what a worker has registered is not missing when its lease has ended and nobody else is there", async () => {
  const store = openMemoryStore({ leases: { now: () => 0 } });
  if (store.tasks === undefined) throw new TypeError("a shared store has tasks");
  const env = systemEnv(LOGGER);
  const board = { cells: new BigInt64Array(new SharedArrayBuffer(24)), worker: "w" };
  const registry = createRegistry([
    activity("charge", async () => {}),
    orchestration("order", async () => {}),
  ]);
  const executor = new LocalExecutor({ registry, env, codec: jsonCodec, logger: LOGGER, board });
  const exchange = new TaskExchange({
    env,
    logger: LOGGER,
    store,
    tasks: store.tasks,
    worker: "w",
    executor,
    activities: new ActivityRunner(env, executor, 1),
    host: () => {},
    hosted: () => 0,
    draining: () => false,
  });
  expect(await store.workers()).toEqual([]);
  expect(await exchange.missing("activities", ["charge"])).toBeUndefined();
  expect(await exchange.missing("orchestrations", ["order"])).toBeUndefined();
  expect(await exchange.missing("activities", ["charge", "order"])).toBe("order");
});
