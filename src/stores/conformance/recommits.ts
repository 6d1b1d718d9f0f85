import assert from "node:assert/strict";
import type { LoadedInstance, TurnCommit } from "../../core/store.js";
import type { Check } from "./check.js";
import { everything, type TestHub } from "./test-hub.js";

/** A commit whose answer was lost: sent again, it is recognised by its writer and number. */
export function checkRecommits(check: Check): void {
  const kinds: Record<string, (hub: TestHub, loaded: LoadedInstance) => TurnCommit> = {
    "goes on": (hub, loaded) => hub.turnOn(loaded),
    "ends the run": (hub, loaded) => hub.endOn(loaded),
    "continues as new": (hub, loaded) => hub.nextOn(loaded),
    "only raises the token": (hub, loaded) => {
      const { chunk: _chunk, ...silent } = hub.turnOn(loaded, { consumed: [], raiseToken: true });
      return silent;
    },
  };
  for (const [kind, make] of Object.entries(kinds)) {
    check(`a turn that ${kind} and is committed again is told the same, and is written once`, async (hub) => {
      await hub.run("order-1");
      await hub.raise("order-1");
      const turn = make(hub, await hub.load("order-1"));
      const token = await hub.accept(turn);
      const before = await everything(hub.store);
      assert.deepEqual(await hub.commit(turn), { accepted: true, fencingToken: token });
      assert.deepEqual(await everything(hub.store), before);
    });
  }

  check("a turn that is committed again in the same batch is written once", async (hub) => {
    await hub.run("order-1");
    const turn = hub.turnOn(await hub.load("order-1"));
    const [first, second] = await hub.store.commit([turn, turn]);
    assert.ok(first?.accepted === true);
    assert.deepEqual(second, first);
    assert.equal((await hub.chunks("order-1")).length, 2);
  });

  check("a turn is recognised after later commits, and after the end of the run", async (hub) => {
    await hub.run("order-1");
    const turn = hub.turnOn(await hub.load("order-1"));
    await hub.accept(turn);
    await hub.turn("order-1");
    await hub.turn("order-1");
    assert.ok((await hub.commit(turn)).accepted);
    await hub.continueAsNew("order-1");
    assert.ok((await hub.commit(turn)).accepted);
    await hub.terminate("order-1");
    const before = await everything(hub.store);
    assert.ok((await hub.commit(turn)).accepted);
    assert.deepEqual(await everything(hub.store), before);
  });

  check(
    "a turn of an earlier run is told the token of that run, not that of the one that goes on",
    async (hub) => {
      await hub.run("order-1");
      const turn = hub.turnOn(await hub.load("order-1"));
      const token = await hub.accept(turn);
      const continued = hub.nextOn(await hub.load("order-1"));
      const next = await hub.accept(continued);
      assert.ok(next > token);
      assert.deepEqual(await hub.commit(turn), { accepted: true, fencingToken: token });
      await hub.terminate("order-1");
      await hub.run("order-1");
      assert.ok((await hub.instance("order-1")).fencingToken > next);
      assert.deepEqual(await hub.commit(turn), { accepted: true, fencingToken: token });
      assert.deepEqual(await hub.commit(continued), { accepted: true, fencingToken: next });
    },
  );

  check("a turn is not told the token that another owner has drawn since", async (hub) => {
    await hub.run("order-1");
    const turn = hub.turnOn(await hub.load("order-1"));
    const token = await hub.accept(turn);
    const loaded = await hub.load("order-1");
    const { chunk: _chunk, ...silent } = hub.turnOn(loaded, { consumed: [], raiseToken: true });
    assert.ok((await hub.accept({ ...silent, writer: "worker-2" })) > token);
    assert.deepEqual(await hub.commit(turn), { accepted: true, fencingToken: token });
  });

  check("a turn that continues as new is recognised where nothing is kept of the one before", async (hub) => {
    await hub.run("order-1");
    const turn = hub.nextOn(await hub.load("order-1"), { keepExecutions: 1 });
    const token = await hub.accept(turn);
    assert.deepEqual(await hub.commit(turn), { accepted: true, fencingToken: token });
    await hub.terminate("order-1");
    await hub.refuse({ ...turn, commitNumber: turn.commitNumber + 1 });
  });

  check("a turn is recognised when the store is opened again", async (hub) => {
    await hub.run("order-1");
    const turn = hub.turnOn(await hub.load("order-1"));
    const token = await hub.accept(turn);
    await hub.reopen();
    assert.deepEqual(await hub.commit(turn), { accepted: true, fencingToken: token });
  });

  check("another commit of the same writer is not taken for it", async (hub) => {
    await hub.run("order-1");
    const turn = hub.turnOn(await hub.load("order-1"));
    await hub.accept(turn);
    await hub.refuse({ ...turn, commitNumber: turn.commitNumber + 1 });
    await hub.refuse({ ...turn, commitNumber: turn.commitNumber - 1 });
  });

  check("a commit of another writer with the same number is not taken for it", async (hub) => {
    await hub.run("order-1");
    const turn = hub.turnOn(await hub.load("order-1"));
    await hub.accept(turn);
    await hub.refuse({ ...turn, writer: "worker-2" });
    await hub.refuse({ ...turn, writer: "WORKER-1" });
  });

  check(
    "a refused turn is not recognised later, when its place was taken by an end from outside",
    async (hub) => {
      await hub.run("order-1");
      const turn = hub.turnOn(await hub.load("order-1"));
      await hub.terminate("order-1");
      await hub.refuse(turn);
      await hub.refuse(turn);
    },
  );

  check("a turn of a purged instance is not recognised", async (hub) => {
    await hub.run("order-1");
    const turn = hub.turnOn(await hub.load("order-1"));
    await hub.accept(turn);
    await hub.terminate("order-1");
    await hub.purge("order-1");
    await hub.refuse(turn);
  });
}
