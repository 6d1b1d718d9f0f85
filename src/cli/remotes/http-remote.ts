import { z } from "zod";
import { InstanceNotFoundError, WaitTimeoutError } from "../../core/errors.js";
import { isEnded, type Tags } from "../../core/instance.js";
import { parseInstanceId } from "../../core/instance-id.js";
import {
  checkStatusSchema,
  executionSchema,
  historySchema,
  problemSchema,
  purgedSchema,
  refusalSchema,
  statusSchema,
  workerSchema,
} from "../../http/bodies.js";
import { KEY_HEADER } from "../../http/security.js";
import { withoutTrailingSlashes } from "../../http/slashes.js";
import { MANAGEMENT_PATH } from "../../http/urls.js";
import {
  type ExecutionsAnswer,
  type ExecutionsRequest,
  type ListRequest,
  type Remote,
  RemoteError,
  type StartedData,
  type StatusData,
} from "../remote.js";

/** A server that takes longer than this for an answer is taken for unreachable. */
const ANSWER_TIMEOUT_MS = 30_000;

/** Instances that one request purges: few enough to show progress often. */
const PURGE_PAGE = 500;

/** Their children, of any number, belong to the same request. Below the 300 s after which fetch itself gives up. */
const PURGE_TIMEOUT_MS = 290_000;

/** Leads from one page to the next. */
const TOKEN_HEADER = "x-ms-continuation-token";

/** A waiting command looks again after this long, then ever less often. */
const FIRST_LOOK_MS = 50;
const LONGEST_LOOK_MS = 1000;

/** The remote of a task hub that a server makes reachable. */
export function httpRemote(url: string, key: string | undefined): Remote {
  const server = new Server(url, key);
  const instance = (instanceId: string): string =>
    `/instances/${encodeURIComponent(parseInstanceId(instanceId))}`;
  const signal = async (instanceId: string, operation: string, query: Query): Promise<void> => {
    await server.send("POST", `${instance(instanceId)}/${operation}`, { query });
  };
  const get = (instanceId: string): Promise<StatusData> => server.get(instance(instanceId), statusSchema);
  const executions = async (
    instanceId: string,
    { continuationToken, run, top }: ExecutionsRequest,
  ): Promise<ExecutionsAnswer> => {
    const answer = await server.send("GET", `${instance(instanceId)}/executions`, {
      query: { run, top },
      headers: continuationToken === undefined ? {} : { [TOKEN_HEADER]: continuationToken },
    });
    return {
      executions: await read(answer, z.array(executionSchema)),
      continuationToken: answer.headers.get(TOKEN_HEADER) ?? undefined,
    };
  };

  return {
    description: url,
    startNew: async ({ name, instanceId, ...options }) => {
      const id = instanceId === undefined ? "" : `/${encodeURIComponent(parseInstanceId(instanceId))}`;
      const answer = await server.send("POST", `/orchestrators/${encodeURIComponent(name)}${id}`, {
        query: {
          ifLive: options.ifLive,
          ifEnded: typeof options.ifEnded === "object" ? JSON.stringify(options.ifEnded) : options.ifEnded,
          requestId: options.requestId,
          startAt: options.startAt,
          version: options.version,
          tags: tagsText(options.tags),
          allowUnregistered: options.allowUnregistered,
        },
        body: options.input,
      });
      const data = startedOf(await read(answer, checkStatusSchema));
      return { data, waitForEnd: (timeoutMs) => waitForRun(get, executions, data, timeoutMs) };
    },
    get,
    list: async ({ continuationToken, ...request }) => {
      const answer = await server.send("GET", "/instances", {
        query: listQuery(request),
        headers: continuationToken === undefined ? {} : { [TOKEN_HEADER]: continuationToken },
      });
      return {
        instances: await read(answer, z.array(statusSchema)),
        continuationToken: answer.headers.get(TOKEN_HEADER) ?? undefined,
      };
    },
    history: (instanceId, executionId) =>
      server.get(`${instance(instanceId)}/history`, historySchema, { executionId }),
    executions,
    waitForEnd: (instanceId, timeoutMs) =>
      waitUntil(get, instanceId, timeoutMs, (status) => isEnded(status.runtimeStatus)),
    raiseEvent: async (instanceId, eventName, data) => {
      await server.send("POST", `${instance(instanceId)}/raiseEvent/${encodeURIComponent(eventName)}`, {
        body: data,
      });
    },
    suspend: (instanceId, reason) => signal(instanceId, "suspend", { reason }),
    resume: (instanceId, reason) => signal(instanceId, "resume", { reason }),
    terminate: (instanceId, reason, recursive) => signal(instanceId, "terminate", { reason, recursive }),
    rewind: (instanceId, reason) => signal(instanceId, "rewind", { reason }),
    restart: async (instanceId, restartWithNewInstanceId) => {
      const query = { restartWithNewInstanceId };
      const answer = await server.send("POST", `${instance(instanceId)}/restart`, { query });
      return startedOf(await read(answer, checkStatusSchema));
    },
    purge: async (instanceId, recursive) => {
      const answer = await server.send("DELETE", instance(instanceId), { query: { recursive } });
      return (await read(answer, purgedSchema)).instancesDeleted;
    },
    purgeBy: async ({ recursive, createdTimeFrom = new Date(0), ...request }, onProgress) => {
      const query = { ...listQuery({ ...request, createdTimeFrom, top: PURGE_PAGE }), recursive };
      let instancesDeleted = 0;
      let token: string | undefined;
      do {
        const headers = token === undefined ? {} : { [TOKEN_HEADER]: token };
        const answer = await server.send("DELETE", "/instances", {
          query,
          headers,
          timeoutMs: PURGE_TIMEOUT_MS,
        });
        instancesDeleted += (await read(answer, purgedSchema)).instancesDeleted;
        onProgress(instancesDeleted);
        token = answer.headers.get(TOKEN_HEADER) ?? undefined;
      } while (token !== undefined);
      return instancesDeleted;
    },
    refusals: (instanceId, top) =>
      server.get(
        instanceId === undefined ? "/refusals" : `${instance(instanceId)}/refusals`,
        z.array(refusalSchema),
        {
          top,
        },
      ),
    workers: () => server.get("/workers", z.array(workerSchema)),
    drainWorker: async (workerId) =>
      read(await server.send("POST", `/workers/${encodeURIComponent(workerId)}/drain`, {}), workerSchema),
    [Symbol.asyncDispose]: async () => {},
  };
}

