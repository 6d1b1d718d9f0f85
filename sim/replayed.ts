import type { TurnOutcome } from "../src/core/executor.js";
import type { HistoryEvent } from "../src/core/history.js";
import { decodeChunk } from "../src/core/history-codec.js";
import type { Execution } from "../src/core/instance.js";
import { jsonCodec } from "../src/core/payload.js";
import type { Store, StoredHistory } from "../src/core/store.js";
import { createRegistry } from "../src/replay/definitions.js";
import { LocalExecutor } from "../src/replay/local-executor.js";
import { executionsOf } from "../src/stores/conformance/test-hub.js";
import { systemEnv } from "../src/system-env.js";
import { orchestrators } from "./app.js";
import { incomingOf, withoutEnd } from "./past.js";

const ignore = (): void => {};
const logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };
const registry = createRegistry(orchestrators());

/**
 * Runs the code again over every history that a store keeps: each must lead to the end that is stored with it. @returns
 * those that do not, in words.
 */
export async function misreplayed(store: Store): Promise<readonly string[]> {
  const problems: string[] = [];
  const { records } = await store.list({ filter: {}, limit: 1_000, examine: 1_000 });
  for (const { instance } of records) {
    const executions = await executionsOf(store, instance.instanceId);
    for (const [at, execution] of executions.entries()) {
      const stored = await store.history(instance.instanceId, execution.executionId);
      if (stored === undefined) continue;
      const came = await replayed(stored);
      const due = dueOf(execution, executions[at - 1]);
      const said = JSON.stringify(came);
      if (said !== JSON.stringify(due))
        problems.push(
          `${instance.instanceId} ${execution.executionId}: replayed, it is ${said}, not ${JSON.stringify(due)}`,
        );
    }
  }
  return problems;
}

/** What the code comes to: the last turn is run as if it were new. */
async function replayed({ instance, of, chunks }: StoredHistory): Promise<object> {
  const events = chunks.flatMap((chunk) => decodeChunk(chunk));
  const told = of.status === "Terminated" ? withoutEnd(events) : events;
  const last = told.findLastIndex(({ type }) => type === "OrchestratorStarted");
  const hasEnded = of.status !== "Terminated" && last >= 0;
  const history = hasEnded ? told.slice(0, last) : told;
  const newEvents = hasEnded ? incomingOf(told.slice(last)) : [];
  const { executionId, run, generation } = of;
  const executor = new LocalExecutor({ registry, env: systemEnv(logger), codec: jsonCodec, logger });
  const outcome = await executor.runTurn({
    instance: { ...instance, executionId, run, generation },
    execution: of,
    atMs: told[Math.max(last, 0)]?.atMs ?? 0,
    newEvents,
    history: async (): Promise<readonly HistoryEvent[]> => history,
  });
  return shown(outcome);
}

function shown(outcome: TurnOutcome): object {
  switch (outcome.kind) {
    case "completed":
      return { is: "Completed", output: outcome.output };
    case "failed":
      return { is: "Failed", type: outcome.failure.type, message: outcome.failure.message };
    case "continuedAsNew":
      return { is: "ContinuedAsNew", input: outcome.input };
    case "waiting":
      return { is: "under way" };
    case "parked":
      return { is: "parked", message: outcome.message };
  }
}

function dueOf({ status, output, failure }: Execution, next: Execution | undefined): object {
  switch (status) {
    case "Completed":
      return { is: status, output };
    case "Failed":
      return { is: status, type: failure?.type, message: failure?.message };
    case "ContinuedAsNew":
      return { is: status, input: next?.input };
    default:
      return { is: "under way" };
  }
}
