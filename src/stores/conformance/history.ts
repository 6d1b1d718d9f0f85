import assert from "node:assert/strict";
import { encodeChunk } from "../../core/history-codec.js";
import type { ExecutionsPage, ExecutionsQuery } from "../../core/store.js";
import type { Check } from "./check.js";
import { everything, executionsOf, present, type TestHub, walk } from "./test-hub.js";

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
    const executions = await executionsOf(hub.store, "order-1");
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
    assert.deepEqual(await executionsOf(hub.store, "nobody"), []);
  });

  check("executions are read in pages, newest first, of all runs or of one", async (hub) => {
    await hub.run("order-1");
    for (let round = 0; round < 3; round++) await hub.continueAsNew("order-1");
    await hub.replace("order-1");
    for (let round = 0; round < 3; round++) await hub.continueAsNew("order-1");
    await hub.replace("order-1");
    await hub.run("order-2");
    const generations = async (query: Partial<ExecutionsQuery>): Promise<(readonly number[])[]> =>
      (await executionPages(hub, { instanceId: "order-1", maxLength: 1_000_000, limit: 100, ...query })).map(
        ({ executions }) => executions.map(({ generation }) => generation),
      );
    assert.deepEqual(await generations({}), [[9, 8, 7, 6, 5, 4, 3, 2, 1]]);
    assert.deepEqual(await generations({ limit: 4 }), [[9, 8, 7, 6], [5, 4, 3, 2], [1]]);
    assert.deepEqual(await generations({ limit: 3 }), [
      [9, 8, 7],
      [6, 5, 4],
      [3, 2, 1],
    ]);
    assert.deepEqual(await generations({ run: 1 }), [[4, 3, 2, 1]]);
    assert.deepEqual(await generations({ run: 2, limit: 1 }), [[8], [7], [6], [5]]);
    assert.deepEqual(await generations({ run: 2, below: 7 }), [[6, 5]]);
    assert.deepEqual(await generations({ run: 3 }), [[9]]);
    assert.deepEqual(await generations({ run: 4 }), [[]]);
    assert.deepEqual(await generations({ below: 1 }), [[]]);
  });

  check("a page of executions ends where their payloads are long enough", async (hub) => {
    const long = (length: number): string => JSON.stringify("x".repeat(length - 2));
    await hub.bring("order-1", "Completed", { input: long(100) });
    await hub.start("order-1", { input: long(400) });
    await hub.turn("order-1", { customStatus: long(400) });
    await hub.end("order-1", { output: long(400) });
    await hub.start("order-1");
    await hub.end("order-1", { status: "Failed", failure: { type: "Error", message: "x".repeat(400) } });
    for (let round = 0; round < 3; round++) await hub.bring("order-1", "Completed", { input: long(100) });
    const generations = async (maxLength: number): Promise<(readonly number[])[]> =>
      (await executionPages(hub, { instanceId: "order-1", limit: 100, maxLength })).map(({ executions }) =>
        executions.map(({ generation }) => generation),
      );
    assert.deepEqual(await generations(100), [[6], [5], [4], [3], [2], [1]]);
    assert.deepEqual(await generations(101), [[6, 5], [4, 3], [2], [1]]);
    assert.deepEqual(await generations(650), [[6, 5, 4, 3], [2], [1]]);
    assert.deepEqual(await generations(1), [[6], [5], [4], [3], [2], [1]]);
    assert.deepEqual(await generations(10_000), [[6, 5, 4, 3, 2, 1]]);
  });

  check("reading writes nothing", async (hub) => {
    await hub.run("order-1");
    await hub.raise("order-1");
    const before = await everything(hub.store);
    assert.deepEqual(await everything(hub.store), before);
  });
}

async function executionPages(hub: TestHub, query: ExecutionsQuery): Promise<ExecutionsPage[]> {
  const from: Pick<ExecutionsQuery, "below"> = {};
  return walk(
    from,
    async (below) => {
      const page = await hub.store.executions({ ...query, ...below });
      assert.ok(page.executions.length <= query.limit);
      return page;
    },
    ({ next }) => (next === undefined ? undefined : { below: next }),
  );
}