type Query = Readonly<Record<string, string | number | boolean | Date | undefined>>;

interface Sent {
  readonly query?: Query;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON; undefined: no body. */
  readonly body?: unknown;
  readonly timeoutMs?: number;
}

class Server {
  readonly #root: string;
  readonly #key: string | undefined;

  constructor(root: string, key: string | undefined) {
    this.#root = withoutTrailingSlashes(root);
    this.#key = key;
  }

  async get<S extends z.ZodType>(path: string, schema: S, query: Query = {}): Promise<z.output<S>> {
    return read(await this.send("GET", path, { query }), schema);
  }

  /** @throws RemoteError for anything but success: with the server's own code, or Unreachable. */
  async send(
    method: string,
    path: string,
    { query = {}, headers = {}, body, timeoutMs = ANSWER_TIMEOUT_MS }: Sent,
  ): Promise<Response> {
    const url = `${this.#root}${MANAGEMENT_PATH}${path}${queryText(query)}`;
    let answer: Response;
    try {
      answer = await fetch(url, {
        method,
        headers: {
          ...headers,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...(this.#key === undefined ? {} : { [KEY_HEADER]: this.#key }),
          accept: "application/json, application/problem+json",
          "user-agent": "tenure-cli",
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        // The key goes to no other host.
        redirect: "error",
        signal: AbortSignal.timeout(timeoutMs),
      });
    } catch (cause) {
      throw new RemoteError(
        "Unreachable",
        `There is no answer from ${this.#root}: ${reasonOf(cause, timeoutMs)}.`,
        undefined,
        {
          cause,
        },
      );
    }
    if (answer.ok) return answer;
    throw await refusalOf(answer);
  }
}

async function read<S extends z.ZodType>(answer: Response, schema: S): Promise<z.output<S>> {
  const parsed = schema.safeParse(await jsonOf(answer));
  if (parsed.success) return parsed.data;
  throw new RemoteError(
    "Unknown",
    `${answer.url} answered something else than a tenure server does.`,
    undefined,
    {
      cause: parsed.error,
    },
  );
}

async function refusalOf(answer: Response): Promise<RemoteError> {
  const problem = problemSchema.safeParse(await jsonOf(answer));
  if (problem.success) return new RemoteError(problem.data.code, problem.data.detail, problem.data.holder);
  return new RemoteError(
    "Unknown",
    `${answer.url} answered ${answer.status} ${answer.statusText}: not as a tenure server does.`,
  );
}

async function jsonOf(answer: Response): Promise<unknown> {
  const text = await answer.text();
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // whatever answered is not ours; the caller says so
  }
}

/** `fetch failed` says nothing: the reason is in the cause, of several addresses in the first of its errors. */
function reasonOf(thrown: unknown, timeoutMs: number): string {
  if (!(thrown instanceof Error)) return String(thrown);
  if (thrown.name === "TimeoutError") return `none within ${timeoutMs / 1000} s`;
  if (thrown instanceof AggregateError) return reasonOf(thrown.errors[0], timeoutMs);
  return thrown.cause instanceof Error ? reasonOf(thrown.cause, timeoutMs) : thrown.message;
}

function queryText(query: Query): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined) search.set(key, value instanceof Date ? value.toISOString() : String(value));
  }
  return search.size === 0 ? "" : `?${search.toString()}`;
}

