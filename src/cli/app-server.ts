import type { Definition } from "../core/definition.js";
import type { Logger } from "../core/env.js";
import { StoreHeldError, type TenureError } from "../core/errors.js";
import type { Store } from "../core/store.js";
import { createHttpHandler, type HttpHandler, type HttpServer, serveHttp } from "../http/index.js";
import { problem, problemResponse } from "../http/problem.js";
import { MemoryDatabase } from "../stores/memory/database.js";
import { openMemoryStore } from "../stores/memory/store.js";
import { TaskHub } from "../task-hub.js";
import { exitCodeOf } from "./exit-code.js";
import { reportError } from "./report-error.js";
import type { ServerSettings } from "./server-options.js";

/** At the end, requests under way may finish for this long, and then turns and activities. Together below 10 s. */
const REQUESTS_GRACE_MS = 2000;
const DRAIN_MS = 7000;

/** At a reload somebody is waiting: what has not finished by then runs again with the new code. */
const RELOAD_DRAIN_MS = 3000;

/** How often a server that stands by tries to get the store. */
const STAND_BY_MS = 250;

/** What an HttpHandler does. */
type Answer = (...call: Parameters<HttpHandler>) => Promise<Response>;

const unavailable: Answer = async () =>
  problemResponse(
    problem("StoreClosed", "The task hub could not be opened again. The server's log says why."),
  );

/** A task hub with its engine in this process, served over HTTP. Its functions can be exchanged while it runs. */
export class AppServer {
  readonly url: string;
  readonly #settings: ServerSettings;
  readonly #logger: Logger;
  readonly #openStore: () => string | Store;
  readonly #server: HttpServer;
  /** Requests that come during a reload wait for it. */
  readonly #current: { handler: Promise<Answer> };
  #hub: TaskHub;
  #reloaded: Promise<void> = Promise.resolve();

  private constructor(parts: {
    readonly settings: ServerSettings;
    readonly logger: Logger;
    readonly openStore: () => string | Store;
    readonly server: HttpServer;
    readonly current: { handler: Promise<Answer> };
    readonly hub: TaskHub;
  }) {
    this.url = parts.server.url;
    this.#settings = parts.settings;
    this.#logger = parts.logger;
    this.#openStore = parts.openStore;
    this.#server = parts.server;
    this.#current = parts.current;
    this.#hub = parts.hub;
  }

  /**
   * Opens the hub, then listens.
   *
   * @param stop aborts standing by: then the answer is undefined.
   * @throws StoreHeldError when another engine has the store, unless the settings say to stand by.
   * @throws ConfigurationError when the port cannot be had.
   */
  static async start(
    settings: ServerSettings,
    functions: readonly Definition[],
    logger: Logger,
    stop: AbortSignal,
  ): Promise<AppServer | undefined> {
    const openStore = storeOpener(settings);
    const open = (): Promise<TaskHub> => openHub(settings, openStore, functions, logger);
    const hub = settings.wait ? await standBy(open, logger, stop) : await open();
    if (hub === undefined) return undefined;
    try {
      const first = handlerOf(hub, settings, logger);
      const current: { handler: Promise<Answer> } = { handler: Promise.resolve(first) };
      const handler: HttpHandler = Object.assign(
        async (...call: Parameters<HttpHandler>) => (await current.handler)(...call),
        { asksForKey: first.asksForKey },
      );
      const server = await serveHttp(handler, { host: settings.host, port: settings.port });
      return new AppServer({ settings, logger, openStore, server, current, hub });
    } catch (error) {
      await hub.close({ drainMs: 0 });
      throw error;
    }
  }

  get functions(): readonly Definition[] {
    return this.#hub.functions;
  }

  /**
   * Goes on with other functions: drains, then opens the hub with them. Where they cannot be served, the
   * former ones are served again.
   *
   * @returns why the former functions go on; undefined when the new ones are served.
   * @throws what keeps the former ones, too, from being served: then nothing is, until another reload.
   */
  async reload(functions: readonly Definition[]): Promise<{ readonly refused: unknown } | undefined> {
    const reopened = this.#reopen(functions);
    this.#current.handler = reopened.then(
      ({ handler }) => handler,
      () => unavailable,
    );
    this.#reloaded = reopened.then(
      () => {},
      () => {},
    );
    return (await reopened).kept;
  }

  /** Takes no more requests, lets work under way finish, and closes; in less than 10 s. */
  async close(): Promise<void> {
    await this.#server.close({ graceMs: REQUESTS_GRACE_MS });
    await this.#reloaded;
    await this.#hub.close({ drainMs: DRAIN_MS });
  }

  async #reopen(
    functions: readonly Definition[],
  ): Promise<{ readonly handler: HttpHandler; readonly kept?: { readonly refused: unknown } }> {
    const former = this.#hub.functions;
    await this.#hub.close({ drainMs: RELOAD_DRAIN_MS });
    try {
      return { handler: await this.#open(functions) };
    } catch (refused) {
      return { handler: await this.#open(former), kept: { refused } };
    }
  }

  async #open(functions: readonly Definition[]): Promise<HttpHandler> {
    const hub = await openHub(this.#settings, this.#openStore, functions, this.#logger);
    try {
      const handler = handlerOf(hub, this.#settings, this.#logger);
      this.#hub = hub;
      return handler;
    } catch (error) {
      await hub.close({ drainMs: 0 });
      throw error;
    }
  }
}

function openHub(
  { taskHub, queues }: ServerSettings,
  openStore: () => string | Store,
  functions: readonly Definition[],
  logger: Logger,
): Promise<TaskHub> {
  return TaskHub.open({
    store: openStore(),
    functions,
    logger,
    onStoreFailure: (error) => void endProcess(error),
    ...(taskHub === undefined ? {} : { taskHub }),
    ...(queues === undefined ? {} : { queues }),
  });
}

/** Nothing can be served any more; a supervisor starts another process. */
async function endProcess(error: TenureError): Promise<never> {
  await reportError(error);
  process.exit(exitCodeOf(error));
}

/** What is in memory outlives a reload of the functions. */
function storeOpener({ store, taskHub }: ServerSettings): () => string | Store {
  if (store !== "memory") return () => store;
  const database = new MemoryDatabase();
  return () => openMemoryStore({ database, ...(taskHub === undefined ? {} : { taskHub }) });
}

function handlerOf(
  hub: TaskHub,
  { key, allowedHosts, publicUrl }: ServerSettings,
  logger: Logger,
): HttpHandler {
  return createHttpHandler(hub, {
    logger,
    allowedHosts,
    ...(key === undefined ? {} : { key }),
    ...(publicUrl === undefined ? {} : { publicUrl }),
  });
}

async function standBy(
  open: () => Promise<TaskHub>,
  logger: Logger,
  stop: AbortSignal,
): Promise<TaskHub | undefined> {
  let told = false;
  while (!stop.aborted) {
    try {
      return await open();
    } catch (error) {
      if (!(error instanceof StoreHeldError)) throw error;
      if (!told) {
        const { pid, host } = error;
        logger.info(`${error.store} is held by another engine: standing by`, { pid, host });
      }
      told = true;
    }
    await pause(STAND_BY_MS, stop);
  }
  return undefined;
}

function pause(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      stop.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    stop.addEventListener("abort", done);
  });
}
