import type { Command } from "commander";
import {
  addId,
  type ClientOptions,
  clientCommand,
  type IdOption,
  requireId,
  withRemote,
} from "../client-command.js";
import { endedExitCode } from "../ended-exit-code.js";
import { parseDuration } from "../option-values.js";
import { print } from "../output.js";
import { statusMembers } from "../status-table.js";

interface WaitOptions extends ClientOptions, IdOption {
  readonly timeout?: number;
}

export function addWait(program: Command): void {
  addId(clientCommand(program, "wait", "wait until an instance has ended; exits 5 unless it completed"))
    .option("--timeout <time>", "give up after this time, e.g. 30s; exits 6", parseDuration)
    .action(wait);
}

async function wait(argument: string | undefined, options: WaitOptions): Promise<void> {
  const id = requireId(argument, options);
  const status = await withRemote(options, (remote) => remote.waitForEnd(id, options.timeout));
  await print(options.output, status, (tables) => tables.recordTable(process.stdout, statusMembers(status)));
  process.exitCode = endedExitCode(status);
}
