// The document that the server serves of itself, taken at its word: requests that are good, nearly good and bad are
// made from it for every operation, and every answer is held against it. TENURE_FUZZ_RUNS=20000 for more of them,
// TENURE_FUZZ_SEED=… for others.
import * as fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { isWellFormed } from "../../src/core/text.js";
import { httpTrigger } from "../http-kit.js";
import { type Answered, openTarget, type Sent, type Target } from "./http-server.js";

const RUNS = Number(process.env["TENURE_FUZZ_RUNS"] ?? 1200);
const SEED = Number(process.env["TENURE_FUZZ_SEED"] ?? 20261121);

const jsonSchema = z.record(z.string(), z.unknown());
const content = z.record(z.string(), z.object({ schema: jsonSchema }));
const operationSchema = z.object({
  operationId: z.string(),
  parameters: z.array(
    z.object({
      name: z.string(),
      in: z.enum(["path", "query", "header"]),
      required: z.boolean(),
      schema: jsonSchema,
    }),
  ),
  requestBody: z.object({ content }).optional(),
  responses: z.record(z.string(), z.object({ content: content.optional() })),
});
const documentSchema = z.object({
  paths: z.record(z.string(), z.record(z.string(), operationSchema)),
  components: z.object({ schemas: jsonSchema }),
});
type Document = z.infer<typeof documentSchema>;
type Parameter = z.infer<typeof operationSchema>["parameters"][number];

interface Operation extends z.infer<typeof operationSchema> {
  readonly method: string;
  readonly path: string;
}

/** One request, before it is written down. */
interface Attempt {
  readonly operation: Operation;
  readonly values: readonly { readonly parameter: Parameter; readonly text: string | undefined }[];
  readonly sent: Sent;
}

const trigger = httpTrigger("Json", { route: "json/{a}/{b?}" }, async (_request, { json, params }) => ({
  params,
  got: (await json()) ?? null,
}));

let target: Target;
let described: Document;
beforeAll(async () => {
  target = await openTarget({ store: "memory", functions: [trigger] });
  described = documentSchema.parse((await target.ask("GET", "/openapi.json")).body);
});
afterAll(() => target[Symbol.asyncDispose]());

test("every answer is one that the document names, and has the form that it says", {
  timeout: 600_000,
}, async () => {
  const operations = Object.entries(described.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(
      ([method, operation]): Operation => ({ ...operation, method: method.toUpperCase(), path }),
    ),
  );
  const checks = new Checks(described);
  const seen = new Map(operations.map(({ operationId }) => [operationId, new Set<number>()]));
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...operations).chain(attempts), async (attempt) => {
      const answer = await send(attempt);
      checks.check(attempt, answer);
      seen.get(attempt.operation.operationId)?.add(answer.status);
    }),
    { seed: SEED, numRuns: RUNS, endOnFailure: false },
  );
  await target.othersGoOn();

  console.log(
    [...seen]
      .map(([id, statuses]) => `${id}: ${[...statuses].toSorted((a, b) => a - b).join(" ")}`)
      .join("\n"),
  );
  // Else the requests were not good enough, or not bad enough, to say anything. Chance may leave out a few.
  const statusesOf = ({ operationId }: Operation): number[] => [...(seen.get(operationId) ?? [])];
  const canBeGood = operations.filter(({ responses }) =>
    Object.keys(responses).some((status) => Number(status) < 400),
  );
  const canBeBad = operations.filter(({ parameters }) => parameters.length > 0);
  const good = canBeGood.filter((each) => statusesOf(each).some((status) => status < 400));
  const refused = canBeBad.filter((each) => statusesOf(each).some((status) => status >= 400));
  expect(good.length).toBeGreaterThanOrEqual(canBeGood.length - 4);
  expect(refused.length).toBeGreaterThanOrEqual(canBeBad.length - 4);
});

