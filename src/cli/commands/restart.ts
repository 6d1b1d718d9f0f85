import type { Command } from "commander";
import {
  addId,
  type ClientOptions,
  clientCommand,
  type IdOption,
  requireId,
  withRemote,
} from "../client-command.js";
import { print } from "../output.js";
import { startedMembers } from "./start-new.js";

interface RestartOptions extends ClientOptions, IdOption {
  readonly sameId?: boolean;
}

export function addRestart(program: Command): void {
  addId(clientCommand(program, "restart", "start an instance again with its name and input, under a new ID"))
    .option("--same-id", "under the same ID, which must have ended")
    .action(restart);
}

async function restart(argument: string | undefined, options: RestartOptions): Promise<void> {
  const id = requireId(argument, options);
  const started = await withRemote(options, (remote) => remote.restart(id, options.sameId !== true));
  await print(options.output, started, (tables) =>
    tables.recordTable(process.stdout, startedMembers(started)),
  );
}
