// The document that the server serves of itself, taken at its word: requests that are good, nearly good and bad are
// made from it for every operation, and every answer is held against it. TENURE_FUZZ_RUNS=20000 for more of them,
// TENURE_FUZZ_SEED=… for others.
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { isWellFormed } from "../../src/core/text.js";
import { httpTrigger, member } from "../http-kit.js";
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
  /** Sends this parameter of the query a second time, in capitals. */
  readonly again: number | undefined;
  /** Stands at the query's end as it is. */
  readonly raw: string | undefined;
}

/** Stands for what an earlier answer gave: a token of the same operation, an execution of some instance. */
const FROM_BEFORE = "\u0001from before";

const trigger = httpTrigger("Json", { route: "json/{a}/{b?}" }, async (_request, { json, params }) => ({
  params,
  got: (await json()) ?? null,
}));

/** Operations that no request can make succeed here: one engine owns the whole hub, and there is nobody to drain to. */
const NEVER_GOOD: readonly string[] = ["drainWorker"];

/** So often the instances that requests are about are made what most operations need. */
const SCENE_EVERY = 40;

describe.each([
  { store: "memory", runs: RUNS },
  // What differs is below the client: fewer show it.
  { store: "sqlite", runs: Math.ceil(RUNS / 4) },
])("on $store", ({ store, runs }) => {
  let target: Target;
  let described: Document;
  beforeAll(async () => {
    target = await openTarget({ functions: [trigger], ...(store === "memory" ? { store } : {}) });
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
    const before = new Before();
    const seen = new Map(operations.map(({ operationId }) => [operationId, new Set<number>()]));
    let tried = 0;
    const attempt = async (one: Attempt): Promise<number> => {
      if (tried++ % SCENE_EVERY === 0) await setScene(target);
      const answer = await send(target, one, before);
      checks.check(one, answer);
      before.remember(one, answer);
      seen.get(one.operation.operationId)?.add(answer.status);
      return answer.status;
    };
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...operations).chain(attempts),
        async (one) => void (await attempt(one)),
      ),
      { seed: SEED, numRuns: runs, endOnFailure: false },
    );
    await target.othersGoOn();
    if (runs < RUNS) return;

    console.log(
      [...seen]
        .map(([id, statuses]) => `${id}: ${[...statuses].toSorted((a, b) => a - b).join(" ")}`)
        .join("\n"),
    );
    // Else the requests were not good enough, or not bad enough, to say anything. What chance left out is tried on.
    const never = async (some: readonly Operation[], is: (status: number) => boolean): Promise<string[]> => {
      const left: string[] = [];
      for (const operation of some) {
        let found = [...(seen.get(operation.operationId) ?? [])].some(is);
        for (const one of found ? [] : fc.sample(attempts(operation), { seed: SEED, numRuns: 300 })) {
          found ||= is(await attempt(one));
          if (found) break;
        }
        if (!found) left.push(operation.operationId);
      }
      return left;
    };
    const canBeGood = operations.filter(({ responses }) =>
      Object.keys(responses).some((status) => Number(status) < 400),
    );
    const canBeBad = operations.filter(({ parameters }) => parameters.length > 0);
    expect(await never(canBeGood, (status) => status < 400)).toEqual(NEVER_GOOD);
    expect(await never(canBeBad, (status) => status >= 400)).toEqual([]);
    // Tokens and execution IDs of earlier answers were taken.
    for (const operation of operations.filter(({ operationId }) => before.taken[operationId] === false)) {
      for (const one of fc.sample(attempts(operation), { seed: SEED, numRuns: 1500 })) {
        if (before.taken[operation.operationId] === true) break;
        await attempt(one);
      }
    }
    expect(before.taken).toEqual({ listInstances: true, purgeInstances: true, getHistory: true });
  });
});

/** Some are live, some have failed. */
async function setScene({ hub: { client } }: Target): Promise<void> {
  for (const [index, instanceId] of IDS.entries()) {
    await client.startNew(index % 2 === 0 ? "Waiter" : "Failing", { instanceId, ifLive: "terminate" });
  }
}

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
    again: rarely(fc.nat(operation.parameters.length)),
    raw: rarely(fc.constantFrom(...RAW)),
  });
}

const NAMES = ["Echo", "Waiter", "Failing", "Busy", "Nobody"];
const IDS = ["one", "two", "three", "four"];

function rarely<T>(some: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.oneof({ weight: 15, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: some });
}

