// A hub served on a real socket, and callers who do not keep to the rules.
import { mkdtempSync, rmSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import {
  createHttpHandler,
  type HttpHandlerOptions,
  type HttpServer,
  type ServeOptions,
  serveHttp,
} from "../../src/http/index.js";
import { TaskHub, type TaskHubOptions } from "../../src/task-hub.js";
import { BASE, breaks, busy, double, echo, failing, member, waiter } from "../http-kit.js";

/** What a request has beside method and target. */
export interface Sent {
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent with its length; as JSON unless the headers say otherwise. */
  readonly body?: string | Uint8Array;
}

/** What came back. */
export interface Answered {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly text: string;
  /** The parsed body; undefined where it is none or not JSON. */
  readonly body: unknown;
}

/** A hub on 127.0.0.1. */
export interface Target extends AsyncDisposable {
  readonly hub: TaskHub;
  /** The store's name. */
  readonly store: string;
  readonly server: HttpServer;
  /** Sends a request whose target goes out as it is, without a URL being made of it. */
  readonly ask: (method: string, target: string, sent?: Sent) => Promise<Answered>;
  /** Sends text as it is, waits where a number stands, and gives all that comes until the server closes. */
  readonly raw: (...parts: readonly (string | number)[]) => Promise<string>;
  /**
   * Fails unless the server still starts an instance and sees it complete, and Object.prototype is as it was.
   * To be called after whatever was done to the server.
   */
  readonly othersGoOn: () => Promise<void>;
}

/** Serves a new hub: in a SQLite file unless a store is named. */
export async function openTarget(
  options: {
    readonly store?: string;
    readonly functions?: TaskHubOptions["functions"];
    readonly taskHub?: string;
    readonly handler?: HttpHandlerOptions;
    readonly limits?: ServeOptions["limits"];
  } = {},
): Promise<Target> {
  const folder = mkdtempSync(join(tmpdir(), "tenure-hostile-"));
  const store = options.store ?? `sqlite:${join(folder, "hub.db")}`;
  const hub = await TaskHub.open({
    store,
    functions: [echo, waiter, failing, busy, double, breaks, ...(options.functions ?? [])],
    ...(options.taskHub === undefined ? {} : { taskHub: options.taskHub }),
  });
  const handler = createHttpHandler(hub, options.handler);
  const server = await serveHttp(handler, { port: 0, limits: options.limits ?? {} });
  let healthy = 0;
  return {
    hub,
    store,
    server,
    ask: (method, target, sent) => ask(server.port, method, target, sent),
    raw: (...parts) => raw(server.port, parts),
    othersGoOn: async () => {
      healthy += 1;
      const id = `healthy-${healthy}`;
      const started = await ask(server.port, "POST", `${BASE}/orchestrators/Echo/${id}?timeout=20`, {
        body: JSON.stringify(id),
      });
      expect([started.status, started.text]).toEqual([200, JSON.stringify(id)]);
      expect(Reflect.ownKeys(Object.prototype)).toEqual(PRISTINE);
    },
    [Symbol.asyncDispose]: async () => {
      await server.close({ graceMs: 50 });
      await hub.close({ drainMs: 100 });
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const PRISTINE = Reflect.ownKeys(Object.prototype);

function ask(
  port: number,
  method: string,
  target: string,
  { headers = {}, body }: Sent = {},
): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const json = body === undefined ? {} : { "content-type": "application/json" };
    const length = body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) };
    const sending = request(
      {
        port,
        host: "127.0.0.1",
        agent: false,
        method,
        path: target,
        headers: { ...json, ...length, ...headers },
      },
      (incoming) => {
        text(incoming).then((read) => {
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            text: read,
            body: parsed(read),
          });
        }, reject);
      },
    );
    sending.on("error", reject);
    sending.end(body);
  });
}

function raw(port: number, parts: readonly (string | number)[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    let answer = "";
    socket.setEncoding("latin1");
    socket.on("data", (data: string) => {
      answer += data;
    });
    socket.on("close", () => resolve(answer));
    socket.on("error", (error) => (answer === "" ? reject(error) : resolve(answer)));
    void write(socket, parts);
  });
}

async function write(socket: Socket, parts: readonly (string | number)[]): Promise<void> {
  for (const part of parts) {
    if (typeof part === "number") await sleep(part);
    else if (socket.writable) socket.write(part, "latin1");
  }
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** The status and the code of a refusal. */
export function reasonOf({ status, body }: Answered): [status: number, code: unknown] {
  return [status, member(body, "code")];
}
