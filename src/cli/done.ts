import { type OutputFormat, print } from "./output.js";
import { printable } from "./terminal-text.js";

/** Says that a command was carried out: a sentence, or its facts as JSON. */
export async function done(format: OutputFormat, sentence: string, facts: object): Promise<void> {
  await print(format, facts, () => printable(sentence));
}
