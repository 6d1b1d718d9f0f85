import assert from "node:assert/strict";
import type { ListCursor, ListFilter, ListPage, ListQuery } from "../../core/store.js";
import type { Check } from "./check.js";
import { ENDED_STATES, LIVE_STATES, type TestHub, walk } from "./test-hub.js";

/** Listing instances: filters, order and pages. */
export function checkList(check: Check): void {
  check("without a filter all instances are listed, in order of creation", async (hub) => {
    const ids = ["c", "a", "b", "Z", "é"];
    for (const id of ids) await hub.start(id);
    assert.deepEqual(await listed(hub, {}), ids);
    await hub.end("c");
    await hub.turn("a");
    assert.deepEqual(await listed(hub, {}), ids);
    await hub.start("c");
    assert.deepEqual(await listed(hub, {}), ["a", "b", "Z", "é", "c"]);
    assert.deepEqual(await listed(hub, {}, 1), ["a", "b", "Z", "é", "c"]);
  });

  check("instances that were created in one millisecond are all listed, page by page", async (hub) => {
    const atMs = hub.now();
    const ids = Array.from({ length: 25 }, (_, index) => `order-${index}`);
    await hub.store.execute(ids.map((id) => hub.startCommand(id, { atMs })));
    for (const limit of [1, 2, 7, 24, 25, 26]) {
      assert.deepEqual(new Set(await listed(hub, {}, limit)), new Set(ids));
      assert.equal((await listed(hub, {}, limit)).length, 25);
    }
  });

  check("a record in a list is the record that get gives", async (hub) => {
    await hub.run("order-1");
    await hub.turn("order-1", { customStatus: '"x"', parked: { code: "c", message: "m", sinceMs: 1 } });
    await hub.startChild("order-1", "child", 1);
    const { records } = await hub.store.list({ filter: {}, limit: 10, examine: 10 });
    assert.deepEqual(records, [await hub.record("order-1"), await hub.record("child")]);
  });

  check("a filter by status finds instances as users see them", async (hub) => {
    for (const state of [...LIVE_STATES, ...ENDED_STATES]) await hub.bring(state, state);
    for (const state of [...LIVE_STATES, ...ENDED_STATES]) {
      assert.deepEqual(await listed(hub, { runtimeStatus: [state] }), [state]);
    }
    assert.deepEqual(await listed(hub, { runtimeStatus: ["Running", "Suspended", "Failed"] }), [
      "Running",
      "Suspended",
      "Failed",
    ]);
    await hub.continueAsNew("Running");
    assert.deepEqual(await listed(hub, { runtimeStatus: ["ContinuedAsNew"] }), []);
    await hub.terminate("Suspended");
    assert.deepEqual(await listed(hub, { runtimeStatus: ["Suspended"] }), []);
    assert.deepEqual(await listed(hub, { runtimeStatus: ["Terminated"] }), ["Suspended", "Terminated"]);
  });

  check("a filter by name finds the very name", async (hub) => {
    for (const name of ["Order", "order", "Order ", "Or%er", "O_der"])
      await hub.start(`is ${name}`, { name });
    for (const name of ["Order", "order", "Order ", "Or%er", "O_der"]) {
      assert.deepEqual(await listed(hub, { name }), [`is ${name}`]);
    }
    assert.deepEqual(await listed(hub, { name: "Ord" }), []);
    assert.deepEqual(await listed(hub, { name: "" }), []);
  });

  check("filters by time take in both ends", async (hub) => {
    const created: number[] = [];
    for (const id of ["a", "b", "c", "d"]) {
      await hub.start(id);
      created.push((await hub.instance(id)).createdAtMs);
    }
    const [, b = 0, c = 0] = created;
    assert.deepEqual(await listed(hub, { createdFromMs: b }), ["b", "c", "d"]);
    assert.deepEqual(await listed(hub, { createdFromMs: b + 1 }), ["c", "d"]);
    assert.deepEqual(await listed(hub, { createdToMs: c }), ["a", "b", "c"]);
    assert.deepEqual(await listed(hub, { createdToMs: c - 1 }), ["a", "b"]);
    assert.deepEqual(await listed(hub, { createdFromMs: b, createdToMs: c }), ["b", "c"]);
    for (const id of ["d", "b", "a", "c"]) await hub.turn(id);
    const updated = (await hub.instance("b")).updatedAtMs;
    assert.deepEqual(await listed(hub, { updatedFromMs: updated }), ["a", "b", "c"]);
    assert.deepEqual(await listed(hub, { updatedToMs: updated }), ["b", "d"]);
    assert.deepEqual(await listed(hub, { updatedFromMs: updated, updatedToMs: updated }), ["b"]);
  });

  check("a filter by ID prefix compares characters, and knows no patterns", async (hub) => {
    const ids = [
      "a",
      "A",
      "ab",
      "a%",
      "a%b",
      "a_",
      "a_b",
      "a[",
      "a[b]c",
      "abc",
      "b",
      "a'",
      'a"',
      "é",
      "e\u0301",
      "🦀x",
      "🦞x",
    ];
    for (const id of ids) await hub.start(id);
    for (const prefix of [
      "",
      "a",
      "A",
      "a%",
      "a_",
      "a[",
      "a[b]",
      "ab",
      "b",
      "a'",
      'a"',
      "é",
      "e",
      "🦀",
      "abcd",
      "%",
      "_",
    ]) {
      assert.deepEqual(
        await listed(hub, { instanceIdPrefix: prefix }),
        ids.filter((id) => id.startsWith(prefix)),
        `prefix ${prefix}`,
      );
    }
  });

  check("a filter with U+0000 finds nothing: no name and no ID holds it", async (hub) => {
    for (const id of ["a", "b"]) await hub.start(id, { name: id });
    for (const text of ["\0", "a\0", "a\0b", "\0a"]) {
      assert.deepEqual(await listed(hub, { instanceIdPrefix: text }), []);
      assert.deepEqual(await listed(hub, { name: text }), []);
    }
  });

  check("a filter by tags finds instances that have each of them, with the very value", async (hub) => {
    const tags = {
      plain: { team: "blue", tier: "1" },
      "other value": { team: "Blue" },
      "other key": { Team: "blue" },
      quoted: { 'a "b"': "it's", "a.b": "c", "$.x": "[0]", "": "empty" },
      nested: { a: '{"b":"c"}', ["__proto__"]: "p", "🦀": "🦞" },
      "like a number": { n: "1" },
      none: {},
    };
    for (const [id, each] of Object.entries(tags)) await hub.start(id, { tags: each });
    assert.deepEqual(await listed(hub, { tags: { team: "blue" } }), ["plain"]);
    assert.deepEqual(await listed(hub, { tags: { team: "blue", tier: "1" } }), ["plain"]);
    assert.deepEqual(await listed(hub, { tags: { team: "blue", tier: "2" } }), []);
    assert.deepEqual(await listed(hub, { tags: { 'a "b"': "it's" } }), ["quoted"]);
    assert.deepEqual(await listed(hub, { tags: { "a.b": "c", "$.x": "[0]" } }), ["quoted"]);
    assert.deepEqual(await listed(hub, { tags: { "": "empty" } }), ["quoted"]);
    assert.deepEqual(await listed(hub, { tags: { ["__proto__"]: "p" } }), ["nested"]);
    assert.deepEqual(await listed(hub, { tags: { "🦀": "🦞" } }), ["nested"]);
    assert.deepEqual(await listed(hub, { tags: { n: "1" } }), ["like a number"]);
    assert.deepEqual(await listed(hub, { tags: { n: "1.0" } }), []);
    assert.deepEqual(await listed(hub, { tags: { constructor: "x" } }), []);
    assert.deepEqual(await listed(hub, { tags: { b: "c" } }), []);
    assert.equal((await listed(hub, { tags: {} })).length, 7);
  });

  check("a filter by tags is about the current execution", async (hub) => {
    await hub.bring("order-1", "Completed", { tags: { v: "1" } });
    await hub.start("order-1", { tags: { v: "2" } });
    assert.deepEqual(await listed(hub, { tags: { v: "1" } }), []);
    assert.deepEqual(await listed(hub, { tags: { v: "2" } }), ["order-1"]);
  });

  check("filters together find what all of them find", async (hub) => {
    await hub.bring("order-1", "Running", { tags: { a: "b" } });
    await hub.bring("order-2", "Running");
    await hub.bring("order-3", "Failed", { tags: { a: "b" } });
    await hub.bring("other-4", "Running", { tags: { a: "b" } });
    await hub.bring("order-5", "Running", { tags: { a: "b" }, name: "Other" });
    assert.deepEqual(
      await listed(hub, {
        instanceIdPrefix: "order-",
        runtimeStatus: ["Running"],
        tags: { a: "b" },
        name: "Order",
        createdFromMs: 0,
        updatedToMs: Number.MAX_SAFE_INTEGER,
      }),
      ["order-1"],
    );
  });

  check("a page that examined enough rows may be short, and the walk still finds everything", async (hub) => {
    for (let index = 0; index < 40; index++) {
      await hub.start(`order-${index}`, { tags: { rare: String(index % 10 === 7) } });
    }
    const pages = await pagesOf(hub, { filter: { tags: { rare: "true" } }, limit: 3, examine: 5 });
    assert.deepEqual(idsIn(pages), ["order-7", "order-17", "order-27", "order-37"]);
    assert.ok(pages.length > 2);
  });

  check("the last page names no next one", async (hub) => {
    for (const id of ["a", "b", "c", "d"]) await hub.start(id);
    const page = async (limit: number, examine: number) => hub.store.list({ filter: {}, limit, examine });
    for (const [limit, examine] of [
      [4, 100],
      [100, 4],
      [4, 4],
      [100, 100],
    ] as const) {
      assert.equal((await page(limit, examine)).next, undefined);
    }
    assert.ok((await page(3, 100)).next !== undefined);
    assert.ok((await page(100, 3)).next !== undefined);
    assert.deepEqual(await hub.store.list({ filter: { name: "none" }, limit: 5, examine: 5 }), {
      records: [],
    });
  });

  check("a walk meets every instance that lives through it, whatever is started meanwhile", async (hub) => {
    const ids = Array.from({ length: 20 }, (_, index) => `order-${index}`);
    for (const id of ids) await hub.start(id);
    let read = 0;
    const pages = await pagesOf(hub, { filter: {}, limit: 4, examine: 100 }, async () => {
      read += 4;
      if (read < 20) await hub.start(`late-${read}`);
    });
    const found = idsIn(pages);
    assert.deepEqual(found.slice(0, 20), ids);
    assert.ok(found.slice(20).every((id) => id.startsWith("late-")));
    assert.equal(new Set(found).size, found.length);
  });
}

/** The IDs that a filter finds, over all pages. */
async function listed(hub: TestHub, filter: ListFilter, limit = 1_000): Promise<string[]> {
  return idsIn(await pagesOf(hub, { filter, limit, examine: 1_000 }));
}

async function pagesOf(
  hub: TestHub,
  query: Omit<ListQuery, "after">,
  between = async (): Promise<void> => {},
): Promise<ListPage[]> {
  const first: { readonly after?: ListCursor } = {};
  return walk(
    first,
    async (from) => {
      const page = await hub.store.list({ ...query, ...from });
      assert.ok(page.records.length <= query.limit);
      await between();
      return page;
    },
    ({ next }) => next && { after: next },
  );
}

function idsIn(pages: readonly ListPage[]): string[] {
  return pages.flatMap(({ records }) => records.map(({ instance }) => instance.instanceId));
}
