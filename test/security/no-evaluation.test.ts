// What is stored or sent never becomes code: replay calls functions that are registered, filters are no programs, and
// an app's file is loaded by its path alone.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { expect, test } from "vitest";

const source = fileURLToPath(new URL("../../src/", import.meta.url));

test("nothing in src evaluates text", () => {
  const found = readdirSync(source, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .flatMap((file) => evaluations(readFileSync(`${source}${file}`, "utf8")).map((code) => [file, code]));
  expect(found).toEqual([]);
});

test.each([
  "eval('1')",
  "globalThis.eval(text)",
  "(0, eval)(text)",
  "const run = eval;",
  "new Function('return 1')",
  "Function(text)()",
  "globalThis['Function'](text)",
  "const F = async () => {}; F.constructor(text)",
  "''.sub['constructor'](text)",
  "import vm from 'node:vm'",
  "import { runInThisContext } from 'vm'",
  "await import('node:vm')",
  "require('vm')",
  "new Worker(text, { eval: true })",
  "setTimeout('text', 1)",
  "await import('data:text/javascript,1')",
  "import inspector from 'node:inspector'",
])("it is found: %s", (code) => {
  expect(evaluations(code)).not.toEqual([]);
});

test.each([
  "const evaluate = 1; evaluate(2)",
  "type F = Function;",
  "const text = 'eval(1)'; // eval",
  "x.constructor === Object",
  "if (typeof given === 'function') given.constructor.name",
  "setTimeout(() => {}, 1)",
  "await import(path)",
])("it is allowed: %s", (code) => {
  expect(evaluations(code)).toEqual([]);
});

const MODULES = /^(node:)?(vm|inspector|repl)(\/.*)?$|^data:/;

/** The places of a source text that make code of text. */
function evaluations(text: string): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (evaluates(node)) found.push(node.getText().slice(0, 80));
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile("file.ts", text, ts.ScriptTarget.Latest, true));
  return found;
}

function evaluates(node: ts.Node): boolean {
  if (ts.isTypeNode(node)) return false;
  if (ts.isIdentifier(node)) {
    const isType = ts.isTypeReferenceNode(node.parent);
    return !isType && (node.text === "eval" || node.text === "Function");
  }
  if (ts.isStringLiteralLike(node)) {
    const { parent } = node;
    if (ts.isElementAccessExpression(parent)) return ["eval", "Function"].includes(node.text);
    const isModule =
      ts.isImportDeclaration(parent) || ts.isExportDeclaration(parent) || ts.isCallExpression(parent);
    return isModule && MODULES.test(node.text);
  }
  if (!ts.isCallExpression(node) && !ts.isNewExpression(node)) return false;
  const { expression } = node;
  if (nameOf(expression) === "constructor") return true;
  const [first] = node.arguments ?? [];
  return (
    /^set(Timeout|Interval|Immediate)$/.test(nameOf(expression)) &&
    first !== undefined &&
    ts.isStringLiteralLike(first)
  );
}

/** What is called: of `a.b`, `a["b"]` and `b` it is b. */
function nameOf(expression: ts.Expression): string {
  if (ts.isPropertyAccessExpression(expression)) return expression.name.text;
  if (ts.isElementAccessExpression(expression) && ts.isStringLiteralLike(expression.argumentExpression))
    return expression.argumentExpression.text;
  return ts.isIdentifier(expression) ? expression.text : "";
}
