import type { Command } from "commander";
import {
  addId,
  type ClientOptions,
  clientCommand,
  givenId,
  type IdOption,
  withRemote,
} from "../client-command.js";
import { parseCount } from "../option-values.js";
import { print } from "../output.js";
import type { RefusalData } from "../remote.js";

const HEAD = [
  "time",
  "id",
  "orchestrator",
  "requester",
  "reason",
  "count",
  "if live",
  "holder",
  "execution id",
] as const;

interface RefusalsOptions extends ClientOptions, IdOption {
  readonly top: number;
}

export function addSingleton(program: Command): void {
  const singleton = program.command("singleton").description("what happens at contended IDs");
  addId(clientCommand(singleton, "refusals", "list refused starts, newest first: of an ID, or of all"))
    .option("--top <count>", "at most so many, up to 1000", parseCount, 100)
    .action(refusals);
}

async function refusals(argument: string | undefined, options: RefusalsOptions): Promise<void> {
  const id = givenId(argument, options);
  const data = await withRemote(options, (remote) => remote.refusals(id, options.top));
  await print(options.output, data, (tables) => tables.listTable(process.stdout, HEAD, data.map(row)));
}

function row(refusal: RefusalData): string[] {
  const { holder } = refusal;
  return [
    refusal.at,
    refusal.instanceId,
    refusal.orchestrator,
    refusal.requester,
    refusal.reason,
    String(refusal.count),
    refusal.ifLive,
    `${holder.name} (${holder.runtimeStatus})`,
    holder.executionId,
  ];
}