/** No percent-encoding, or not of UTF-8. */
const RAW = ["%ff", "x=%zz", "%", "top=%c0%af", "%ed%a0%80=1", "=%f8%88%80%80%80", "taskHub=%fe"];

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
  if (name === "top") return fc.constantFrom("1", "1", "2", "3", "1000", "2000");
  if (name === "x-ms-continuation-token" || name === "executionId") return fc.constant(FROM_BEFORE);
  if (name === "eventName") return fc.constantFrom("go", "other");
  if (name === "taskHub") return fc.constantFrom("default", "default", "default", "DEFAULT", "another");
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
function send(target: Target, attempt: Attempt, before: Before): Promise<Answered> {
  const { operation, sent, raw, again } = attempt;
  const values = before.fillIn(attempt);
  let { path } = operation;
  const query = new URLSearchParams();
  const headers: Record<string, string> = { ...sent.headers };
  for (const { parameter, text } of values) {
    if (text === undefined) continue;
    if (parameter.in === "path") path = path.replace(`{${parameter.name}}`, () => encodeURIComponent(text));
    else if (parameter.in === "query") query.append(parameter.name, text);
    else if (/^[\x20-\x7e]+$/.test(text)) headers[parameter.name] = text;
  }
  const second = again === undefined ? undefined : attempt.values[again];
  if (second?.parameter.in === "query" && second.text !== undefined) {
    query.append(second.parameter.name.toUpperCase(), second.text);
  }
  const search = [query.toString(), raw ?? ""].filter((part) => part !== "").join("&");
  return target.ask(operation.method, search === "" ? path : `${path}?${search}`, { ...sent, headers });
}

type Values = Attempt["values"];

/** What earlier answers gave, for requests that go on from there. */
class Before {
  readonly #pages = new Map<string, { readonly values: Values; readonly token: string }>();
  #execution: { readonly instanceId: string; readonly executionId: string } | undefined;
  #asked: string | undefined;
  /** Which operations have taken what an earlier answer gave. */
  readonly taken: Record<string, boolean> = {
    listInstances: false,
    purgeInstances: false,
    getHistory: false,
  };

  /** A token goes with the parameters of its answer, an execution with its instance. */
  fillIn({ operation, values }: Attempt): Values {
    this.#asked = undefined;
    if (!values.some(({ text }) => text === FROM_BEFORE)) return values;
    this.#asked = operation.operationId;
    const page = this.#pages.get(operation.operationId);
    const known: Record<string, string | undefined> = {
      ...this.#execution,
      "x-ms-continuation-token": page?.token,
    };
    return (page?.values ?? values).map(({ parameter, text }) => {
      const isOfBefore = parameter.name === "executionId" || parameter.name === "x-ms-continuation-token";
      const goesWith = parameter.name === "instanceId" && operation.operationId === "getHistory";
      return { parameter, text: isOfBefore || goesWith ? known[parameter.name] : text };
    });
  }

  remember({ operation, values, again, raw }: Attempt, { status, headers, body }: Answered): void {
    if (status >= 400) return;
    const { operationId } = operation;
    if (this.#asked === operationId && operationId in this.taken) {
      const had = operationId === "getHistory" ? this.#execution !== undefined : this.#pages.has(operationId);
      this.taken[operationId] ||= had;
    }
    const token = headers["x-ms-continuation-token"];
    if (typeof token === "string" && this.#asked === undefined && again === undefined && raw === undefined) {
      this.#pages.set(operationId, { values, token });
    }
    const [instanceId, executionId] = [member(body, "instanceId"), member(body, "executionId")];
    if (typeof instanceId === "string" && typeof executionId === "string")
      this.#execution = { instanceId, executionId };
  }
}

/** Holds answers against the document. */
class Checks {
  readonly #document: Document;
  readonly #schemas = new Map<string, z.ZodType>();

  constructor(document: Document) {
    this.#document = document;
  }

  check({ operation, values, again, raw }: Attempt, answer: Answered): void {
    const { operationId, responses } = operation;
    const twice = again === undefined ? undefined : values[again];
    const ambiguous =
      twice?.parameter.in === "query" &&
      (twice.text ?? "") !== "" &&
      twice.parameter.schema["type"] !== "array";
    if ((ambiguous || raw !== undefined) && answer.status < 400) {
      throw new Error(`${operationId} answered ${answer.status} to a query that can be read in two ways`);
    }
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
