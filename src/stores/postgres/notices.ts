import { createHash } from "node:crypto";
import type { Change } from "../../core/store.js";

/** What processes of a hub tell one another: enough to know whether to look, and for what. */
export interface Word extends Omit<Change, "messages" | "began" | "loaded" | "onlyBegan"> {
  /** Who says it: nobody listens to oneself. */
  readonly sender: string;
  /** Shards that have new messages, beside those of `began`. */
  readonly shards: readonly number[];
  /** New instances that have begun, with the shard of each: who owns it loads them, and need not look for mail. */
  readonly began?: readonly Begun[];
}

export interface Begun {
  readonly iid: number;
  readonly shard: number;
}

/** What was heard. Whatever is missing could not be read, or was too much to say: it may be anything. */
export type HeardWord = Word | { readonly sender?: string };

/** A notification has room for 7,999 bytes. All else takes less than 2,100: a hub has 256 shards, named twice at most. */
const ID_BYTES = 3_400;
const BEGAN_BYTES = 2_400;

/** What would take more notifications than this is not told in detail. */
const MAX_WORDS = 7;

/** Before the ID of an instance that has ended, or of one that has not. */
const ENDED = "-";
const ALIVE = "+";

/** The channel of a hub: a name that no other hub of the database has. */
export function channelOf(schema: string, taskHub: string): string {
  const digest = createHash("sha256").update(JSON.stringify([schema, taskHub]));
  return `tenure_${digest.digest("hex").slice(0, 24)}`;
}

/** As many notifications as the instances need that it is about. */
export function encodeWord({
  instanceIds,
  alive = [],
  shards,
  began = [],
  ...others
}: Word): readonly string[] {
  const rest = { ...others, ...shardsSaid(shards, began) };
  const isAlive = new Set(alive);
  const ids = instanceIds.map((id) => `${isAlive.has(id) ? ALIVE : ENDED}${id}`);
  const [first = [], ...more] = pagesOf(ids);
  const { sender } = rest;
  if (more.length >= MAX_WORDS) return [JSON.stringify({ sender })];
  return [{ ...rest, ids: first }, ...more.map((page) => ({ sender, shards: [], ids: page }))].map((word) =>
    JSON.stringify(word),
  );
}

/** `shards` names all that have mail, for whoever does not know `began`: who does looks at `mailed`. */
function shardsSaid(mailed: readonly number[], began: readonly Begun[]): object {
  const shards = [...new Set([...mailed, ...began.map(({ shard }) => shard)])];
  const pairs = began.flatMap(({ iid, shard }) => [iid, shard]);
  if (pairs.length === 0 || JSON.stringify(pairs).length > BEGAN_BYTES) return { shards };
  return { shards, mailed, began: pairs };
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
  const { sender, shards, mailed, began, ids, nextDueMs, tasks, members } = fieldsOf(text);
  const from = typeof sender === "string" ? { sender } : {};
  if (!("sender" in from) || !areNumbers(shards) || !areTexts(ids)) return from;
  const instanceIds = ids.map((id) => id.slice(1));
  return {
    ...from,
    ...(areNumbers(began) && areNumbers(mailed) ? { shards: mailed, began: pairsOf(began) } : { shards }),
    instanceIds,
    alive: instanceIds.filter((_, index) => ids[index]?.startsWith(ALIVE)),
    ...(typeof nextDueMs === "number" ? { nextDueMs } : {}),
    ...(tasks === true ? { tasks } : {}),
    ...(members === true ? { members } : {}),
  };
}

function pairsOf(numbers: readonly number[]): Begun[] {
  const pairs: Begun[] = [];
  for (let at = 0; at + 1 < numbers.length; at += 2) {
    const [iid = 0, shard = 0] = numbers.slice(at, at + 2);
    pairs.push({ iid, shard });
  }
  return pairs;
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
