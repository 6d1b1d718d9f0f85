// The loader of apps, as built, each time in a process of its own: modules are loaded once per process.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import { cleanUp, launch, project, root } from "./cli-process.js";

afterEach(cleanUp);

const LOADER = pathToFileURL(join(root, "dist", "cli", "load-app.js")).href;

/** What a loaded app has, or why it could not be loaded. */
interface Loaded {
  readonly names: readonly string[];
  readonly files: readonly string[];
  readonly error: { readonly name: string; readonly code: string; readonly message: string };
  /** What the app's modules have written. */
  readonly said: readonly string[];
}

/** Loads an app so many times. */
async function load(cwd: string, app: string, times = 1): Promise<Loaded> {
  const program = `
    import { AppLoader } from ${JSON.stringify(LOADER)};
    const loader = new AppLoader(${JSON.stringify(join(cwd, app))});
    let result = {};
    for (let n = 0; n < ${times}; n++) {
      try {
        const { definitions, files } = await loader.load();
        result = { names: definitions.map(({ name }) => name).sort(), files };
      } catch ({ name, code, message }) {
        result = { error: { name, code, message } };
      }
    }
    console.log("RESULT" + JSON.stringify(result));
  `;
  const node = launch(process.execPath, ["--input-type=module", "--eval", program], { cwd });
  const code = await node.ended;
  if (code !== 0) throw new Error(node.stderr());
  const lines = node.stdout().trim().split("\n");
  const result: unknown = JSON.parse(lines.pop()?.replace(/^RESULT/, "") ?? "{}");
  const nothing = { names: [], files: [], error: { name: "", code: "", message: "" } };
  return Object.assign(nothing, result, { said: lines });
}

const define = (name: string): string => `orchestration("${name}", async () => 1)`;
const IMPORT = 'import { activity, orchestration } from "tenure";\n';

describe("what an app exports", () => {
  test("is found by name, by default, in arrays, objects and namespaces, each once", async () => {
    const cwd = project({
      "app.ts": `${IMPORT}
        import * as more from "./more.js";
        export const one = ${define("one")};
        export const several = [${define("two")}, { deep: { three: ${define("three")} } }];
        export { more, one as alias };
        export default { four: ${define("four")}, one };
        export const settings = { retries: 3, log: console.log, when: new Date(0) };
        export type Settings = typeof settings;
        export function helper(): void {}`,
      "more.ts": `${IMPORT} export const five = ${define("five")}; export const six = activity("six", async () => 6);`,
    });
    expect((await load(cwd, "app.ts")).names).toEqual(["five", "four", "one", "six", "three", "two"]);
  });

  test("is recognised whichever copy of the package made it", async () => {
    const brand = 'Symbol.for("tenure.definition")';
    const cwd = project({
      "app.mjs": `export const other = { [${brand}]: "orchestration", name: "other" };`,
    });
    expect((await load(cwd, "app.mjs")).names).toEqual(["other"]);
  });

  test("must have something to run", async () => {
    const cwd = project({
      "app.ts": "export const cities = ['Tokyo']; export async function helloCities() {}",
      "empty.ts": "",
    });
    const { error } = await load(cwd, "app.ts");
    expect(error).toMatchObject({ name: "AppLoadError", code: "AppLoad" });
    expect(error.message).toMatch(
      /app\.ts exports nothing to run, only (cities, helloCities|helloCities, cities)\./,
    );
    expect((await load(cwd, "empty.ts")).error.message).toContain("empty.ts exports nothing to run.");
  });
});

