import type { Command } from "commander";
import type { RuntimeStatus } from "../../core/instance.js";
import { type ClientOptions, clientCommand, withRemote } from "../client-command.js";
import { addFilters, type FilterOptions, filterOf } from "../filter-options.js";
import { collectStatuses, parseCount, parseMoment } from "../option-values.js";
import { print, say } from "../output.js";
import type { ListRequest, Remote, StatusData } from "../remote.js";
import { statusText } from "../status-table.js";

/** The most that one page may hold. */
const MAX_PAGE = 1000;

interface ListOptions extends ClientOptions, FilterOptions<RuntimeStatus> {
  readonly updatedFrom?: Date;
  readonly updatedTo?: Date;
  readonly top: number;
}

export function addList(program: Command): void {
  const command = clientCommand(program, "list", "list instances, in order of creation", ["get-instances"]);
  addFilters(command, { description: "in one of these statuses", collect: collectStatuses })
    .option("--updated-from <time>", "last updated then or later", parseMoment)
    .option("--updated-to <time>", "last updated then or before", parseMoment)
    .option("--top <count>", "at most so many", parseCount, 100)
    .action(list);
}

async function list(options: ListOptions): Promise<void> {
  const { instances, more } = await withRemote(options, (remote) =>
    pages(remote, requestOf(options), options.top),
  );
  await print(options.output, instances, (tables) =>
    tables.listTable(
      process.stdout,
      ["id", "name", "status", "created", "last updated", "run"],
      instances.map(row),
    ),
  );
  if (more) say(`There are more than these ${instances.length}: raise --top, or narrow the list.`);
}

/** Follows pages, which may be short or empty, until there are enough instances or no more pages. */
async function pages(
  remote: Remote,
  filter: ListRequest,
  top: number,
): Promise<{ readonly instances: readonly StatusData[]; readonly more: boolean }> {
  const instances: StatusData[] = [];
  let continuationToken: string | undefined;
  do {
    const page = await remote.list({
      ...filter,
      top: Math.min(top - instances.length, MAX_PAGE),
      ...(continuationToken === undefined ? {} : { continuationToken }),
    });
    instances.push(...page.instances);
    continuationToken = page.continuationToken;
  } while (continuationToken !== undefined && instances.length < top);
  if (continuationToken === undefined) return { instances, more: false };
  // A token may lead to nothing: only another page tells.
  const next = await remote.list({ ...filter, top: 1, continuationToken });
  return { instances, more: next.instances.length > 0 || next.continuationToken !== undefined };
}

function requestOf(options: ListOptions): ListRequest {
  return {
    ...filterOf(options),
    ...(options.updatedFrom === undefined ? {} : { lastUpdatedFrom: options.updatedFrom }),
    ...(options.updatedTo === undefined ? {} : { lastUpdatedTo: options.updatedTo }),
  };
}

function row(status: StatusData): string[] {
  return [
    status.instanceId,
    status.name,
    statusText(status),
    status.createdTime,
    status.lastUpdatedTime,
    String(status.run),
  ];
}
