import { readFileSync } from "node:fs";
import { Command } from "commander";
import { addDb } from "./commands/db.js";
import { addDev } from "./commands/dev.js";
import { addExecutions } from "./commands/executions.js";
import { addGet } from "./commands/get.js";
import { addHistory } from "./commands/history.js";
import { addList } from "./commands/list.js";
import { addPurge } from "./commands/purge.js";
import { addRaise } from "./commands/raise.js";
import { addRestart } from "./commands/restart.js";
import { addServe } from "./commands/serve.js";
import { addSignals } from "./commands/signals.js";
import { addSingleton } from "./commands/singleton.js";
import { addStartNew } from "./commands/start-new.js";
import { addWait } from "./commands/wait.js";
import { addWorker } from "./commands/worker.js";

const EXIT_CODES = `
Exit codes: 0 done, 1 error, 2 usage, 3 not found, 4 held (the holder is printed), 5 the orchestration
failed (with wait), 6 timeout, 7 unreachable, 130 interrupted.`;

/** The command line of `tenure`. Parsing rejects with CommanderError instead of ending the process. */
export function createProgram(): Command {
  const program = new Command("tenure")
    .description("Durable orchestrations in which one instance per ID is a guarantee.")
    .version(packageVersion())
    // Errors are printed once, by main.
    .configureOutput({ outputError: () => {} })
    // The spellings of `func durable` are accepted, and not shown.
    .configureHelp({ subcommandTerm: nameAndArguments, commandUsage: usage })
    .addHelpText("after", EXIT_CODES)
    // Else the program's --version would take the place of start-new's.
    .enablePositionalOptions()
    .exitOverride();
  addDev(program);
  addServe(program);
  addStartNew(program);
  addList(program);
  addGet(program);
  addWait(program);
  addHistory(program);
  addExecutions(program);
  addRaise(program);
  addSignals(program);
  addRestart(program);
  addPurge(program);
  addSingleton(program);
  addWorker(program);
  addDb(program);
  return program;
}

function nameAndArguments(command: Command): string {
  const names = command.registeredArguments.map((argument) =>
    argument.required ? `<${argument.name()}>` : `[${argument.name()}]`,
  );
  return [command.name(), ...names].join(" ");
}

function usage(command: Command): string {
  const parents: string[] = [];
  for (let parent = command.parent; parent !== null; parent = parent.parent) parents.unshift(parent.name());
  return [...parents, command.name(), command.usage()].join(" ");
}

function packageVersion(): string {
  const content: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const isPackage = typeof content === "object" && content !== null && "version" in content;
  return isPackage ? String(content.version) : "unknown";
}
