// Values reach the databases as parameters. What is put into the text of a statement is a constant, or made of constants
// by a function that is called with constants; the few other expressions are listed, each looked at by somebody.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { expect, test } from "vitest";

const stores = fileURLToPath(new URL("../../src/stores/", import.meta.url));

/** Looked at: pieces of statements, numbers of ours, names of settings, and names that were quoted or drawn by us. */
const REVIEWED: Readonly<Record<string, readonly string[]>> = {
  "postgres/commands.ts": ["lock"],
  "postgres/database.ts": [
    "lockTimeoutMs",
    "name",
    "opening",
    "receipt.id",
    "table",
    "used.join(\"', '\")",
    "value",
  ],
  "postgres/end-run.ts": ["which"],
  "postgres/list.ts": [
    'conditions.map((condition) => condition(parameter)).join(" and ")',
    "found",
    "rows(parameter)",
    "walk.rows(parameter)",
    "whereOf([...walk.conditions, ...until, ...instanceConditions(filter)], parameter)",
    "whereOf(conditions, parameter)",
    "whereOf(tags, parameter)",
  ],
  "postgres/listener.ts": ["channel", "lock"],
  "postgres/lock-session.ts": ["what"],
  "postgres/migrate.ts": [
    "from",
    "key",
    "minReader",
    "name",
    "quoteName(schema)",
    "quoteText(place.schema)",
    "quoteText(schema)",
    "tables",
    "version",
    "version - 1",
  ],
  "postgres/reads.ts": ["inShards(shards, 4)"],
  "postgres/remains.ts": ["more", "of"],
  "postgres/tasks.ts": ["lock", "order", "spare", "worker"],
  "postgres/turn-statement.ts": [
    '[...returned, "i.token", "i.run", "i.shard", "i.mail", "i.parent"].join(", ")',
    "branch",
    'branches.join(" union all ")',
    'columns.map(({ name, type }, index) => `$${index + 2}::${type} as ${name}`).join(", ")',
    "customStatus",
    'expressions.join(",\\n")',
    "index",
    'set.join(", ")',
    "source(columns, lone)",
    'which.join(" or ")',
  ],
  "sqlite/connection.ts": ["pragma"],
  "sqlite/engine-lock.ts": ["patienceMs"],
  "sqlite/list.ts": ["conditions.sql", "rows.sql", "sql", "until", "walk.sql"],
  "sqlite/reads.ts": ["inShards(shards)"],
  "sqlite/turns.ts": ['CONSUMED_EXIST[consumes] ?? ""', "raises"],
};

test("no statement is made of what a caller gave", () => {
  const found = new Map<string, string[]>();
  for (const file of readdirSync(stores, { recursive: true, encoding: "utf8" })) {
    if (!/^(sqlite|postgres)\/.*\.ts$/.test(file) || file.endsWith(".test.ts")) continue;
    const pieces = unsafePieces(readFileSync(`${stores}${file}`, "utf8"));
    if (pieces.length > 0) found.set(file, [...new Set(pieces)].toSorted());
  }
  // A new one: bind it as a parameter. Where it cannot be one, look twice, and list it.
  expect(Object.fromEntries(found)).toEqual(REVIEWED);
});

test.each([
  "query(`select * from inst where id = '${id}'`)",
  "query(`update inst set x = 1 where id in (${ids.join()})`)",
  "query(`select 1 from inst where id = ${keyed(id)}`)",
  "query(`select 1 from inst ${where ? `where id = '${id}'` : ''}`)",
  "query('select * from inst where id = ' + id)",
  "query(`delete from inst where ` + condition)",
])("it is found: %s", (code) => {
  expect(unsafePieces(code)).toHaveLength(1);
});

test.each([
  "query(`select ${COLUMNS} from inst where id = $1`, [id])",
  "query(`select ${keyed('i.iid', 'u.iid')} from inst`)",
  "query(`select 1 from inst where id = ${parameter(id)}`)",
  "query(`select 1 from inst ${has(ENDS) ? `and x = ${ANY}` : ''}`)",
  "throw new Error(`select another name than ${name}`)",
])("it is allowed: %s", (code) => {
  expect(unsafePieces(code)).toEqual([]);
});

const SQL =
  /\b(select|insert into|update \S+ set|delete from|where|from @?\w+|set local|create (schema|table)|listen|notify|pragma|order by|case when|limit|returning)\b/i;

/** The expressions in statements of a source text that are no constants. */
function unsafePieces(text: string): string[] {
  const pieces: string[] = [];
  const visit = (node: ts.Node): void => {
    if (isMessage(node)) return;
    if (ts.isTemplateExpression(node) && SQL.test(textOf(node))) {
      pieces.push(...node.templateSpans.flatMap(({ expression }) => unsafe(expression)));
      return;
    }
    if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.PlusToken) {
      if (ts.isStringLiteralLike(node.left) && SQL.test(node.left.text)) pieces.push(...unsafe(node.right));
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile("file.ts", text, ts.ScriptTarget.Latest, true));
  return pieces;
}

/** Errors are written for people. */
function isMessage(node: ts.Node): boolean {
  return (
    ts.isThrowStatement(node) || (ts.isNewExpression(node) && node.expression.getText().endsWith("Error"))
  );
}

function textOf(node: ts.TemplateExpression): string {
  return [node.head.text, ...node.templateSpans.map(({ literal }) => literal.text)].join("?");
}

/** An expression's text, unless it can only be made of constants. `parameter(…)` binds what it is given. */
function unsafe(node: ts.Expression): string[] {
  if (ts.isStringLiteralLike(node) || ts.isNumericLiteral(node)) return [];
  if (/^[A-Z][A-Z\d_]*(\.\w+)?$/.test(node.getText())) return [];
  if (ts.isParenthesizedExpression(node)) return unsafe(node.expression);
  if (ts.isConditionalExpression(node)) return [...unsafe(node.whenTrue), ...unsafe(node.whenFalse)];
  if (ts.isTemplateExpression(node))
    return node.templateSpans.flatMap(({ expression }) => unsafe(expression));
  if (ts.isObjectLiteralExpression(node)) {
    return node.properties.flatMap((each) =>
      ts.isPropertyAssignment(each) ? unsafe(each.initializer) : [each.getText()],
    );
  }
  if (ts.isCallExpression(node) && ts.isIdentifier(node.expression)) {
    if (node.expression.text === "parameter") return [];
    if (node.arguments.every((argument) => unsafe(argument).length === 0)) return [];
  }
  return [node.getText().replace(/\s+/g, " ")];
}
