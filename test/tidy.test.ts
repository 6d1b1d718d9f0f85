// The rules of this repository that no compiler or linter knows. Each rule is a function from text to problems,
// followed by a self-test on planted text: a checker that catches nothing looks like a clean repository.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, posix, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { describe, expect, test } from "vitest";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

describe("import directions", () => {
  test("hold in src", () => {
    expect(shippedSource().flatMap(({ path, text }) => importProblems(path, text))).toEqual([]);
  });

  test.each<[path: string, code: string]>([
    ["src/core/turn.ts", 'import { TaskHub } from "../task-hub.js";'],
    ["src/core/turn.ts", 'import type { Replayer } from "../replay/replayer.js";'],
    ["src/core/turn.ts", 'export * from "../worker/dispatcher.js";'],
    ["src/core/turn.ts", 'export type { Lease } from "../worker/lease.js";'],
    ["src/core/turn.ts", 'type Lease = import("../worker/lease.js").Lease;'],
    ["src/core/turn.ts", 'const lease = await import("../worker/lease.js");'],
    ["src/core/turn.ts", "const lease = await import(`../worker/lease.js`);"],
    ["src/core/turn.ts", 'import "../worker/lease.js";'],
    ["src/core/turn.ts", 'import { z } from "zod";'],
    ["src/core/turn.ts", 'import { createHash } from "node:crypto";'],
    ["src/core/turn.ts", 'import { TaskHub } from "tenure";'],
    ["src/core/turn.ts", 'import { version } from "../../package.json";'],
    ["src/replay/replayer.ts", 'import { Dispatcher } from "../worker/dispatcher.js";'],
    ["src/worker/dispatcher.ts", 'import { TaskHubClient } from "../client/task-hub-client.js";'],
    ["src/worker/dispatcher.ts", 'import { rows } from "../stores/rows.js";'],
    ["src/worker/dispatcher.ts", 'import { setTimeout } from "node:timers/promises";'],
    ["src/client/task-hub-client.ts", 'import { systemEnv } from "../system-env.js";'],
    ["src/stores/rows.ts", 'import { SqliteStore } from "./sqlite/store.js";'],
    ["src/stores/rows.ts", 'import { TaskHubClient } from "../client/task-hub-client.js";'],
    ["src/stores/sqlite/store.ts", 'import { MemoryStore } from "../memory/store.js";'],
    ["src/stores/conformance/index.ts", 'import { MemoryStore } from "../memory/store.js";'],
    ["src/http/app.ts", 'import { rows } from "../stores/rows.js";'],
    ["src/http/app.ts", 'import { main } from "../cli/main.js";'],
    ["src/http/app.ts", 'import { TaskHub } from "../task-hub.js";'],
    ["src/grpc/service.ts", 'import { SqliteStore } from "../stores/sqlite/store.js";'],
    ["src/grpc/service.ts", 'import { app } from "../http/app.js";'],
    ["src/http/trigger.ts", 'import { app } from "./app.js";'],
    ["src/http/trigger.ts", 'import { Hono } from "hono";'],
    ["src/testing/index.ts", 'import { main } from "../cli/main.js";'],
    ["src/index.ts", 'export { SqliteStore } from "./stores/sqlite/store.js";'],
    ["src/index.ts", 'export { app } from "./http/app.js";'],
    ["src/task-hub.ts", 'export { TestHub } from "./testing/index.js";'],
    ["src/system-env.ts", 'import { TaskHub } from "./task-hub.js";'],
    ["src/elsewhere/new.ts", 'import { applyTurn } from "../core/turn.js";'],
  ])("refuse in %s: %s", (path, code) => {
    expect(importProblems(path, code)).toHaveLength(1);
  });

  test.each<[path: string, code: string]>([
    ["src/core/turn.ts", 'import { apply } from "./history.js"; // import "../worker/lease.js"'],
    ["src/core/turn.ts", "const text = 'import \"../worker/lease.js\"';"],
    ["src/worker/dispatcher.ts", 'import type { Store } from "../core/store.js";'],
    ["src/stores/sqlite/store.ts", 'import { rows } from "../rows.js"; import "node:sqlite";'],
    [
      "src/http/app.ts",
      'import { Hono } from "hono"; import "../client/task-hub-client.js"; import "../core/a.js";',
    ],
    ["src/http/trigger.ts", 'import type { TaskHubClient } from "../client/task-hub-client.js";'],
    ["src/testing/index.ts", 'import "../stores/memory/store.js"; import "../task-hub.js";'],
    ["src/index.ts", 'export * from "./task-hub.js"; export * from "./http/trigger.js";'],
    [
      "src/task-hub.ts",
      'import "./stores/sqlite/store.js"; import "./system-env.js"; import "./worker/a.js";',
    ],
    [
      "src/cli/main.ts",
      'import "../stores/memory/store.js"; import "../http/index.js"; import "../index.js";',
    ],
  ])("allow in %s: %s", (path, code) => {
    expect(importProblems(path, code)).toEqual([]);
  });
});