function listQuery(request: Omit<ListRequest, "continuationToken">): Query {
  return {
    runtimeStatus: request.runtimeStatus?.join(","),
    name: request.name,
    createdTimeFrom: request.createdTimeFrom,
    createdTimeTo: request.createdTimeTo,
    lastUpdatedTimeFrom: request.lastUpdatedFrom,
    lastUpdatedTimeTo: request.lastUpdatedTo,
    instanceIdPrefix: request.instanceIdPrefix,
    tags: tagsText(request.tags),
    top: request.top,
  };
}

function tagsText(tags: Tags | undefined): string | undefined {
  return tags === undefined ? undefined : JSON.stringify(tags);
}

function startedOf(answer: z.output<typeof checkStatusSchema>): StartedData {
  const { outcome, executionId, run, generation } = answer;
  return { outcome, instanceId: answer.id, executionId, run, generation };
}

type Get = (instanceId: string) => Promise<StatusData>;

async function waitUntil(
  get: Get,
  instanceId: string,
  timeoutMs: number | undefined,
  reached: (status: StatusData) => boolean,
): Promise<StatusData> {
  const deadlineMs = timeoutMs === undefined ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
  for (let pauseMs = FIRST_LOOK_MS; ; pauseMs = Math.min(pauseMs * 1.5, LONGEST_LOOK_MS)) {
    const status = await get(instanceId);
    if (reached(status)) return status;
    const leftMs = deadlineMs - performance.now();
    if (leftMs <= 0) throw new WaitTimeoutError(instanceId, timeoutMs ?? 0, status.runtimeStatus);
    await new Promise((resolve) => {
      setTimeout(resolve, Math.min(pauseMs, leftMs));
    });
  }
}

/** The end of one run: where another run has followed it before we looked, its last execution tells. */
async function waitForRun(
  get: Get,
  executions: Remote["executions"],
  { instanceId, run }: StartedData,
  timeoutMs: number | undefined,
): Promise<StatusData> {
  const over = (status: StatusData): boolean => status.run > run || isEnded(status.runtimeStatus);
  const status = await waitUntil(get, instanceId, timeoutMs, over);
  if (status.run === run) return status;
  const { executions: newest } = await executions(instanceId, { run, top: 1 });
  const last = newest.find((execution) => execution.run === run);
  if (last === undefined) throw new InstanceNotFoundError(instanceId);
  const { endedTime, droppedMessages: _dropped, ...execution } = last;
  return {
    ...status,
    ...execution,
    lastUpdatedTime: endedTime ?? execution.createdTime,
    scheduledStartTime: null,
    parked: null,
  };
}
