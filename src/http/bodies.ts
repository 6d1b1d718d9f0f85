import { z } from "zod";
import type { ExecutionStatus, OrchestrationStatus } from "../client/status.js";
import { type Holder, RUNTIME_STATUSES } from "../core/instance.js";
import type { LeaseStatus } from "../core/leases.js";
import type { Retention } from "../core/retention.js";
import type { Refusal, ShownWorker } from "../core/store.js";

// What answers look like. The schemas are for the OpenAPI document, where `component` names them; the
// functions below make the values, typed by the schemas, so that the document cannot say what the server
// does not send.

const anyJson = z.unknown();
const wholeSeconds = z.string().meta({ format: "date-time", example: "2026-11-21T09:30:00Z" });
const instant = z.string().meta({ format: "date-time", example: "2026-11-21T09:30:00.123Z" });
const runtimeStatus = z.enum([...RUNTIME_STATUSES]);
const tags = z.record(z.string(), z.string());

/** Who holds an ID. */
export const holderSchema = z
  .object({
    instanceId: z.string(),
    name: z.string(),
    executionId: z.string(),
    run: z.int(),
    generation: z.int(),
    runtimeStatus,
    since: instant,
    lastProgress: instant,
    worker: z.string().nullable(),
  })
  .meta({ component: "Holder", description: "Who holds an instance ID." });

/** Problem details (RFC 9457). */
export const problemSchema = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string().meta({ description: "Why, for programs. Codes never change their meaning." }),
    holder: holderSchema.optional(),
    Message: z.string().meta({ description: "The detail, where Durable Functions' clients look for it." }),
  })
  .meta({ component: "Problem", description: "An error, as problem details." });

const links = {
  id: z.string(),
  statusQueryGetUri: z.string(),
  sendEventPostUri: z.string(),
  terminatePostUri: z.string(),
  rewindPostUri: z.string(),
  purgeHistoryDeleteUri: z.string(),
  restartPostUri: z.string(),
  suspendPostUri: z.string(),
  resumePostUri: z.string(),
};

/** The check-status response, with what the start led to. */
export const checkStatusSchema = z
  .object({
    ...links,
    outcome: z.enum(["started", "replaced", "attached", "returned"]),
    executionId: z.string(),
    run: z.int(),
    generation: z.int(),
  })
  .meta({
    component: "CheckStatus",
    description: "Where to watch and steer the instance, and what the start led to.",
  });

const parked = z.object({ code: z.string(), message: z.string(), since: instant });

/** An instance's status: Durable Functions' members first, ours after them. */
export const statusSchema = z
  .object({
    name: z.string(),
    instanceId: z.string(),
    runtimeStatus,
    input: anyJson,
    customStatus: anyJson,
    output: anyJson,
    createdTime: wholeSeconds,
    lastUpdatedTime: wholeSeconds,
    historyEvents: z.array(z.looseObject({ EventType: z.string(), Timestamp: instant })).optional(),
    executionId: z.string(),
    run: z.int(),
    generation: z.int(),
    fencingToken: z.int(),
    version: z.string().nullable(),
    tags,
    failure: anyJson,
    scheduledStartTime: instant.nullable(),
    parked: parked.nullable(),
    worker: z.string().nullable(),
    parentInstanceId: z.string().nullable(),
  })
  .meta({ component: "OrchestrationStatus" });

/** One execution of an instance. */
export const executionSchema = z
  .object({
    executionId: z.string(),
    run: z.int(),
    generation: z.int(),
    name: z.string(),
    runtimeStatus,
    createdTime: instant,
    endedTime: instant.nullable(),
    input: anyJson,
    customStatus: anyJson,
    output: anyJson,
    failure: anyJson,
    fencingToken: z.int(),
    version: z.string().nullable(),
    tags,
    droppedMessages: z.int(),
  })
  .meta({ component: "Execution" });

/** A start that was refused. */
export const refusalSchema = z
  .object({
    instanceId: z.string(),
    at: instant,
    requester: z.string(),
    orchestrator: z.string(),
    ifLive: z.string(),
    ifEnded: z.record(z.string(), z.string()),
    reason: z.enum(["held", "used", "otherName"]),
    count: z.int(),
    holder: holderSchema,
  })
  .meta({ component: "Refusal" });

/** A worker that is alive. */
export const workerSchema = z
  .object({
    id: z.string(),
    host: z.string(),
    pid: z.int(),
    since: instant,
    orchestrations: z.array(z.string()),
    activities: z.array(z.string()),
    shards: z
      .int()
      .nullable()
      .meta({ description: "How many of the hub's shards it holds; null where one worker owns the hub." }),
    leaseRenewed: instant.nullable(),
    leaseEnd: instant.nullable().meta({ description: "Unless it is renewed. By the store's clock." }),
    draining: z.boolean().meta({ description: "It takes no more shards, and gives its own to others." }),
  })
  .meta({ component: "Worker" });

const age = z.number().min(0).nullable().optional();

/** How long ended instances are kept. */
export const retentionSchema = z
  .strictObject({ completedMs: age, failedMs: age, terminatedMs: age, canceledMs: age })
  .meta({
    component: "Retention",
    description: "Milliseconds since the end, per status; left out or null: until purged.",
  });

/** How many instances were purged. */
export const purgedSchema = z.object({ instancesDeleted: z.int() }).meta({ component: "Purged" });

/** The history of one execution, event by event. */
export const historySchema = z
  .object({
    instanceId: z.string(),
    name: z.string(),
    executionId: z.string(),
    run: z.int(),
    generation: z.int(),
    runtimeStatus,
    events: z.array(z.looseObject({ type: z.string(), timestamp: instant })),
  })
  .meta({ component: "History" });

