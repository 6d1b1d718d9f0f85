import { expect, test } from "vitest";
import { decodeWord, encodeWord, type Word } from "./notices.js";

const NOTHING: Word = { sender: "a", shards: [], instanceIds: [], alive: [] };

test("a word says what it is about, and which instances have not ended", () => {
  const word: Word = {
    sender: "a",
    shards: [3, 255],
    instanceIds: ['it\'s +1, "quoted"', "-é", "plain"],
    alive: ["-é"],
    nextDueMs: 17,
    tasks: true,
    members: true,
  };
  const heard = encodeWord(word).map(decodeWord);
  expect(heard).toHaveLength(1);
  expect(heard[0]).toEqual({ ...word, instanceIds: ['it\'s +1, "quoted"', "-é", "plain"] });
  expect(encodeWord(NOTHING).map(decodeWord)).toEqual([NOTHING]);
});

test("what has no room in one notification takes several, and all else is said once", () => {
  const instanceIds = Array.from({ length: 100 }, (_, index) => `${index}${"ü".repeat(100)}`);
  const shards = Array.from({ length: 256 }, (_, shard) => shard);
  const texts = encodeWord({ ...NOTHING, instanceIds, shards, tasks: true });
  expect(texts.length).toBeGreaterThan(1);
  for (const text of texts) expect(Buffer.byteLength(text)).toBeLessThan(8000);
  const words = texts.map(decodeWord);
  expect(words.flatMap((word) => ("shards" in word ? word.instanceIds : []))).toEqual(instanceIds);
  expect(words.flatMap((word) => ("shards" in word ? word.shards : []))).toEqual(shards);
  expect(words.filter((word) => "shards" in word && word.tasks === true)).toHaveLength(1);
});

test("instances that have begun are named, with their shards for whoever does not know what that means", () => {
  const began = [
    { iid: 2 ** 53 - 1, shard: 255 },
    { iid: 7, shard: 3 },
  ];
  const [text = ""] = encodeWord({ ...NOTHING, shards: [3, 9], began });
  expect(decodeWord(text)).toEqual({ ...NOTHING, shards: [3, 9], began });
  expect(JSON.parse(text)).toMatchObject({ shards: [3, 9, 255] });
});

test("more instances that have begun than there is room for are told as mail for their shards", () => {
  const began = Array.from({ length: 1000 }, (_, index) => ({ iid: 1e9 + index, shard: index % 256 }));
  const shards = Array.from({ length: 256 }, (_, shard) => shard);
  const instanceIds = Array.from({ length: 60 }, (_, index) => `${index}${"ü".repeat(30)}`);
  const words = encodeWord({ ...NOTHING, instanceIds, shards: [], began }).map(decodeWord);
  expect(words[0]).toMatchObject({ shards });
  expect(words[0]).not.toHaveProperty("began");
  const most = began.slice(0, 150);
  for (const text of encodeWord({ ...NOTHING, instanceIds, shards, began: most })) {
    expect(Buffer.byteLength(text)).toBeLessThan(8000);
  }
});

test("what would take too many notifications says that anything may have changed", () => {
  const instanceIds = Array.from({ length: 2000 }, (_, index) => `instance-${index}-of-many-that-changed`);
  expect(encodeWord({ ...NOTHING, instanceIds }).map(decodeWord)).toEqual([{ sender: "a" }]);
});

test.each([
  "",
  "a 1 3,4",
  "null",
  "7",
  '{"sender":"a","shards":[1]}',
  '{"sender":"a","shards":["1"],"ids":[]}',
])("what cannot be read, as %j, is no word in detail", (text) => {
  expect(decodeWord(text)).not.toHaveProperty("shards");
});
