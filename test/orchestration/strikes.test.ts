import { setImmediate as nextRound } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { Store } from "../../src/core/store.js";
import { activity, orchestration, TaskHub } from "../../src/index.js";
import { gate, NOW, onEveryStore } from "./support.js";

onEveryStore("an instance that three processes were struck by", (open) => {
  test("is parked at the next start although only its activity is open, and goes on once resumed", async () => {
    const held = gate();
    let calls = 0;
    const work = activity("work", async () => {
      calls += 1;
      if (calls === 1) await held.passed;
      return calls;
    });
    const job = orchestration("job", async (ctx) => ctx.callActivity(work));
    const stores: Store[] = [];
    const hub = await open([job, work], {}, (store) => {
      stores.push(store);
      return store;
    });
    const start = await hub.client.startNew(job, { instanceId: "x" });
    await hub.idle({ activities: "leave" });
    expect(calls).toBe(1);
    const store = stores.at(-1);
    const record = await store?.get("x");
    const { iid = -1, generation = -1 } = record?.instance ?? {};
    for (const worker of ["one", "two", "three"]) await store?.recordStrike({ iid, generation, worker });
    await hub.crash();
    await hub.idle();
    expect(await hub.client.getStatus("x")).toMatchObject({
      runtimeStatus: "Running",
      parked: { code: "OrchestratorBlocked" },
    });
    expect(calls).toBe(1);
    await hub.client.resume("x");
    await hub.idle();
    expect(await start.result(NOW)).toBe(2);
    expect(await stores.at(-1)?.strikes()).toEqual([]);
    held.open();
  });
});

describe("instances that wait for a long activity", () => {
  test("do not keep idle ones behind them in memory", async () => {
    const limit = 100;
    const busy = 80; // more than one look for idle instances examines
    const held = gate();
    const long = activity("long", async () => held.passed);
    const works = orchestration("works", async (ctx) => ctx.callActivity(long));
    const waits = orchestration("waits", async (ctx) => ctx.waitForExternalEvent("go"));
    await using hub = await TaskHub.open({
      store: "memory",
      functions: [long, works, waits],
      maxResidentInstances: limit,
    });
    const begin = async (definition: typeof works | typeof waits, count: number) => {
      for (let index = 0; index < count; index++) {
        const start = await hub.client.startNew(definition.name, {});
        await hub.client.waitForStart(start.instanceId);
        await nextRound(); // the memory store never waits: this lets the turn return
      }
    };
    await begin(works, busy);
    await begin(waits, 4 * limit);
    const { activities, residents } = hub.status();
    held.open();
    expect(activities).toBe(busy);
    expect(residents).toBeLessThanOrEqual(limit + 5);
  });
});