describe("an app that cannot be loaded", () => {
  test.each<[what: string, file: string, content: string, message: RegExp]>([
    [
      "a syntax error",
      "app.ts",
      "\nconst a = ;\n",
      /app\.ts:2:11: .*Unexpected token[^]*2 \| const a = ;\n {16}\^/,
    ],
    ["a syntax error in a native module", "app.mjs", "\nconst a = ;\n", /app\.mjs:2:11: .*Unexpected token/],
    ["an import of a broken module", "app.ts", 'import "./broken.js";', /broken\.ts:3:\d+: /],
    ["a native import of a broken module", "app.mjs", 'import "./broken.mjs";', /broken\.mjs:2:\d+: /],
    [
      "a module that throws",
      "app.ts",
      "interface A { a: 1 }\n\nthrow new RangeError('no');",
      /app\.ts:3: RangeError: no\n/,
    ],
    [
      "a native module that throws",
      "app.mjs",
      "\n\n  throw new RangeError('no');",
      /app\.mjs:3:9: RangeError: no\n/,
    ],
    ["something thrown that is no error", "app.ts", "throw 'words';", /app\.ts: words/],
    ["a missing module", "app.ts", 'import "./gone.js";', /Cannot find module '\.\/gone\.js'/],
    ["a missing export", "app.mjs", 'import { gone } from "./other.mjs";', /app\.mjs:1: .*gone/],
    ["a missing package", "app.ts", 'import "left-pad";', /Cannot find module 'left-pad'/],
  ])("says where: %s", async (_what, file, content, message) => {
    const cwd = project({
      [file]: content,
      "broken.ts": "\n\nexport const x: = 1;",
      "broken.mjs": "\nexport const x = = 1;",
      "other.mjs": "export const other = 1;",
    });
    const { error } = await load(cwd, file);
    expect(error).toMatchObject({ name: "AppLoadError", code: "AppLoad" });
    expect(error.message).toMatch(message);
  });

  test("says that its project lacks the package", async () => {
    const cwd = project({ "app.ts": 'import "tenure";' });
    rmSync(join(cwd, "node_modules"), { recursive: true });
    expect((await load(cwd, "app.ts")).error.message).toMatch(/'tenure'[^]*Hint: .*npm install tenure/);
  });
});

describe("modules", () => {
  test("are evaluated once for each load, however often they are imported", async () => {
    const shared = 'console.log("shared"); export const shared = 1;';
    const ts = project({
      "app.ts": `${IMPORT} import "./a.js"; import "./b.js"; export const one = ${define("one")};`,
      "a.ts": 'import "./shared.js";',
      "b.ts": 'import "./shared.js";',
      "shared.ts": shared,
    });
    expect((await load(ts, "app.ts", 3)).said).toEqual(["shared", "shared", "shared"]);
    const native = project({
      "app.mjs": `${IMPORT} import "./a.mjs"; import "./b.mjs"; export const one = ${define("one")};`,
      "a.mjs": 'import "./shared.mjs";',
      "b.mjs": 'import "./shared.mjs";',
      "shared.mjs": shared,
    });
    expect((await load(native, "app.mjs", 3)).said).toEqual(["shared", "shared", "shared"]);
  });

  test("of a native app that throws are evaluated once", async () => {
    const cwd = project({ "app.mjs": 'console.log("evaluated"); throw new Error("no");' });
    expect((await load(cwd, "app.mjs")).said).toEqual(["evaluated"]);
  });

  test("may await, and import packages and JSON", async () => {
    const cwd = project({
      "app.ts": `${IMPORT} import settings from "./settings.json"; await Promise.resolve();
        export const one = orchestration(settings.name, async () => 1);`,
      "settings.json": '{"name":"fromJson"}',
    });
    expect((await load(cwd, "app.ts")).names).toEqual(["fromJson"]);
  });

  test("that were loaded are told, also from outside the app's folder", async () => {
    const cwd = project({
      "apps/app.ts": `${IMPORT} import "../lib/x.js"; export const one = ${define("one")};`,
      "lib/x.ts": "export {};",
    });
    const { files } = await load(cwd, "apps/app.ts", 2);
    expect([...files].sort()).toEqual([join(cwd, "apps/app.ts"), join(cwd, "lib/x.ts")]);
  });
});
