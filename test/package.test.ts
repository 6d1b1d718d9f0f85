// The package as it is published: packed, installed in an empty folder with nothing else, and used.
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { cleanUp, launch, type Result, type Running, type RunOptions, root, until } from "./cli-process.js";

// The two programs with which everybody begins; the examples are tested as they stand.
const hello = join(root, "examples", "hello");
const APP = readFileSync(join(hello, "app.ts"), "utf8");
const MAIN = readFileSync(join(hello, "main.ts"), "utf8");

const folders: string[] = [];
let installed = "";

beforeAll(async () => {
  const packed = folder({});
  await done("npm", ["pack", "--silent", "--pack-destination", packed], { cwd: root });
  const [tarball = ""] = readdirSync(packed);
  installed = folder({});
  const options = ["--prefer-offline", "--no-audit", "--no-fund", "--silent"];
  await done("npm", ["install", ...options, join(packed, tarball)], { cwd: installed });
}, 300_000);

afterEach(cleanUp);

afterAll(() => {
  for (const each of folders) rmSync(each, { recursive: true, force: true });
});

/** A folder with these files. */
function folder(files: Readonly<Record<string, string>>): string {
  const path = realpathSync(mkdtempSync(join(tmpdir(), "tenure-package-")));
  folders.push(path);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(path, name), content);
  return path;
}

/** A project that has the installed package. */
function consumer(files: Readonly<Record<string, string>>): string {
  const path = folder(files);
  symlinkSync(join(installed, "node_modules"), join(path, "node_modules"), "dir");
  return path;
}

/** Runs a command to its end, which must be a good one. */
async function done(command: string, args: readonly string[], options: RunOptions): Promise<Result> {
  const running = launch(command, args, options);
  const code = await running.ended;
  const result = { code, stdout: running.stdout(), stderr: running.stderr() };
  if (code !== 0) {
    throw new Error(`${command} ${args.join(" ")} ended with ${code}:\n${result.stdout}\n${result.stderr}`);
  }
  return result;
}

async function dev(cwd: string, ...args: string[]): Promise<Running & { readonly url: string }> {
  const running = launch(join(cwd, "node_modules", ".bin", "tenure"), ["dev", ...args, "--port", "0"], {
    cwd,
  });
  const [url = ""] = await running.said(/http:\/\/127\.0\.0\.1:\d+/);
  return { ...running, url };
}