/** Requests for an operation: each parameter is good, nearly good, bad, or left out. */
function attempts(operation: Operation): fc.Arbitrary<Attempt> {
  const values = fc.tuple(
    ...operation.parameters.map((parameter) => valueOf(parameter).map((text) => ({ parameter, text }))),
  );
  const body = operation.requestBody === undefined ? fc.constant(undefined) : bodies(operation);
  return fc.record({
    operation: fc.constant(operation),
    values,
    sent: body.chain((text) => (text === undefined ? fc.constant({}) : sentWith(text))),
  });
}

const NAMES = ["Echo", "Waiter", "Failing", "Busy", "Nobody"];
const IDS = ["one", "two", "three", "four"];

/** What somebody may send where it does not belong. */
const bad = fc.oneof(
  fc.constantFrom(
    "",
    "%",
    "'",
    "\0",
    "a\nb",
    "..",
    "/",
    "@a",
    "__proto__",
    "{}",
    "[]",
    "null",
    "-1",
    "1e999",
    "x".repeat(300),
    "é",
    "true",
    "0",
  ),
  fc.string({ unit: "binary", maxLength: 12 }).filter(isWellFormed),
);

/** An empty segment of a path is left out: it makes another route, as DELETE /instances/ is that of many. */
function valueOf(parameter: Parameter): fc.Arbitrary<string | undefined> {
  const good = goodValue(parameter);
  if (parameter.in === "path")
    return fc.oneof(
      { weight: 9, arbitrary: good },
      { weight: 1, arbitrary: bad.filter((text) => text !== "") },
    );
  const none = { weight: 12, arbitrary: fc.constant(undefined) };
  return fc.oneof(none, { weight: 4, arbitrary: good }, { weight: 1, arbitrary: bad });
}

/** A value that the parameter's schema allows; for names and IDs, one of those that are there. */
function goodValue({ name, schema }: Parameter): fc.Arbitrary<string> {
  if (name === "functionName" || name === "name") return fc.constantFrom(...NAMES);
  if (name === "instanceId" || name === "instanceIdPrefix") return fc.constantFrom(...IDS);
  if (name === "eventName") return fc.constantFrom("go", "other");
  if (name === "taskHub") return fc.constantFrom("default", "DEFAULT", "another");
  if (name === "tag" || name === "tags") return fc.constantFrom("a:b", "a:c", "b:");
  if (name === "ifEnded")
    return fc.constantFrom("start", "return", "reject", "Failed=start,Completed=reject");
  if (name === "timeout" || name === "pollingInterval") return fc.constantFrom("0", "0.001", "0.02");
  const { enum: choices, type, format, items } = schema;
  if (Array.isArray(choices)) return fc.constantFrom(...choices.map(String));
  if (type === "boolean") return fc.constantFrom("true", "false", "TRUE");
  if (type === "integer") return fc.integer({ min: 1, max: 2000 }).map(String);
  if (type === "number") return fc.nat(3).map(String);
  if (type === "array") return fc.subarray(choicesOf(items)).map((some) => some.join(","));
  if (format === "date-time")
    return fc
      .date({ noInvalidDate: true, min: new Date(0), max: new Date("2100-01-01") })
      .map((at) => at.toISOString());
  return fc.string({ minLength: 1, maxLength: 20, unit: "grapheme" });
}

function choicesOf(items: unknown): string[] {
  const read = z.object({ enum: z.array(z.string()) }).safeParse(items);
  return read.success ? read.data.enum : ["a:b"];
}

/** JSON; what the body's schema names, with good and bad values; and what is no JSON. */
function bodies({ requestBody }: Operation): fc.Arbitrary<string | undefined> {
  const properties = z
    .object({ properties: jsonSchema })
    .safeParse(requestBody?.content["application/json"]?.schema);
  const members = properties.success ? Object.keys(properties.data.properties) : ["a", "toJSON"];
  const shaped = fc
    .dictionary(fc.constantFrom(...members), fc.oneof(fc.nat(), fc.double(), fc.jsonValue({ maxDepth: 1 })))
    .map((value) => JSON.stringify(value));
  return fc.oneof(
    fc.constant(undefined),
    { weight: 3, arbitrary: shaped },
    fc.json({ maxDepth: 3, stringUnit: "binary" }),
    fc.constantFrom(
      "{",
      '{"a":1,"a":2}',
      "[".repeat(100),
      "NaN",
      " ",
      '"\\ud800"',
      "1e400",
      '{"__proto__":1}',
    ),
    fc.string({ maxLength: 10 }),
  );
}

