// What holds at every door: the doors are read from the table that routes, so that a new one is tested by being there.
import { afterAll, describe, expect, test } from "vitest";
import { ROUTES } from "../../src/http/handler.js";
import { createHttpHandler } from "../../src/http/index.js";
import { type Answer, BASE, call, httpTrigger, member, openKit } from "../http-kit.js";

const trigger = httpTrigger("Open", {}, () => ({ ok: true }));
const kit = await openKit({ functions: [trigger] });
const keyed = createHttpHandler(kit.hub, { key: "right" });
afterAll(() => kit[Symbol.asyncDispose]());

const doors: [method: string, path: string][] = [
  ...ROUTES.map(({ method, path }): [string, string] => [method, path.replace(/\{\w+\??\}/g, "x")]),
  ["GET", "/openapi.json"],
  ["POST", "/api/Open"],
  ["GET", "/nowhere"],
];
const isPublic = (path: string): boolean => path === "/healthz" || path === "/readyz";

describe.each(doors)("%s %s", (method, path) => {
  const with_ = (headers: Record<string, string>, handler = kit.handler): Promise<Answer> =>
    call(handler, method, path, { headers });

  test("is not there under a name that somebody else gave this machine", async () => {
    for (const host of [
      "evil.example",
      "evil.example:7071",
      "localhost.evil.example",
      "127.0.0.1.nip.io",
      "[::2]",
    ]) {
      expect((await with_({ host })).status).toBe(421);
    }
  });

  test("is not there for the pages of other sites", async () => {
    for (const origin of ["http://evil.example", "null", "http://localhost:1", "file://"]) {
      const answer = await with_({ origin });
      expect(answer.status).toBe(403);
      expect([...answer.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
    }
    expect((await with_({ "sec-fetch-site": "cross-site" })).status).toBe(403);
  });

  test("asks for the key, where there is one, unless it is health", async () => {
    for (const headers of [{}, { "x-functions-key": "wrong" }, { "x-functions-key": "right x" }]) {
      expect((await with_(headers, keyed)).status === 401).toBe(!isPublic(path));
    }
    expect((await with_({ "x-functions-key": "right" }, keyed)).status).not.toBe(401);
  });

  test("answers with headers that keep browsers from storing, guessing and framing", async () => {
    const answers = [await with_({}), await with_({ host: "evil.example" }), await with_({}, keyed)];
    for (const { headers, status } of answers) {
      expect([status, headers.get("x-content-type-options")]).toEqual([status, "nosniff"]);
      if (path === "/api/Open" && status === 200) continue; // the app's own answer
      expect(headers.get("cache-control")).toBe("no-store");
      expect(headers.get("content-security-policy")).toBe("default-src 'none'; frame-ancestors 'none'");
    }
  });

  test("takes text of 50 kB anywhere, and is done with it at once", async () => {
    const spent = process.cpuUsage();
    for (const unit of ["a", "a:", "=,", "(a+)+", "0", "T00", "a@", '{"a":']) {
      const text = unit.repeat(Math.ceil(50_000 / unit.length));
      const value = encodeURIComponent(text);
      const names = [
        "tag",
        "tags",
        "ifEnded",
        "startAt",
        "createdTimeFrom",
        "runtimeStatus",
        "top",
        "timeout",
        "taskHub",
        "code",
      ];
      const answers = [
        await call(kit.handler, method, `${path}?${names.map((name) => `${name}=${value}`).join("&")}`),
        await call(kit.handler, method, `${path}/${value}`),
        await with_({
          "idempotency-key": text.replace(/[^ -~]/g, "x"),
          "content-type": text.replace(/[^ -~]/g, "x"),
        }),
        await with_({ host: text.replace(/[^ -~]/g, "x") }),
        await with_({ origin: text.replace(/[^ -~]/g, "x") }),
        await with_({ "x-ms-continuation-token": text.replace(/[^ -~]/g, "x") }),
      ];
      if (method !== "GET") {
        const answer = await call(kit.handler, method, path, {
          body: text,
          headers: { "content-type": "application/json" },
        });
        answers.push(answer);
      }
      for (const { status } of answers) expect(status === 501 || status < 500).toBe(true);
    }
    const { user } = process.cpuUsage(spent);
    // Some hundred requests. What backtracks without bound takes minutes for one.
    expect(user / 1e6).toBeLessThan(10);
  });
});

test("only health is public, and it tells nothing of the hub", async () => {
  expect(doors.filter(([, path]) => isPublic(path))).toHaveLength(2);
  expect((await call(keyed, "GET", "/healthz")).body).toEqual({ status: "ok" });
  expect((await call(keyed, "GET", "/readyz")).body).toEqual({ status: "ready" });
});

test("there is no route beside those of the table: none for debugging, none that shows the process", async () => {
  for (const path of [
    "/debug",
    "/metrics",
    "/admin",
    "/env",
    "/.env",
    "/api",
    "/",
    "/dev",
    "/reload",
    "/package.json",
    "/__inspect",
    "/json/list",
    BASE,
  ]) {
    const answer = await kit.call("GET", path);
    expect([path, answer.status, member(answer.body, "code")]).toEqual([path, 404, "RouteNotFound"]);
  }
});

test("what an app throws is not told to callers", async () => {
  const leaky = httpTrigger("Leaky", {}, () => {
    throw new Error("canary-4711 at /srv/secret/app.ts");
  });
  await using other = await openKit({ functions: [leaky] });
  const answer = await other.call("GET", "/api/Leaky");
  expect(answer.status).toBe(500);
  expect(`${answer.text}${JSON.stringify([...answer.headers])}`).not.toMatch(/canary|\.ts/);
});
