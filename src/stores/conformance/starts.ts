import assert from "node:assert/strict";
import { shardOf } from "../../core/shard.js";
import { IF_ENDED_ANSWERS, IF_LIVE_ANSWERS, startPolicy } from "../../core/start-policy.js";
import type { Check } from "./check.js";
import { eventsIn, everything, NAME, present } from "./test-hub.js";

/** What the start of an unused ID writes. */
export function checkStarts(check: Check): void {
  check("a start of an unused ID makes a pending instance with one execution", async (hub) => {
    const start = hub.startCommand("order-1", { version: "1.2", tags: { team: "blue" }, input: '{"a":1}' });
    assert.deepEqual(await hub.command(start), {
      outcome: "started",
      executionId: start.executionId,
      run: 1,
      generation: 1,
    });
    const { instance, execution } = await hub.record("order-1");
    assert.deepEqual(instance, {
      iid: instance.iid,
      instanceId: "order-1",
      kind: "orchestration",
      name: NAME,
      executionId: start.executionId,
      run: 1,
      generation: 1,
      sequence: 0,
      fencingToken: instance.fencingToken,
      status: "Pending",
      suspended: false,
      mail: instance.mail,
      activities: 0,
      createdAtMs: start.atMs,
      updatedAtMs: start.atMs,
    });
    assert.deepEqual(execution, {
      executionId: start.executionId,
      run: 1,
      generation: 1,
      name: NAME,
      version: "1.2",
      tags: { team: "blue" },
      status: "Pending",
      fencingToken: instance.fencingToken,
      input: '{"a":1}',
      createdAtMs: start.atMs,
      updatedAtMs: start.atMs,
      droppedMessages: 0,
    });
  });

  check("a start mails ExecutionStarted to its generation, and nothing else", async (hub) => {
    await hub.start("order-1");
    const { iid, generation } = await hub.instance("order-1");
    const [mail, ...others] = await hub.messages();
    assert.deepEqual(others, []);
    assert.ok(mail?.kind === "mail");
    assert.deepEqual(
      { iid: mail.iid, generation: mail.generation, run: mail.run, task: mail.task, shard: mail.shard },
      { iid, generation, run: undefined, task: undefined, shard: shardOf("order-1") },
    );
    assert.deepEqual(eventsIn([mail]), ["ExecutionStarted"]);
    assert.deepEqual(await hub.mail("order-1"), [mail]);
  });

  check("a start of an unused ID is accepted under every policy", async (hub) => {
    for (const ifLive of IF_LIVE_ANSWERS) {
      for (const ifEnded of IF_ENDED_ANSWERS) {
        const answer = await hub.start(`${ifLive}-${ifEnded}`, { policy: startPolicy(ifLive, ifEnded) });
        assert.equal(answer.outcome, "started");
      }
    }
  });

  check("a start without version, input or tags leaves these absent", async (hub) => {
    await hub.start("order-1");
    const execution = await hub.execution("order-1");
    assert.deepEqual(execution.tags, {});
    assert.ok(!("version" in execution) && !("input" in execution) && !("output" in execution));
  });

  check("payloads and tags come back as they were given", async (hub) => {
    const input = JSON.stringify({ text: `'"\\ \u0000 \u2028 é 🦀 %_`, nested: [1, null, { "": "" }] });
    const tags = { "it's": 'a "tag"', "a.b": "c", "": "empty key", ["__proto__"]: "y", ключ: "🦀", $: "$.a" };
    await hub.start("order-1", { input, tags, name: "имя 'quoted'" });
    const { instance, execution } = await hub.record("order-1");
    assert.equal(execution.input, input);
    assert.deepEqual(execution.tags, tags);
    assert.equal(instance.name, "имя 'quoted'");
    assert.equal(execution.name, "имя 'quoted'");
  });

  check("a payload of 4 MB comes back whole", async (hub) => {
    const input = JSON.stringify("é".repeat(4 * 1024 * 1024 - 2));
    await hub.start("order-1", { input });
    assert.equal((await hub.execution("order-1")).input, input);
  });

  check(
    "starts in one batch are answered in order, each deciding on what the one before left",
    async (hub) => {
      const first = hub.startCommand("order-1");
      const answers = await hub.store.execute([
        first,
        hub.startCommand("order-2"),
        hub.startCommand("order-1"),
        hub.startCommand("order-1", { policy: startPolicy("attach") }),
      ]);
      assert.deepEqual(
        answers.map(({ outcome }) => outcome),
        ["started", "started", "refused", "attached"],
      );
      const [, , refused, attached] = answers;
      assert.ok(refused?.outcome === "refused" && refused.holder.executionId === first.executionId);
      assert.ok(attached?.outcome === "attached" && attached.executionId === first.executionId);
    },
  );

  check("an empty batch is answered with an empty batch", async (hub) => {
    assert.deepEqual(await hub.store.execute([]), []);
    assert.deepEqual(await hub.store.commit([]), []);
    assert.deepEqual(await hub.store.load([]), []);
    assert.deepEqual(await hub.store.heads([]), []);
  });

  check("row IDs of instances are never used twice", async (hub) => {
    const seen = new Set<number>();
    for (let round = 0; round < 3; round++) {
      for (const id of ["order-1", "order-2"]) {
        const { iid } = await hub.bring(id, "Completed");
        assert.ok(!seen.has(iid));
        seen.add(iid);
        await hub.purge(id);
      }
    }
    assert.equal(seen.size, 6);
  });

  check("what was accepted is there when the store is opened again", async (hub) => {
    await hub.start("order-1", { input: "1", tags: { a: "b" } });
    await hub.run("order-2");
    await hub.turn("order-2", { activities: 2, timersSet: [{ task: 3, dueMs: 5_000 }] });
    await hub.raise("order-2");
    await hub.bring("order-3", "Failed");
    const before = await everything(hub.store);
    const { secret } = hub.store;
    await hub.reopen();
    assert.deepEqual(await everything(hub.store), before);
    assert.equal(hub.store.secret, secret);
    assert.ok(present(before.messages[0]).n > 0);
  });
}
