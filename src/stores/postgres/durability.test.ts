import { describe, expect, test } from "vitest";
import { postgresUrl } from "../../../test/postgres-schema.js";
import { type DurabilityFacts, durabilityWarnings, readFacts, warningsOf } from "./durability.js";
import { parseLocation } from "./location.js";
import { withSession } from "./session.js";

const SAFE: DurabilityFacts = {
  fsync: true,
  fullPageWrites: true,
  synchronousCommit: "on",
  synchronousStandbyNames: "",
  standbys: [],
};

function warnings(facts: Partial<DurabilityFacts>): string {
  return warningsOf({ ...SAFE, ...facts }).join("\n");
}

describe("nothing is said of", () => {
  test.each<[what: string, facts: Partial<DurabilityFacts>]>([
    ["a server as it comes", {}],
    ["a synchronous standby", { synchronousStandbyNames: "b", standbys: ["sync"] }],
    ["a quorum", { synchronousStandbyNames: "ANY 1 (b, c)", standbys: ["quorum", "quorum"] }],
    [
      "an asynchronous standby beside a synchronous one",
      { synchronousStandbyNames: "b", standbys: ["sync", "async"] },
    ],
    ["a standby whose state we may not see", { synchronousStandbyNames: "b", standbys: [undefined] }],
    ["local commits where there is no standby", { synchronousCommit: "local" }],
    [
      "a server that does not say",
      {
        fsync: undefined,
        fullPageWrites: undefined,
        synchronousCommit: undefined,
        synchronousStandbyNames: undefined,
      },
    ],
  ])("%s", (_what, facts) => {
    expect(warnings(facts)).toBe("");
  });
});

describe("a warning tells of", () => {
  test.each<[what: string, facts: Partial<DurabilityFacts>, warning: RegExp]>([
    ["fsync off", { fsync: false }, /^The database's fsync is off.*Set fsync = on\.$/],
    ["full_page_writes off", { fullPageWrites: false }, /^The database's full_page_writes is off/],
    ["synchronous_commit off", { synchronousCommit: "off" }, /^The database's synchronous_commit is off/],
    [
      "synchronous_commit off, once",
      { synchronousCommit: "off", standbys: ["async"] },
      /^[^\n]*is off[^\n]*$/,
    ],
    ["commits that do not wait for standbys", { synchronousCommit: "local", standbys: ["sync"] }, /is local/],
    [
      "local commits beside named standbys",
      { synchronousCommit: "local", synchronousStandbyNames: "b" },
      /is local/,
    ],
    [
      "an asynchronous standby",
      { standbys: ["async"] },
      /only standby is asynchronous: at a failover.*can be lost/,
    ],
    [
      "standbys that commits cannot wait for, seen or not",
      { standbys: [undefined] },
      /only standby is asynchronous/,
    ],
    ["several asynchronous standbys", { standbys: ["async", "async"] }, /^Each of the database's 2 standbys/],
    [
      "a standby that is not the one named",
      { synchronousStandbyNames: "gone", standbys: ["async"] },
      /only standby is asynchronous/,
    ],
  ])("%s", (_what, facts, warning) => {
    expect(warnings(facts)).toMatch(warning);
  });
});

describe.skipIf(postgresUrl === undefined)("a real server", () => {
  const location = parseLocation(postgresUrl ?? "postgres://localhost");

  test("tells all facts, and what a session has set counts", async () => {
    await withSession(location, async (query) => {
      expect(await readFacts(query)).toMatchObject({
        fsync: true,
        fullPageWrites: true,
        synchronousCommit: "on",
      });
      await query("set synchronous_commit = off");
      expect(await durabilityWarnings(query)).toEqual([expect.stringContaining("synchronous_commit is off")]);
    });
  });

  test("that shows neither settings nor standbys is not warned of", async () => {
    await withSession(location, async (query) => {
      expect(await durabilityWarnings((sql) => query(sql.replaceAll(/pg_s\w+/g, "pg_nothing")))).toEqual([]);
    });
  });
});
