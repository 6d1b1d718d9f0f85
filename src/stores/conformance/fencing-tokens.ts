import assert from "node:assert/strict";
import { shardOf } from "../../core/shard.js";
import type { Check } from "./check.js";
import { executionsOf, present, type TestHub } from "./test-hub.js";

/** Fencing tokens rise per ID for ever. */
export function checkFencingTokens(check: Check): void {
  const rises: Record<string, (hub: TestHub) => Promise<unknown>> = {
    "a new run": async (hub) => {
      await hub.end("order-1");
      await hub.start("order-1");
    },
    "a replacement": (hub) => hub.replace("order-1"),
    "continue-as-new": (hub) => hub.continueAsNew("order-1"),
    "a rewind": async (hub) => {
      await hub.end("order-1", { status: "Failed" });
      await hub.command(hub.rewindCommand(await hub.instance("order-1")));
    },
    "a new owner of begun activities": (hub) => hub.turn("order-1", { raiseToken: true }),
    "a purge and a new start": async (hub) => {
      await hub.end("order-1");
      await hub.purge("order-1");
      await hub.start("order-1");
    },
  };
  for (const [what, happen] of Object.entries(rises)) {
    check(`the token rises with ${what}`, async (hub) => {
      await hub.run("order-1");
      let highest = (await hub.instance("order-1")).fencingToken;
      for (let round = 0; round < 3; round++) {
        await happen(hub);
        const { fencingToken } = await hub.instance("order-1");
        assert.ok(Number.isSafeInteger(fencingToken) && fencingToken > highest);
        highest = fencingToken;
      }
    });
  }

  check("the token rises through every way in which an ID can go on, in any order", async (hub) => {
    await hub.run("order-1");
    let highest = (await hub.instance("order-1")).fencingToken;
    const ways = Object.values(rises);
    for (let round = 0; round < 30; round++) {
      await present(ways[(round * 7 + 3) % ways.length])(hub);
      const { fencingToken } = await hub.instance("order-1");
      assert.ok(fencingToken > highest, `round ${round}`);
      highest = fencingToken;
    }
  });

  check("the token stays as it is through turns, events, suspends and ends", async (hub) => {
    await hub.run("order-1");
    const { fencingToken } = await hub.instance("order-1");
    await hub.raise("order-1");
    await hub.suspend("order-1");
    await hub.resume("order-1");
    assert.equal(await hub.turn("order-1"), fencingToken);
    assert.equal(await hub.end("order-1"), fencingToken);
    assert.equal((await hub.instance("order-1")).fencingToken, fencingToken);
  });

  check("an accepted commit tells the token that holds after it", async (hub) => {
    await hub.run("order-1");
    for (const token of [
      await hub.turn("order-1", { raiseToken: true }),
      await hub.continueAsNew("order-1"),
      await hub.turn("order-1"),
    ]) {
      assert.ok(token <= (await hub.instance("order-1")).fencingToken);
    }
    const raised = await hub.turn("order-1", { raiseToken: true });
    assert.equal(raised, (await hub.instance("order-1")).fencingToken);
    const continued = await hub.continueAsNew("order-1");
    assert.equal(continued, (await hub.instance("order-1")).fencingToken);
  });

  check("an execution keeps the token that was drawn when it began", async (hub) => {
    await hub.run("order-1");
    const drawn = (await hub.execution("order-1")).fencingToken;
    const raised = await hub.turn("order-1", { raiseToken: true });
    assert.ok(raised > drawn);
    assert.equal((await hub.execution("order-1")).fencingToken, drawn);
    const next = await hub.continueAsNew("order-1");
    assert.equal((await hub.execution("order-1")).fencingToken, next);
    const [, past] = await executionsOf(hub.store, "order-1");
    assert.equal(past?.fencingToken, drawn);
  });

  check("a purge of one ID does not lower the token of another one in its shard", async (hub) => {
    const shard = shardOf("order-0");
    const others = Array.from({ length: 5_000 }, (_, index) => `order-${index + 1}`);
    const [neighbour] = others.filter((id) => shardOf(id) === shard);
    const low = present(neighbour);
    await hub.run("order-0");
    for (let round = 0; round < 5; round++) await hub.replace("order-0");
    const { fencingToken: high } = await hub.instance("order-0");
    await hub.run(low);
    await hub.end("order-0");
    await hub.purge("order-0");
    await hub.end(low);
    await hub.purge(low);
    await hub.start("order-0");
    assert.ok((await hub.instance("order-0")).fencingToken > high);
  });

  check("the token rises across a purge also when the store is opened again between", async (hub) => {
    await hub.run("order-1");
    await hub.replace("order-1");
    const { fencingToken } = await hub.instance("order-1");
    await hub.end("order-1");
    await hub.purge("order-1");
    await hub.reopen();
    await hub.start("order-1");
    assert.ok((await hub.instance("order-1")).fencingToken > fencingToken);
  });
}
