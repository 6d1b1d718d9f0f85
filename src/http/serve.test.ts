import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { BASE, type HttpKit, httpTrigger, openKit } from "../../test/http-kit.js";
import { type HttpServer, serveHttp } from "./index.js";

let kit: HttpKit;
let server: HttpServer;

beforeEach(async () => {
  const whole = httpTrigger("Whole", { methods: ["POST"] }, async (request) => (await request.text()).length);
  kit = await openKit({ functions: [whole] });
  server = await serveHttp(kit.handler, { port: 0 });
});

afterEach(async () => {
  await server.close({ graceMs: 50 });
  await kit[Symbol.asyncDispose]();
});

/** Sends bytes as they are and returns all that comes back until the server closes. */
function raw(...parts: readonly (string | number)[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(server.port, "127.0.0.1");
    let answer = "";
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => {
      answer += text;
    });
    socket.on("close", () => resolve(answer));
    socket.on("error", (error) => (answer === "" ? reject(error) : resolve(answer)));
    void send(socket, parts);
  });
}

async function send(socket: Socket, parts: readonly (string | number)[]): Promise<void> {
  for (const part of parts) {
    if (typeof part === "number") await sleep(part);
    else socket.write(part, "latin1");
  }
}

const close = "Connection: close\r\n";
const get = (target: string, headers = "Host: localhost\r\n"): string =>
  `GET ${target} HTTP/1.1\r\n${headers}${close}\r\n`;

test("serves over a socket, and refusals carry the caller's address", async () => {
  expect(server.url).toBe(`http://127.0.0.1:${server.port}`);
  const url = `${server.url}${BASE}/orchestrators/Waiter/live`;
  const headers = { "user-agent": "test/1" };
  expect((await fetch(url, { method: "POST", headers })).status).toBe(202);
  expect((await fetch(url, { method: "POST", headers })).status).toBe(409);
  expect(await (await fetch(`${server.url}${BASE}/refusals`)).json()).toMatchObject([
    { requester: "127.0.0.1 test/1" },
  ]);
});

test("a JSON body comes through, in pieces as well", async () => {
  const head = `POST ${BASE}/orchestrators/Echo/pieces HTTP/1.1\r\nHost: localhost\r\n${close}Content-Type: application/json\r\n`;
  const answer = await raw(
    `${head}Transfer-Encoding: chunked\r\n\r\n4\r\n{"a"\r\n`,
    20,
    "3\r\n:1}\r\n0\r\n\r\n",
  );
  expect(answer).toContain("HTTP/1.1 202");
  const status = await kit.hub.client.waitForCompletion("pieces", { timeoutMs: 5000 });
  expect(status.output).toEqual({ a: 1 });
});

