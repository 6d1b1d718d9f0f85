import { createHash } from "node:crypto";

/** What processes of a hub tell one another: enough to know whether to look. */
export interface Word {
  /** Who says it: nobody listens to oneself. */
  readonly sender: string;
  /** Shards that have new messages, or timers that may be due earlier. */
  readonly shards: readonly number[];
  /** Whether what users see of some instance has changed. */
  readonly status: boolean;
}

/** The channel of a hub: a name that no other hub of the database has. */
export function channelOf(schema: string, taskHub: string): string {
  const digest = createHash("sha256").update(JSON.stringify([schema, taskHub]));
  return `tenure_${digest.digest("hex").slice(0, 24)}`;
}

/** Far below the 8,000 bytes that a notification may have: a hub has 256 shards. */
export function encodeWord({ sender, shards, status }: Word): string {
  return `${sender} ${status ? "1" : "0"} ${shards.join(",")}`;
}

/** What cannot be read is taken to say that anything may have changed. */
export function decodeWord(payload: string): Word | undefined {
  const [sender, status, shards, ...rest] = payload.split(" ");
  if (sender === undefined || status === undefined || shards === undefined || rest.length > 0)
    return undefined;
  return { sender, status: status === "1", shards: shards === "" ? [] : shards.split(",").map(Number) };
}
