import type { Chunk } from "./history-codec.js";
import { MAX_PAYLOAD_LENGTH } from "./payload.js";

/**
 * What may wait for an instance that takes nothing in, because it is parked, its start is for later, or no worker runs:
 * its next load reads all of it at once. Events from outside are refused beyond it; what the engine itself
 * sends (results, commands, events between orchestrations) is not.
 */
export interface MailLimit {
  /** Events and commands accepted since the oldest one that waits, itself included. */
  readonly events: number;
  /** What they take in the store. Short events are let in without a look at the sizes of others. */
  readonly bytes: number;
}

/** As many events as Temporal allows signals; and no more bytes than fit into a history (50 MB). */
export const MAIL_LIMIT: MailLimit = { events: 10_000, bytes: 32 * 1024 * 1024 };

/** Events up to this length (UTF-16 code units) count by their number only: as many as may wait are 80 MB. */
const SHORT_EVENT_LENGTH = 8 * 1024;

/** What waits for an instance. */
export interface WaitingMail {
  readonly events: number;
  readonly bytes: number;
}

/** Which part of the limit an event would break. */
export interface BrokenMailLimit {
  readonly limit: "waiting events" | "waiting bytes";
  readonly allowed: number;
  readonly actual: number;
}

/**
 * With how many events waiting, this one included, it need not be known how large they are. A store that finds no more
 * lets it in; else it looks, and asks {@link brokenMailLimit}.
 */
export function roomWithoutLook(limit: MailLimit, event: Chunk): number {
  if (isShort(event)) return limit.events;
  return Math.min(limit.events, Math.floor(limit.bytes / MAX_PAYLOAD_LENGTH));
}

/** How many events and commands have come since the oldest that waits: a row's mail counter less that one's own. */
export function mailWaiting(mail: number, oldest: number | undefined): number {
  return oldest === undefined ? 0 : mail - oldest + 1;
}

/** Which limit an event would break; undefined where it may be let in. */
export function brokenMailLimit(
  limit: MailLimit,
  waiting: WaitingMail,
  event: { readonly text: Chunk; readonly bytes: number },
): BrokenMailLimit | undefined {
  if (waiting.events >= limit.events)
    return { limit: "waiting events", allowed: limit.events, actual: waiting.events + 1 };
  const bytes = waiting.bytes + event.bytes;
  if (isShort(event.text) || bytes <= limit.bytes) return undefined;
  return { limit: "waiting bytes", allowed: limit.bytes, actual: bytes };
}

function isShort(event: Chunk): boolean {
  return event.length <= SHORT_EVENT_LENGTH;
}