/** How a process holds its share of a hub that several share. */
export const leaseSchema = z
  .object({
    shards: z.int().meta({ description: "How many of the hub's shards this process holds." }),
    leaseMs: z.int().meta({ description: "How long its lease lasts from a renewal." }),
    renewMs: z.int().meta({ description: "How often it renews." }),
    renewalAgeMs: z.number().nullable().meta({ description: "How long ago it last did." }),
    draining: z.boolean(),
  })
  .meta({ component: "Lease" });

/** Whether the server is up, or ready to serve. */
export const healthSchema = z
  .object({ status: z.string(), lease: leaseSchema.optional() })
  .meta({ component: "Health" });

type StatusBody = z.infer<typeof statusSchema>;

/** The status as Durable Functions shows it. JSON has no undefined: what is absent is null. */
export function statusBody(
  status: OrchestrationStatus,
  show: { readonly input: boolean; readonly historyEvents?: StatusBody["historyEvents"] },
): StatusBody {
  return {
    name: status.name,
    instanceId: status.instanceId,
    runtimeStatus: status.runtimeStatus,
    input: show.input ? (status.input ?? null) : null,
    customStatus: status.customStatus ?? null,
    output: outputOf(status),
    createdTime: toWholeSeconds(status.createdTime),
    lastUpdatedTime: toWholeSeconds(status.lastUpdatedTime),
    ...(show.historyEvents === undefined ? {} : { historyEvents: show.historyEvents }),
    executionId: status.executionId,
    run: status.run,
    generation: status.generation,
    fencingToken: status.fencingToken,
    version: status.version ?? null,
    tags: status.tags,
    failure: status.failure ?? null,
    scheduledStartTime: status.scheduledStartTime?.toISOString() ?? null,
    parked: status.parked === undefined ? null : parkedBody(status.parked),
    worker: status.worker ?? null,
    parentInstanceId: status.parentInstanceId ?? null,
  };
}

/** Durable Functions' clients read the failure's text from the output. */
function outputOf(status: OrchestrationStatus): unknown {
  if (status.runtimeStatus !== "Failed" || status.failure === undefined) return status.output ?? null;
  return `Orchestrator function '${status.name}' failed: ${status.failure.message}`;
}

function parkedBody({
  code,
  message,
  sinceMs,
}: NonNullable<OrchestrationStatus["parked"]>): z.infer<typeof parked> {
  return { code, message, since: new Date(sinceMs).toISOString() };
}

/** An execution as JSON. */
export function executionBody(execution: ExecutionStatus): z.infer<typeof executionSchema> {
  return {
    executionId: execution.executionId,
    run: execution.run,
    generation: execution.generation,
    name: execution.name,
    runtimeStatus: execution.runtimeStatus,
    createdTime: execution.createdTime.toISOString(),
    endedTime: execution.endedTime?.toISOString() ?? null,
    input: execution.input ?? null,
    customStatus: execution.customStatus ?? null,
    output: execution.output ?? null,
    failure: execution.failure ?? null,
    fencingToken: execution.fencingToken,
    version: execution.version ?? null,
    tags: execution.tags,
    droppedMessages: execution.droppedMessages,
  };
}

/** A refusal as JSON. */
export function refusalBody(refusal: Refusal): z.infer<typeof refusalSchema> {
  return {
    instanceId: refusal.instanceId,
    at: new Date(refusal.atMs).toISOString(),
    requester: refusal.requester,
    orchestrator: refusal.orchestrator,
    ifLive: refusal.policy.ifLive,
    ifEnded: { ...refusal.policy.ifEnded },
    reason: refusal.reason,
    count: refusal.count,
    holder: holderOf(refusal.holder),
  };
}

/** A worker as JSON. */
export function workerBody(worker: ShownWorker): z.infer<typeof workerSchema> {
  return {
    id: worker.id,
    host: worker.host,
    pid: worker.pid,
    since: new Date(worker.sinceMs).toISOString(),
    orchestrations: [...worker.orchestrations],
    activities: [...worker.activities],
    shards: worker.shards ?? null,
    leaseRenewed: instantOf(worker.renewedAtMs),
    leaseEnd: instantOf(worker.leaseEndMs),
    draining: worker.draining ?? false,
  };
}

function instantOf(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}

/** How this process holds its share of the hub as JSON. */
export function leaseBody(lease: LeaseStatus): z.infer<typeof leaseSchema> {
  return { ...lease, renewalAgeMs: lease.renewalAgeMs ?? null };
}

/** The retention as JSON. */
export function retentionBody(retention: Retention): z.infer<typeof retentionSchema> {
  return { ...retention };
}

/** The holder of an InstanceHeldError, also one that is JSON already; undefined for what is neither. */
export function holderBody(holder: unknown): z.infer<typeof holderSchema> | undefined {
  return holderSchema.safeParse(isHolder(holder) ? holderOf(holder) : holder).data;
}

function holderOf(holder: Holder): z.infer<typeof holderSchema> {
  const { sinceMs, lastProgressMs, worker, ...rest } = holder;
  return {
    ...rest,
    since: new Date(sinceMs).toISOString(),
    lastProgress: new Date(lastProgressMs).toISOString(),
    worker: worker ?? null,
  };
}

function isHolder(holder: unknown): holder is Holder {
  return typeof holder === "object" && holder !== null && "sinceMs" in holder && "lastProgressMs" in holder;
}

/** `yyyy-MM-ddTHH:mm:ssZ`: Durable Functions' form, cut off and not rounded. */
export function toWholeSeconds(time: Date): string {
  return `${time.toISOString().slice(0, -5)}Z`;
}
