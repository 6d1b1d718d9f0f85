import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { StartCommand } from "../../core/command.js";
import { startPolicy } from "../../core/start-policy.js";
import type { ListQuery } from "../../core/store.js";
import { SqliteDatabase } from "./database.js";
import { loadDriver } from "./driver.js";
import { createPrivateFile } from "./files.js";

const RealDriver = await loadDriver();

let folder = "";
let database: SqliteDatabase;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tenure-"));
  createPrivateFile(join(folder, "hub.db"));
  database = new SqliteDatabase(RealDriver, { file: join(folder, "hub.db"), taskHub: "default" });
});
afterEach(() => {
  database.close();
  rmSync(folder, { recursive: true });
});

test("a rare prefix is found at once, however many others were created before", () => {
  start(...numbered("order-", 200), "rare-2", ...numbered("later-", 50), "rare-1", "rare-3");
  expect(idsOf({ filter: { instanceIdPrefix: "rare-" }, limit: 2, examine: 20 })).toEqual([
    ["rare-2", "rare-1"],
    ["rare-3"],
  ]);
});

test("a frequent prefix is walked to in pages that may be short", () => {
  start(...numbered("first-", 30), ...numbered("order-", 30));
  const pages = idsOf({ filter: { instanceIdPrefix: "order-" }, limit: 100, examine: 20 });
  expect(pages).toEqual([[], numbered("order-", 10), numbered("order-", 30).slice(10)]);
});

test("live instances are found at once, however many have ended", () => {
  start(...numbered("order-", 100));
  database.write(
    numbered("order-", 99).map((instanceId) => ({ kind: "terminate", instanceId, atMs: 2, recurse: false })),
  );
  const filter = { runtimeStatus: ["Pending", "Suspended"] } as const;
  expect(idsOf({ filter, limit: 10, examine: 5 })).toEqual([["order-99"]]);
});

/** The IDs of all pages. */
function idsOf(query: ListQuery): string[][] {
  const pages: string[][] = [];
  let page = database.list(query);
  for (;;) {
    pages.push(page.records.map(({ instance }) => instance.instanceId));
    if (page.next === undefined) return pages;
    page = database.list({ ...query, after: page.next });
  }
}

function start(...instanceIds: readonly string[]): void {
  database.write(
    instanceIds.map((instanceId): StartCommand => {
      const executionId = instanceId.padStart(32, "0");
      return {
        kind: "start",
        instanceId,
        atMs: 1,
        name: "Order",
        tags: {},
        executionId,
        policy: startPolicy(),
      };
    }),
  );
}

function numbered(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index}`);
}
