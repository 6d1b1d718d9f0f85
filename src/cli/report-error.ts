import { CommanderError } from "commander";
import { TenureError } from "../core/errors.js";
import { say } from "./output.js";
import { RemoteError } from "./remote.js";
import { holderMembers } from "./status-table.js";
import { styleFor } from "./style.js";
import { printableLines } from "./terminal-text.js";

/** Says on stderr why a command failed, and who holds the ID where that is the reason. */
export async function reportError(error: unknown): Promise<void> {
  if (error instanceof CommanderError) {
    // Help and version were printed already.
    if (error.exitCode !== 0 && error.code !== "commander.help") say(printableLines(error.message));
    return;
  }
  const { red } = styleFor(process.stderr);
  say(`${red("error:")} ${printableLines(textOf(error))}`);
  const { heldBy } = await import("./held-by.js");
  const holder = heldBy(error);
  if (holder === undefined) return;
  const { recordTable } = await import("./tables.js");
  say(recordTable(process.stderr, holderMembers(holder)));
}

/** Our own errors say what to do; of others the stack is what helps. */
function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const ours = error instanceof TenureError || error instanceof RemoteError;
  return ours && !wantsStack() ? error.message : (error.stack ?? error.message);
}

function wantsStack(): boolean {
  return (process.env["TENURE_DEBUG"] ?? "") !== "";
}
