import type { Command } from "commander";
import {
  addId,
  type ClientOptions,
  clientCommand,
  type IdOption,
  requireId,
  withRemote,
} from "../client-command.js";
import { print, say } from "../output.js";
import type { HistoryData } from "../remote.js";
import { printable } from "../terminal-text.js";

interface HistoryOptions extends ClientOptions, IdOption {
  readonly execution?: string;
}

export function addHistory(program: Command): void {
  addId(clientCommand(program, "history", "show what happened in an execution", ["get-history"]))
    .option("--execution <id>", "this execution (default: the current one)")
    .action(history);
}

async function history(argument: string | undefined, options: HistoryOptions): Promise<void> {
  const id = requireId(argument, options);
  const data = await withRemote(options, (remote) => remote.history(id, options.execution));
  await print(options.output, data, (tables) =>
    tables.listTable(process.stdout, ["time", "event", "details"], data.events.map(row)),
  );
  if (options.output === "table") {
    say(printable(`${data.name}, execution ${data.executionId} (run ${data.run}): ${data.runtimeStatus}`));
  }
}

function row({ type, timestamp, ...details }: HistoryData["events"][number]): string[] {
  return [timestamp, type, Object.keys(details).length === 0 ? "" : JSON.stringify(details)];
}
