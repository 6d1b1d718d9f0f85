import { relative } from "node:path";
import { DEFINITION, type Definition } from "../core/definition.js";
import { parseRoute } from "../http/trigger/route-template.js";
import { type HttpTriggerDefinition, isHttpTrigger } from "../http/trigger.js";
import { MANAGEMENT_PATH, TRIGGER_PATH } from "../http/urls.js";
import type { Style } from "./style.js";
import { printable } from "./terminal-text.js";

/** What `tenure dev` serves, for its greeting. */
export interface Served {
  readonly url: string;
  readonly app: string;
  readonly store: string;
  readonly functions: readonly Definition[];
  readonly asksForKey: boolean;
}

/** The greeting of `tenure dev`: where everything is, and a line that starts a singleton. */
export function banner(served: Served, style: Style): string {
  const { url, functions } = served;
  const lines = [
    `${style.bold("tenure dev")} ${printable(shortPath(served.app))} (${countText(functions)})`,
    "",
    entry("store", served.store),
    entry("management API", `${url}${MANAGEMENT_PATH}`),
    entry("OpenAPI", `${url}/openapi.json`),
    ...functions
      .filter(isHttpTrigger)
      .map((trigger) => entry(trigger.methods.join(","), `${url}${TRIGGER_PATH}/${trigger.route}`)),
    "",
    ...singletonLines(served, style),
  ];
  return lines.join("\n");
}

/** How many functions of which kind there are. */
export function countText(functions: readonly Definition[]): string {
  const count = (kind: Definition[typeof DEFINITION], one: string, many: string): string => {
    const number = functions.filter((definition) => definition[DEFINITION] === kind).length;
    return `${number} ${number === 1 ? one : many}`;
  };
  return [
    count("orchestration", "orchestration", "orchestrations"),
    count("activity", "activity", "activities"),
    count("httpTrigger", "HTTP trigger", "HTTP triggers"),
  ].join(", ");
}

function shortPath(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith("..") ? path : short;
}

function entry(name: string, value: string): string {
  return `  ${name.padEnd(16)}${printable(value)}`;
}

function singletonLines({ url, functions, asksForKey }: Served, style: Style): string[] {
  const orchestrator = showpiece(functions);
  if (orchestrator === undefined) return ["There is no orchestration to start yet."];
  const path = startPath(functions, orchestrator, idFor(orchestrator));
  const key = asksForKey ? ' -H "x-functions-key: $TENURE_KEY"' : "";
  return [
    "Start a singleton:",
    "",
    `  ${style.cyan(printable(`curl -i -X POST ${url}${path}${key}`))}`,
    "",
    "Send the same line again while it runs: 409 Conflict, and the answer says who holds the ID (which",
    "orchestrator, which execution, since when, in which state). Once it has ended, the line starts a new run.",
    `To give it an input, add: ${printable(`-H "content-type: application/json" -d '["Tokyo"]'`)}`,
  ];
}

/** Best is an orchestration that lives for long: only then a second start meets a holder. */
function showpiece(functions: readonly Definition[]): string | undefined {
  const names = functions.filter((each) => each[DEFINITION] === "orchestration").map(({ name }) => name);
  for (const pattern of [/eternal|monitor/i, /singleton/i, /./]) {
    const name = names.find((each) => pattern.test(each));
    if (name !== undefined) return name;
  }
  return undefined;
}

/** `EternalMonitor` → `monitor-1`. */
function idFor(name: string): string {
  const words = name.replace(/(orchestrator|orchestration|workflow|job)$/i, "").match(/[A-Z]?[a-z]+/g);
  return `${words?.at(-1)?.toLowerCase() ?? "singleton"}-1`;
}

/** Through the app's own trigger where it has one for any orchestrator and ID, else through the management API. */
function startPath(functions: readonly Definition[], orchestrator: string, id: string): string {
  const [trigger] = functions
    .filter(isHttpTrigger)
    .filter(startsAnything)
    .toSorted((a, b) => a.route.length - b.route.length);
  const name = encodeURIComponent(orchestrator);
  if (trigger === undefined) return `${MANAGEMENT_PATH}/orchestrators/${name}/${id}`;
  return `${TRIGGER_PATH}/${trigger.route.replace("{functionName}", name).replace(/\{instanceId\??\}/, id)}`;
}

function startsAnything({ methods, route }: HttpTriggerDefinition): boolean {
  const names = parseRoute(route).flatMap((segment) => (segment.kind === "param" ? [segment.name] : []));
  return (
    methods.includes("POST") &&
    names.length === 2 &&
    names.includes("functionName") &&
    names.includes("instanceId")
  );
}
