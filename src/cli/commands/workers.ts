import type { Command } from "commander";
import { type ClientOptions, clientCommand, withRemote } from "../client-command.js";
import { print } from "../output.js";
import type { WorkerData } from "../remote.js";

const HEAD = ["id", "host", "pid", "since", "orchestrations", "activities"] as const;

export function addWorkers(program: Command): void {
  clientCommand(program, "workers", "list the workers that are alive").action(workers);
}

async function workers(options: ClientOptions): Promise<void> {
  const data = await withRemote(options, (remote) => remote.workers());
  await print(options.output, data, (tables) => tables.listTable(process.stdout, HEAD, data.map(row)));
}

function row(worker: WorkerData): string[] {
  return [
    worker.id,
    worker.host,
    String(worker.pid),
    worker.since,
    worker.orchestrations.join(" "),
    worker.activities.join(" "),
  ];
}
