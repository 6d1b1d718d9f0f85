import assert from "node:assert/strict";
import { startPolicy } from "../../core/start-policy.js";
import type { Check } from "./check.js";
import { ENDED_STATES, everything } from "./test-hub.js";

const DAY_MS = 24 * 60 * 60 * 1000;

/** Retried starts: the same request ID gets the same answer. */
export function checkRequestIds(check: Check): void {
  check(
    "a start that is retried with its request ID gets its first answer and writes nothing",
    async (hub) => {
      const first = await hub.start("order-1", { requestId: "r1" });
      const before = await everything(hub.store);
      assert.deepEqual(await hub.start("order-1", { requestId: "r1" }), first);
      assert.deepEqual(await everything(hub.store), before);
    },
  );

  check("a retried replacement replaces once", async (hub) => {
    await hub.run("order-1");
    const first = await hub.replace("order-1", { requestId: "r1" });
    assert.equal(first.outcome, "replaced");
    assert.deepEqual(await hub.replace("order-1", { requestId: "r1" }), first);
    assert.equal((await hub.instance("order-1")).run, 2);
  });

  check("attaching and returning are remembered as well", async (hub) => {
    await hub.run("order-1");
    const policy = startPolicy("attach", "return");
    const attached = await hub.start("order-1", { policy, requestId: "r1" });
    assert.equal(attached.outcome, "attached");
    await hub.end("order-1");
    const returned = await hub.start("order-1", { policy, requestId: "r2" });
    assert.equal(returned.outcome, "returned");
    await hub.start("order-1");
    assert.deepEqual(await hub.start("order-1", { policy, requestId: "r1" }), attached);
    assert.deepEqual(await hub.start("order-1", { policy, requestId: "r2" }), returned);
  });

  for (const state of ENDED_STATES) {
    check(`a retried start is not carried out again when its execution is ${state}`, async (hub) => {
      const first = await hub.start("order-1", { requestId: "r1" });
      await hub.end("order-1", { status: state });
      assert.deepEqual(await hub.start("order-1", { requestId: "r1" }), first);
      assert.equal((await hub.instance("order-1")).run, 1);
    });
  }

  check("a retried start is not carried out again when its instance was purged", async (hub) => {
    const first = await hub.start("order-1", { requestId: "r1" });
    await hub.end("order-1");
    await hub.purge("order-1");
    assert.deepEqual(await hub.start("order-1", { requestId: "r1" }), first);
    assert.equal(await hub.store.get("order-1"), undefined);
  });

  check("request IDs of different instance IDs have nothing to do with each other", async (hub) => {
    const first = await hub.start("order-1", { requestId: "r1" });
    const second = await hub.start("order-2", { requestId: "r1" });
    assert.notEqual(second.executionId, first.executionId);
    const third = await hub.start("order-3", { requestId: "R1" });
    const fourth = await hub.command(hub.startCommand("order-3", { requestId: "r1" }));
    assert.equal(third.outcome, "started");
    assert.equal(fourth.outcome, "refused");
  });

  check("a refused start is not remembered: its retry is decided anew", async (hub) => {
    await hub.run("order-1");
    const refused = await hub.command(hub.startCommand("order-1", { requestId: "r1" }));
    assert.equal(refused.outcome, "refused");
    await hub.end("order-1");
    assert.equal((await hub.start("order-1", { requestId: "r1" })).outcome, "started");
  });

  check("a request ID counts for 24 hours", async (hub) => {
    const first = hub.startCommand("order-1", { requestId: "r1" });
    await hub.command(first);
    await hub.end("order-1");
    const within = hub.startCommand("order-1", { requestId: "r1", atMs: first.atMs + DAY_MS - 1_000 });
    assert.deepEqual(await hub.start("order-1", within), {
      outcome: "started",
      executionId: first.executionId,
      run: 1,
      generation: 1,
    });
    const after = hub.startCommand("order-1", { requestId: "r1", atMs: first.atMs + DAY_MS + 1_000 });
    assert.equal((await hub.start("order-1", after)).executionId, after.executionId);
    const again = hub.startCommand("order-1", { requestId: "r1", atMs: after.atMs + 1_000 });
    assert.equal((await hub.start("order-1", again)).executionId, after.executionId);
  });

  check("two starts with one request ID in one batch are one start", async (hub) => {
    const one = hub.startCommand("order-1", { requestId: "r1" });
    const answers = await hub.store.execute([one, hub.startCommand("order-1", { requestId: "r1" })]);
    assert.equal(answers[0]?.outcome, "started");
    assert.deepEqual(answers[1], answers[0]);
  });

  check("a request ID is remembered when the store is opened again", async (hub) => {
    const first = await hub.start("order-1", { requestId: "r1" });
    await hub.end("order-1");
    await hub.reopen();
    assert.deepEqual(await hub.start("order-1", { requestId: "r1" }), first);
  });
}
