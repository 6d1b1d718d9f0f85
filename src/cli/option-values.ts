import { InvalidArgumentError } from "commander";
import type { z } from "zod";
import {
  ENDED_STATUSES,
  type EndedStatus,
  isEnded,
  type RuntimeStatus,
  type Tags,
} from "../core/instance.js";
import type { IfEnded } from "../core/start-policy.js";
import { ifEnded, moment, runtimeStatuses } from "../http/parameters.js";

// Readers of options' values. They throw commander's InvalidArgumentError, which names the option.

/** `10`, `10s`, `500ms`, `5m`, `2h`: milliseconds. A number alone is seconds. */
export function parseDuration(text: string): number {
  const [, number, unit = "s"] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? [];
  const factor = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[unit];
  if (number === undefined || factor === undefined)
    throw new InvalidArgumentError("Give a time such as 30s, 500ms or 5m.");
  return Number(number) * factor;
}

/** A date, or a date and time; without a zone it is UTC, as everywhere in the API. */
export function parseMoment(text: string): Date {
  return bySchema(moment, text);
}

/** One word, or answers by status: `Completed=reject,Failed=start`. */
export function parseIfEnded(text: string): IfEnded | undefined {
  return bySchema(ifEnded, text);
}

/** Statuses, comma-separated or repeated. */
export function collectStatuses(
  text: string,
  before: readonly RuntimeStatus[] = [],
): readonly RuntimeStatus[] {
  return [...before, ...(bySchema(runtimeStatuses, text) ?? [])];
}

/** Ended statuses, comma-separated or repeated. */
export function collectEndedStatuses(
  text: string,
  before: readonly EndedStatus[] = [],
): readonly EndedStatus[] {
  const ended = (bySchema(runtimeStatuses, text) ?? []).map((status) => {
    if (isEnded(status)) return status;
    throw new InvalidArgumentError(`${status} is not one of ${ENDED_STATUSES.join(", ")}.`);
  });
  return [...before, ...ended];
}

/** `key=value`, repeated with other keys. */
export function collectTag(text: string, before: Tags = {}): Tags {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("Give it as key=value.");
  const key = text.slice(0, at);
  if (Object.hasOwn(before, key))
    throw new InvalidArgumentError(`The key ${JSON.stringify(key.slice(0, 80))} is given twice.`);
  return Object.fromEntries([...Object.entries(before), [key, text.slice(at + 1)]]);
}

export function parseCount(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError("Give a whole number of at least 1.");
  return Number(text);
}

export function parseWholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("Give a whole number.");
  return Number(text);
}

/** 0 lets the system choose one. */
export function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= 65_535)) throw new InvalidArgumentError("Give a port from 0 to 65535.");
  return port;
}

function bySchema<S extends z.ZodType>(schema: S, text: string): z.output<S> {
  const result = schema.safeParse(text);
  if (result.success) return result.data;
  throw new InvalidArgumentError(`It ${result.error.issues[0]?.message ?? "cannot be read"}.`);
}
