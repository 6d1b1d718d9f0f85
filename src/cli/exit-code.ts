import { CommanderError } from "commander";
import { TenureError } from "../core/errors.js";
import { RemoteError } from "./remote.js";

/** What each exit code of `tenure` means. They never change their meaning: scripts branch on them. */
export const EXIT = {
  done: 0,
  error: 1,
  usage: 2,
  notFound: 3,
  /** The ID, or the store, is held by another; the holder is printed. */
  held: 4,
  /** With `wait` and `--wait`: the orchestration failed, or was terminated. */
  orchestrationFailed: 5,
  timeout: 6,
  unreachable: 7,
  /** Ended by Ctrl-C: 128 + SIGINT, as shells do. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The exit code of a failed command. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  if (error instanceof TenureError || error instanceof RemoteError) return byErrorCode(error.code);
  return EXIT.error;
}

function byErrorCode(code: string): ExitCode {
  switch (code) {
    case "InvalidInstanceId":
    case "InvalidValue":
    case "InvalidArgument":
    case "InvalidToken":
    case "InvalidJson":
    case "Configuration":
      return EXIT.usage;
    case "InstanceNotFound":
    case "WorkerNotFound":
      return EXIT.notFound;
    case "InstanceHeld":
    case "StoreHeld":
      return EXIT.held;
    case "OrchestrationFailed":
      return EXIT.orchestrationFailed;
    case "WaitTimeout":
      return EXIT.timeout;
    case "Unreachable":
      return EXIT.unreachable;
    default:
      return EXIT.error;
  }
}
