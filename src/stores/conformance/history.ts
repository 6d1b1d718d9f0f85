import assert from "node:assert/strict";
import { encodeChunk } from "../../core/history-codec.js";
import type { Check } from "./check.js";
import { everything, present } from "./test-hub.js";

/** Reading executions and their histories. */
export function checkHistory(check: Check): void {
  check("an execution's history is its chunks in the order of their commits", async (hub) => {
    await hub.run("order-1");
    for (let id = 0; id < 12; id++) {
      const atMs = hub.now();
      const chunk = encodeChunk([{ type: "TaskScheduled", atMs, id, name: `task ${id} 'é 🦀` }]);
      await hub.turn("order-1", { chunk });
    }
    const stored = present(await hub.store.history("order-1"));
    const { instance, execution, chunks } = await hub.load("order-1");
    assert.deepEqual(stored, { instance, execution, of: execution, chunks });
    assert.equal(chunks.length, 13);
    assert.deepEqual(
      chunks.slice(1).map((chunk) => /task \d+ 'é 🦀/.exec(chunk)?.[0]),
      Array.from({ length: 12 }, (_, id) => `task ${id} 'é 🦀`),
    );
  });

  check("older executions and their histories can be read, newest first", async (hub) => {
    await hub.run("order-1");
    await hub.turn("order-1");
    await hub.continueAsNew("order-1");
    await hub.end("order-1", { status: "Failed" });
    await hub.command(hub.rewindCommand(await hub.instance("order-1")));
    await hub.replace("order-1");
    const executions = await hub.store.executions("order-1");
    assert.deepEqual(
      executions.map(({ status, run, generation }) => ({ status, run, generation })),
      [
        { status: "Pending", run: 2, generation: 4 },
        { status: "Terminated", run: 1, generation: 3 },
        { status: "Failed", run: 1, generation: 2 },
        { status: "ContinuedAsNew", run: 1, generation: 1 },
      ],
    );
    const lengths: number[] = [];
    for (const execution of executions) {
      const stored = present(await hub.store.history("order-1", execution.executionId));
      assert.deepEqual(stored.of, execution);
      assert.deepEqual(stored.execution, executions[0]);
      lengths.push(stored.chunks.length);
    }
    assert.deepEqual(lengths, [0, 2, 1, 3]);
  });

  check("an execution is found under its own ID only", async (hub) => {
    const first = await hub.run("order-1");
    const second = await hub.run("order-2");
    assert.equal(await hub.store.history("order-1", second.executionId), undefined);
    assert.equal(await hub.store.history("order-1", first.executionId.toUpperCase() + "x"), undefined);
    assert.equal(await hub.store.history("order-1", ""), undefined);
    assert.equal(await hub.store.history("nobody"), undefined);
    assert.deepEqual(await hub.store.executions("nobody"), []);
  });

  check("reading writes nothing", async (hub) => {
    await hub.run("order-1");
    await hub.raise("order-1");
    const before = await everything(hub.store);
    assert.deepEqual(await everything(hub.store), before);
  });
}
