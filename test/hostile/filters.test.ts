import { beforeAll, describe, expect, test } from "vitest";
import { type ListOptions, orchestration, type TaskHubClient } from "../../src/index.js";
import { misuse, onMemorySqliteAndPostgres, refusalOf, SOON } from "./stores.js";

/** What some query language would read as more than text. */
const TEXTS: readonly string[] = [
  "%",
  "_",
  "[a-z]",
  "a%",
  "ab",
  "a",
  "A",
  "'",
  '"',
  "--",
  "'; drop table inst; --",
  "' or '1'='1",
  "' union select secret from hub --",
  "') or 1=1 --",
  "$1",
  ":name",
  "?1",
  '{"a":"b"}',
  "$.a",
  "*",
  "__proto__",
  "1",
  "é",
  "e\u0301",
  "🦀",
  " ",
  "a ",
  "\\",
  "a\\",
  "x".repeat(200),
];

/** Slash, backslash, ? and # are for no ID. */
const PREFIXES = TEXTS.filter((text) => !/[/\\?#]/.test(text) && !text.startsWith("@"));

const named = TEXTS.map((name) => orchestration(name, async () => "done"));

async function idsOf(client: TaskHubClient, options: ListOptions): Promise<string[]> {
  const ids: string[] = [];
  for (let token: string | undefined; ; ) {
    const page = await client.list({
      ...options,
      top: 7,
      ...(token === undefined ? {} : { continuationToken: token }),
    });
    ids.push(...page.instances.map(({ instanceId }) => instanceId));
    token = page.continuationToken;
    if (token === undefined) return ids.toSorted();
  }
}

onMemorySqliteAndPostgres("a filter", named, (hub) => {
  beforeAll(async () => {
    const { client } = hub();
    for (const [index, text] of TEXTS.entries()) {
      const tags = { [text]: "key", value: text };
      const start = await client.startNew(text, { instanceId: `named ${index}`, tags });
      await start.result(SOON);
    }
    for (const prefix of PREFIXES) await client.startNew("a", { instanceId: prefix, ifLive: "attach" });
    for (const prefix of PREFIXES) await client.waitForCompletion(prefix, SOON);
  });

  test("by name finds that very name", async () => {
    for (const [index, name] of TEXTS.entries()) {
      const found = await idsOf(hub().client, { name, instanceIdPrefix: "named " });
      expect(found).toEqual([`named ${index}`]);
    }
  });

  test("by tag finds that very key and value", async () => {
    for (const [index, text] of TEXTS.entries()) {
      expect(await idsOf(hub().client, { tags: { value: text } })).toEqual([`named ${index}`]);
      expect(await idsOf(hub().client, { tags: { [text]: "key" } })).toEqual([`named ${index}`]);
      expect(await idsOf(hub().client, { tags: { [text]: "Key" } })).toEqual([]);
    }
  });

  test("by prefix finds the IDs that begin so", async () => {
    const all = [...PREFIXES, ...TEXTS.map((_text, index) => `named ${index}`)];
    for (const prefix of TEXTS) {
      const expected = all.filter((id) => id.startsWith(prefix)).toSorted();
      expect(await idsOf(hub().client, { instanceIdPrefix: prefix })).toEqual(expected);
    }
  });

  test("that nothing can match finds nothing, however long it is", async () => {
    const { client } = hub();
    const none: ListOptions[] = [
      "x".repeat(50_000),
      "'".repeat(50_000),
      "%".repeat(50_000),
      "🦀".repeat(25_000),
      "\u{10ffff}".repeat(25_000),
      "a\0",
      "\0",
      "\n",
    ].flatMap((text) => [{ instanceIdPrefix: text }, { name: text }]);
    for (const filter of none) expect(await idsOf(client, filter)).toEqual([]);
    expect(await idsOf(client, { createdTimeFrom: new Date(8.64e15) })).toEqual([]);
    expect(await idsOf(client, { createdTimeTo: new Date(-8.64e15) })).toEqual([]);
    expect(await idsOf(client, { lastUpdatedFrom: new Date(8.64e15) })).toEqual([]);
  });

  test("that is no text, or half a character, is refused on every store alike", async () => {
    const { client } = hub();
    const bad: unknown[] = [5, {}, [], null, Symbol("x"), "\ud83e", "a\udd80"];
    for (const value of bad) {
      for (const key of ["name", "instanceIdPrefix"]) {
        const call = (): unknown => misuse(client, "list", { [key]: value });
        expect(await refusalOf(call)).toMatchObject({ code: "InvalidArgument" });
      }
    }
    for (const value of [5, {}, [], null, "", "a.b.c", "\0", "0.0.0", "é".repeat(50_000)]) {
      const call = (): unknown => misuse(client, "list", { continuationToken: value });
      expect(await refusalOf(call)).toMatchObject({ code: "InvalidToken" });
    }
  });

  test("of a purge is as exact: it deletes what it names and nothing else", async () => {
    const { client } = hub();
    const before = (await idsOf(client, {})).length;
    for (const prefix of ["[a", "'; drop", "%"]) {
      const doomed = await idsOf(client, { instanceIdPrefix: prefix });
      expect(await client.purgeBy({ instanceIdPrefix: prefix })).toBe(doomed.length);
    }
    expect(await client.purgeBy({ tags: { value: "' or '1'='1" } })).toBe(1);
    expect(await client.purgeBy({ name: "_" })).toBe(1);
    expect((await idsOf(client, {})).length).toBe(before - 5);
  });

  describe("of executions", () => {
    test("by an ID that none has finds none", async () => {
      const { client } = hub();
      for (const executionId of ["", "'", "%", "a\0b", "x".repeat(50_000), "' or '1'='1"])
        expect(await client.getHistory("named 0", executionId)).toBeUndefined();
      for (const executionId of ["\ud800", 5, {}]) {
        const call = (): unknown => misuse(client, "getHistory", "named 0", executionId);
        expect(await refusalOf(call)).toMatchObject({ code: "InvalidArgument" });
      }
    });
  });
});