function sentWith(body: string): fc.Arbitrary<Sent> {
  const types = fc.oneof(
    { weight: 12, arbitrary: fc.constant("application/json") },
    fc.constantFrom(
      "text/plain",
      "application/x-www-form-urlencoded",
      "application/json; charset=utf-16",
      "*/*",
    ),
  );
  return types.map((type) => ({ body, headers: { "content-type": type } }));
}

/** Writes the request down, with everything encoded as it has to be, and sends it. */
function send({ operation, values, sent }: Attempt): Promise<Answered> {
  let { path } = operation;
  const query = new URLSearchParams();
  const headers: Record<string, string> = { ...sent.headers };
  for (const { parameter, text } of values) {
    if (text === undefined) continue;
    if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, () => encodeURIComponent(text));
    else if (parameter.in === "query") query.append(parameter.name, text);
    else if (/^[\x20-\x7e]+$/.test(text)) headers[parameter.name] = text;
  }
  const search = query.toString();
  return target.ask(operation.method, search === "" ? path : `${path}?${search}`, { ...sent, headers });
}

/** Holds answers against the document. */
class Checks {
  readonly #document: Document;
  readonly #schemas = new Map<string, z.ZodType>();

  constructor(document: Document) {
    this.#document = document;
  }

  check({ operation, values }: Attempt, answer: Answered): void {
    const { operationId, responses } = operation;
    const named = responses[answer.status];
    const failedOnPurpose = values.some(
      ({ parameter, text }) =>
        parameter.name === "returnInternalServerErrorOnFailure" && /^true$/i.test(text ?? ""),
    );
    // 500 only where the caller asked for it and the document says so; 501 where that is all there is.
    if (answer.status >= 500 && !(named !== undefined && (answer.status === 501 || failedOnPurpose))) {
      throw new Error(`${operationId} answered ${answer.status}: ${answer.text}`);
    }
    if (named === undefined && answer.status < 400) {
      throw new Error(`${operationId} answered ${answer.status}, which the document does not name`);
    }
    const expected = (named ?? responses["default"])?.content ?? {};
    const [[type, media] = []] = Object.entries(expected);
    if (type === undefined || media === undefined) return;
    const got = String(answer.headers["content-type"]);
    const isProblem = got === "application/problem+json" && answer.status >= 400;
    if (got !== type && !isProblem)
      throw new Error(`${operationId} answered ${answer.status} with ${got}, not ${type}`);
    const schema = isProblem ? { $ref: "#/components/schemas/Problem" } : media.schema;
    const read = this.#schemaOf(schema).safeParse(answer.body);
    if (!read.success) {
      throw new Error(
        `${operationId} answered ${answer.status} in another form: ${read.error.message}\n${answer.text}`,
      );
    }
  }

  #schemaOf(schema: Record<string, unknown>): z.ZodType {
    const key = JSON.stringify(schema);
    const known =
      this.#schemas.get(key) ?? z.fromJSONSchema(withDefinitions(schema, this.#document.components.schemas));
    this.#schemas.set(key, known);
    return known;
  }
}

/** JSON Schema has its definitions elsewhere than OpenAPI. */
function withDefinitions(
  schema: Record<string, unknown>,
  $defs: Record<string, unknown>,
): Record<string, unknown> {
  const text = JSON.stringify({ ...schema, $defs });
  return jsonSchema.parse(JSON.parse(text.replaceAll("#/components/schemas/", "#/$defs/")));
}
