import assert from "node:assert/strict";
import { MAX_INSTANCE_ID_LENGTH, parseInstanceId } from "../../core/instance-id.js";
import { encodeRequest } from "../../core/request.js";
import type { Check } from "./check.js";
import { eventsIn, executionsOf, present, requestTo } from "./test-hub.js";

/** IDs that some database, some collation or some JavaScript object would take for one another. */
export const TRICKY_IDS: readonly string[] = [
  // case
  ["order", "Order", "ORDER", "oRDER", "ordeR"],
  ["straße", "STRASSE", "strasse", "STRAẞE"],
  ["i", "I", "ı", "İ", "i\u0307"],
  ["σ", "ς", "Σ"],
  ["k", "K", "\u212a"],
  // look-alikes and width
  ["a", "а", "ɑ", "ａ", "Ａ", "A", "А"],
  ["o", "о", "0", "O", "О", "ο"],
  ["1", "l", "|", "１", "①", "01", "1.0", "1e0", "+1", "-1", "0x1"],
  // composed and decomposed, compatibility forms
  ["é", "e\u0301", "É", "E\u0301"],
  ["Å", "A\u030a", "\u212b"],
  ["ﬁ", "fi", "ǆ", "dž", "가", "\u1100\u1161"],
  ["ä\u0323", "a\u0323\u0308", "a\u0308\u0323"],
  // spaces and what cannot be seen
  [" ", "  ", " order", "order ", "or der", "or  der", "or\u00a0der", "or\u2003der", "or\u3000der"],
  ["or\u200bder", "or\u200dder", "or\u2060der", "\ufeffowner", "owner", "or\u00adder", "or\u202eder"],
  // emoji and planes beyond the first
  [
    "🦀",
    "🦀🦀",
    "👍",
    "👍🏽",
    "👩‍👧",
    "👩👧",
    "☺",
    "☺\ufe0f",
    "𝒜",
    "𐐀",
    "𐐨",
    "\u{10ffff}",
    "\uffff",
    "\ue000",
  ],
  // SQL, LIKE and patterns
  ["'", "''", '"', '""', "`", ";", "--", "a'b", "a''b", "' or '1'='1", "'; drop table inst; --"],
  ["%", "%%", "_", "__", "[", "]", "[a]", "[^a]", "*", "a%", "a_", "a[", "ab", "a*", "^", "$", "$1", ":a"],
  ["(", ")", "{", "}", "${id}", "{{id}}", "<b>", "&amp;", "&", "=", "!", "~", ",", "a,b", "|a", "a=b"],
  // names with a meaning elsewhere
  ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "valueOf", "then", "length"],
  ["null", "NULL", "undefined", "NaN", "true", "false", "Infinity", "[object Object]", "..."],
  ["a.b", "a..b", ".a", "a.", "a@b", "a:b", "a+b", "%2f", "%00", "a%2fb", "CON", "nul"],
  // length
  [
    "x".repeat(MAX_INSTANCE_ID_LENGTH),
    `${"x".repeat(MAX_INSTANCE_ID_LENGTH - 1)}y`,
    `${"x".repeat(MAX_INSTANCE_ID_LENGTH - 1)}X`,
    "x".repeat(MAX_INSTANCE_ID_LENGTH - 1),
    "🦀".repeat(MAX_INSTANCE_ID_LENGTH / 2),
    `${"🦀".repeat(MAX_INSTANCE_ID_LENGTH / 2 - 1)}🦞`,
    "漢".repeat(MAX_INSTANCE_ID_LENGTH),
    `${"漢".repeat(MAX_INSTANCE_ID_LENGTH - 1)}字`,
  ],
].flat();

/** Instance IDs are compared byte for byte, everywhere. */
export function checkInstanceIds(check: Check): void {
  check(`${TRICKY_IDS.length} IDs that look alike are as many instances`, async (hub) => {
    assert.equal(new Set(TRICKY_IDS).size, TRICKY_IDS.length, "the table repeats an ID");
    for (const id of TRICKY_IDS) assert.equal(parseInstanceId(id), id);
    const iids = new Set<number>();
    for (const id of TRICKY_IDS) {
      assert.equal((await hub.start(id)).outcome, "started", JSON.stringify(id));
      const { instanceId, iid } = await hub.instance(id);
      assert.equal(instanceId, id);
      iids.add(iid);
    }
    assert.equal(iids.size, TRICKY_IDS.length);
    const { records } = await hub.store.list({ filter: {}, limit: 10_000, examine: 10_000 });
    assert.deepEqual(
      records.map(({ instance }) => instance.instanceId),
      TRICKY_IDS,
    );
  });

  check("an event reaches the very ID that it was raised for", async (hub) => {
    for (const id of TRICKY_IDS) await hub.run(id);
    for (const id of TRICKY_IDS) assert.equal((await hub.raise(id, `for ${id}`)).outcome, "done");
    for (const id of TRICKY_IDS) assert.deepEqual(eventsIn(await hub.mail(id)), [`for ${id}`]);
  });

  check("a request reaches the very ID that it was sent to", async (hub) => {
    await hub.run("sender");
    await hub.turn("sender", { requests: TRICKY_IDS.map((id) => requestTo(id)) });
    assert.deepEqual(
      (await hub.requests()).map(({ instanceId, body }) => ({ instanceId, body })),
      TRICKY_IDS.map((id) => ({
        instanceId: id,
        body: encodeRequest({ kind: "raise", name: `for ${id}` }),
      })),
    );
  });

  check("an ID that was not started is not found under an ID that looks like it", async (hub) => {
    const [first, ...others] = TRICKY_IDS;
    await hub.bring(present(first), "Completed");
    for (const id of others) {
      assert.equal(await hub.store.get(id), undefined);
      assert.deepEqual(await executionsOf(hub.store, id), []);
      assert.equal(await hub.store.history(id), undefined);
      assert.deepEqual(await hub.raise(id), { outcome: "notFound" });
      assert.deepEqual(await hub.purge(id), { outcome: "notFound" });
    }
  });

  check("a purge takes the very ID that it was asked for", async (hub) => {
    for (const id of TRICKY_IDS) await hub.bring(id, "Completed");
    const left = new Set(TRICKY_IDS);
    for (const id of TRICKY_IDS.filter((_, index) => index % 3 === 0)) {
      assert.equal((await hub.purge(id)).outcome, "purged");
      left.delete(id);
    }
    const { records } = await hub.store.list({ filter: {}, limit: 10_000, examine: 10_000 });
    assert.deepEqual(new Set(records.map(({ instance }) => instance.instanceId)), left);
  });

  check("the request IDs of look-alike IDs are kept apart", async (hub) => {
    for (const id of TRICKY_IDS) {
      const first = await hub.start(id, { requestId: "r1" });
      assert.equal(first.outcome, "started");
      assert.deepEqual(await hub.start(id, { requestId: "r1" }), first);
    }
  });
}
