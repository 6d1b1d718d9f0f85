import assert from "node:assert/strict";
import type { Check } from "./check.js";
import { eventsIn, everything } from "./test-hub.js";

const parked = { code: "NonDeterminism", message: "the code does not match", sinceMs: 5 };

/** Instances that stand still until their code is right. */
export function checkParking(check: Check): void {
  check("a turn parks an instance, later ones leave it parked, and one sets it free", async (hub) => {
    const { iid } = await hub.run("order-1");
    await hub.turn("order-1", { parked });
    assert.deepEqual((await hub.instance("order-1")).parked, parked);
    await hub.turn("order-1");
    assert.deepEqual((await hub.instance("order-1")).parked, parked);
    await hub.turn("order-1", { parked: null });
    assert.ok(!("parked" in (await hub.instance("order-1"))));
    assert.equal((await hub.instance("order-1")).iid, iid);
  });

  check("a turn that only parks leaves history, status and messages as they are", async (hub) => {
    await hub.start("order-1");
    await hub.raise("order-1");
    const before = await hub.load("order-1");
    const { chunk: _chunk, status: _status, ...only } = hub.turnOn(before, { parked, consumed: [] });
    await hub.accept(only);
    const after = await hub.load("order-1");
    assert.deepEqual(after.instance, {
      ...before.instance,
      sequence: 1,
      worker: "worker-1",
      parked,
      updatedAtMs: only.atMs,
    });
    assert.deepEqual(after.chunks, []);
    assert.deepEqual(after.messages, before.messages);
  });

  check(
    "a resume of a parked instance reaches it as mail, and leaves it parked until its turn",
    async (hub) => {
      await hub.run("order-1");
      await hub.turn("order-1", { parked });
      assert.equal((await hub.resume("order-1")).outcome, "done");
      assert.deepEqual(eventsIn(await hub.mail("order-1")), ["ExecutionResumed"]);
      assert.deepEqual((await hub.instance("order-1")).parked, parked);
    },
  );

  check(
    "a parked instance can be terminated, replaced and ended, and is no longer parked then",
    async (hub) => {
      for (const id of ["terminated", "replaced", "ended"]) {
        await hub.run(id);
        await hub.turn(id, { parked });
      }
      await hub.terminate("terminated");
      await hub.replace("replaced");
      await hub.end("ended");
      for (const id of ["terminated", "replaced", "ended"]) {
        assert.ok(!("parked" in (await hub.instance(id))), id);
      }
      assert.deepEqual((await everything(hub.store)).unfinished, []);
    },
  );
}
