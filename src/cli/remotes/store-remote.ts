import type { OrchestrationHandle } from "../../client/orchestration-handle.js";
import type { PurgeFilter } from "../../client/task-hub-client.js";
import { InstanceNotFoundError, WorkerNotFoundError } from "../../core/errors.js";
import { executionBody, refusalBody, statusBody, workerBody } from "../../http/bodies.js";
import { eventBody } from "../../http/history-events.js";
import type { TaskHubConnection } from "../../task-hub.js";
import type {
  ExecutionsAnswer,
  RefusalData,
  Remote,
  Started,
  StartRequest,
  StatusData,
  WorkerData,
} from "../remote.js";

/** The remote of a task hub whose store this process can open: works with and without an engine beside it. */
export function storeRemote(connection: TaskHubConnection, description: string): Remote {
  const { client } = connection;
  return {
    description,
    startNew: async ({ name, ...options }: StartRequest) => startedOf(await client.startNew(name, options)),
    get: async (instanceId) => {
      const status = await client.getStatus(instanceId);
      if (status === undefined) throw new InstanceNotFoundError(instanceId);
      return statusBody(status, { input: true });
    },
    list: async (request) => {
      const page = await client.list(request);
      return {
        instances: page.instances.map((status) => statusBody(status, { input: true })),
        continuationToken: page.continuationToken,
      };
    },
    history: async (instanceId, executionId) => {
      const history = await client.getHistory(instanceId, executionId);
      if (history === undefined) throw new InstanceNotFoundError(instanceId);
      const { execution, events } = history;
      return {
        instanceId,
        name: execution.name,
        executionId: execution.executionId,
        run: execution.run,
        generation: execution.generation,
        runtimeStatus: execution.runtimeStatus,
        events: events.map((event) => eventBody(event, (payload) => client.decodePayload(payload))),
      };
    },
    executions: async (instanceId, request): Promise<ExecutionsAnswer> => {
      const { executions, continuationToken } = await client.executionsPage(instanceId, request);
      if (executions.length === 0 && request.continuationToken === undefined)
        throw new InstanceNotFoundError(instanceId);
      return { executions: executions.map((execution) => executionBody(execution)), continuationToken };
    },
    waitForEnd: async (instanceId, timeoutMs): Promise<StatusData> =>
      statusBody(await client.waitForCompletion(instanceId, { timeoutMs }), { input: true }),
    raiseEvent: (instanceId, eventName, data) => client.raiseEvent(instanceId, eventName, data),
    suspend: (instanceId, reason) => client.suspend(instanceId, reason),
    resume: (instanceId, reason) => client.resume(instanceId, reason),
    terminate: (instanceId, reason, recursive) => client.terminate(instanceId, reason, { recursive }),
    rewind: (instanceId, reason) => client.rewind(instanceId, reason),
    restart: async (instanceId, newInstanceId) =>
      startedOf(await client.restart(instanceId, { newInstanceId })).data,
    purge: async (instanceId, recursive) => {
      const deleted = await client.purge(instanceId, { recursive });
      if (deleted === 0) throw new InstanceNotFoundError(instanceId);
      return deleted;
    },
    purgeBy: (request, onProgress) => client.purgeBy({ ...request, onProgress } satisfies PurgeFilter),
    refusals: async (instanceId, top): Promise<readonly RefusalData[]> => {
      const refusals = await client.listRefusals({
        top,
        ...(instanceId === undefined ? {} : { instanceId }),
      });
      return refusals.map((refusal) => refusalBody(refusal));
    },
    workers: async (): Promise<readonly WorkerData[]> =>
      (await client.listWorkers()).map((worker) => workerBody(worker)),
    drainWorker: async (workerId): Promise<WorkerData> => {
      await client.drainWorker(workerId);
      const worker = (await client.listWorkers()).find(({ id }) => id === workerId);
      if (worker === undefined) throw new WorkerNotFoundError(workerId);
      return workerBody(worker);
    },
    [Symbol.asyncDispose]: () => connection.close(),
  };
}

function startedOf(handle: OrchestrationHandle): Started {
  const { outcome, instanceId, executionId, run, generation } = handle;
  return {
    data: { outcome, instanceId, executionId, run, generation },
    waitForEnd: async (timeoutMs) =>
      statusBody(await handle.waitForCompletion({ timeoutMs }), { input: true }),
  };
}
