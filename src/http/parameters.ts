import { z } from "zod";
import { InvalidArgumentError } from "../core/errors.js";
import {
  ENDED_STATUSES,
  type EndedStatus,
  RUNTIME_STATUSES,
  type RuntimeStatus,
  type Tags,
} from "../core/instance.js";
import { parseInstanceId } from "../core/instance-id.js";
import { IF_ENDED_ANSWERS, IF_LIVE_ANSWERS, type IfEnded, type IfEndedAnswer } from "../core/start-policy.js";
import { parseJsonText } from "./json-text.js";
import { MAX_TOP } from "./limits.js";

// Parameters of paths and queries: read from text, refused where unclear, and described for the OpenAPI
// document by their meta data. (`byDefault` becomes `default` there, which zod drops for what it transforms.)

const once = z.string({ error: "must be given once" });

/** Ends the reading of a parameter with what is wrong. */
type Refuse = (problem: string) => never;

class Refused extends Error {}

const refuse: Refuse = (problem) => {
  throw new Refused(problem);
};

/** A text parameter with its own reader. */
function read<T>(parse: (text: string, refuse: Refuse) => T) {
  return once.transform(reading(parse));
}

/** zod only hears of a refusal: the parameter's name is its to add. */
function reading<From, T>(parse: (from: From, refuse: Refuse) => T) {
  return (from: From, context: z.core.$RefinementCtx): T => {
    try {
      return parse(from, refuse);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      context.addIssue({ code: "custom", message: error.message });
      return z.NEVER;
    }
  };
}

/** An instance ID in a path, under the one rule for IDs. @throws InvalidInstanceIdError */
export const instanceId = once
  .transform((text) => parseInstanceId(text))
  .meta({
    description: "1 to 256 characters, no / \\ # ? or control characters, no leading @.",
    minLength: 1,
    maxLength: 256,
  });

/** The name of an orchestrator or an event. */
export const name = read((text, refuse) => {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return /[\u0000-\u001f\u007f-\u009f]/.test(text) ? refuse("must not contain control characters") : text;
}).meta({ minLength: 1, maxLength: 200 });

/** Free text. */
export const text = (description: string) => once.meta({ description }).optional();

/** `true` or `false`. */
export function flag(byDefault: boolean, description: string) {
  return read((value, refuse) => {
    const lower = value.toLowerCase();
    return lower === "true" || lower === "false" ? lower === "true" : refuse("must be true or false");
  })
    .meta({ description, type: "boolean", byDefault })
    .default(byDefault);
}

/** A number of seconds, as Durable Functions' `timeout`. */
export function seconds(description: string) {
  return read((value, refuse) => {
    const number = /^\d+(\.\d+)?$/.test(value) ? Number(value) : Number.NaN;
    return Number.isFinite(number) ? number : refuse("must be a number of seconds, 0 or more");
  })
    .meta({ description, type: "number", minimum: 0 })
    .optional();
}

/** A moment: a date, or a date with a time; without a zone it is UTC. */
export const moment = read((value, refuse) => {
  const form = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?$/i.exec(value);
  const zoned = form?.[1] !== undefined && form[4] === undefined ? `${value}Z` : value;
  const at = new Date(zoned);
  if (form === null || Number.isNaN(at.getTime()) || !isDay(value.slice(0, 10))) {
    return refuse("must be a time such as 2026-11-21T09:30:00Z (write + as %2B in a URL)");
  }
  return at;
});

/** Whether the calendar has it: Date takes February 30 as March 2. */
function isDay(day: string): boolean {
  return new Date(day).toISOString().startsWith(day);
}

/** A moment that may be left out. */
export const optionalMoment = (description: string) =>
  moment.meta({ description, format: "date-time" }).optional();

/** The number of rows on a page. More than a page may have is taken as the most. */
const pageSize = (description: string) =>
  read((value, refuse) => {
    const number = /^\d{1,9}$/.test(value) ? Number(value) : 0;
    return number >= 1 ? Math.min(number, MAX_TOP) : refuse("must be a whole number of at least 1");
  })
    .meta({ description, type: "integer", minimum: 1 })
    .optional();

export const top = pageSize(`Rows per page, at most ${MAX_TOP}. Default 100.`);

/** A run of an instance. */
export const run = read((value, refuse) =>
  /^[1-9]\d{0,14}$/.test(value) ? Number(value) : refuse("must be a whole number of at least 1"),
)
  .meta({ description: "Those of this run only. Default: of all runs.", type: "integer", minimum: 1 })
  .optional();

/** How many instances one request purges. */
export const purgeTop = pageSize(
  `Delete so many and say where to go on; taken as ${MAX_TOP} where it is more. Default: all that match.`,
);

/** A parameter that may be repeated. */
function repeatable<T>(parse: (texts: readonly string[], refuse: Refuse) => T) {
  return z
    .union([z.string(), z.array(z.string())])
    .transform(reading((given, end) => parse([given].flat(), end)));
}

