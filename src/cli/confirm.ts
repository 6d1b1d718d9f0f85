import { createInterface } from "node:readline/promises";
import { ConfigurationError } from "../core/errors.js";
import { isTerminal } from "./style.js";
import { printable } from "./terminal-text.js";

/**
 * Asks before something is destroyed; returns when the answer is yes, or `--yes` was given.
 *
 * @throws ConfigurationError when the answer is no, or when nobody can be asked.
 */
export async function confirm(question: string, { yes }: { readonly yes?: boolean }): Promise<void> {
  if (yes === true) return;
  if (!process.stdin.isTTY || !isTerminal(process.stderr)) {
    throw new ConfigurationError(
      "This deletes for good, and there is no terminal to ask on. Add -y to do it.",
    );
  }
  // The question goes to stderr: stdout is for data.
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(`${printable(question)} [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw new ConfigurationError("Nothing was deleted.");
  } finally {
    terminal.close();
  }
}
