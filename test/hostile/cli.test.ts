// The command line on a hub's own file: no server stands between it and the store.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { exitCodeOf } from "../../src/cli/exit-code.js";
import { createProgram } from "../../src/cli/program.js";
import { listTable } from "../../src/cli/tables.js";
import { orchestration, TaskHub } from "../../src/index.js";
import { cleanUp, tenure } from "../cli-process.js";
import { ID_TABLE } from "./ids.js";
import { SOON } from "./stores.js";

const folder = mkdtempSync(join(tmpdir(), "tenure-hostile-"));
const file = join(folder, "hub.db");
const echo = orchestration("echo", async (ctx, input: unknown) => [ctx.instanceId, input]);
const waits = orchestration("waits", async (ctx) => ctx.waitForExternalEvent("go"));
let hub: TaskHub;

beforeAll(async () => {
  hub = await TaskHub.open({ store: `sqlite:${file}`, functions: [echo, waits] });
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

/** Runs a command in this process: what it printed, or why it failed and how it would have ended. */
async function run(...line: string[]): Promise<{ code: number; said: string }> {
  const printed: string[] = [];
  const stdout = vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    printed.push(String(text));
    return true;
  });
  try {
    await createProgram().parseAsync(line, { from: "user" });
    return { code: 0, said: printed.join("") };
  } catch (error) {
    return { code: exitCodeOf(error), said: error instanceof Error ? error.message : String(error) };
  } finally {
    stdout.mockRestore();
  }
}

const here = ["--db", file];

describe("input and data that are not what they should be", () => {
  beforeAll(async () => {
    await hub.client.startNew(waits, { instanceId: "waiting" });
  });

  const doors: [door: string, line: readonly string[], option: string][] = [
    ["start-new --input", ["start-new", "echo", "--id", "never", ...here], "--input"],
    ["raise --data", ["raise", "waiting", "go", ...here], "--data"],
    ["raise-event --event-data", ["raise-event", "waiting", "go", ...here], "--event-data"],
  ];

  describe.each(doors)("%s", (_door, line, option) => {
    test.each<[what: string, content: string | Uint8Array, code: number, says: RegExp]>([
      ["a text that is no JSON", "go", 2, /is not JSON/],
      ["nothing", "", 2, /is not JSON/],
      ["two values", "1 2", 2, /is not JSON/],
      ["a key twice", '[{"a":1,"\\u0061":2}]', 2, /the key "a" twice/],
      ["a byte that is not UTF-8", Buffer.from([0x22, 0xff, 0x22]), 2, /is not UTF-8 text/],
      ["half of a character", Buffer.from([0x22, 0xc3, 0x22]), 2, /is not UTF-8 text/],
      ["a surrogate in UTF-8", Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), 2, /is not UTF-8 text/],
      ["overlong UTF-8", Buffer.from([0x22, 0xc0, 0xaf, 0x22]), 2, /is not UTF-8 text/],
      ["UTF-16", Buffer.from("\ufeff[1]", "utf16le"), 2, /is not UTF-8 text/],
      [
        "more than a payload may have",
        JSON.stringify("x".repeat(4 * 1024 * 1024)),
        1,
        /The limit "payload" is 4194304/,
      ],
      ["a depth that no payload may have", "[".repeat(300) + "]".repeat(300), 2, /nesting deeper than 256/],
    ])("from a file with %s", async (_what, content, code, says) => {
      const path = join(folder, "input.json");
      writeFileSync(path, content);
      const ended = await run(...line, `${option}=@${path}`);
      expect(ended.said).toMatch(says);
      expect(ended.code).toBe(code);
    });

    test("from a file that is none", async () => {
      for (const path of [join(folder, "none.json"), folder, "/dev/null/x", ""]) {
        const { code, said } = await run(...line, `${option}=@${path}`);
        expect([code, said]).toEqual([2, expect.stringContaining("cannot be read")]);
      }
    });
  });

  test("do nothing", async () => {
    expect(await hub.client.getStatus("never")).toBeUndefined();
    expect((await hub.client.getStatus("waiting"))?.runtimeStatus).toBe("Running");
  });

  test("from standard input in another encoding, too", async () => {
    const ended = await tenure(["raise", "waiting", "go", "--data", "-", ...here], {
      input: '"\u00ff"',
      encoding: "latin1",
    });
    expect(ended.code).toBe(2);
    expect(ended.stderr).toContain("standard input is not UTF-8 text");
  });

  test("what is odd and yet JSON arrives as an event as it was written", async () => {
    const data = '{"__proto__":{"polluted":true},"a":"\\u0000\\ud800 \u202e"}';
    expect(await run("raise", "waiting", "go", "--data", data, ...here)).toMatchObject({ code: 0 });
    const { output } = await hub.client.waitForCompletion("waiting", SOON);
    expect(output).toEqual(JSON.parse(data));
    expect(Reflect.get({}, "polluted")).toBeUndefined();
  });
});

