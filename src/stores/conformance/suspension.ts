import assert from "node:assert/strict";
import type { Check } from "./check.js";
import { eventsIn, everything } from "./test-hub.js";

/** Suspend and resume: a flag beside the status, which turns never write. */
export function checkSuspension(check: Check): void {
  check("a suspend shows at once, and reaches the orchestration as mail", async (hub) => {
    await hub.run("order-1");
    const before = await hub.instance("order-1");
    assert.deepEqual(await hub.suspend("order-1"), { outcome: "done", runtimeStatus: "Running" });
    const { instance, messages } = await hub.load("order-1");
    assert.deepEqual(instance, { ...before, suspended: true, mail: before.mail + 1 });
    assert.deepEqual(eventsIn(messages), ["ExecutionSuspended"]);
    assert.deepEqual(await hub.raise("order-1"), { outcome: "done", runtimeStatus: "Suspended" });
  });

  check("a second suspend, and a resume of what goes on, write nothing", async (hub) => {
    await hub.run("order-1");
    const running = await everything(hub.store);
    assert.deepEqual(await hub.resume("order-1"), { outcome: "done", runtimeStatus: "Running" });
    assert.deepEqual(await everything(hub.store), running);
    await hub.suspend("order-1");
    const suspended = await everything(hub.store);
    assert.deepEqual(await hub.suspend("order-1"), { outcome: "done", runtimeStatus: "Suspended" });
    assert.deepEqual(await everything(hub.store), suspended);
  });

  check("a resume takes the flag away and reaches the orchestration as mail", async (hub) => {
    await hub.run("order-1");
    await hub.suspend("order-1");
    assert.equal((await hub.resume("order-1")).outcome, "done");
    assert.equal((await hub.instance("order-1")).suspended, false);
    assert.deepEqual(eventsIn(await hub.mail("order-1")), ["ExecutionSuspended", "ExecutionResumed"]);
  });

  check("a turn never writes the flag, whichever way it stands", async (hub) => {
    await hub.run("order-1");
    const beforeSuspend = hub.turnOn(await hub.load("order-1"));
    await hub.suspend("order-1");
    await hub.accept(beforeSuspend);
    assert.equal((await hub.instance("order-1")).suspended, true);
    await hub.turn("order-1", { status: "Running" });
    assert.equal((await hub.instance("order-1")).suspended, true);
    const beforeResume = hub.turnOn(await hub.load("order-1"));
    await hub.resume("order-1");
    await hub.accept(beforeResume);
    assert.equal((await hub.instance("order-1")).suspended, false);
  });

  check("a pending instance can be suspended, and its first turn leaves the flag", async (hub) => {
    await hub.start("order-1");
    await hub.suspend("order-1");
    await hub.turn("order-1");
    const { status, suspended } = await hub.instance("order-1");
    assert.deepEqual({ status, suspended }, { status: "Running", suspended: true });
  });

  check("continue-as-new keeps the flag", async (hub) => {
    await hub.run("order-1");
    const turn = hub.nextOn(await hub.load("order-1"));
    await hub.suspend("order-1");
    await hub.accept(turn);
    assert.equal((await hub.instance("order-1")).suspended, true);
    assert.deepEqual(eventsIn(await hub.mail("order-1")), ["ExecutionSuspended", "ExecutionStarted"]);
  });

  check("a new run is not suspended, although the one before was", async (hub) => {
    await hub.bring("order-1", "Suspended");
    await hub.replace("order-1");
    assert.equal((await hub.instance("order-1")).suspended, false);
    await hub.suspend("order-1");
    await hub.terminate("order-1");
    await hub.start("order-1");
    assert.equal((await hub.instance("order-1")).suspended, false);
  });

  check("an absent or ended instance can be neither suspended nor resumed", async (hub) => {
    await hub.bring("order-1", "Completed");
    const before = await everything(hub.store);
    for (const answer of [await hub.suspend("order-1"), await hub.resume("order-1")]) {
      assert.deepEqual(answer, { outcome: "ended", runtimeStatus: "Completed" });
    }
    for (const answer of [await hub.suspend("nobody"), await hub.resume("nobody")]) {
      assert.deepEqual(answer, { outcome: "notFound" });
    }
    assert.deepEqual(await everything(hub.store), before);
  });
}
