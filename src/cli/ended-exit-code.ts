import { EXIT, type ExitCode } from "./exit-code.js";
import { say } from "./output.js";
import type { StatusData } from "./remote.js";
import { printable } from "./terminal-text.js";

/** What an awaited instance's end means to the caller: 0 once Completed, else 5, with the reason on stderr. */
export function endedExitCode(status: StatusData): ExitCode {
  if (status.runtimeStatus === "Completed") return EXIT.done;
  const why = typeof status.output === "string" ? `: ${status.output}` : "";
  say(printable(`'${status.instanceId}' is ${status.runtimeStatus}${why}`));
  return EXIT.orchestrationFailed;
}
