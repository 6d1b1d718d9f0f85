// The command line on a hub's own file: no server stands between it and the store.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { orchestration, TaskHub } from "../../src/index.js";
import { cleanUp, tenure } from "../cli-process.js";
import { ID_TABLE } from "./ids.js";
import { SOON } from "./stores.js";

const folder = mkdtempSync(join(tmpdir(), "tenure-hostile-"));
const file = join(folder, "hub.db");
const echo = orchestration("echo", async (ctx, input: unknown) => [ctx.instanceId, input]);
let hub: TaskHub;

beforeAll(async () => {
  hub = await TaskHub.open({ store: `sqlite:${file}`, functions: [echo] });
});

afterAll(async () => {
  await cleanUp();
  await hub.close();
  rmSync(folder, { recursive: true });
});

/** A command line cannot hold U+0000, nor half a surrogate pair; a process for each row of the table takes too long. */
const SOME = ["", "..", "\u001b[31mred", "--", "' or '1'='1"];
const rows = ID_TABLE.filter(({ id }) => SOME.includes(id));

const accepted = rows.flatMap(({ id, refused: rule }) => (rule === undefined ? [id] : []));
const refused = rows.filter((row) => row.refused !== undefined);

function startNew(id: string) {
  return tenure(["start-new", "echo", `--id=${id}`, "--input", "1", "--db", file]);
}

describe("an ID on the command line", () => {
  test("is taken from the table", () => {
    expect(rows).toHaveLength(SOME.length);
  });

  test.each(accepted)("%j starts that very instance", async (id) => {
    expect(await startNew(id)).toMatchObject({ code: 0, stderr: "" });
    expect(await hub.client.waitForCompletion(id, SOON)).toMatchObject({ output: [id, 1] });
  });

  test.each(refused)("$id is refused by the rule of every other door", async ({ id, refused: rule }) => {
    const ended = await startNew(id);
    expect(ended.code).not.toBe(0);
    expect(ended.stderr).toContain(rule);
    // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
    expect(ended.stderr.trimEnd()).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  });
});

describe("input on the command line", () => {
  test("that has a key twice is refused with the key: which of the two counts is nobody's guess", async () => {
    const input = '{"amount":1,"to":{"amount":1,"amount":2}}';
    const ended = await tenure(["start-new", "echo", "--id", "twice", "--input", input, "--db", file]);
    expect(ended.code).toBe(2);
    expect(ended.stderr).toContain('the key "amount" twice');
  });

  test("that is nested 100,000 deep, from standard input, is refused with where it is", async () => {
    const input = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
    const ended = await tenure(["start-new", "echo", "--id", "deep", "--input", "-", "--db", file], {
      input,
    });
    expect(ended.code).not.toBe(0);
    expect(ended.stderr).toContain("nesting deeper than 256");
  });

  test("with a key named __proto__ arrives as it was written", async () => {
    const input = '{"__proto__":{"polluted":true},"constructor":{"prototype":1}}';
    const ended = await tenure([
      "start-new",
      "echo",
      "--id",
      "proto",
      "--input",
      input,
      "--db",
      file,
      "--wait",
    ]);
    expect(ended).toMatchObject({ code: 0 });
    const { output } = await hub.client.waitForCompletion("proto", SOON);
    expect(JSON.stringify(output)).toBe(`["proto",${input}]`);
  });
});
