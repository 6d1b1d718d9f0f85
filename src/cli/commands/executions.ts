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
import type { ExecutionData } from "../remote.js";

const HEAD = ["execution id", "run", "generation", "name", "status", "created", "ended"] as const;

export function addExecutions(program: Command): void {
  addId(clientCommand(program, "executions", "list the executions of an ID, newest first")).action(
    executions,
  );
}

async function executions(argument: string | undefined, options: ClientOptions & IdOption): Promise<void> {
  const id = requireId(argument, options);
  const data = await withRemote(options, (remote) => remote.executions(id));
  await print(options.output, data, (tables) => tables.listTable(process.stdout, HEAD, data.map(row)));
}

function row(execution: ExecutionData): string[] {
  return [
    execution.executionId,
    String(execution.run),
    String(execution.generation),
    execution.name,
    execution.runtimeStatus,
    execution.createdTime,
    execution.endedTime ?? "",
  ];
}
