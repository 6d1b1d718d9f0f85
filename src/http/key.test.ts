import { createHash } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BASE, call, type HttpKit, httpTrigger, member, openKit } from "../../test/http-kit.js";
import type { Logger } from "../core/env.js";
import { ROUTES } from "./handler.js";
import { createHttpHandler, serveHttp } from "./index.js";

const KEY = "canary-5e1f";
const trigger = httpTrigger("Open", { methods: ["POST"], authLevel: "anonymous" }, () => "hello");

let kit: HttpKit;
let logged: string[];

beforeEach(async () => {
  logged = [];
  const log = (message: string, fields?: object): void => {
    logged.push(JSON.stringify({ message, ...fields }));
  };
  const logger: Logger = { debug: log, info: log, warn: log, error: log };
  kit = await openKit({ key: KEY, logger, functions: [trigger] });
});

afterEach(async () => {
  await kit[Symbol.asyncDispose]();
});

test("every route but health asks for it, unknown ones and triggers too", async () => {
  const doors: [string, string][] = [
    ...ROUTES.map(({ method, path }): [string, string] => [method, path.replace(/\{\w+\??\}/g, "x")]),
    ["GET", "/openapi.json"],
    ["POST", "/api/Open"],
    ["GET", "/nowhere"],
    ["GET", "/healthz/"],
    ["GET", "/HEALTHZ"],
    ["GET", "/readyz/x"],
    ["GET", `${BASE}/instances/healthz`],
    ["GET", "/x/../api/Open"],
  ];
  for (const [method, path] of doors) {
    const open = path === "/healthz" || path === "/readyz";
    const without = await kit.call(method, path);
    expect([path, without.status]).toEqual([path, open ? 200 : 401]);
    if (open) continue;
    expect(member(without.body, "code")).toBe("Unauthorized");
    expect(without.headers.get("www-authenticate")).toContain("x-functions-key");
    for (const wrong of [
      "x",
      `${KEY} x`,
      KEY.toUpperCase(),
      createHash("sha256").update(KEY).digest("hex"),
    ]) {
      expect((await kit.call(method, path, { headers: { "x-functions-key": wrong } })).status).toBe(401);
    }
  }
});

test("it is taken from the header or the query, the header first", async () => {
  const path = `${BASE}/instances`;
  const headers = { "x-functions-key": KEY };
  expect((await kit.call("GET", path, { headers })).status).toBe(200);
  expect((await kit.call("GET", `${path}?code=${KEY}`)).status).toBe(200);
  expect((await kit.call("GET", `${path}?code=wrong`, { headers })).status).toBe(200);
  expect(
    (await kit.call("GET", `${path}?code=${KEY}`, { headers: { "x-functions-key": "wrong" } })).status,
  ).toBe(401);
  expect((await kit.call("POST", `/api/Open?code=${KEY}`)).text).toBe("hello");
});

test("URLs in answers carry it only for callers who sent it in the URL", async () => {
  const start = `${BASE}/orchestrators/Waiter`;
  const byHeader = await kit.call("POST", start, { headers: { "x-functions-key": KEY } });
  expect(byHeader.status).toBe(202);
  expect(byHeader.text).not.toContain(KEY);
  expect(byHeader.headers.get("location")).not.toContain(KEY);
  const byQuery = await kit.call("POST", `${start}?code=${KEY}`);
  expect(member(byQuery.body, "statusQueryGetUri")).toContain(`&code=${KEY}`);
});

test("it is never logged and never part of a problem", async () => {
  const answers = [
    await kit.call("GET", `/nowhere?code=${KEY}`),
    await kit.call("GET", `${BASE}/instances/none?code=${KEY}`),
    await kit.call("GET", `${BASE}/instances?top=x&code=${KEY}`),
    await kit.call("GET", "/openapi.json", { headers: { "x-functions-key": KEY } }),
    await kit.call("GET", `${BASE}/instances?code=wrong-${KEY}`),
  ];
  await kit.hub.close();
  answers.push(await kit.call("GET", `${BASE}/instances?code=${KEY}`));
  expect(answers.map(({ status }) => status)).toEqual([404, 404, 400, 200, 401, 503]);
  expect(logged.length).toBeGreaterThan(4);
  expect([...logged, ...answers.map(({ text }) => text)].join("\n")).not.toContain(KEY);
});

test("without one nothing is asked for, and an empty one is refused", async () => {
  const open = createHttpHandler(kit.hub);
  expect(open.asksForKey).toBe(false);
  expect((await call(open, "GET", `${BASE}/instances`)).status).toBe(200);
  expect(() => createHttpHandler(kit.hub, { key: " " })).toThrow(/key is empty/);
});

test("an address beyond loopback needs one", async () => {
  const open = createHttpHandler(kit.hub);
  for (const host of ["0.0.0.0", "::", "192.0.2.1", "example.org", "127.0.0.1.example.org"]) {
    await expect(serveHttp(open, { host, port: 0 })).rejects.toThrow(/needs a key/);
  }
  const server = await serveHttp(kit.handler, { host: "0.0.0.0", port: 0 });
  await server.close();
});