describe("filters on the command line", () => {
  const HOSTILE = [
    "%",
    "_",
    "a%",
    "[a]",
    "*",
    "' or 1=1 --",
    "'; drop table inst; --",
    "\\",
    "__proto__",
    "\u202e",
    "(a+)+$",
    "-1",
  ];

  test.each(HOSTILE)(
    "%j is text, and finds nothing that does not begin so, or is not named so",
    async (text) => {
      for (const option of ["--id-prefix", "--name"]) {
        const { code, said } = await run("list", "-o", "json", `${option}=${text}`, ...here);
        expect([option, code, said]).toEqual([option, 0, "[]\n"]);
      }
      expect((await run("purge", "--yes", `--id-prefix=${text}`, "-o", "json", ...here)).said).toContain(
        '"instancesDeleted": 0',
      );
    },
  );

  test("a label twice is refused, as everywhere", async () => {
    for (const line of [["start-new", "echo"], ["list"], ["purge", "--yes"]]) {
      const { code, said } = await run(...line, "--tag", "a=1", "--tag", "a=2", ...here);
      expect([line, code, said]).toEqual([line, 2, expect.stringContaining('The key "a" is given twice')]);
    }
    const odd = await run("list", "-o", "json", "--tag", "__proto__=1", "--tag", "constructor=2", ...here);
    expect(odd).toEqual({ code: 0, said: "[]\n" });
  });

  test.each([
    "--status=Running,__proto__",
    "--created-from=2026-02-30",
    "--top=0",
    "--top=1e3",
    "--top=-1",
    "--tag==x",
    "--tag=x",
  ])("%s is refused", async (option) => {
    expect(await run("list", option, ...here)).toMatchObject({ code: 2 });
  });
});

test.each([
  "",
  " ",
  "x",
  "//127.0.0.1",
  "127.0.0.1:7071",
  "ftp://127.0.0.1",
  "file:///etc/passwd",
  "javascript:alert(1)",
  "data:text/html,x",
  "http://",
  "http://a b",
  "http://[::1",
  "http://127.0.0.1:99999",
  "http://127.0.0.1:1/?code=x",
  "http://127.0.0.1:1/#x",
  "http://user@127.0.0.1:1",
  "HTTP://127.0.0.1:1",
])("%j is no address of a server", async (url) => {
  const { code, said } = await run("list", "--url", url);
  expect([code, said]).toEqual([2, expect.stringContaining("address")]);
});

test("a table of 50 kB of spaces is written as fast as one of letters", async () => {
  const cpuMs = (text: string): number => {
    const before = process.cpuUsage();
    listTable(
      new PassThrough(),
      ["a", "b"],
      [
        [text, "x"],
        ["y", `x${text}`],
      ],
    );
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  };
  cpuMs("x".repeat(50_000));
  const letters = cpuMs("x".repeat(50_000));
  const spaces = Math.min(cpuMs(" ".repeat(50_000)), cpuMs(" ".repeat(50_000)));
  expect(spaces).toBeLessThan(200 + 10 * letters);
});