/** Statuses, as a comma list or repeated, in any case. */
export const runtimeStatuses = repeatable((texts, refuse): RuntimeStatus[] =>
  texts
    .flatMap((text) => text.split(","))
    .map((word) => word.trim())
    .filter((word) => word !== "")
    .map(
      (word) =>
        findWord(RUNTIME_STATUSES, word) ??
        refuse(`${quote(word)} is not one of ${RUNTIME_STATUSES.join(", ")}`),
    ),
)
  .meta({
    description: "Comma-separated.",
    type: "array",
    items: { type: "string", enum: [...RUNTIME_STATUSES] },
    anyOf: undefined,
  })
  .optional();

/** `key:value` pairs, repeated. */
export const tag = repeatable((texts, refuse): [string, string][] =>
  texts.map((text) => splitPair(text, ":") ?? refuse(`${quote(text)} must have the form key:value`)),
)
  .meta({
    description: "key:value; may be repeated.",
    type: "array",
    items: { type: "string" },
    anyOf: undefined,
  })
  .optional();

/** All tags in one parameter: a JSON map, or `key:value,key:value`. */
export const tags = read((value, refuse): [string, string][] => {
  if (!value.startsWith("{")) {
    return value
      .split(",")
      .map((part) => splitPair(part.trim(), ":") ?? refuse(`${quote(part)} must have the form key:value`));
  }
  return Object.entries(parseMap(value, refuse)).map(([key, entry]) =>
    typeof entry === "string" ? [key, entry] : refuse(`the value of ${quote(key)} must be a string`),
  );
})
  .meta({ description: 'All at once: {"key":"value"} or key:value,key:value.' })
  .optional();

/** The tags of both parameters together. @throws InvalidArgumentError for a key that is given twice. */
export function tagsOf(query: {
  readonly tag?: readonly [string, string][] | undefined;
  readonly tags?: readonly [string, string][] | undefined;
}): { readonly tags?: Tags } {
  const pairs = [...(query.tags ?? []), ...(query.tag ?? [])];
  if (pairs.length === 0) return {};
  const keys = new Set<string>();
  for (const [key] of pairs) {
    if (keys.has(key)) throw new InvalidArgumentError("tag", `${quote(key)} is given twice`);
    keys.add(key);
  }
  return { tags: Object.fromEntries(pairs) };
}

/** What a start does on a live ID. */
export const ifLive = word(IF_LIVE_ANSWERS)
  .meta({ enum: [...IF_LIVE_ANSWERS], byDefault: "reject" })
  .optional();

/** What a start does on an ended ID: one word, a JSON map by status, or `Completed=reject,Failed=start`. */
export const ifEnded = read((value, refuse): IfEnded => {
  const one = findWord(IF_ENDED_ANSWERS, value);
  if (one !== undefined) return one;
  const answers: { [S in EndedStatus]?: IfEndedAnswer } = {};
  for (const [key, entry] of endedPairs(value, refuse)) {
    const status = findWord(ENDED_STATUSES, key);
    const answer = typeof entry === "string" ? findWord(IF_ENDED_ANSWERS, entry) : undefined;
    if (status === undefined) return refuse(`${quote(key)} is not one of ${ENDED_STATUSES.join(", ")}`);
    if (answer === undefined) return refuse(`${status} must be one of ${IF_ENDED_ANSWERS.join(", ")}`);
    if (Object.hasOwn(answers, status)) return refuse(`${status} is given twice`);
    answers[status] = answer;
  }
  return answers;
})
  .meta({
    description:
      'start, return or reject; or per status: {"Completed":"reject"} or Completed=reject,Failed=start.',
    byDefault: "start",
  })
  .optional();

function endedPairs(value: string, refuse: Refuse): readonly (readonly [string, unknown])[] {
  if (value.startsWith("{")) return Object.entries(parseMap(value, refuse));
  const form = `must be one of ${IF_ENDED_ANSWERS.join(", ")}, or answers by status: Completed=reject,Failed=start`;
  return value
    .split(",")
    .map((part) => splitPair(part.trim(), "=") ?? splitPair(part.trim(), ":") ?? refuse(form));
}

function word<W extends string>(words: readonly W[]) {
  return read((value, refuse): W => findWord(words, value) ?? refuse(`must be one of ${words.join(", ")}`));
}

function findWord<W extends string>(words: readonly W[], value: string): W | undefined {
  const lower = value.toLowerCase();
  return words.find((one) => one.toLowerCase() === lower);
}

function splitPair(value: string, separator: string): [string, string] | undefined {
  const at = value.indexOf(separator);
  return at < 1 ? undefined : [value.slice(0, at), value.slice(at + 1)];
}

function parseMap(value: string, refuse: Refuse): object {
  const map = parseJsonText(value);
  return typeof map === "object" && map !== null && !Array.isArray(map)
    ? map
    : refuse("must be a JSON object");
}

function quote(value: string): string {
  return JSON.stringify(value.slice(0, 80));
}
