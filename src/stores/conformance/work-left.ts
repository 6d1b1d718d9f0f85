import assert from "node:assert/strict";
import { SHARD_COUNT, shardOf } from "../../core/shard.js";
import type { Check } from "./check.js";
import { walk } from "./test-hub.js";

const parked = { code: "ForeignAwait", message: "awaits a fetch", sinceMs: 5 };

/** What a new owner asks: what was left unfinished, and what the rows stand at. */
export function checkWorkLeft(check: Check): void {
  check(
    "live instances with activities in flight, or parked, are unfinished; others are not",
    async (hub) => {
      const all = async () => hub.store.unfinished({ shards: "all", afterIid: 0, limit: 100 });
      const { iid: idle } = await hub.run("idle");
      await hub.start("pending");
      const { iid: active } = await hub.run("active");
      await hub.turn("active", { activities: 2 });
      const { iid: stuck } = await hub.run("stuck");
      await hub.turn("stuck", { parked });
      assert.deepEqual(await all(), [active, stuck]);
      await hub.turn("idle", { activities: 1 });
      assert.deepEqual(await all(), [idle, active, stuck]);
      await hub.turn("active", { activities: 0 });
      await hub.turn("stuck", { parked: null });
      assert.deepEqual(await all(), [idle]);
      await hub.suspend("idle");
      assert.deepEqual(await all(), [idle]);
      await hub.terminate("idle");
      assert.deepEqual(await all(), []);
    },
  );

  check("ended, replaced and continued runs leave nothing unfinished", async (hub) => {
    for (const id of ["ended", "replaced", "continued"]) {
      await hub.run(id);
      await hub.turn(id, { activities: 3 });
    }
    await hub.end("ended");
    await hub.replace("replaced");
    await hub.continueAsNew("continued");
    assert.deepEqual(await hub.store.unfinished({ shards: "all", afterIid: 0, limit: 100 }), []);
    for (const id of ["ended", "replaced", "continued"]) {
      assert.equal((await hub.instance(id)).activities, 0);
    }
  });

  check("unfinished instances are read page by page, in order of row ID", async (hub) => {
    const iids: number[] = [];
    for (let index = 0; index < 7; index++) {
      const { iid } = await hub.run(`order-${index}`);
      await hub.turn(`order-${index}`, { activities: 1 });
      iids.push(iid);
    }
    const pages = await walk(
      0,
      (afterIid) => hub.store.unfinished({ shards: "all", afterIid, limit: 3 }),
      (page) => page.at(-1),
    );
    assert.deepEqual(
      pages.flat(),
      iids.toSorted((a, b) => a - b),
    );
    assert.deepEqual(
      pages.map(({ length }) => length),
      [3, 3, 1, 0],
    );
  });

  check("unfinished reads only the shards that it asks for", async (hub) => {
    const { iid } = await hub.run("order-1");
    await hub.turn("order-1", { activities: 1 });
    const shard = shardOf("order-1");
    const query = { afterIid: 0, limit: 10 };
    assert.deepEqual(await hub.store.unfinished({ ...query, shards: [shard] }), [iid]);
    assert.deepEqual(await hub.store.unfinished({ ...query, shards: [(shard + 1) % SHARD_COUNT] }), []);
    assert.deepEqual(await hub.store.unfinished({ ...query, shards: [] }), []);
  });

  check("heads tell what rows stand at, and leave out those that are gone", async (hub) => {
    const live = await hub.run("live");
    await hub.continueAsNew("live");
    await hub.turn("live");
    await hub.turn("live");
    const ended = await hub.bring("ended", "Completed");
    const gone = await hub.bring("gone", "Completed");
    await hub.purge("gone");
    const heads = await hub.store.heads([ended.iid, gone.iid, live.iid]);
    assert.deepEqual(
      heads.toSorted((a, b) => a.iid - b.iid),
      [
        { iid: live.iid, generation: 2, sequence: 2, live: true },
        { iid: ended.iid, generation: 1, sequence: 1, live: false },
      ],
    );
  });
}
