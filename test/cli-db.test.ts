// `tenure db` as real processes of the built CLI, on a real server.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, onTestFinished, test } from "vitest";
import { TaskHub } from "../src/index.js";
import { cleanUp, type Result, tenure } from "./cli-process.js";
import { connect, dropSchema, freshSchema, postgresUrl, storeUrl } from "./postgres-schema.js";

const schemas: string[] = [];

afterEach(() => (schemas.length > 0 ? dropSchema(...schemas.splice(0)) : undefined));
afterAll(cleanUp);

function newSchema(): string {
  const schema = freshSchema();
  schemas.push(schema);
  return schema;
}

/** Runs it with `-o json`, and reads its data. */
async function json(...args: string[]): Promise<unknown> {
  const result = await tenure([...args, "-o", "json"]);
  if (result.code !== 0) throw new Error(`${args.join(" ")} exited ${result.code}: ${result.stderr}`);
  expect(result.stderr).toBe("");
  return JSON.parse(result.stdout);
}

/** What must not be shown. A server of one's own may ask for none. */
function passwordIn(url: string): string {
  const { password } = new URL(url);
  return password === "" ? "no password" : password;
}

describe.skipIf(postgresUrl === undefined)("on PostgreSQL", () => {
  test("status, migrate, and status again tell how far the schema is", async () => {
    const url = storeUrl(newSchema());
    const before = await json("db", "status", "--store", url);
    expect(before).toMatchObject({ version: 0, minReader: 0 });
    const { latest, pending } = Object.assign({ latest: 0, pending: [] }, before);
    expect(latest).toBeGreaterThan(0);
    expect(await json("db", "migrate", "--store", url)).toEqual({ version: latest, done: pending });
    expect(await json("db", "migrate", "--store", url)).toEqual({ version: latest, done: [] });
    expect(await json("db", "status", "--store", url)).toMatchObject({
      version: latest,
      latest,
      pending: [],
    });
  });

  test("what print prints makes the schema that migrate then has nothing to do with", async () => {
    const schema = newSchema();
    const printed = await tenure(["db", "print"], { env: { TENURE_STORE: storeUrl(schema) } });
    expect(printed).toMatchObject({ code: 0, stderr: "" });
    await using client = await connect();
    await client.query(printed.stdout);
    expect(await json("db", "migrate", "--store", storeUrl(schema))).toMatchObject({ done: [] });
  });

  test("people see sentences and tables, and nobody's password", async () => {
    const url = storeUrl(newSchema());
    const migrated = await tenure(["db", "migrate"], { env: { TENURE_STORE: url } });
    expect(migrated.stdout).toMatch(/^postgres:\/\/\S+ was brought to version \d+\.\n$/);
    const status = await tenure(["db", "status"], { env: { TENURE_STORE: url } });
    expect(status.stdout).toMatch(/pending +nothing/);
    for (const { code, stdout, stderr } of [migrated, status]) {
      expect(code).toBe(0);
      expect(stderr).toBe("");
      expect(stdout).not.toContain(passwordIn(url));
    }
  });

  test("1: a database that is not there is an error that shows no password", async () => {
    const url = new URL(storeUrl(newSchema()));
    url.pathname = "/there_is_none";
    const refused = await tenure(["db", "status", "--store", url.href]);
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(refused.stderr).toContain("there_is_none");
    expect(refused.stderr).not.toContain("    at ");
    expect(refused.stderr).not.toContain(passwordIn(url.href));
  });
});

describe("without a server", () => {
  test("print needs none, and takes the schema's default name", async () => {
    const printed = await tenure(["db", "print"]);
    expect(printed).toMatchObject({ code: 0, stderr: "" });
    expect(printed.stdout).toContain('create schema if not exists "tenure";');
    const later = await tenure(["db", "print", "--from", "1"]);
    expect(later.stdout).not.toContain("create schema");
  });

  test.each(["migrate", "status", "print"])(
    "%s has nothing to do with a file, and says so",
    async (command) => {
      const result = await tenure(["db", command, "--store", "sqlite:nowhere.db"]);
      expect(result).toMatchObject({ code: 0, stdout: "" });
      expect(result.stderr).toContain("Nothing to do");
    },
  );

  test.each([
    ["db migrate without a store", ["db", "migrate"]],
    ["db migrate on a store that is none", ["db", "migrate", "--store", "postgress://ada:secret@h/d"]],
    [
      "db status with a password that is not escaped",
      ["db", "status", "--store", "postgres://ada:sec#ret@h/d"],
    ],
    [
      "db print with a schema that cannot be",
      ["db", "print", "--store", "postgres://ada:secret@h/d?schema=A-b"],
    ],
    ["serve on a store that is none", ["serve", "--store", "postgress://ada:secret@h/d"]],
    ["dev with a password that is not escaped", ["dev", "--store", "postgres://ada:sec/ret@h/d"]],
  ])("2: %s is refused without a password in sight", async (_what, args) => {
    const refused: Result = await tenure(args);
    expect(refused).toMatchObject({ code: 2, stdout: "" });
    expect(refused.stderr).toMatch(/store/i);
    expect(refused.stderr).not.toMatch(/secret|sec[#/]ret|ada|    at /);
  });
});

test("check tells that nothing is wrong with a file, or what is, and exits 1", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tenure-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const store = `sqlite:${join(folder, "hub.db")}`;
  await using hub = await TaskHub.open({ store, functions: [] });
  expect(await json("db", "check", "--store", store)).toEqual({ store, problems: [] });
  await hub.close();
  writeFileSync(join(folder, "hub.db"), "a text, and no database".repeat(500));
  const damaged = await tenure(["db", "check", "--store", store]);
  expect(damaged.code).toBe(1);
  expect(damaged.stdout).toContain("not a SQLite file");
  expect(damaged.stderr).toContain("restore a backup");
  const missing = await tenure(["db", "check", "--store", `sqlite:${join(folder, "other.db")}`]);
  expect(missing).toMatchObject({ code: 1, stdout: "" });
});
