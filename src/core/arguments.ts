import { InvalidArgumentError, LimitExceededError } from "./errors.js";
import { RUNTIME_STATUSES, type RuntimeStatus, type Tags } from "./instance.js";
import { hasControlCharacter, isWellFormed } from "./text.js";

/**
 * What callers hand in, checked once at the door: TypeScript checks only those who use it. Instance IDs
 * have a validator of their own (`parseInstanceId`), start policies theirs (`startPolicy`).
 */

/** The longest name of an orchestrator, an activity or an event, in UTF-16 code units. */
const MAX_NAME_LENGTH = 200;

/** The longest version, request ID and tag's key, in UTF-16 code units. */
const MAX_LABEL_LENGTH = 256;

/** The most tags of an instance, and the longest value of one. */
const MAX_TAGS = 64;
const MAX_TAG_LENGTH = 1024;

/** The longest reason, in UTF-16 code units. */
const MAX_REASON_LENGTH = 16 * 1024;

/** A name: 1 to 200 characters of well-formed text without control characters. */
export function parseName(parameter: string, value: unknown): string {
  return parseText(parameter, value, MAX_NAME_LENGTH);
}

/** A label: 1 to 256 characters of well-formed text without control characters. */
export function parseLabel(parameter: string, value: unknown): string {
  return parseText(parameter, value, MAX_LABEL_LENGTH);
}

/** At most 64 tags; keys are labels, values any text of up to 1,024 characters. */
export function parseTags(value: unknown): Tags {
  if (value === undefined) return {};
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new InvalidArgumentError("tags", "must be an object of strings");
  }
  const entries = Object.entries(value);
  if (entries.length > MAX_TAGS)
    throw new InvalidArgumentError("tags", `at most ${MAX_TAGS}, not ${entries.length}`);
  return Object.fromEntries(entries.map(([key, tag]) => [parseLabel("tags", key), parseTagValue(key, tag)]));
}

function parseTagValue(key: string, value: unknown): string {
  if (typeof value !== "string") throw new InvalidArgumentError(`tags.${key}`, "a tag's value is a string");
  if (value.length > MAX_TAG_LENGTH)
    throw new InvalidArgumentError(`tags.${key}`, `has at most ${MAX_TAG_LENGTH} characters`);
  if (!isWellFormed(value)) throw new InvalidArgumentError(`tags.${key}`, "must be well-formed Unicode");
  return value;
}

/** A Date, as milliseconds since the epoch. */
export function parseTime(parameter: string, value: unknown): number {
  if (!(value instanceof Date) || !Number.isFinite(value.getTime())) {
    throw new InvalidArgumentError(parameter, "must be a valid Date");
  }
  return value.getTime();
}

/** Statuses by their names, in Durable Functions' spelling. */
export function parseStatuses(parameter: string, value: unknown): readonly RuntimeStatus[] {
  if (!Array.isArray(value)) throw new InvalidArgumentError(parameter, "must be an array of statuses");
  return value.map((each) => {
    const status = RUNTIME_STATUSES.find((known) => known === each);
    if (status !== undefined) return status;
    throw new InvalidArgumentError(
      parameter,
      `${JSON.stringify(each)} is not one of ${RUNTIME_STATUSES.join(", ")}`,
    );
  });
}

/** Why something is asked for, as it is kept in the history: text of up to 16 K characters, or nothing. */
export function parseReason(value: unknown): string | undefined {
  const reason = parseOptionalText("reason", value);
  if (reason !== undefined && reason.length > MAX_REASON_LENGTH)
    throw new LimitExceededError("reason", MAX_REASON_LENGTH, reason.length, "the reason");
  return reason;
}

/**
 * What a filter compares with: any well-formed text, or nothing. Half a surrogate pair is the beginning of a
 * character for one store, and of none for another.
 */
export function parseFilterText(parameter: string, value: unknown): string | undefined {
  const text = parseOptionalText(parameter, value);
  if (text !== undefined && !isWellFormed(text))
    throw new InvalidArgumentError(parameter, "must be well-formed Unicode");
  return text;
}

/**
 * An object of options, as the last argument of a call.
 *
 * @param hint what whoever hands in something else probably means.
 */
export function checkOptions(value: unknown, hint = ""): void {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return;
  throw new InvalidArgumentError("options", `must be an object${hint}`);
}

/** Any text, or nothing. */
export function parseOptionalText(parameter: string, value: unknown): string | undefined {
  if (value === undefined || typeof value === "string") return value;
  throw new InvalidArgumentError(parameter, "must be a string");
}

function parseText(parameter: string, value: unknown, maxLength: number): string {
  if (typeof value !== "string") throw new InvalidArgumentError(parameter, "must be a string");
  if (value.length === 0 || value.length > maxLength) {
    throw new InvalidArgumentError(parameter, `has 1 to ${maxLength} characters, not ${value.length}`);
  }
  if (hasControlCharacter(value))
    throw new InvalidArgumentError(parameter, "must not contain control characters");
  if (!isWellFormed(value)) throw new InvalidArgumentError(parameter, "must be well-formed Unicode");
  return value;
}
