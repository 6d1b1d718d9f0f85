import type { Command } from "commander";
import { InvalidArgumentError } from "../../core/errors.js";
import type { EndedStatus } from "../../core/instance.js";
import {
  addId,
  type ClientOptions,
  clientCommand,
  type IdOption,
  requireId,
  withRemote,
} from "../client-command.js";
import { confirm } from "../confirm.js";
import { done } from "../done.js";
import { addFilters, type FilterOptions, filterOf } from "../filter-options.js";
import { collectEndedStatuses } from "../option-values.js";
import { Progress } from "../progress.js";
import type { PurgeRequest } from "../remote.js";

interface PurgeOptions extends ClientOptions, IdOption, FilterOptions<EndedStatus> {
  readonly all?: boolean;
  readonly recursive?: boolean;
  readonly yes?: boolean;
}

export function addPurge(program: Command): void {
  const command = addId(
    clientCommand(program, "purge", "delete an ended instance, or all ended ones that match", [
      "purge-history",
    ]),
  ).option("--all", "all ended instances");
  addFilters(command, { description: "ended in one of these statuses", collect: collectEndedStatuses })
    .option("--recursive", "their ended sub-orchestrations too")
    .option("-y, --yes", "do not ask")
    .action(purge);
}

async function purge(argument: string | undefined, options: PurgeOptions): Promise<void> {
  const filter = filterOf(options);
  const filtered = Object.keys(filter).length > 0;
  const whole = options.all === true;
  if (argument !== undefined || options.id !== undefined) {
    if (filtered || whole) throw new InvalidArgumentError("id", "give an ID or a filter, not both");
    await purgeOne(requireId(argument, options), options);
  } else if (filtered || whole) {
    await purgeMatching(filter, options);
  } else {
    throw new InvalidArgumentError("id", "give an ID, a filter, or --all");
  }
}

async function purgeOne(id: string, options: PurgeOptions): Promise<void> {
  await confirm(`Delete ${id} with its history?`, options);
  const instancesDeleted = await withRemote(options, (remote) =>
    remote.purge(id, options.recursive ?? false),
  );
  await done(options.output, sentence(instancesDeleted), { instancesDeleted });
}

async function purgeMatching(filter: PurgeRequest, options: PurgeOptions): Promise<void> {
  await confirm("Delete all ended instances that match, with their histories?", options);
  using progress = new Progress((count) => `${count.toLocaleString("en")} deleted so far`);
  const instancesDeleted = await withRemote(options, (remote) =>
    remote.purgeBy({ ...filter, recursive: options.recursive ?? false }, (count) => progress.show(count)),
  );
  progress[Symbol.dispose]();
  await done(options.output, sentence(instancesDeleted), { instancesDeleted });
}

function sentence(count: number): string {
  return count === 1 ? "1 instance was deleted." : `${count} instances were deleted.`;
}
