import { beforeEach, describe, expect, test } from "vitest";
import type { StartCommand } from "../core/command.js";
import { startPolicy } from "../core/start-policy.js";
import type { ListCursor, Store } from "../core/store.js";
import { openMemoryStore } from "../stores/memory/store.js";
import { readPage } from "./page.js";

const MEGABYTE = 1024 * 1024;

let store: Store;
let reads: number[];

beforeEach(() => {
  store = openMemoryStore();
  reads = [];
});

async function start(count: number, input: string): Promise<void> {
  const commands = Array.from({ length: count }, (_, index): StartCommand => {
    const executionId = index.toString(16).padStart(32, "0");
    return {
      kind: "start",
      instanceId: `i-${index}`,
      atMs: index,
      name: "Order",
      tags: {},
      input,
      executionId,
      policy: startPolicy(),
    };
  });
  await store.execute(commands);
}

async function pages(limit: number): Promise<string[][]> {
  const counted: Pick<Store, "list"> = {
    list: (query) => {
      reads.push(query.limit);
      return store.list(query);
    },
  };
  const found: string[][] = [];
  for (let after: ListCursor | undefined; ; ) {
    const query = { filter: {}, limit, examine: 10_000, ...(after === undefined ? {} : { after }) };
    const page = await readPage(counted, query);
    found.push(page.records.map(({ instance }) => instance.instanceId));
    if (page.next === undefined) return found;
    after = page.next;
  }
}

const ids = (count: number): string[] => Array.from({ length: count }, (_, index) => `i-${index}`);

describe("a page", () => {
  test("is as long as asked for while payloads are small, read in pieces that grow", async () => {
    await start(500, '"small"');
    expect(await pages(400)).toEqual([ids(500).slice(0, 400), ids(500).slice(400)]);
    expect(reads).toEqual([25, 100, 275, 25, 100]);
  });

  test("is short where payloads are large, and the pages after it bring the rest", async () => {
    await start(30, `"${"x".repeat(3 * MEGABYTE)}"`);
    const found = await pages(1000);
    expect(found.map(({ length }) => length)).toEqual(Array.from({ length: 10 }, () => 3));
    expect(found.flat()).toEqual(ids(30));
  });

  test("that is full with the last instance is the last", async () => {
    await start(3, `"${"x".repeat(3 * MEGABYTE)}"`);
    expect(await pages(1000)).toEqual([ids(3)]);
  });
});