describe("what is malformed answers 4xx", () => {
  test.each<[string, string, number]>([
    ["no HTTP", "hello\r\n\r\n", 400],
    ["another protocol", "\x16\x03\x01\x02\x00\x01\x00", 400],
    ["no host", "GET / HTTP/1.1\r\n\r\n", 400],
    ["an odd host", get("/healthz", "Host: a b\r\n"), 400],
    ["another host", get("/healthz", "Host: evil.example\r\n"), 421],
    ["a host in the request line", get("http://evil.example/healthz"), 421],
    ["an odd target", get("healthz"), 400],
    ["a backslash", get("/api\\x"), 400],
    ["a dot segment", get(`${BASE}/instances/..`), 400],
    ["an encoded dot segment", get(`${BASE}/instances/%2e%2E/x`), 400],
    ["a bare encoded dot", get(`${BASE}/instances/%2e?x=/../`), 400],
    ["a NUL", get("/\0"), 400],
    ["a NUL in a header", get("/healthz", "Host: localhost\r\nX: a\0b\r\n"), 400],
    [
      "two lengths",
      "POST /api/Whole HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
      400,
    ],
    [
      "smuggling",
      "POST /api/Whole HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      400,
    ],
    [
      "an odd chunk",
      "POST /api/Whole HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
      400,
    ],
    ["a huge header", get("/healthz", `Host: localhost\r\nX: ${"x".repeat(70_000)}\r\n`), 431],
    ["many headers", get("/healthz", `Host: localhost\r\n${"X: y\r\n".repeat(120)}`), 431],
    ["an odd method", "BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400],
  ])("%s", async (_what, request, status) => {
    expect(await raw(request)).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
  });
});

test("a body larger than allowed is refused without being held in memory", async () => {
  const size = 48 * 1024 * 1024;
  for (const path of [`${BASE}/orchestrators/Echo/big`, "/api/Whole"]) {
    for (const declared of [true, false]) {
      globalThis.gc?.();
      const before = process.memoryUsage();
      const answer = await sendBig(path, size, declared);
      const after = process.memoryUsage();
      expect(answer).toMatch(/^HTTP\/1.1 413 /);
      expect(answer).toContain('"code":"BodyTooLarge"');
      const grown = after.arrayBuffers + after.external - before.arrayBuffers - before.external;
      expect(grown).toBeLessThan(size / 2);
    }
  }
  expect(await kit.hub.client.getStatus("big")).toBeUndefined();
});

/** Sends a big body with heed to backpressure, until the server answers. */
function sendBig(path: string, size: number, declared: boolean): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(server.port, "127.0.0.1");
    const length = declared ? `Content-Length: ${size}` : "Transfer-Encoding: chunked";
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${length}\r\n\r\n`,
    );
    const chunk = Buffer.alloc(64 * 1024, 0x78);
    const piece = declared ? chunk : Buffer.concat([Buffer.from("10000\r\n"), chunk, Buffer.from("\r\n")]);
    let sent = 0;
    const more = (): void => {
      for (let room = true; room && sent < size && !socket.destroyed; sent += chunk.length)
        room = socket.write(piece);
    };
    let answer = "";
    socket.on("drain", more);
    socket.on("data", (data) => {
      answer += data.toString("latin1");
      if (answer.includes("}")) socket.destroy();
    });
    socket.on("error", () => {}); // the server may cut what nobody reads
    socket.on("close", () => resolve(answer));
    more();
  });
}

test("a caller who leaves in the middle of a body harms nobody", async () => {
  for (let n = 0; n < 20; n++) {
    const socket = connect(server.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write(
      `POST ${BASE}/orchestrators/Echo/gone HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"a"`,
    );
    await sleep(5);
    socket.destroy();
  }
  expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
  expect(await kit.hub.client.getStatus("gone")).toBeUndefined();
});

test("a caller who waits and leaves stops the wait", async () => {
  const leaving = new AbortController();
  const url = `${server.url}${BASE}/orchestrators/Waiter/left?timeout=60`;
  const answer = fetch(url, { method: "POST", signal: leaving.signal });
  await kit.hub.client.waitForStart("left").catch(() => undefined);
  leaving.abort();
  await expect(answer).rejects.toThrow(/abort/i);
});

test("a slow sender of headers is cut off", { timeout: 20_000 }, async () => {
  const before = performance.now();
  const parts = ["GET /healthz HTTP/1.1\r\n", ...Array.from({ length: 12 }, () => [1000, "X: y\r\n"]).flat()];
  expect(await raw(...parts)).toMatch(/^HTTP\/1.1 408 /);
  expect(performance.now() - before).toBeLessThan(14_000);
});

test("closing lets a request under way finish, and cuts one that takes longer", async () => {
  await kit.call("POST", `${BASE}/orchestrators/Waiter/w`);
  const waiting = (ms: number): Promise<Response> =>
    fetch(`${server.url}${BASE}/orchestrators/Waiter/w?ifLive=attach&timeout=${ms / 1000}`, {
      method: "POST",
    });
  const quick = waiting(200);
  await sleep(100);
  await server.close({ graceMs: 5000 });
  expect((await quick).status).toBe(202);
  await expect(fetch(`${server.url}/healthz`)).rejects.toThrow(/fetch failed/);

  server = await serveHttp(kit.handler, { port: 0 });
  const slow = waiting(60_000);
  slow.catch(() => {});
  await sleep(100);
  const before = performance.now();
  await server.close({ graceMs: 100 });
  expect(performance.now() - before).toBeLessThan(2000);
  await expect(slow).rejects.toThrow(/fetch failed/);
});

test("a port in use is said to be", async () => {
  const second = serveHttp(kit.handler, { port: server.port });
  await expect(second).rejects.toThrow(expect.objectContaining({ code: "Configuration" }));
  await expect(second).rejects.toThrow(/EADDRINUSE/);
});
