import type { Definition } from "../core/definition.js";
import type { Logger } from "../core/env.js";
import { AppServer } from "./app-server.js";
import { EXIT, type ExitCode } from "./exit-code.js";
import type { ServerSettings } from "./server-options.js";
import { type EndSignal, untilSignal } from "./until-signal.js";

/** Whatever still hangs then is cut off: Kubernetes and people wait 10 s at least, and not much longer. */
const LONGEST_CLOSE_MS = 9500;

/**
 * Serves until a signal asks to end, then drains and ends the process: 0 for SIGTERM, 130 for Ctrl-C.
 * A second signal ends it at once. The process is ended rather than left to itself, because an app may
 * hold timers and connections of its own.
 *
 * @param started is called once it serves, and its answer once it must end.
 */
export async function runServer(
  settings: ServerSettings,
  functions: readonly Definition[],
  logger: Logger,
  started: (server: AppServer) => () => void,
): Promise<never> {
  const stop = new AbortController();
  const signalled = untilSignal(codeOf);
  const code = signalled.then((signal) => {
    stop.abort();
    return codeOf(signal);
  });
  const server = await AppServer.start(settings, functions, logger, stop.signal);
  if (server !== undefined) {
    const stopped = started(server);
    await code;
    logger.info("ending: letting work under way finish (again to end at once)");
    stopped();
    await closeInTime(server, logger);
  }
  process.exit(await code);
}

async function closeInTime(server: AppServer, logger: Logger): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(() => resolve("late"), LONGEST_CLOSE_MS);
  });
  const outcome = await Promise.race([server.close(), late]);
  clearTimeout(timer);
  if (outcome === "late") logger.warn("not all work finished in time: it goes on at the next start");
  else logger.info("ended");
}

function codeOf(signal: EndSignal): ExitCode {
  return signal === "SIGINT" ? EXIT.interrupted : EXIT.done;
}
