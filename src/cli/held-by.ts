import { InstanceHeldError } from "../core/errors.js";
import { holderBody } from "../http/bodies.js";
import { type HolderData, RemoteError } from "./remote.js";

/** Who holds the ID, where that is why a start was refused. */
export function heldBy(error: unknown): HolderData | undefined {
  if (error instanceof RemoteError) return error.holder;
  return error instanceof InstanceHeldError ? holderBody(error.holder) : undefined;
}
