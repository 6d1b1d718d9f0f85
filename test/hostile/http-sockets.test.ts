// Callers who are slow, silent, many, or do not speak HTTP as it is written.
import { connect, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { serveHttp } from "../../src/http/index.js";
import { MAX_HEADER_BYTES, MAX_HEADERS, SERVER_LIMITS } from "../../src/http/limits.js";
import { BASE, httpTrigger } from "../http-kit.js";
import { openTarget, type Target } from "./http-server.js";

const START = `${BASE}/orchestrators/Echo`;
const LIMITS = { headersTimeoutMs: 1500, requestTimeoutMs: 2500, maxConnections: 60 };
const whole = httpTrigger("Whole", { methods: ["POST"] }, async (request) => (await request.text()).length);

let target: Target;
beforeAll(async () => {
  target = await openTarget({ functions: [whole], limits: LIMITS });
});
afterEach(() => target.othersGoOn());
afterAll(() => target[Symbol.asyncDispose]());

const host = "Host: localhost\r\n";
const close = "Connection: close\r\n";
const json = "Content-Type: application/json\r\n";
const chunked = "Transfer-Encoding: chunked\r\n";

/** Single bytes for longer than any limit here: as slow as somebody who wants to hold a socket can be. */
const dripping = (text: string): (string | number)[] => text.split("").flatMap((byte) => [byte, 200]);

describe.concurrent("who is slow is cut off", () => {
  test("the limits are those that the documentation names", () => {
    expect(SERVER_LIMITS).toEqual({
      headersTimeoutMs: 10_000,
      requestTimeoutMs: 30_000,
      maxConnections: 10_000,
    });
  });

  test.each<[what: string, parts: (string | number)[]]>([
    ["with half a request line", ["GET /heal"]],
    [
      "with headers that come byte by byte",
      ["GET /healthz HTTP/1.1\r\n", ...dripping("X: yyyyyyyyyyyyyyyyyyyy")],
    ],
    ["with headers that never end", [`GET /healthz HTTP/1.1\r\n${host}`]],
    ["with a body that never comes", [`POST ${START} HTTP/1.1\r\n${host}${json}Content-Length: 10\r\n\r\n`]],
    [
      "with a body that comes byte by byte",
      [
        `POST ${START} HTTP/1.1\r\n${host}${json}Content-Length: 40\r\n\r\n`,
        ...dripping("[1,2,3,4,5,6,7,8,9,0,"),
      ],
    ],
    [
      "with chunks that come one by one",
      [
        `POST ${START} HTTP/1.1\r\n${host}${json}${chunked}\r\n`,
        ...Array.from({ length: 20 }, () => ["1\r\n1\r\n", 200]).flat(),
      ],
    ],
    ["with a trigger's body", [`POST /api/Whole HTTP/1.1\r\n${host}Content-Length: 10\r\n\r\n1`]],
    ["with the second request of a connection", [`GET /healthz HTTP/1.1\r\n${host}\r\n`, 50, "GET /heal"]],
  ])("%s, with 408", async (_what, parts) => {
    const answer = await target.raw(...parts);
    expect(answer.slice(answer.lastIndexOf("HTTP/1.1 "))).toMatch(/^HTTP\/1.1 408 /);
    expect(answer).not.toContain("HTTP/1.1 5");
  });

  test("who says nothing at all is cut off as well", async () => {
    expect(await target.raw()).toMatch(/^(HTTP\/1.1 408 [^]*)?$/);
  });

  test("who is slow to read an answer does not keep others waiting", async () => {
    const reader = connect(target.server.port, "127.0.0.1");
    reader.pause();
    for (let n = 0; n < 200; n++) reader.write(`GET /openapi.json HTTP/1.1\r\n${host}\r\n`);
    await target.othersGoOn();
    expect(reader.destroyed).toBe(false);
    reader.destroy();
  });

  test("limits may be given in any order of size", async () => {
    const server = await serveHttp(
      Object.assign(async () => new Response(), { asksForKey: false }),
      {
        port: 0,
        limits: { requestTimeoutMs: 20 },
      },
    );
    expect(server.port).toBeGreaterThan(0);
    await server.close();
  });
});

describe("sockets", () => {
  test("more than the most are closed as they come, and room is made as the others are cut off", async () => {
    const sockets: Socket[] = [];
    let refused = 0;
    let over = 0;
    const told = new Set<string>();
    await Promise.all(
      Array.from({ length: 300 }, async () => {
        const socket = connect(target.server.port, "127.0.0.1");
        sockets.push(socket);
        socket.on("error", () => {});
        let answer = "";
        socket.setEncoding("latin1").on("data", (text: string) => {
          answer += text;
        });
        await new Promise<void>((resolve) => {
          socket.on("close", resolve);
        });
        over += 1;
        if (answer === "") refused += 1;
        else told.add(answer.slice(0, "HTTP/1.1 408".length));
      }),
    );
    expect(over).toBe(300);
    expect(told).toEqual(new Set(["HTTP/1.1 408"]));
    expect(refused).toBeGreaterThanOrEqual(300 - LIMITS.maxConnections);
    expect(sockets.every((socket) => socket.destroyed)).toBe(true);
  });
});

describe("headers", () => {
  test.each<[what: string, headers: string, status: number]>([
    [`${MAX_HEADERS + 1} of them`, "X: y\r\n".repeat(MAX_HEADERS), 431],
    ["ten thousand of them", "X: y\r\n".repeat(10_000), 431],
    ["one as long as all may be", `X: ${"y".repeat(MAX_HEADER_BYTES)}\r\n`, 431],
    ["one of a megabyte", `X: ${"y".repeat(1_000_000)}\r\n`, 431],
    ["a name of a megabyte", `${"X".repeat(1_000_000)}: y\r\n`, 431],
    ["one without a name", ": y\r\n", 400],
    ["a space before the colon", "X : y\r\n", 400],
    ["a folded one", "X: y\r\n z\r\n", 400],
    ["a NUL in one", "X: a\0b\r\n", 400],
    ["a bare CR in one", "X: a\rb\r\n", 400],
    ["a second host", "Host: evil.example\r\n", 421],
    ["a length that is no number", "Content-Length: 1e3\r\n", 400],
    ["a length below zero", "Content-Length: -1\r\n", 400],
    ["a length beyond numbers", `Content-Length: ${"9".repeat(30)}\r\n`, 400],
    ["an expectation that nobody knows", "Expect: the-unexpected\r\n", 417],
  ])("%s", async (_what, headers, status) => {
    const answer = await target.raw(`POST ${START} HTTP/1.1\r\n${host}${close}${headers}\r\n`);
    expect(answer.split("\r\n")[0]).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  });

  test("a request line of a megabyte", async () => {
    expect(await target.raw(`GET /${"x".repeat(1_000_000)} HTTP/1.1\r\n${host}${close}\r\n`)).toMatch(
      /^HTTP\/1.1 431 /,
    );
  });
});

test.each([
  "/healthz?x=\u00e9",
  `${BASE}/instances?instanceIdPrefix=\u00c3\u00a9`,
  `${BASE}/instances/\u00ff`,
  "/healthz?x=\u0080",
])("bytes that are not ASCII are no part of a request's target: %j", async (path) => {
  // One reader would take them for Latin-1, another for UTF-8.
  expect(await target.raw(`GET ${path} HTTP/1.1\r\n${host}${close}\r\n`)).toMatch(/^HTTP\/1.1 400 /);
});

describe("requests that two readers would cut apart differently are refused", () => {
  const inner = `POST ${START}/smuggled HTTP/1.1\r\n${host}Content-Length: 0\r\n\r\n`;
  const post = `POST ${START}/outer HTTP/1.1\r\n${host}${json}`;

  test.each<[what: string, request: string]>([
    ["a length and chunks", `${post}Content-Length: 5\r\n${chunked}\r\n0\r\n\r\n${inner}`],
    ["chunks and a length", `${post}${chunked}Content-Length: ${inner.length}\r\n\r\n0\r\n\r\n${inner}`],
    ["two lengths", `${post}Content-Length: 0\r\nContent-Length: ${inner.length}\r\n\r\n${inner}`],
    ["two lengths in one header", `${post}Content-Length: 0, ${inner.length}\r\n\r\n${inner}`],
    ["chunks twice over", `${post}${chunked}Transfer-Encoding: identity\r\n\r\n0\r\n\r\n${inner}`],
    [
      "chunks that are not the last coding",
      `${post}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n${inner}`,
    ],
    ["a coding that nobody knows", `${post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${inner}`],
    ["a coding after a tab and a space", `${post}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${inner}`],
    ["a chunk's length in bad hexadecimals", `${post}${chunked}\r\n0x0\r\n\r\n${inner}`],
    ["a chunk's length that overflows", `${post}${chunked}\r\nFFFFFFFFFFFFFFFF1\r\n0\r\n\r\n${inner}`],
    ["a chunk longer than it says", `${post}${chunked}\r\n1\r\n11\r\n0\r\n\r\n${inner}`],
    ["line feeds alone", `${post}${chunked}\n0\n\n${inner}`.replaceAll("\r\n", "\n")],
  ])("%s", async (_what, request) => {
    const answer = await target.raw(request);
    expect(answer).toMatch(/^HTTP\/1.1 400 /);
    expect(answer).not.toContain("HTTP/1.1 2");
    expect(await target.hub.client.getStatus("smuggled")).toBeUndefined();
  });

  test("an upgrade to HTTP/2 is not made", async () => {
    const upgrade = `GET /healthz HTTP/1.1\r\n${host}Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n`;
    expect(await target.raw(upgrade)).toMatch(/^HTTP\/1.1 200 /);
    expect(await target.raw("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")).not.toContain("HTTP/1.1 2");
  });

  test("a tunnel is not opened", async () => {
    expect(await target.raw(`CONNECT localhost:1 HTTP/1.1\r\n${host}\r\n`)).not.toContain("HTTP/1.1 2");
  });
});

describe("methods", () => {
  test.each([
    ["PUT", `${BASE}/instances`],
    ["PATCH", `${BASE}/instances/x`],
    ["GET", `${BASE}/instances/x/terminate`],
    ["GET", START],
    ["TRACE", "/healthz"],
    ["POST", "/healthz"],
    ["OPTIONS", `${BASE}/instances`],
    ["OPTIONS", "*"],
    ["PROPFIND", "/"],
    ["GET", "/api/Whole"],
  ])(
    "%s %s has no route: a known path with another method is 404, as in Durable Functions",
    async (method, path) => {
      const answer = await target.raw(
        `${method} ${path} HTTP/1.1\r\n${host}${close}Content-Length: 0\r\n\r\n`,
      );
      expect(answer).toMatch(/^HTTP\/1.1 40[04] /);
      expect(answer).not.toMatch(/access-control-allow/i);
    },
  );

  test.each(["BREW", "get", "GET\t", "G\0ET", "POST".repeat(1000)])("%j is none", async (method) => {
    expect(await target.raw(`${method} /healthz HTTP/1.1\r\n${host}${close}\r\n`)).toMatch(/^HTTP\/1.1 400 /);
  });

  test("HEAD is answered as GET, without the body", async () => {
    const answer = await target.raw(`HEAD /healthz HTTP/1.1\r\n${host}${close}\r\n`);
    expect(answer).toMatch(/^HTTP\/1.1 200 /);
    expect(answer).toMatch(/\r\n\r\n$/);
  });
});

describe("one connection", () => {
  test("answers requests that were sent together, in their order", async () => {
    const one = (id: string, more = ""): string =>
      `POST ${START}/${id}?timeout=20 HTTP/1.1\r\n${host}${json}${more}Content-Length: ${id.length + 2}\r\n\r\n"${id}"`;
    const ids = Array.from({ length: 30 }, (_, n) => `together-${n}`);
    const answer = await target.raw(`${ids.map((id) => one(id)).join("")}${one("last", close)}`);
    expect([...answer.matchAll(/"(together-\d+|last)"/g)].map(([, id]) => id)).toEqual([...ids, "last"]);
  });

  test("is closed where garbage follows a request", async () => {
    const answer = await target.raw(`GET /healthz HTTP/1.1\r\n${host}\r\ngarbage\r\n\r\n`);
    expect(answer.slice(answer.lastIndexOf("HTTP/1.1 "))).toMatch(/^HTTP\/1.1 400 /);
  });

  test("is told to go on where it asks, and is refused by its length all the same", async () => {
    const expecting = (length: number, ...rest: (string | number)[]): Promise<string> =>
      target.raw(
        `POST ${START}?timeout=20 HTTP/1.1\r\n${host}${close}${json}Expect: 100-continue\r\nContent-Length: ${length}\r\n\r\n`,
        ...rest,
      );
    const small = await expecting(3, 50, "[1]");
    expect(small).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 [^]*\[1\]$/);
    expect(await expecting(10_000_000)).toMatch(/HTTP\/1.1 413 /);
  });

  test("is kept after a refusal, and the body that was not read is not taken for the next request", async () => {
    const inner = `POST ${START}/from-a-body HTTP/1.1\r\n${host}Content-Length: 0\r\n\r\n`;
    const answer = await target.raw(
      `POST /nowhere HTTP/1.1\r\n${host}${json}Content-Length: ${inner.length}\r\n\r\n${inner}`,
      `GET /healthz HTTP/1.1\r\n${host}${close}\r\n`,
    );
    expect([...answer.matchAll(/HTTP\/1.1 (\d+)/g)].map(([, status]) => status)).toEqual(["404", "200"]);
    expect(await target.hub.client.getStatus("from-a-body")).toBeUndefined();
  });
});
