import type { Command } from "commander";
import {
  addId,
  type ClientOptions,
  clientCommand,
  type IdOption,
  requireId,
  withRemote,
} from "../client-command.js";
import { done } from "../done.js";
import type { Remote } from "../remote.js";

interface SignalOptions extends ClientOptions, IdOption {
  readonly reason?: string;
  readonly recursive?: boolean;
}

/** suspend, resume, terminate and rewind: one instance, one reason. */
export function addSignals(program: Command): void {
  addSignal(program, "suspend", "hold an instance: events are kept, its code sees nothing", {
    send: (remote, id, { reason }) => remote.suspend(id, reason),
    told: "is suspended",
  });
  addSignal(program, "resume", "let a suspended or parked instance go on", {
    send: (remote, id, { reason }) => remote.resume(id, reason),
    told: "goes on",
  });
  addSignal(program, "terminate", "end an instance now", {
    send: (remote, id, { reason, recursive }) => remote.terminate(id, reason, recursive ?? false),
    told: "is terminated",
  }).option("--recursive", "its sub-orchestrations too");
  addSignal(program, "rewind", "put a failed instance back to before its failure", {
    send: (remote, id, { reason }) => remote.rewind(id, reason),
    told: "is rewound",
  });
}

function addSignal(
  program: Command,
  name: string,
  description: string,
  signal: {
    readonly send: (remote: Remote, id: string, options: SignalOptions) => Promise<void>;
    readonly told: string;
  },
): Command {
  return addId(clientCommand(program, name, description))
    .option("--reason <text>", "why; kept in the history")
    .action(async (argument: string | undefined, options: SignalOptions) => {
      const id = requireId(argument, options);
      await withRemote(options, (remote) => signal.send(remote, id, options));
      await done(options.output, `${id} ${signal.told}.`, { instanceId: id });
    });
}
