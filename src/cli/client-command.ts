import { type Command, Option } from "commander";
import { InvalidArgumentError } from "../core/errors.js";
import { parseInstanceId } from "../core/instance-id.js";
import { connectRemote, DEFAULT_URL, type RemoteOptions } from "./connect-remote.js";
import { type OutputFormat, print } from "./output.js";
import type { Remote } from "./remote.js";

/** The options that every client command has. */
export interface ClientOptions extends RemoteOptions {
  readonly output: OutputFormat;
}

/** Makes a command that talks to a task hub; `aliases` are accepted and not shown. */
export function clientCommand(
  parent: Command,
  name: string,
  description: string,
  aliases: string[] = [],
): Command {
  return parent
    .command(name)
    .description(description)
    .aliases(aliases)
    .option("--url <url>", `the server (default: TENURE_URL, or ${DEFAULT_URL})`)
    .option("--db <file>", "the hub's SQLite file instead of a server")
    .option("--store <store>", "the hub's store instead of a server: postgres://… or sqlite:FILE")
    .option("--task-hub <name>", "the task hub in that file or store (default: default)")
    .option("--key-file <file>", "a file with the server's key (default: TENURE_KEY)")
    .addOption(
      new Option("-o, --output <format>", "how to print data").choices(["table", "json"]).default("table"),
    );
}

/** Reaches the task hub for as long as `use` takes. A refused start is data too: with JSON, the holder is printed. */
export async function withRemote<T>(options: ClientOptions, use: (remote: Remote) => Promise<T>): Promise<T> {
  await using remote = await connectRemote(options);
  try {
    return await use(remote);
  } catch (error) {
    const { heldBy } = await import("./held-by.js");
    const holder = heldBy(error);
    if (holder !== undefined && options.output === "json") {
      await print(options.output, { outcome: "refused", code: "InstanceHeld", holder }, () => "");
    }
    throw error;
  }
}

/** An instance ID as argument, or, as `func durable` has it, as the option `--id`. */
export interface IdOption {
  readonly id?: string;
}

/** Adds the instance ID to a command: `<id>`, or `--id`. Read it with {@link requireId}. */
export function addId(command: Command): Command {
  return command.argument("[id]", "the instance's ID").addOption(new Option("--id <id>").hideHelp());
}

/**
 * Read before the hub is reached.
 *
 * @throws InvalidArgumentError when there is not exactly one ID; InvalidInstanceIdError for one that cannot be.
 */
export function requireId(argument: string | undefined, options: IdOption): string {
  const given = givenId(argument, options);
  if (given === undefined) throw new InvalidArgumentError("id", "give the instance's ID");
  return given;
}

/** {@link requireId}, where it may be left out. */
export function givenId(argument: string | undefined, { id }: IdOption): string | undefined {
  if (argument !== undefined && id !== undefined) throw new InvalidArgumentError("id", "give it once");
  const given = argument ?? id;
  return given === undefined ? undefined : parseInstanceId(given);
}
