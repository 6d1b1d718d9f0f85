import { type Command, Option } from "commander";
import { InvalidArgumentError } from "../../core/errors.js";
import type { EndedStatus, Tags } from "../../core/instance.js";
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
import { collectEndedStatuses, collectTag, parseMoment } from "../option-values.js";
import { Progress } from "../progress.js";
import type { PurgeRequest } from "../remote.js";

interface PurgeOptions extends ClientOptions, IdOption {
  readonly all?: boolean;
  readonly status?: readonly EndedStatus[];
  readonly runtimeStatus?: readonly EndedStatus[];
  readonly name?: string;
  readonly idPrefix?: string;
  readonly tag?: Tags;
  readonly createdFrom?: Date;
  readonly createdAfter?: Date;
  readonly createdTo?: Date;
  readonly createdBefore?: Date;
  readonly recursive?: boolean;
  readonly yes?: boolean;
}

export function addPurge(program: Command): void {
  addId(
    clientCommand(program, "purge", "delete an ended instance, or all ended ones that match", [
      "purge-history",
    ]),
  )
    .option("--all", "all ended instances")
    .option("--status <status,...>", "ended in one of these statuses", collectEndedStatuses)
    .option("--name <name>", "of this orchestrator")
    .option("--id-prefix <text>", "whose ID begins so")
    .option("--tag <key=value>", "with this label; may be repeated", collectTag)
    .option("--created-from <time>", "created then or later", parseMoment)
    .option("--created-to <time>", "created then or before", parseMoment)
    .option("--recursive", "their ended sub-orchestrations too")
    .option("-y, --yes", "do not ask")
    .addOption(new Option("--runtime-status <status,...>").argParser(collectEndedStatuses).hideHelp())
    .addOption(new Option("--created-after <time>").argParser(parseMoment).hideHelp())
    .addOption(new Option("--created-before <time>").argParser(parseMoment).hideHelp())
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

function filterOf(options: PurgeOptions): PurgeRequest {
  const runtimeStatus = options.status ?? options.runtimeStatus;
  const createdTimeFrom = options.createdFrom ?? options.createdAfter;
  const createdTimeTo = options.createdTo ?? options.createdBefore;
  return {
    ...(runtimeStatus === undefined ? {} : { runtimeStatus }),
    ...(options.name === undefined ? {} : { name: options.name }),
    ...(options.idPrefix === undefined ? {} : { instanceIdPrefix: options.idPrefix }),
    ...(options.tag === undefined ? {} : { tags: options.tag }),
    ...(createdTimeFrom === undefined ? {} : { createdTimeFrom }),
    ...(createdTimeTo === undefined ? {} : { createdTimeTo }),
  };
}
