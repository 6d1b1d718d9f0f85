// What clients do to a few IDs, and how it went.
import * as fc from "fast-check";
import type { OrchestrationHandle } from "../src/client/orchestration-handle.js";
import type { OrchestrationStatus } from "../src/client/status.js";
import type { TaskHubClient } from "../src/client/task-hub-client.js";
import {
  EngineFaultError,
  InstanceNotFoundError,
  StoreConflictError,
  StoreUnusableError,
  TenureError,
} from "../src/core/errors.js";
import { ENDED_STATUSES, type EndedStatus } from "../src/core/instance.js";
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
  | { readonly do: "suspend" | "resume" | "restart" | "rewind"; readonly id: string }
  | { readonly do: "purge"; readonly id: string; readonly recursive: boolean }
  /** Purges what has ended so. */
  | { readonly do: "purgeBy"; readonly runtimeStatus: readonly EndedStatus[] }
  /** Starts under an ID that nobody chose, */
  | { readonly do: "startAnew"; readonly name: string; readonly program: readonly Instruction[] }
  /** or what another ID was started with. */
  | { readonly do: "copy"; readonly id: string }
  /** Takes the run that is there, or else begins one, and waits for its result by what it was handed. */
  | {
      readonly do: "join";
      readonly id: string;
      readonly name: string;
      readonly forMs: number;
      readonly program: readonly Instruction[];
    }
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

/** How somebody starts who joins. */
export const JOINING = {
  ifLive: "attach",
  ifEnded: { Completed: "return", Failed: "return", Terminated: "return", Canceled: "return" },
} as const;

const id = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...IDS) },
  { weight: 1, arbitrary: fc.constantFrom(...CHILD_IDS) },
);
const name = fc.constantFrom(NAMES[0], NAMES[0], NAMES[0], NAMES[1]);
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
    name,
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
      do: fc.constantFrom("suspend", "resume", "resume", "restart", "rewind", "rewind"),
      id,
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("purge"), id, recursive: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("get", "get", "history", "executions"), id }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("wait"), id, forMs: fc.constantFrom(100, 4000) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("list") }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("purgeBy"),
      runtimeStatus: fc.constantFrom(
        ["Completed"] as const,
        ["Failed", "Terminated"] as const,
        ENDED_STATUSES,
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("startAnew"), name, program }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("copy"), id }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("join"),
      id: fc.constantFrom(...IDS),
      name,
      forMs: fc.constantFrom(100, 4000),
      program,
    }),
  },
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
  let mayBeWritten = false;
  for (let attempt = 1; ; attempt++) {
    try {
      return { kind: "answer", value: await ask(client, process, operation, eventData) };
    } catch (error) {
      const nothingWritten = error instanceof StoreConflictError;
      mayBeWritten ||= error instanceof StoreUnusableError;
      const repeatable = operation.do === "start" && operation.requestId !== undefined;
      if ((nothingWritten || (error instanceof StoreUnusableError && repeatable)) && attempt < 4) {
        await process.env.sleep(200 * attempt);
        continue;
      }
      if (error instanceof StoreUnusableError || (nothingWritten && mayBeWritten)) return { kind: "unknown" };
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
      return client.purge(operation.id, { recursive: operation.recursive });
    case "purgeBy":
      return client.purgeBy({ runtimeStatus: operation.runtimeStatus });
    case "startAnew": {
      const { name, program } = operation;
      const { outcome, instanceId } = await client.startNew(name, {
        input: { program },
        allowUnregistered: true,
      });
      return { outcome, instanceId };
    }
    case "copy": {
      const { outcome, instanceId } = await client.restart(operation.id);
      return { outcome, instanceId };
    }
    case "join": {
      const { id, name, forMs, program } = operation;
      const handle = await client.startNew(name, {
        instanceId: id,
        ...JOINING,
        input: { program },
        allowUnregistered: true,
      });
      return joined(handle, forMs);
    }
    case "restart": {
      const { outcome, executionId, run } = await client.restart(operation.id, { newInstanceId: false });
      return { outcome, executionId, run };
    }
    case "rewind":
      return client.rewind(operation.id);
    case "get": {
      const status = await client.getStatus(operation.id);
      return status && shownOf(status);
    }
    case "history":
      return (await client.getHistory(operation.id))?.execution.executionId;
    case "executions":
      return (await client.listExecutions(operation.id)).map(({ executionId }) => executionId);
    case "wait":
      return shownOf(await client.waitForCompletion(operation.id, { timeoutMs: operation.forMs }));
    case "list":
      return (await client.list({ top: 1_000 })).instances.map(shownOf);
    case "pass":
      return process.env.sleep(operation.ms);
  }
}

/** What is told of a status: enough to tell whose it is. */
function shownOf({ instanceId, runtimeStatus, executionId, output }: OrchestrationStatus) {
  return { instanceId, runtimeStatus, executionId, output };
}

/** What a start led to, and the result of its run where it came in time. */
async function joined(handle: OrchestrationHandle, timeoutMs: number) {
  const { outcome, executionId, run } = handle;
  const started = { outcome, executionId, run, purged: false };
  try {
    return { ...started, output: await handle.result({ timeoutMs }) };
  } catch (error) {
    if (!(error instanceof TenureError) || error instanceof EngineFaultError) throw error;
    return { ...started, purged: error instanceof InstanceNotFoundError };
  }
}
