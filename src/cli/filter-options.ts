import { type Command, Option } from "commander";
import type { RuntimeStatus, Tags } from "../core/instance.js";
import { collectTag, parseMoment } from "./option-values.js";
import type { ListRequest } from "./remote.js";

/** The options that say which instances are meant, where it may be these statuses. */
export interface FilterOptions<S extends RuntimeStatus> {
  readonly status?: readonly S[];
  readonly runtimeStatus?: readonly S[];
  readonly name?: string;
  readonly idPrefix?: string;
  readonly tag?: Tags;
  readonly createdFrom?: Date;
  readonly createdAfter?: Date;
  readonly createdTo?: Date;
  readonly createdBefore?: Date;
}

/** What these options ask a task hub for. */
export interface Filter<S extends RuntimeStatus>
  extends Pick<ListRequest, "name" | "instanceIdPrefix" | "tags" | "createdTimeFrom" | "createdTimeTo"> {
  readonly runtimeStatus?: readonly S[];
}

/** How `--status` is explained and read. */
interface StatusOption<S extends RuntimeStatus> {
  readonly description: string;
  readonly collect: (text: string, before?: readonly S[]) => readonly S[];
}

/** Adds them to a command, and those names that `func durable` has for some of them. */
export function addFilters<S extends RuntimeStatus>(command: Command, status: StatusOption<S>): Command {
  return command
    .option("--status <status,...>", status.description, status.collect)
    .option("--name <name>", "of this orchestrator")
    .option("--id-prefix <text>", "whose ID begins so")
    .option("--tag <key=value>", "with this label; may be repeated", collectTag)
    .option("--created-from <time>", "created then or later", parseMoment)
    .option("--created-to <time>", "created then or before", parseMoment)
    .addOption(new Option("--runtime-status <status,...>").argParser(status.collect).hideHelp())
    .addOption(new Option("--created-after <time>").argParser(parseMoment).hideHelp())
    .addOption(new Option("--created-before <time>").argParser(parseMoment).hideHelp());
}

/** Empty where none was given. */
export function filterOf<S extends RuntimeStatus>(options: FilterOptions<S>): Filter<S> {
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
