import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { BASE, call, type HttpKit, httpTrigger, member, members, openKit } from "../../test/http-kit.js";
import { ROUTES } from "./handler.js";
import { createHttpHandler } from "./index.js";

const trigger = httpTrigger("Start", { methods: ["GET", "POST"], route: "start/{a}/{b?}" }, () => "hello");
const METHODS = ["get", "post", "put", "delete", "patch"] as const;

const schemaObject = z.looseObject({ $ref: z.string().startsWith("#/components/schemas/").optional() });
const content = z.record(z.string(), z.strictObject({ schema: schemaObject }));
const operation = z.strictObject({
  operationId: z.string(),
  tags: z.array(z.string()).nonempty(),
  summary: z.string().min(3),
  parameters: z.array(
    z.strictObject({
      name: z.string(),
      in: z.enum(["path", "query", "header"]),
      required: z.boolean(),
      description: z.string().optional(),
      schema: schemaObject,
    }),
  ),
  requestBody: z.strictObject({ required: z.boolean(), content }).optional(),
  responses: z.record(
    z.string().regex(/^(\d{3}|default)$/),
    z.strictObject({ description: z.string().min(2), content: content.optional() }),
  ),
  security: z.array(z.record(z.string(), z.array(z.string()))).optional(),
});
const document = z.strictObject({
  openapi: z.literal("3.1.0"),
  info: z.strictObject({ title: z.string(), version: z.string(), description: z.string() }),
  servers: z.array(z.strictObject({ url: z.url() })),
  security: z.array(z.record(z.string(), z.array(z.string()))).optional(),
  paths: z.record(z.string().startsWith("/"), z.partialRecord(z.enum(METHODS), operation)),
  components: z.strictObject({
    schemas: z.record(z.string(), schemaObject),
    securitySchemes: z
      .record(
        z.string(),
        z.strictObject({ type: z.literal("apiKey"), in: z.enum(["header", "query"]), name: z.string() }),
      )
      .optional(),
  }),
});

let kit: HttpKit;

beforeAll(async () => {
  kit = await openKit({ functions: [trigger] });
});

afterAll(async () => {
  await kit[Symbol.asyncDispose]();
});

test("the document has the shape of OpenAPI 3.1, and its references lead somewhere", async () => {
  const answer = await kit.call("GET", "/openapi.json");
  expect(answer.status).toBe(200);
  const read = document.parse(answer.body);
  const refs = [...answer.text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name);
  expect(refs.length).toBeGreaterThan(50);
  expect(new Set(refs)).toEqual(new Set(Object.keys(read.components.schemas)));
  expect(answer.text).not.toContain('"component"');
  const ids = Object.values(read.paths).flatMap((path) =>
    Object.values(path).map(({ operationId }) => operationId),
  );
  expect(new Set(ids).size).toBe(ids.length);
  for (const [path, operations] of Object.entries(read.paths)) {
    const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    for (const { parameters } of Object.values(operations)) {
      const inPath = parameters.filter((each) => each.in === "path");
      expect(inPath.map(({ name }) => name)).toEqual(named);
      expect(inPath.every(({ required }) => required)).toBe(true);
    }
  }
});

test("every route is in the document, and everything in it is routed", async () => {
  const read = document.parse((await kit.call("GET", "/openapi.json")).body);
  const documented = Object.entries(read.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const routed = [
    ...ROUTES.flatMap(({ method, path }) => {
      const short = path.replace(/\/\{\w+\?\}$/, "");
      return short === path
        ? [`${method} ${path}`]
        : [`${method} ${path.replace("?}", "}")}`, `${method} ${short}`];
    }),
    ...["GET", "POST"].flatMap((method) => [`${method} /api/start/{a}/{b}`, `${method} /api/start/{a}`]),
    "GET /openapi.json",
  ];
  expect(documented.toSorted()).toEqual(routed.toSorted());

  for (const line of documented) {
    const [method = "", path = ""] = line.split(" ");
    const answer = await kit.call(method, path.replace(/\{\w+\}/g, "x"));
    expect([line, member(answer.body, "code")]).not.toEqual([line, "RouteNotFound"]);
    const known = Object.keys(
      read.paths[path]?.[METHODS.find((each) => each === method.toLowerCase()) ?? "get"]?.responses ?? {},
    );
    expect([line, known]).toEqual([line, expect.arrayContaining([String(answer.status)])]);
  }
});

test("parameters are described as callers send them", async () => {
  const { body } = await kit.call("GET", "/openapi.json");
  const start = member(
    body,
    "paths",
    `${BASE}/orchestrators/{functionName}/{instanceId}`,
    "post",
    "parameters",
  );
  const schemas: Record<string, unknown> = Object.fromEntries(
    members(start).map(([, each]) => [String(member(each, "name")), member(each, "schema")]),
  );
  expect(schemas).toMatchObject({
    functionName: { type: "string", maxLength: 200 },
    instanceId: { type: "string", maxLength: 256 },
    ifLive: { type: "string", enum: ["reject", "attach", "terminate"], default: "reject" },
    startAt: { type: "string", format: "date-time" },
    tag: { type: "array", items: { type: "string" } },
    timeout: { type: "number", minimum: 0 },
    allowUnregistered: { type: "boolean", default: false },
    "idempotency-key": { type: "string" },
    taskHub: { type: "string" },
  });
  const problem = member(body, "components", "schemas", "Problem");
  expect(problem).toMatchObject({ type: "object", properties: { code: { type: "string" }, Message: {} } });
});

test("a key is part of it where one is asked for", async () => {
  const asking = createHttpHandler(kit.hub, { key: "k" });
  const read = document.parse((await call(asking, "GET", "/openapi.json?code=k")).body);
  expect(Object.keys(read.components.securitySchemes ?? {})).toEqual(["keyHeader", "keyQuery"]);
  expect(read.security).toEqual([{ keyHeader: [] }, { keyQuery: [] }]);
  expect(read.paths["/healthz"]?.get?.security).toEqual([]);
  expect(read.paths["/openapi.json"]?.get?.security).toBeUndefined();
});
