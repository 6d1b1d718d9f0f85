import assert from "node:assert/strict";
import type { Check } from "./check.js";

/** Turns that blocked their process, or were under way when it ended. */
export function checkStrikes(check: Check): void {
  check("a strike counts once per process start", async (hub) => {
    const { iid, generation } = await hub.run("order-1");
    assert.deepEqual(await hub.store.strikes(), []);
    for (const worker of ["worker-1", "worker-1", "worker-2", "worker-1", "Worker-2"]) {
      await hub.store.recordStrike({ iid, generation, worker });
    }
    assert.deepEqual(await hub.store.strikes(), [{ iid, generation, count: 3 }]);
  });

  check("strikes are counted per instance and generation, and cleared per instance", async (hub) => {
    const { iid } = await hub.run("order-1");
    const { iid: other } = await hub.run("order-2");
    await hub.store.recordStrike({ iid, generation: 1, worker: "worker-1" });
    await hub.store.recordStrike({ iid, generation: 2, worker: "worker-1" });
    await hub.store.recordStrike({ iid: other, generation: 1, worker: "worker-1" });
    const strikes = await hub.store.strikes();
    assert.deepEqual(
      strikes.toSorted((a, b) => a.iid - b.iid || a.generation - b.generation),
      [
        { iid, generation: 1, count: 1 },
        { iid, generation: 2, count: 1 },
        { iid: other, generation: 1, count: 1 },
      ],
    );
    await hub.store.clearStrikes(iid);
    assert.deepEqual(await hub.store.strikes(), [{ iid: other, generation: 1, count: 1 }]);
    await hub.store.clearStrikes(1_000_000);
    assert.equal((await hub.store.strikes()).length, 1);
  });

  check("strikes of a negative generation are counted apart, and cleared with the others", async (hub) => {
    const { iid, generation } = await hub.run("order-1");
    for (const worker of ["worker-1", "worker-2"])
      await hub.store.recordStrike({ iid, generation: -generation, worker });
    await hub.store.recordStrike({ iid, generation, worker: "worker-1" });
    const strikes = await hub.store.strikes();
    assert.deepEqual(
      strikes.toSorted((a, b) => a.generation - b.generation),
      [
        { iid, generation: -generation, count: 2 },
        { iid, generation, count: 1 },
      ],
    );
    await hub.store.clearStrikes(iid);
    assert.deepEqual(await hub.store.strikes(), []);
  });
}
