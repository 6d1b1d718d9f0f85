import type { Command, CommandAnswer } from "../core/command.js";

/** Whether a command that was answered so may have changed what users see of its instance. */
export function mayHaveChanged({ outcome }: CommandAnswer): boolean {
  switch (outcome) {
    case "started":
    case "replaced":
    case "done":
    case "purged":
      return true;
    case "attached":
    case "returned":
    case "refused":
    case "notFound":
    case "ended":
    case "invalidState":
    case "full":
    case "void":
      return false;
  }
}

/** Whether it may have ended a run, or made one that had ended disappear: whoever waits for an end must look. */
export function mayHaveEnded({ kind }: Command, { outcome }: CommandAnswer): boolean {
  return outcome !== "started" && kind !== "raise" && kind !== "suspend" && kind !== "resume";
}
