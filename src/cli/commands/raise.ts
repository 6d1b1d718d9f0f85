import { type Command, Option } from "commander";
import { InvalidArgumentError } from "../../core/errors.js";
import {
  addId,
  type ClientOptions,
  clientCommand,
  type IdOption,
  requireId,
  withRemote,
} from "../client-command.js";
import { done } from "../done.js";
import { readJsonInput } from "../json-input.js";

interface RaiseOptions extends ClientOptions, IdOption {
  readonly data?: string;
  readonly eventName?: string;
  readonly eventData?: string;
}

export function addRaise(program: Command): void {
  addId(clientCommand(program, "raise", "deliver an external event to a live instance", ["raise-event"]))
    .argument("[event]", "the event's name")
    .option("--data <json>", "the event's data: JSON, @file, or - for standard input")
    .addOption(new Option("--event-name <name>").hideHelp())
    .addOption(new Option("--event-data <json>").hideHelp())
    .action(raise);
}

async function raise(
  argument: string | undefined,
  event: string | undefined,
  options: RaiseOptions,
): Promise<void> {
  const id = requireId(argument, options);
  const name = event ?? options.eventName;
  if (name === undefined) throw new InvalidArgumentError("event", "give the event's name");
  const data = await readJsonInput("--data", options.data ?? options.eventData);
  await withRemote(options, (remote) => remote.raiseEvent(id, name, data));
  await done(options.output, `Event ${name} was accepted for ${id}.`, { instanceId: id, eventName: name });
}
