import { Hono } from "hono";
import { HttpError } from "./problem.js";
import type { RouteSegment } from "./trigger/route-template.js";

/** A request that was let in, on its way to its endpoint. */
export interface Arrival {
  readonly request: Request;
  readonly url: URL;
  /** The path below the base path, percent-encoded, without a slash at the end. */
  readonly path: string;
  /** Whether the caller gave the key; true where none is asked for. */
  readonly hasKey: boolean;
  readonly requester: string;
}

/** A method and a path, and what answers them. */
export interface Endpoint {
  readonly methods: readonly string[];
  readonly segments: readonly RouteSegment[];
  readonly handle: (arrival: Arrival, params: Readonly<Record<string, string>>) => Promise<Response>;
}

/**
 * Routes to the endpoints: words match in any case, and a word wins over a parameter in its place.
 * Unknown routes reject with HttpError RouteNotFound, as does a known path with another method: Durable
 * Functions answers 404 to both.
 */
export function createRouter(endpoints: readonly Endpoint[]): (arrival: Arrival) => Promise<Response> {
  const app = new Hono<{ Bindings: Arrival }>({ getPath: (_request, options) => options?.env?.path ?? "/" });
  for (const { methods, segments, handle } of endpoints.toSorted(bySpecificity)) {
    for (const path of honoPaths(segments)) {
      app.on([...methods], path, (context) => handle(context.env, paramsOf(context.req.param())));
    }
  }
  app.notFound((context) => {
    throw new HttpError(
      "RouteNotFound",
      `There is no route ${context.req.method} ${context.env.path.slice(0, 200)}.`,
    );
  });
  // Hono would print and answer by itself; our caller does it better.
  app.onError((error) => {
    throw error;
  });
  return async (arrival) => app.fetch(arrival.request, arrival);
}

/** An optional parameter makes two paths. */
export function withoutOptional(segments: readonly RouteSegment[]): readonly (readonly RouteSegment[])[] {
  const last = segments.at(-1);
  return last?.kind === "param" && last.optional ? [segments, segments.slice(0, -1)] : [segments];
}

/** Words before parameters, at the first place where two routes differ in kind. Else the order of the table. */
function bySpecificity(a: Endpoint, b: Endpoint): number {
  const key = ({ segments }: Endpoint): string =>
    segments.map(({ kind }) => (kind === "word" ? "0" : "1")).join("");
  const [left, right] = [key(a), key(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}

const PARAM = "p_";

function honoPaths(segments: readonly RouteSegment[]): string[] {
  const path = (parts: readonly RouteSegment[]): string =>
    `/${parts.map((part, index) => (part.kind === "param" ? `:${PARAM}${part.name}` : `:w${index}{${anyCase(part.text)}}`)).join("/")}`;
  return withoutOptional(segments).map(path);
}

/** A pattern for a word in any case: hono itself compares with case. */
function anyCase(word: string): string {
  return word.replace(/[^\w~!&',;=@-]/g, "[$&]").replace(/[a-z]/gi, bothCases);
}

function bothCases(letter: string): string {
  return `[${letter.toLowerCase()}${letter.toUpperCase()}]`;
}

function paramsOf(matched: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(matched)
      .filter(([key]) => key.startsWith(PARAM))
      .map(([key, value]) => [key.slice(PARAM.length), value]),
  );
}
