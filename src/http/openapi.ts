import { z } from "zod";
import { problemSchema } from "./bodies.js";
import { hubParameters, type Route } from "./route.js";
import { withoutOptional } from "./router.js";
import { KEY_HEADER, KEY_PARAMETER } from "./security.js";
import { parseRoute, type RouteSegment } from "./trigger/route-template.js";
import type { HttpTriggerDefinition } from "./trigger.js";
import { MANAGEMENT_PATH, TRIGGER_PATH } from "./urls.js";

type Json = Record<string, unknown>;

/**
 * The OpenAPI 3.1 document of a server, made from the same table as its routing; but for `servers`, which each
 * caller sees under the name that it called.
 */
export function openApiDocument(
  routes: readonly Route[],
  triggers: readonly HttpTriggerDefinition[],
  server: { readonly asksForKey: boolean; readonly openPaths: readonly string[] },
): Json {
  const components = new Components();
  const problem = components.ref(problemSchema, "output");
  const paths: Record<string, Json> = {};
  const add = (segments: readonly RouteSegment[], method: string, operation: Json): void => {
    const path = pathText(segments);
    paths[path] = { ...paths[path], [method.toLowerCase()]: operation };
  };
  for (const route of routes) {
    for (const [index, segments] of withoutOptional(parseRoute(route.path)).entries()) {
      const operation = routeOperation(route, segments, components, problem);
      // The second of two paths is the one without the optional parameter.
      const operationId = index === 0 ? route.operationId : `${route.operationId}Short`;
      const open = server.openPaths.includes(route.path) ? { security: [] } : {};
      add(segments, route.method, { ...operation, operationId, ...open });
    }
  }
  for (const trigger of triggers) {
    for (const [index, segments] of withoutOptional(triggerSegments(trigger)).entries()) {
      for (const method of trigger.methods) {
        const operationId = `trigger_${trigger.name}_${method.toLowerCase()}${index === 0 ? "" : "_short"}`;
        add(segments, method, { operationId, ...triggerOperation(trigger, method, segments, problem) });
      }
    }
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Tenure",
      version: "1",
      description:
        "Durable Functions' HTTP API, with members and routes of our own, and this app's triggers.",
    },
    ...(server.asksForKey ? { security: [{ keyHeader: [] }, { keyQuery: [] }] } : {}),
    paths,
    components: {
      schemas: components.schemas,
      ...(server.asksForKey
        ? {
            securitySchemes: {
              keyHeader: { type: "apiKey", in: "header", name: KEY_HEADER },
              keyQuery: { type: "apiKey", in: "query", name: KEY_PARAMETER },
            },
          }
        : {}),
    },
  };
}

/** Where a trigger is reached. */
export function triggerSegments(trigger: HttpTriggerDefinition): readonly RouteSegment[] {
  return parseRoute(`${TRIGGER_PATH}/${trigger.route}`);
}

function routeOperation(
  route: Route,
  segments: readonly RouteSegment[],
  components: Components,
  problem: Json,
): Json {
  const names = new Set(segments.flatMap((segment) => (segment.kind === "param" ? [segment.name] : [])));
  const inPath = components.parameters(route.params, "path").filter(({ name }) => names.has(String(name)));
  const parameters = [
    ...inPath.map((parameter) => ({ ...parameter, required: true })),
    ...components.parameters(route.query, "query"),
    ...components.parameters(route.headers, "header"),
    ...(route.path.startsWith(MANAGEMENT_PATH) ? components.parameters(hubParameters, "query") : []),
  ];
  return {
    tags: [route.tag],
    summary: route.summary,
    parameters,
    ...(route.body === undefined
      ? {}
      : { requestBody: { required: false, content: jsonContent(components.ref(route.body, "input")) } }),
    responses: {
      ...Object.fromEntries(
        Object.entries(route.responses).map(([status, { description, schema }]) => {
          if (schema !== undefined)
            return [status, { description, content: jsonContent(components.ref(schema, "output")) }];
          return [
            status,
            Number(status) >= 400 ? { description, ...problemContent(problem) } : { description },
          ];
        }),
      ),
      default: { description: "Any other problem.", ...problemContent(problem) },
    },
  };
}

function triggerOperation(
  trigger: HttpTriggerDefinition,
  method: string,
  segments: readonly RouteSegment[],
  problem: Json,
): Json {
  const names = segments.flatMap((segment) => (segment.kind === "param" ? [segment.name] : []));
  return {
    tags: ["Triggers"],
    summary: `The app's HTTP trigger ${trigger.name}.`,
    parameters: names.map((name) => ({ name, in: "path", required: true, schema: { type: "string" } })),
    ...(method === "GET" ? {} : { requestBody: { required: false, content: jsonContent({}) } }),
    responses: {
      200: { description: "Whatever the trigger answers." },
      default: { description: "A problem that the trigger let through.", ...problemContent(problem) },
    },
  };
}

/** The document's named schemas, gathered as they are used. */
class Components {
  readonly schemas: Record<string, Json> = {};

  ref(schema: z.ZodType, io: "input" | "output"): Json {
    // What has no form in JSON Schema (a reader's own result) is described by its meta data.
    const { $schema: _, ...json } = z.toJSONSchema(schema, { io, unrepresentable: "any" });
    return asObject(this.#hoist(json));
  }

  parameters(schema: z.ZodObject, where: "path" | "query" | "header"): Json[] {
    const json = asObject(this.ref(schema, "input"));
    const required = Array.isArray(json["required"]) ? json["required"] : [];
    return Object.entries(asObject(json["properties"])).map(([name, property]) => {
      const { description, ...rest } = asObject(property);
      return {
        name,
        in: where,
        required: required.includes(name),
        ...(description === undefined ? {} : { description }),
        schema: rest,
      };
    });
  }

  /** Puts every schema that is marked as a component into its place, and a reference into its. */
  #hoist(json: unknown): unknown {
    if (Array.isArray(json)) return json.map((item) => this.#hoist(item));
    if (typeof json !== "object" || json === null) return json;
    const members = Object.entries(json).filter(([key, value]) => key !== "component" && value !== undefined);
    const hoisted: Json = Object.fromEntries(
      members.map(([key, value]) => [key === "byDefault" ? "default" : key, this.#hoist(value)]),
    );
    if (!("component" in json) || typeof json.component !== "string") return hoisted;
    this.schemas[json.component] = hoisted;
    return { $ref: `#/components/schemas/${json.component}` };
  }
}

function asObject(value: unknown): Json {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

function jsonContent(schema: Json): Json {
  return { "application/json": { schema } };
}

function problemContent(problem: Json): { readonly content: Json } {
  return { content: { "application/problem+json": { schema: problem } } };
}

function pathText(segments: readonly RouteSegment[]): string {
  return `/${segments.map((segment) => (segment.kind === "word" ? segment.text : `{${segment.name}}`)).join("/")}`;
}