/** Posts to the program's own trigger, and returns the answer's status, run and awaited output. */
async function greet(url: string, id: string): Promise<{ status: number; run: unknown; output: unknown }> {
  const answer = await fetch(`${url}/api/orchestrators/helloCities/${id}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: '["Tokyo","Seattle"]',
  });
  const { statusQueryGetUri } = Object.assign({ statusQueryGetUri: "" }, await answer.json());
  const ended = await until(async () => {
    const status = await fetch(statusQueryGetUri);
    return status.status === 200
      ? Object.assign({ run: 0, output: undefined }, await status.json())
      : undefined;
  });
  return { status: answer.status, run: ended.run, output: ended.output };
}

const greetings = ["Hello, Tokyo!", "Hello, Seattle!"];

describe("the first program", () => {
  test("runs in an empty folder that has the package: npx tenure dev app.ts", async () => {
    writeFileSync(join(installed, "app.ts"), APP);
    const version = await done("npx", ["--no-install", "tenure", "--version"], { cwd: installed });
    expect(version.stdout).toMatch(/^\d+\.\d+\.\d+/);
    const { url } = await dev(installed, "app.ts");
    expect(await greet(url, "first")).toEqual({ status: 202, run: 1, output: greetings });
    expect(await greet(url, "first")).toEqual({ status: 202, run: 2, output: greetings });
    const bad = await fetch(`${url}/api/orchestrators/helloCities/bad`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '["Tokyo"',
    });
    expect(bad.status).toBe(400);
  });

  const split = {
    "sayHello.ts": `import { activity } from "tenure";
      enum Greeting { hello = "Hello" }
      export const sayHello = activity("sayHello", async (_ctx, city: string) => Greeting.hello + ", " + city + "!");`,
    "app.ts": APP.replace(
      /^export const sayHello.*$/m,
      'import { sayHello } from "./sayHello.js";\nexport { sayHello };',
    ),
  };
  const plain = APP.replaceAll(/: string(\[\])?/g, "");

  test.each<[what: string, files: Readonly<Record<string, string>>]>([
    ["in a commonjs project", { "package.json": '{"type":"commonjs"}', ...split }],
    ["in a project of ES modules", { "package.json": '{"type":"module"}', ...split }],
    ["in a project of neither, ./x.js meaning x.ts", { "package.json": "{}", ...split }],
    [
      "as .mts, ./x.mjs meaning x.mts",
      {
        "package.json": '{"type":"commonjs"}',
        "sayHello.mts": split["sayHello.ts"],
        "app.mts": split["app.ts"].replace("sayHello.js", "sayHello.mjs"),
      },
    ],
    ["as .mjs", { "app.mjs": plain }],
    ["as .js in a project of ES modules", { "package.json": '{"type":"module"}', "app.js": plain }],
    [
      "as .js with import and export in a commonjs project",
      { "package.json": '{"type":"commonjs"}', "app.js": plain },
    ],
    [
      "as .js with require",
      {
        "package.json": '{"type":"commonjs"}',
        "app.js": `${plain.replace(/^import (.*) from "tenure";/m, 'const $1 = require("tenure");').replaceAll("export const", "const")}
          module.exports = { sayHello, nested: [helloCities, { httpStartSingle }] };`,
      },
    ],
    [
      "as .mjs that imports TypeScript",
      {
        "sayHello.ts": split["sayHello.ts"],
        "app.mjs": plain.replace(
          /^export const sayHello.*$/m,
          'export { sayHello } from "./sayHello.js";\nimport { sayHello } from "./sayHello.js";',
        ),
      },
    ],
    [
      "with a default export",
      {
        "app.ts": `${APP.replaceAll("export const", "const")}\nexport default { sayHello, helloCities, httpStartSingle };`,
      },
    ],
  ])("runs %s", async (_what, files) => {
    const { url } = await dev(consumer(files));
    expect(await greet(url, "hello")).toEqual({ status: 202, run: 1, output: greetings });
  });
});

describe("the second program", () => {
  const outcome = /^started [0-9a-f]{32} 1\nCompleted \[ 'Hello, Tokyo!' \]\n$/;

  test("compiles, strictly and with the package's types checked too, and runs", async () => {
    const cwd = consumer({ "package.json": '{"type":"module"}', "app.ts": APP, "main.ts": MAIN });
    const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");
    const types = join(root, "node_modules", "@types");
    const options = [
      "--strict",
      "--exactOptionalPropertyTypes",
      "--target",
      "ES2022",
      "--module",
      "NodeNext",
    ];
    const lib = ["--lib", "ES2022,ESNext.Disposable", "--types", "node", "--typeRoots", types];
    await done(process.execPath, [tsc, ...options, ...lib, "main.ts"], { cwd });
    const { stdout } = await done(process.execPath, ["main.js"], { cwd });
    expect(stdout).toMatch(outcome);
    expect((await done(process.execPath, ["main.js"], { cwd })).stdout).toMatch(/^started [0-9a-f]{32} 2\n/);
  });

  test("runs as it is, by jiti, in a commonjs project too", async () => {
    for (const type of ["module", "commonjs"]) {
      const cwd = consumer({ "package.json": JSON.stringify({ type }), "app.ts": APP, "main.ts": MAIN });
      const jiti = join(cwd, "node_modules", "jiti", "lib", "jiti-cli.mjs");
      expect((await done(process.execPath, [jiti, "main.ts"], { cwd })).stdout).toMatch(outcome);
    }
  });
});

describe("importing the package", () => {
  test.each([
    ["import { activity, orchestration, httpTrigger, TaskHub } from 'tenure';", []],
    [
      "import { TaskHub } from 'tenure'; await (await TaskHub.open({ store: 'memory', functions: [] })).close();",
      [],
    ],
    ["import 'tenure/http';", ["@hono/node-server", "hono", "zod"]],
  ])("loads no library before it is needed: %s", async (program, libraries) => {
    const cwd = consumer({ "main.mjs": program, "record.mjs": RECORD, "record-hooks.mjs": RECORD_HOOKS });
    const { stdout } = await done(process.execPath, ["--import", "./record.mjs", "main.mjs"], { cwd });
    const loaded = stdout.split("\n").filter((line) => line.includes("/node_modules/"));
    expect(
      loaded.some((line) => line.endsWith("/tenure/dist/index.js") || line.includes("/tenure/dist/http/")),
    ).toBe(true);
    const packages = new Set(
      loaded.map((line) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(line)?.[1] ?? line),
    );
    packages.delete("tenure");
    expect([...packages].toSorted()).toEqual(libraries);
    // A store with its driver is one of the things that are loaded late.
    const stores = loaded.filter((line) => /\/stores\/\w+\//.test(line));
    expect(stores.length > 0).toBe(program.includes("memory"));
  });

  test("is possible for everything that the package exports", async () => {
    const entries = ["", "/http", "/postgres", "/testing", "/conformance", "/package.json"].map(
      (path) => `tenure${path}`,
    );
    const imports = entries.map((entry) =>
      entry.endsWith("json") ? `import.meta.resolve("${entry}")` : `await import("${entry}")`,
    );
    const cwd = consumer({ "main.mjs": `${imports.join(";\n")};\nconsole.log("fine");` });
    expect((await done(process.execPath, ["main.mjs"], { cwd })).stdout).toBe("fine\n");
  });
});

test("the tarball holds the built package and nothing else", () => {
  const files = readdirSync(join(installed, "node_modules", "tenure"), { recursive: true, encoding: "utf8" });
  expect(files).toContain(join("dist", "cli", "main.js"));
  expect(files).toEqual(expect.arrayContaining(["LICENSE", "README.md", "package.json"]));
  expect(
    files.filter((file) => /\.test\.|tsbuildinfo|\.stamp|^(src|test|bench|node_modules)\b/.test(file)),
  ).toEqual([]);
});

// Prints every module as it is loaded: ES modules by a hook, CommonJS ones by the require cache at the end.
const RECORD = `
import { createRequire, register } from "node:module";
import { MessageChannel } from "node:worker_threads";
const { cache } = createRequire(import.meta.url);
const { port1, port2 } = new MessageChannel();
const seen = new Set();
port1.on("message", (url) => seen.add(url)).unref();
register("./record-hooks.mjs", import.meta.url, { data: { port: port2 }, transferList: [port2] });
let flushed = false;
process.on("beforeExit", () => {
  if (flushed) return;
  flushed = true;
  setTimeout(() => {
    for (const url of [...seen, ...Object.keys(cache)]) console.log(url);
  }, 200);
});
`;
const RECORD_HOOKS = `
let port;
export const initialize = (data) => { port = data.port; };
export const load = async (url, context, next) => { port.postMessage(url); return next(url, context); };
`;
