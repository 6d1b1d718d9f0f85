import assert from "node:assert/strict";
import { SHARD_COUNT, shardOf } from "../../core/shard.js";
import type { Check } from "./check.js";
import { eventsIn, present, requestTo, walk } from "./test-hub.js";

/** Messages: how they are accepted, read and consumed. */
export function checkMessages(check: Check): void {
  check("an accepted event is mail for the run, and raises the mail counter", async (hub) => {
    await hub.run("order-1");
    const before = await hub.instance("order-1");
    assert.deepEqual(await hub.raise("order-1", "paid", '{"by":"card"}'), {
      outcome: "done",
      runtimeStatus: "Running",
    });
    const { instance, messages } = await hub.load("order-1");
    assert.deepEqual(instance, { ...before, mail: before.mail + 1 });
    const [mail, ...others] = messages;
    assert.deepEqual(others, []);
    assert.deepEqual(
      { ...mail, n: 0, events: "" },
      {
        kind: "mail",
        n: 0,
        shard: shardOf("order-1"),
        iid: instance.iid,
        run: instance.run,
        mail: instance.mail,
        events: "",
      },
    );
    assert.deepEqual(eventsIn(messages), ["paid"]);
  });

  check("an event for an absent or ended instance is told so, and nothing is written", async (hub) => {
    assert.deepEqual(await hub.raise("nobody"), { outcome: "notFound" });
    await hub.bring("order-1", "Failed");
    assert.deepEqual(await hub.raise("order-1"), { outcome: "ended", runtimeStatus: "Failed" });
    assert.deepEqual(await hub.messages(), []);
    assert.equal(await hub.store.get("nobody"), undefined);
  });

  check("events are numbered and counted in the order in which they were accepted", async (hub) => {
    await hub.run("order-1");
    for (let index = 0; index < 20; index++) await hub.raise("order-1", `event ${index}`);
    const messages = await hub.mail("order-1");
    assert.deepEqual(
      eventsIn(messages),
      Array.from({ length: 20 }, (_, index) => `event ${index}`),
    );
    for (const [index, { n, mail }] of messages.entries()) {
      const earlier = messages[index - 1];
      if (earlier === undefined) continue;
      assert.ok(n > earlier.n);
      assert.equal(mail, present(earlier.mail) + 1);
    }
    assert.equal(messages.at(-1)?.mail, (await hub.instance("order-1")).mail);
  });

  check("a poll reads on behind a message, and stops at its limit", async (hub) => {
    await hub.run("order-1");
    for (let index = 0; index < 7; index++) await hub.raise("order-1", `event ${index}`);
    const all = await hub.messages();
    const pages = await walk(
      0,
      (after) => hub.store.poll({ shards: "all", after, limit: 3 }),
      (page) => page.at(-1)?.n,
    );
    assert.deepEqual(pages.flat(), all);
    assert.deepEqual(
      pages.map(({ length }) => length),
      [3, 3, 1, 0],
    );
  });

  check("a poll reads only the shards that it asks for", async (hub) => {
    const ids = Array.from({ length: 40 }, (_, index) => `order-${index}`);
    for (const id of ids) await hub.start(id);
    await hub.turn("order-0", { requests: ids.map((id) => requestTo(id)) });
    const all = await hub.messages();
    const some = [...new Set(ids.map(shardOf))].filter((_, index) => index % 2 === 0);
    const rest = Array.from({ length: SHARD_COUNT }, (_, shard) => shard).filter(
      (shard) => !some.includes(shard),
    );
    const read = async (shards: readonly number[]) => hub.store.poll({ shards, after: 0, limit: 1_000 });
    assert.deepEqual(
      await read(some),
      all.filter(({ shard }) => some.includes(shard)),
    );
    assert.deepEqual(
      await read(rest),
      all.filter(({ shard }) => rest.includes(shard)),
    );
    assert.deepEqual(await read([]), []);
  });

  check("a message's number is not used again once the message is gone", async (hub) => {
    await hub.run("order-1");
    let highest = 0;
    for (let round = 0; round < 5; round++) {
      await hub.raise("order-1");
      const [mail] = await hub.mail("order-1");
      assert.ok(present(mail).n > highest);
      highest = present(mail).n;
      await hub.turn("order-1");
      assert.deepEqual(await hub.messages(), []);
    }
  });

  check("a message's number is not used again when the store was opened again", async (hub) => {
    await hub.run("order-1");
    await hub.raise("order-1");
    const before = present((await hub.mail("order-1"))[0]).n;
    await hub.turn("order-1");
    await hub.reopen();
    await hub.raise("order-1");
    assert.ok(present((await hub.mail("order-1"))[0]).n > before);
  });

  check("a loaded instance has all the mail that its counter has counted", async (hub) => {
    await hub.start("order-1");
    await hub.raise("order-1", "early");
    await hub.suspend("order-1");
    const { instance, messages } = await hub.load("order-1");
    assert.deepEqual(eventsIn(messages), ["ExecutionStarted", "early", "ExecutionSuspended"]);
    assert.equal(Math.max(...messages.map(({ mail = 0 }) => mail)), instance.mail);
  });

  check("instances that do not exist are left out when instances are loaded", async (hub) => {
    const first = await hub.run("order-1");
    const second = await hub.run("order-2");
    const loaded = await hub.store.load([second.iid, 1_000_000, first.iid]);
    assert.deepEqual(
      new Set(loaded.map(({ instance }) => instance.instanceId)),
      new Set(["order-1", "order-2"]),
    );
  });
}
