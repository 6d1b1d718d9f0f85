// What clients do to a few IDs, and how it went.
import * as fc from "fast-check";
import type { TaskHubClient } from "../src/client/task-hub-client.js";
import { StoreConflictError, StoreUnusableError, TenureError } from "../src/core/errors.js";
import type { EndedStatus } from "../src/core/instance.js";
import {
  IF_ENDED_ANSWERS,
  IF_LIVE_ANSWERS,
  type IfEndedAnswer,
  type IfLive,
} from "../src/core/start-policy.js";
import { CHILD_IDS, childProgram, EVENT, IDS, type Instruction, NAMES, program } from "./app.js";
import type { SimProcess } from "./process.js";

/** Something that a client does. */
export type Operation =
  | {
      readonly do: "start";
      readonly id: string;
      readonly name: string;
      readonly ifLive: IfLive;
      readonly ifEnded: { readonly [S in EndedStatus]: IfEndedAnswer };
      readonly requestId: number | undefined;
      readonly inMs: number | undefined;
      readonly program: readonly Instruction[];
    }
  | { readonly do: "raise"; readonly id: string }
  | { readonly do: "terminate"; readonly id: string; readonly recursive: boolean }
  | { readonly do: "suspend" | "resume" | "purge" | "restart" | "rewind"; readonly id: string }
  | { readonly do: "get" | "history" | "executions"; readonly id: string }
  | { readonly do: "wait"; readonly id: string; readonly forMs: number }
  | { readonly do: "list" }
  | { readonly do: "pass"; readonly ms: number };

/** What an operation was told. */
export type Told =
  | { readonly kind: "answer"; readonly value: unknown }
  /** Refused by the engine, for good. */
  | { readonly kind: "refused"; readonly code: string; readonly holder?: string }
  /** Whether it took effect is not known. */
  | { readonly kind: "unknown" };

const id = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...IDS) },
  { weight: 1, arbitrary: fc.constantFrom(...CHILD_IDS) },
);
const answer = fc.constantFrom(...IF_ENDED_ANSWERS);
const ifEnded = fc.oneof(
  fc.constant({ Completed: "start", Failed: "start", Terminated: "start", Canceled: "start" } as const),
  fc.record({ Completed: answer, Failed: answer, Terminated: answer, Canceled: answer }),
);

function startOf(
  ids: readonly string[],
  program: fc.Arbitrary<readonly Instruction[]>,
): fc.Arbitrary<Operation> {
  return fc.record({
    do: fc.constant("start"),
    id: fc.constantFrom(...ids),
    name: fc.constantFrom(NAMES[0], NAMES[0], NAMES[0], NAMES[1]),
    ifLive: fc.constantFrom(...IF_LIVE_ANSWERS),
    ifEnded,
    requestId: fc.option(fc.nat(2), { nil: undefined }),
    inMs: fc.option(fc.constantFrom(50, 1500), { nil: undefined, freq: 6 }),
    program,
  });
}

const start = fc.oneof(
  { weight: 5, arbitrary: startOf(IDS, program) },
  { weight: 1, arbitrary: startOf(CHILD_IDS, childProgram) },
);

const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 8, arbitrary: start },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("raise"), id }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("terminate"), id, recursive: fc.constantFrom(true, true, false) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom("suspend", "resume", "resume", "purge", "purge", "restart", "rewind", "rewind"),
      id,
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("get", "get", "history", "executions"), id }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("wait"), id, forMs: fc.constantFrom(100, 4000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("list") }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("pass"), ms: fc.constantFrom(1, 30, 400, 3000) }) },
);

/** What each client does, one thing after the other. */
export type Workload = readonly (readonly Operation[])[];

/** It begins with a start: there is little to do to what is not there. */
const operations = fc
  .tuple(start, fc.array(operation, { minLength: 1, maxLength: 6 }))
  .map(([first, others]) => [first, ...others]);

const workload: fc.Arbitrary<Workload> = fc.array(operations, { minLength: 2, maxLength: 3 });

export function workloadOf(seed: number): Workload {
  const [drawn] = fc.sample(workload, { seed, numRuns: 1 });
  return drawn ?? [];
}

/** Does it; a start whose answer was lost is tried again, as a caller with a request ID may. */
export async function perform(
  client: TaskHubClient,
  process: SimProcess,
  operation: Operation,
  eventData: string,
): Promise<Told> {
  for (let attempt = 1; ; attempt++) {
    try {
      return { kind: "answer", value: await ask(client, process, operation, eventData) };
    } catch (error) {
      const nothingWritten = error instanceof StoreConflictError;
      const repeatable = operation.do === "start" && operation.requestId !== undefined;
      if ((nothingWritten || (error instanceof StoreUnusableError && repeatable)) && attempt < 4) {
        await process.env.sleep(200 * attempt);
        continue;
      }
      if (error instanceof StoreUnusableError) return { kind: "unknown" };
      if (error instanceof TenureError) return refusedBy(error);
      throw error;
    }
  }
}

function refusedBy(error: TenureError): Told {
  const holder = "holder" in error ? executionOf(error.holder) : undefined;
  return { kind: "refused", code: error.code, ...(holder === undefined ? {} : { holder }) };
}

function executionOf(holder: unknown): string | undefined {
  if (typeof holder !== "object" || holder === null || !("executionId" in holder)) return undefined;
  return String(holder.executionId);
}

async function ask(
  client: TaskHubClient,
  process: SimProcess,
  operation: Operation,
  eventData: string,
): Promise<unknown> {
  switch (operation.do) {
    case "start": {
      const { id, name, ifLive, ifEnded, requestId, inMs, program } = operation;
      const { outcome, executionId, run } = await client.startNew(name, {
        instanceId: id,
        ifLive,
        ifEnded,
        input: { program },
        allowUnregistered: true,
        ...(requestId === undefined ? {} : { requestId: `request-${requestId}` }),
        ...(inMs === undefined ? {} : { startAt: new Date(process.trueNowMs + inMs) }),
      });
      return { outcome, executionId, run };
    }
    case "raise":
      return client.raiseEvent(operation.id, EVENT, eventData);
    case "terminate":
      return client.terminate(operation.id, "enough", { recursive: operation.recursive });
    case "suspend":
      return client.suspend(operation.id);
    case "resume":
      return client.resume(operation.id);
    case "purge":
      return client.purge(operation.id);
    case "restart": {
      const { outcome, executionId, run } = await client.restart(operation.id, { newInstanceId: false });
      return { outcome, executionId, run };
    }
    case "rewind":
      return client.rewind(operation.id);
    case "get": {
      const status = await client.getStatus(operation.id);
      return status && { runtimeStatus: status.runtimeStatus, executionId: status.executionId };
    }
    case "history":
      return (await client.getHistory(operation.id))?.execution.executionId;
    case "executions":
      return (await client.listExecutions(operation.id)).map(({ executionId }) => executionId);
    case "wait": {
      const { runtimeStatus, executionId } = await client.waitForCompletion(operation.id, {
        timeoutMs: operation.forMs,
      });
      return { runtimeStatus, executionId };
    }
    case "list":
      return (await client.list()).instances.map(({ instanceId }) => instanceId).toSorted();
    case "pass":
      return process.env.sleep(operation.ms);
  }
}
