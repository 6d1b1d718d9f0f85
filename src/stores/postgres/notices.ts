import { createHash } from "node:crypto";
import type { Change } from "../../core/store.js";

/** What processes of a hub tell one another: enough to know whether to look, and for what. */
export interface Word extends Omit<Change, "messages" | "began" | "onlyBegan"> {
  /** Who says it: nobody listens to oneself. */
  readonly sender: string;
  /** Shards that have new messages. */
  readonly shards: readonly number[];
}

/** What was heard. Whatever is missing could not be read, or was too much to say: it may be anything. */
export type HeardWord = Word | { readonly sender?: string };

/** A notification has room for 7,999 bytes. All else than IDs takes less than 1,500: a hub has 256 shards. */
const ID_BYTES = 6_400;

/** What would take more notifications than this is not told in detail. */
const MAX_WORDS = 4;

/** Before the ID of an instance that has ended, or of one that has not. */
const ENDED = "-";
const ALIVE = "+";

/** The channel of a hub: a name that no other hub of the database has. */
export function channelOf(schema: string, taskHub: string): string {
  const digest = createHash("sha256").update(JSON.stringify([schema, taskHub]));
  return `tenure_${digest.digest("hex").slice(0, 24)}`;
}

/** As many notifications as the instances need that it is about. */
export function encodeWord({ instanceIds, alive = [], ...rest }: Word): readonly string[] {
  const isAlive = new Set(alive);
  const ids = instanceIds.map((id) => `${isAlive.has(id) ? ALIVE : ENDED}${id}`);
  const [first = [], ...others] = pagesOf(ids);
  const { sender } = rest;
  if (others.length >= MAX_WORDS) return [JSON.stringify({ sender })];
  return [{ ...rest, ids: first }, ...others.map((page) => ({ sender, shards: [], ids: page }))].map((word) =>
    JSON.stringify(word),
  );
}

function pagesOf(ids: readonly string[]): readonly string[][] {
  const pages: string[][] = [];
  let room = 0;
  for (const id of ids) {
    const bytes = Buffer.byteLength(JSON.stringify(id)) + 1;
    room -= bytes;
    const page = pages.at(-1);
    if (page !== undefined && room >= 0) {
      page.push(id);
    } else {
      pages.push([id]);
      room = ID_BYTES - bytes;
    }
  }
  return pages;
}

export function decodeWord(text: string): HeardWord {
  const { sender, shards, ids, nextDueMs, tasks, members } = fieldsOf(text);
  const from = typeof sender === "string" ? { sender } : {};
  if (!("sender" in from) || !areNumbers(shards) || !areTexts(ids)) return from;
  const instanceIds = ids.map((id) => id.slice(1));
  return {
    ...from,
    shards,
    instanceIds,
    alive: instanceIds.filter((_, index) => ids[index]?.startsWith(ALIVE)),
    ...(typeof nextDueMs === "number" ? { nextDueMs } : {}),
    ...(tasks === true ? { tasks } : {}),
    ...(members === true ? { members } : {}),
  };
}

function fieldsOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const said: unknown = JSON.parse(text);
    return typeof said === "object" && said !== null ? { ...said } : {};
  } catch {
    return {};
  }
}

function areNumbers(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((each) => typeof each === "number");
}

function areTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === "string");
}
