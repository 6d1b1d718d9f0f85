import { type Command, Option } from "commander";
import {
  addId,
  type ClientOptions,
  clientCommand,
  type IdOption,
  requireId,
  withRemote,
} from "../client-command.js";
import { print } from "../output.js";
import { statusMembers } from "../status-table.js";

export function addGet(program: Command): void {
  addId(clientCommand(program, "get", "show an instance's status", ["get-runtime-status"]))
    // Of `func durable`: both are always shown.
    .addOption(new Option("--show-input").hideHelp())
    .addOption(new Option("--show-output").hideHelp())
    .action(get);
}

async function get(argument: string | undefined, options: ClientOptions & IdOption): Promise<void> {
  const id = requireId(argument, options);
  const status = await withRemote(options, (remote) => remote.get(id));
  await print(options.output, status, (tables) => tables.recordTable(process.stdout, statusMembers(status)));
}
