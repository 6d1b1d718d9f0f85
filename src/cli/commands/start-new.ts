import { type Command, Option } from "commander";
import { InvalidArgumentError } from "../../core/errors.js";
import type { Tags } from "../../core/instance.js";
import { parseInstanceId } from "../../core/instance-id.js";
import { IF_LIVE_ANSWERS, type IfEnded, type IfLive } from "../../core/start-policy.js";
import { type ClientOptions, clientCommand, withRemote } from "../client-command.js";
import { endedExitCode } from "../ended-exit-code.js";
import { readJsonInput } from "../json-input.js";
import { collectTag, parseDuration, parseIfEnded, parseMoment } from "../option-values.js";
import { print } from "../output.js";
import type { StartedData, StartRequest } from "../remote.js";
import { statusMembers } from "../status-table.js";

interface StartNewOptions extends ClientOptions {
  readonly functionName?: string;
  readonly id?: string;
  readonly input?: string;
  readonly ifLive?: IfLive;
  readonly ifEnded?: IfEnded;
  readonly requestId?: string;
  readonly startAt?: Date;
  readonly tag?: Tags;
  readonly version?: string;
  readonly allowUnregistered?: boolean;
  readonly wait?: boolean;
  readonly timeout?: number;
}

export function addStartNew(program: Command): void {
  clientCommand(program, "start-new", "start an orchestration, under the singleton rule of its ID")
    .argument("[name]", "the orchestrator's name")
    .option("--id <id>", "the instance's ID (default: a new one)")
    .option("--input <json>", "the input: JSON, @file, or - for standard input")
    .addOption(
      new Option("--if-live <answer>", "if the ID is held (default: reject)").choices(IF_LIVE_ANSWERS),
    )
    .option(
      "--if-ended <answer>",
      "if it has ended: start, return, reject, or by status Completed=reject,Failed=start (default: start)",
      parseIfEnded,
    )
    .option("--request-id <id>", "a retry with the same ID gets the first one's answer")
    .option("--start-at <time>", "not before this time, e.g. 2026-11-21T09:30:00Z", parseMoment)
    .option("--tag <key=value>", "a label; may be repeated", collectTag)
    .option("--version <version>", "the orchestration's version")
    .option("--allow-unregistered", "accept a name that no live worker has registered, and let it wait")
    .option("--wait", "wait for its end; exits 5 unless it completed")
    .option("--timeout <time>", "with --wait: give up after this time, e.g. 30s; exits 6", parseDuration)
    .addOption(new Option("--function-name <name>").hideHelp())
    .action(startNew);
}

async function startNew(argument: string | undefined, options: StartNewOptions): Promise<void> {
  if (options.timeout !== undefined && options.wait !== true) {
    throw new InvalidArgumentError("--timeout", "goes with --wait");
  }
  if (options.id !== undefined) parseInstanceId(options.id);
  const request = await startRequest(requireName(argument, options), options);
  await withRemote(options, async (remote) => {
    const started = await remote.startNew(request);
    if (options.wait !== true) {
      await print(options.output, started.data, (tables) =>
        tables.recordTable(process.stdout, startedMembers(started.data)),
      );
      return;
    }
    const status = await started.waitForEnd(options.timeout);
    await print(options.output, status, (tables) =>
      tables.recordTable(process.stdout, statusMembers(status)),
    );
    process.exitCode = endedExitCode(status);
  });
}

function requireName(argument: string | undefined, { functionName }: StartNewOptions): string {
  const name = argument ?? functionName;
  if (name === undefined) throw new InvalidArgumentError("name", "give the orchestrator's name");
  return name;
}

async function startRequest(name: string, options: StartNewOptions): Promise<StartRequest> {
  const input = await readJsonInput("--input", options.input);
  return {
    name,
    ...(input === undefined ? {} : { input }),
    ...(options.id === undefined ? {} : { instanceId: options.id }),
    ...(options.ifLive === undefined ? {} : { ifLive: options.ifLive }),
    ...(options.ifEnded === undefined ? {} : { ifEnded: options.ifEnded }),
    ...(options.requestId === undefined ? {} : { requestId: options.requestId }),
    ...(options.startAt === undefined ? {} : { startAt: options.startAt }),
    ...(options.tag === undefined ? {} : { tags: options.tag }),
    ...(options.version === undefined ? {} : { version: options.version }),
    ...(options.allowUnregistered === undefined ? {} : { allowUnregistered: options.allowUnregistered }),
  };
}

/** What a start led to, as name and value. */
export function startedMembers(started: StartedData): readonly (readonly [string, string])[] {
  return [
    ["outcome", started.outcome],
    ["instance ID", started.instanceId],
    ["execution ID", started.executionId],
    ["run", `${started.run} (generation ${started.generation})`],
  ];
}
