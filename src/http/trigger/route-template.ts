import { InvalidArgumentError } from "../../core/errors.js";

/**
 * The parameters of a route template, typed: `orchestrators/{functionName}/{instanceId?}` gives
 * `{ functionName: string; instanceId?: string }`. A template that is only known as `string` gives a map.
 */
export type RouteParams<R extends string> = string extends R
  ? Readonly<Record<string, string>>
  : { readonly [K in keyof ParamsIn<R>]: ParamsIn<R>[K] };

type ParamsIn<R extends string> = R extends `${string}{${infer P}}${infer Rest}`
  ? Param<P> & ParamsIn<Rest>
  : unknown;
type Param<P extends string> = P extends `${infer N}?` ? { [K in N]?: string } : { [K in P]: string };

/** A part of a route between slashes: a word, compared without regard to case, or a parameter. */
export type RouteSegment =
  | { readonly kind: "word"; readonly text: string }
  | { readonly kind: "param"; readonly name: string; readonly optional: boolean };

/**
 * Reads a route template in Azure Functions' form: words and `{parameters}` between slashes, the last
 * parameter optional with `{name?}`.
 *
 * @throws InvalidArgumentError for what we do not offer: constraints (`{id:int}`), catch-alls
 * (`{*rest}`), parameters beside text in one segment, a parameter used twice.
 */
export function parseRoute(template: string): readonly RouteSegment[] {
  const parts = template.split("/").filter((part) => part !== "");
  const segments = parts.map((part) => parseSegment(template, part));
  const names = new Set<string>();
  for (const [index, segment] of segments.entries()) {
    if (segment.kind === "word") continue;
    if (names.has(segment.name)) throw refuse(template, `it uses {${segment.name}} twice`);
    names.add(segment.name);
    if (segment.optional && index < segments.length - 1) {
      throw refuse(template, `{${segment.name}?} can only be optional at the end`);
    }
  }
  return segments;
}

function parseSegment(template: string, part: string): RouteSegment {
  const param = /^\{([A-Za-z_]\w*)(\?)?\}$/.exec(part);
  if (param?.[1] !== undefined) return { kind: "param", name: param[1], optional: param[2] !== undefined };
  if (/^[\w.~!$&'()+,;=@-]+$/.test(part) && part !== "." && part !== "..")
    return { kind: "word", text: part };
  throw refuse(template, `"${part}" is neither a word nor one {parameter}`);
}

function refuse(template: string, why: string): InvalidArgumentError {
  return new InvalidArgumentError(
    `route "${template}"`,
    `${why}. Example: "orchestrators/{functionName}/{instanceId}"`,
  );
}
