import type { Command } from "commander";
import {
  addId,
  type ClientOptions,
  clientCommand,
  type IdOption,
  requireId,
  withRemote,
} from "../client-command.js";
import { parseCount } from "../option-values.js";
import { print, say } from "../output.js";
import type { ExecutionData, Remote } from "../remote.js";

/** The most that one page may hold. */
const MAX_PAGE = 1000;

interface ExecutionsOptions extends ClientOptions, IdOption {
  readonly top: number;
}

const HEAD = ["execution id", "run", "generation", "name", "status", "created", "ended"] as const;

export function addExecutions(program: Command): void {
  addId(clientCommand(program, "executions", "list the executions of an ID, newest first"))
    .option("--top <count>", "at most so many", parseCount, 100)
    .action(list);
}

async function list(argument: string | undefined, options: ExecutionsOptions): Promise<void> {
  const id = requireId(argument, options);
  const { executions, more } = await withRemote(options, (remote) => pages(remote, id, options.top));
  await print(options.output, executions, (tables) =>
    tables.listTable(process.stdout, HEAD, executions.map(row)),
  );
  if (more) say(`There are more than these ${executions.length}: raise --top.`);
}

/** Follows pages, which are short where payloads are large. */
async function pages(
  remote: Remote,
  id: string,
  top: number,
): Promise<{ readonly executions: readonly ExecutionData[]; readonly more: boolean }> {
  const executions: ExecutionData[] = [];
  let continuationToken: string | undefined;
  do {
    const page = await remote.executions(id, {
      top: Math.min(top - executions.length, MAX_PAGE),
      ...(continuationToken === undefined ? {} : { continuationToken }),
    });
    executions.push(...page.executions);
    continuationToken = page.continuationToken;
  } while (continuationToken !== undefined && executions.length < top);
  return { executions, more: continuationToken !== undefined };
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
