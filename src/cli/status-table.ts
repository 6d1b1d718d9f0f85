import type { HolderData, StatusData } from "./remote.js";

type Members = readonly (readonly [name: string, value: string])[];

/** An instance's status as name and value; what is not set is left out. */
export function statusMembers(status: StatusData): Members {
  return [
    ["name", status.name],
    ["instance ID", status.instanceId],
    ["status", statusText(status)],
    ...optional("parked", status.parked === null ? null : `${status.parked.code}: ${status.parked.message}`),
    ...optional("input", jsonText(status.input)),
    ...optional("custom status", jsonText(status.customStatus)),
    ...optional("output", jsonText(status.output)),
    ["created", status.createdTime],
    ["last updated", status.lastUpdatedTime],
    ...optional("starts at", status.scheduledStartTime),
    ["execution ID", status.executionId],
    ["run", `${status.run} (generation ${status.generation})`],
    ["fencing token", String(status.fencingToken)],
    ...optional("version", status.version),
    ...optional("tags", tagsText(status.tags)),
    ...optional("parent", status.parentInstanceId),
    ...optional("worker", status.worker),
  ];
}

/** Who holds an ID, as name and value. */
export function holderMembers(holder: HolderData): Members {
  return [
    ["held by", holder.name],
    ["status", `${holder.runtimeStatus} since ${holder.since}`],
    ["execution ID", holder.executionId],
    ["run", `${holder.run} (generation ${holder.generation})`],
    ["last progress", holder.lastProgress],
    ...optional("worker", holder.worker),
  ];
}

export function statusText({ runtimeStatus, parked }: Pick<StatusData, "runtimeStatus" | "parked">): string {
  return parked === null ? runtimeStatus : `${runtimeStatus} (parked)`;
}

/** A value on one line; null for none. */
export function jsonText(value: unknown): string | null {
  return value === null || value === undefined ? null : JSON.stringify(value);
}

function tagsText(tags: StatusData["tags"]): string | null {
  const pairs = Object.entries(tags).map(([key, value]) => `${key}=${value}`);
  return pairs.length === 0 ? null : pairs.join(", ");
}

function optional(name: string, value: string | null | undefined): Members {
  return value === null || value === undefined ? [] : [[name, value]];
}
