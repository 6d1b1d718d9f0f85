import type * as Tables from "./tables.js";
import { printableJson } from "./terminal-text.js";

/** How commands print their data. */
export type OutputFormat = "table" | "json";

/** Prints a command's data, and nothing else, to stdout: as a table for people, or as JSON. */
export async function print(
  format: OutputFormat,
  data: unknown,
  table: (tables: typeof Tables) => string,
): Promise<void> {
  // Tables are loaded when one is drawn: scripts ask for JSON.
  const text = format === "json" ? printableJson(data) : table(await import("./tables.js"));
  process.stdout.write(`${text}\n`);
}

/** Says something beside the data, on stderr. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
