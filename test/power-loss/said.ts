import { z } from "zod";

/** Where the lines are written, below the recorded folder. */
export const SAID_FILE = "said";

const line = z.object({ id: z.string() });

/** From here on it may have happened. */
const asked = line.extend({
  say: z.literal("asked"),
  for: z.enum(["start", "raise", "suspend", "resume", "terminate", "purge"]),
});

/** From here on it has happened: the caller was told so. */
const told = [
  line.extend({ say: z.literal("started"), run: z.number(), token: z.number() }),
  line.extend({ say: z.literal("raised"), value: z.number() }),
  line.extend({ say: z.literal("suspended") }),
  line.extend({ say: z.literal("resumed") }),
  line.extend({ say: z.literal("ended"), status: z.string(), output: z.unknown(), token: z.number() }),
  line.extend({ say: z.literal("purged") }),
] as const;

/** An activity had begun: its scheduling, and the token that it was given, must be durable. */
const ran = line.extend({
  say: z.literal("ran"),
  executionId: z.string(),
  task: z.number(),
  token: z.number(),
});

const said = z.discriminatedUnion("say", [asked, ...told, ran]);

export type Asked = z.infer<typeof asked>;
export type Ran = z.infer<typeof ran>;

/**
 * A line that the workload writes, in order with the engine's own writes: what a client is about to ask for, what it was
 * told, and which activity ran. Each ID has one client, which asks for one thing after the other.
 */
export type Said = z.infer<typeof said>;

export function parseSaid(text: string): Said {
  return said.parse(JSON.parse(text));
}