describe("time, randomness and the process", () => {
  test("reach core, replay, worker and client only through Env", () => {
    const seen = shippedSource().filter(({ path }) => /^src\/(core|replay|worker|client)\//.test(path));
    expect(seen.flatMap(({ path, text }) => ambientProblems(path, text))).toEqual([]);
  });

  test.each([
    "const at = Date.now();",
    "const at = new Date();",
    "const at = new Date;",
    "const text = Date();",
    "const { now } = Date;",
    "setTimeout(() => {}, 1);",
    "setInterval(() => {}, 1);",
    "setImmediate(() => {});",
    "globalThis.setTimeout(() => {}, 1);",
    "const later = { setTimeout };",
    "const r = Math.random();",
    'const r = Math["random"]();',
    "const { random } = Math;",
    "const id = crypto.randomUUID();",
    "const pid = process.pid;",
    "const at = performance.now();",
  ])("refuse: %s", (code) => {
    expect(ambientProblems("src/core/planted.ts", code)).toHaveLength(1);
  });

  test.each([
    "const at = new Date(ms).toISOString();",
    "const ok = value instanceof Date && Date.parse(text) > 0;",
    "function show(at: Date): string { return at.toISOString(); }",
    "const n = Math.max(1, 2);",
    "await env.sleep(1); this.process.run(); const a = { performance: 1 };",
    "// Date.now(), setTimeout and process.env stay out",
    'const text = "Date.now()";',
  ])("allow: %s", (code) => {
    expect(ambientProblems("src/core/planted.ts", code)).toEqual([]);
  });
});

describe("console", () => {
  test("is used only by the CLI", () => {
    const silent = shippedSource().filter(({ path }) => !path.startsWith("src/cli/"));
    expect(silent.flatMap(({ path, text }) => consoleProblems(path, text))).toEqual([]);
  });

  test("is found", () => {
    expect(consoleProblems("a.ts", 'console.log("here");')).toHaveLength(1);
    expect(consoleProblems("a.ts", '// console.log("here")\nthis.console.log("console.log");')).toEqual([]);
  });
});

describe("only", () => {
  test("is left on no test", () => {
    const tests = [...sourceIn("src"), ...sourceIn("test")].filter(({ path }) => path.endsWith(".test.ts"));
    expect(tests).not.toEqual([]);
    expect(tests.flatMap(({ path, text }) => onlyProblems(path, text))).toEqual([]);
  });

  test("is found", () => {
    for (const code of [
      'test.only("a", f);',
      "describe.only.each([])(f);",
      "it.concurrent.only(f);",
      "test\n.only(f)",
    ]) {
      expect(onlyProblems("a.test.ts", code)).toHaveLength(1);
    }
    expect(onlyProblems("a.test.ts", 'test("x", f); // test.only(')).toEqual([]);
  });
});

describe("links in the documentation", () => {
  test("lead to files", () => {
    const pages = repositoryFiles().filter((path) => /^(README\.md|docs\/.*\.md)$/.test(path));
    expect(pages.flatMap((path) => linkProblems(path, read(path), exists))).toEqual([]);
  });

  test("are found and resolved against their page", () => {
    const has = (path: string): boolean => path === "docs/there.md";
    for (const link of [
      "[a](gone.md)",
      "[a](../docs/gone.md#x)",
      "![a](<gone.png>)",
      "[a]: ./gone.md",
      '<img src="gone.svg">',
    ]) {
      expect(linkProblems("docs/page.md", link, has)).toHaveLength(1);
    }
    const fine =
      "[a](there.md#x) [b](../docs/there.md) [c](#x) [d](https://example.org/x) `[e](gone.md)`\n```\n[f](gone.md)\n```\n";
    expect(linkProblems("docs/page.md", fine, has)).toEqual([]);
  });
});

describe("committed files", () => {
  test("name no folder of one machine", () => {
    const files = repositoryFiles().map((path) => ({ path, text: read(path) }));
    expect(files.flatMap(({ path, text }) => machinePathProblems(path, text))).toEqual([]);
  });

  test("name no private registry in lockfiles", () => {
    const lockfiles = repositoryFiles().filter((path) => posix.basename(path) === "package-lock.json");
    expect(lockfiles).not.toEqual([]);
    expect(lockfiles.flatMap((path) => registryProblems(path, read(path)))).toEqual([]);
  });

  test("are searched", () => {
    const folder = (name: string): string => `/${name}/`;
    for (const name of ["work", "root", "home/someone", "Users/Someone"]) {
      expect(machinePathProblems("a.md", `see ${folder(name)}notes.md`)).toHaveLength(1);
      expect(machinePathProblems("a.md", `"file://${folder(name)}a.ts"`)).toHaveLength(1);
    }
    expect(machinePathProblems("a.md", "https://example.org/work/x ../work/x src/root/x /workers/x")).toEqual(
      [],
    );
    expect(registryProblems("a.json", '"resolved": "https://registry.example.org/a.tgz"')).toHaveLength(1);
    expect(registryProblems("a.json", '"resolved": "https://registry.npmjs.org/a.tgz"')).toEqual([]);
  });
});

// --- import directions --------------------------------------------------------------------------------------------

interface ImportRule {
  /** Areas, besides its own, that it may import. */
  areas: readonly string[];
  /** May it import npm packages and Node's modules? */
  packages: boolean;
}

const middle = ["replay", "worker", "client"];

/** core ← {replay, worker, client, stores} ← {http, grpc, testing} ← cli, with index and task-hub as composing roots. */
const rules: Readonly<Record<string, ImportRule>> = {
  core: { areas: [], packages: false },
  replay: { areas: ["core"], packages: false },
  worker: { areas: ["core"], packages: false },
  client: { areas: ["core"], packages: false },
  // A store folder is an area of its own: it sees the shared files beside it, not its siblings.
  stores: { areas: ["core"], packages: true },
  "stores/*": { areas: ["core", "stores"], packages: true },
  http: { areas: ["core", ...middle, "http/trigger"], packages: true },
  // Only a definition: users' apps import it through index without loading a server.
  "http/trigger": { areas: ["core", ...middle], packages: false },
  grpc: { areas: ["core", ...middle], packages: true },
  testing: {
    areas: ["core", ...middle, "stores", "stores/*", "task-hub", "system-env", "index"],
    packages: true,
  },
  "system-env": { areas: ["core"], packages: true },
  "unhandled-rejections": { areas: ["core"], packages: true },
  "task-hub": {
    areas: ["core", ...middle, "stores", "stores/*", "http/trigger", "system-env", "unhandled-rejections"],
    packages: true,
  },
  index: { areas: ["core", ...middle, "stores", "http/trigger", "task-hub", "system-env"], packages: true },
  cli: { areas: ["*"], packages: true },
};

function importProblems(path: string, text: string): string[] {
  const rule = ruleOf(areaOf(path));
  if (rule === undefined) return [`${path}: src has no such area; give it a rule in test/tidy.test.ts`];
  return importsOf(text)
    .filter((specifier) => !mayImport(path, rule, specifier))
    .map((specifier) => `${path} must not import "${specifier}"`);
}

function mayImport(path: string, rule: ImportRule, specifier: string): boolean {
  if (!specifier.startsWith(".")) return rule.packages && !/^tenure(\/|$)/.test(specifier);
  const target = posix.join(posix.dirname(path), specifier).replace(/\.js$/, ".ts");
  if (!target.startsWith("src/")) return false;
  const area = areaOf(target);
  if (area === areaOf(path) || rule.areas.includes("*") || rule.areas.includes(area)) return true;
  return area.startsWith("stores/") && rule.areas.includes("stores/*");
}

function ruleOf(area: string): ImportRule | undefined {
  return rules[area] ?? (area.startsWith("stores/") ? rules["stores/*"] : undefined);
}

/** src/task-hub.ts → task-hub, src/core/turn.ts → core, src/stores/rows.ts → stores, src/stores/sqlite/a.ts → stores/sqlite. */
function areaOf(path: string): string {
  const [first = "", second, third] = path
    .replace(/^src\//, "")
    .replace(/\.ts$/, "")
    .split("/");
  if (first === "stores" && third !== undefined) return `stores/${second}`;
  if (first === "http" && second === "trigger") return "http/trigger";
  return first;
}

/** Static and dynamic imports, re-exports and import types; `import type` counts like any other. */
function importsOf(text: string): string[] {
  const found: string[] = [];
  visit(parse("file.ts", text), (node) => {
    const specifier = specifierOf(node);
    if (specifier !== undefined && ts.isStringLiteralLike(specifier)) found.push(specifier.text);
  });
  return found;
}

function specifierOf(node: ts.Node): ts.Node | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return node.moduleSpecifier;
  if (ts.isExternalModuleReference(node)) return node.expression;
  if (ts.isImportTypeNode(node))
    return ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined;
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
    return node.arguments[0];
  return undefined;
}

// --- ambient globals, console, only -------------------------------------------------------------------------------

const ambient = new Set([
  "setTimeout",
  "setInterval",
  "setImmediate",
  "crypto",
  "process",
  "performance",
  "globalThis",
]);

function ambientProblems(path: string, text: string): string[] {
  return problemsAt(path, text, (node) => {
    if (!isReference(node)) return undefined;
    if (ambient.has(node.text)) return `${node.text} is for Env`;
    if (node.text === "Date" && !isPureUse(node, ["parse", "UTC", "prototype"])) return "the time is for Env";
    if (node.text === "Math" && !isPureUse(node)) return "randomness is for Env";
    return undefined;
  });
}

/** `Date` and `Math` are pure in `new Date(x)`, `x instanceof Date`, and as the object of a pure member. */
function isPureUse(node: ts.Identifier, members?: readonly string[]): boolean {
  const { parent } = node;
  if (ts.isNewExpression(parent) && parent.expression === node) return (parent.arguments?.length ?? 0) > 0;
  if (ts.isBinaryExpression(parent)) return parent.operatorToken.kind === ts.SyntaxKind.InstanceOfKeyword;
  if (!ts.isPropertyAccessExpression(parent)) return false;
  return members === undefined ? parent.name.text !== "random" : members.includes(parent.name.text);
}

function consoleProblems(path: string, text: string): string[] {
  return problemsAt(path, text, (node) =>
    isReference(node) && node.text === "console" ? "console is for the CLI; take a logger" : undefined,
  );
}

function onlyProblems(path: string, text: string): string[] {
  return problemsAt(path, text, (node) =>
    ts.isPropertyAccessExpression(node) && node.name.text === "only" ? "runs alone" : undefined,
  );
}

/** Does this identifier stand for a value in scope, rather than name a member, a property or a type? */
function isReference(node: ts.Node): node is ts.Identifier {
  if (!ts.isIdentifier(node) || ts.isPartOfTypeNode(node)) return false;
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node;
  if (ts.isBindingElement(parent)) return parent.propertyName !== node;
  if (ts.isPropertyAssignment(parent) || ts.isEnumMember(parent)) return parent.name !== node;
  if (ts.isClassElement(parent) || ts.isTypeElement(parent)) return parent.name !== node;
  return !ts.isImportSpecifier(parent) || parent.propertyName !== node;
}

function problemsAt(path: string, text: string, judge: (node: ts.Node) => string | undefined): string[] {
  const file = parse(path, text);
  const problems: string[] = [];
  visit(file, (node) => {
    const problem = judge(node);
    if (problem === undefined) return;
    const { line } = file.getLineAndCharacterOfPosition(node.getStart(file));
    problems.push(`${path}:${line + 1}: ${problem}`);
  });
  return problems;
}

function parse(path: string, text: string): ts.SourceFile {
  return ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
}

function visit(node: ts.Node, see: (node: ts.Node) => void): void {
  see(node);
  ts.forEachChild(node, (child) => visit(child, see));
}

// --- texts --------------------------------------------------------------------------------------------------------

function linkProblems(page: string, text: string, has: (path: string) => boolean): string[] {
  const prose = text.replace(/^(```|~~~)[^]*?^\1/gm, "").replace(/`[^`\n]*`/g, "");
  const links = [
    ...prose.matchAll(/\]\(\s*<?([^)\s>]+)/g),
    ...prose.matchAll(/^\s*\[[^\]]+\]:\s*<?([^\s>]+)/gm),
    ...prose.matchAll(/\b(?:src|href)="([^"]+)"/g),
  ];
  return links
    .map(([, link = ""]) => link)
    .filter((link) => !/^([a-z][a-z0-9+.-]*:|#|\/\/)/i.test(link))
    .filter((link) => !has(posix.join(posix.dirname(page), decodeURI(link.replace(/[?#].*$/, "")))))
    .map((link) => `${page}: ${link} leads nowhere`);
}

function machinePathProblems(path: string, text: string): string[] {
  const found = text.matchAll(/(?<![\w.)\]}-])\/(?:work|root|home\/[\w-]+|Users\/[\w-]+)\//g);
  return [...found].map(([match]) => `${path}: names ${match}`);
}

function registryProblems(path: string, text: string): string[] {
  const found = text.matchAll(/"resolved": "(?!https:\/\/registry\.npmjs\.org\/)([^"]*)"/g);
  return [...found].map(([, url]) => `${path}: was resolved from ${url}`);
}

// --- files --------------------------------------------------------------------------------------------------------

interface File {
  path: string;
  text: string;
}

/** What reaches dist. Tests beside the source may import any store and use the real clock. */
function shippedSource(): File[] {
  return sourceIn("src").filter(({ path }) => !path.endsWith(".test.ts"));
}

function sourceIn(folder: string): File[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .map((path) => ({ path, text: read(path) }));
}

/** What git has or would take with `git add .`; text and binary alike. */
function repositoryFiles(): string[] {
  const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
  });
  return listed
    .split("\0")
    .filter((path) => path !== "" && exists(path) && statSync(join(root, path)).isFile());
}

function exists(path: string): boolean {
  return existsSync(join(root, path));
}

function read(path: string): string {
  return readFileSync(join(root, path), "utf8");
}
