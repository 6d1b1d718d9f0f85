import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BASE, type CallOptions, type HttpKit, member, openKit } from "../../test/http-kit.js";

let kit: HttpKit;

beforeAll(async () => {
  kit = await openKit({ allowedHosts: ["tenure.example.org", "other.example.org:8443"] });
});

afterAll(async () => {
  await kit[Symbol.asyncDispose]();
});

const START = `${BASE}/orchestrators/Echo`;

describe("bodies", () => {
  const json = { "content-type": "application/json" };
  const deep = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);

  test.each<[string, CallOptions, number, string | undefined]>([
    ["empty", {}, 202, undefined],
    ["empty, of whatever type", { body: "", headers: { "content-type": "text/xml" } }, 202, undefined],
    ["JSON", { body: "1", headers: json }, 202, undefined],
    ["JSON without a type", { body: new TextEncoder().encode("[1]") }, 202, undefined],
    [
      "JSON with a charset",
      { body: "1", headers: { "content-type": 'application/JSON; charset="UTF-8"' } },
      202,
      undefined,
    ],
    [
      "JSON of a vendor's type",
      { body: "1", headers: { "content-type": "application/vnd.x+json" } },
      202,
      undefined,
    ],
    ["JSON with a byte order mark", { body: "\ufeff1", headers: json }, 202, undefined],
    ["64 levels", { body: deep(64), headers: json }, 202, undefined],
    ["brackets in a string", { body: JSON.stringify('[\\"'.repeat(100)), headers: json }, 202, undefined],
    ["65 levels", { body: deep(65), headers: json }, 400, "InvalidJson"],
    ["a million levels", { body: "[".repeat(1_000_000), headers: json }, 400, "InvalidJson"],
    ["half of JSON", { body: '{"a":', headers: json }, 400, "InvalidJson"],
    ["no JSON", { body: '{"a":1,}', headers: json }, 400, "InvalidJson"],
    ["no UTF-8", { body: new Uint8Array([0x22, 0xff, 0x22]), headers: json }, 400, "InvalidJson"],
    [
      "a form",
      { body: "a=1", headers: { "content-type": "application/x-www-form-urlencoded" } },
      415,
      "UnsupportedMediaType",
    ],
    ["text", { body: "1", headers: { "content-type": "text/plain" } }, 415, "UnsupportedMediaType"],
    [
      "UTF-16",
      { body: "1", headers: { "content-type": "application/json;charset=utf-16" } },
      415,
      "UnsupportedMediaType",
    ],
    ["gzip", { body: "1", headers: { ...json, "content-encoding": "gzip" } }, 415, "UnsupportedMediaType"],
    ["1 MiB", { body: `"${"x".repeat(1024 * 1024 - 2)}"`, headers: json }, 202, undefined],
    ["a byte more", { body: `"${"x".repeat(1024 * 1024 - 1)}"`, headers: json }, 413, "BodyTooLarge"],
    [
      "a false length",
      { body: "1", headers: { ...json, "content-length": "99999999" } },
      413,
      "BodyTooLarge",
    ],
  ])("%s", async (_what, options, status, code) => {
    const answer = await kit.call("POST", START, options);
    expect([answer.status, member(answer.body, "code")]).toEqual([status, code]);
  });

  test("an error names the position", async () => {
    const broken = await kit.call("POST", START, { body: '{"a":1,\n"b":x}', headers: json });
    expect(member(broken.body, "detail")).toMatch(/position 12.*line 2 column 5/);
    const short = await kit.call("POST", START, { body: '{"a":', headers: json });
    expect(member(short.body, "detail")).toMatch(/position 5/);
    const deepOne = await kit.call("POST", START, { body: deep(65), headers: json });
    expect(member(deepOne.body, "detail")).toMatch(/position 64/);
  });

  test("the members __proto__ and constructor are data", async () => {
    const body = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}';
    const started = await kit.call("POST", `${START}/proto`, { body, headers: json });
    expect(started.status).toBe(202);
    await kit.hub.client.waitForCompletion("proto", { timeoutMs: 5000 });
    const status = await kit.call("GET", `${BASE}/instances/proto`);
    expect(status.text).toContain(`"output":${body}`);
    expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
    for (const query of [
      'ifEnded={"__proto__":"reject"}',
      "ifEnded=__proto__=start",
      "runtimeStatus=__proto__",
      "ifLive=constructor",
    ]) {
      expect((await kit.call("POST", `${START}/proto?${query}`)).status).toBe(
        query.startsWith("runtime") ? 202 : 400,
      );
    }
    const tagged = await kit.call("POST", `${START}/tagged?tag=__proto__:x&tag=constructor:y`);
    expect(tagged.status).toBe(202);
    const listed = await kit.call("GET", `${BASE}/instances?tag=__proto__:x`);
    expect(listed.text).toContain('"tags":{"__proto__":"x","constructor":"y"}');
    expect((await kit.call("GET", `${BASE}/instances?tag=toString:x`)).body).toEqual([]);
  });
});

describe("IDs", () => {
  const bad = [
    "%2f",
    "a%2Fb",
    "a%5Cb",
    "%00",
    "a%00",
    "a%0Ab",
    "%7F",
    "%C2%85",
    "a%23b",
    "a%3Fb",
    "@a",
    "%40a",
    "%40counter%40a",
    "%ED%A0%80",
    "%FF",
    "%",
    "%zz",
    "a%e2%28%a1",
    "x".repeat(257),
    "%F0%9F%98%80".repeat(129),
  ];

  test.each(bad)("%s is refused at every door", async (id) => {
    const doors: [string, string][] = [
      ["POST", `${START}/${id}`],
      ["GET", `${BASE}/instances/${id}`],
      ["DELETE", `${BASE}/instances/${id}`],
      ["POST", `${BASE}/instances/${id}/terminate`],
      ["POST", `${BASE}/instances/${id}/suspend`],
      ["POST", `${BASE}/instances/${id}/resume`],
      ["POST", `${BASE}/instances/${id}/rewind`],
      ["POST", `${BASE}/instances/${id}/restart`],
      ["POST", `${BASE}/instances/${id}/raiseEvent/x`],
      ["GET", `${BASE}/instances/${id}/history`],
      ["GET", `${BASE}/instances/${id}/executions`],
      ["GET", `${BASE}/instances/${id}/refusals`],
    ];
    for (const [method, path] of doors) {
      const { status, body } = await kit.call(method, path);
      expect([path, status]).toEqual([path, 400]);
      expect(["InvalidInstanceId", "MalformedRequest"]).toContain(member(body, "code"));
    }
  });

  test("dot segments are gone before a URL reaches us, and lead nowhere", async () => {
    for (const id of [".", "..", "%2e", "%2E%2e"]) {
      const answer = await kit.call("POST", `${BASE}/instances/${id}/terminate`);
      expect(answer.status).toBe(404);
    }
  });

  test.each([
    "a b",
    "ä",
    "%F0%9F%98%80".repeat(128),
    "x".repeat(256),
    "constructor",
    "health",
    "100%25",
    "a%252Fb",
    "a+b",
    "a:b",
    "…",
  ])("%s is fine, and comes back as it was", async (id) => {
    const encoded = /%[0-9A-F]{2}/i.test(id) ? id : encodeURIComponent(id);
    const started = await kit.call("POST", `${START}/${encoded}`, { json: 1 });
    expect(started.status).toBe(202);
    expect(member(started.body, "id")).toBe(decodeURIComponent(encoded));
    const location = new URL(started.headers.get("location") ?? "");
    const status = await kit.call("GET", location.pathname + location.search);
    expect(member(status.body, "instanceId")).toBe(decodeURIComponent(encoded));
  });

  test("names of orchestrators and events have no control characters", async () => {
    expect((await kit.call("POST", `${BASE}/orchestrators/a%00b?allowUnregistered=true`)).status).toBe(400);
    expect((await kit.call("POST", `${BASE}/instances/x/raiseEvent/a%0Ab`)).status).toBe(400);
    const long = "n".repeat(201);
    expect((await kit.call("POST", `${BASE}/orchestrators/${long}?allowUnregistered=true`)).status).toBe(400);
  });
});

describe("parameters", () => {
  test.each([
    ["POST", `${START}?ifLive=maybe`],
    ["POST", `${START}?ifLive=reject&ifLive=attach`],
    ["POST", `${START}?ifEnded=maybe`],
    ["POST", `${START}?ifEnded=Running=start`],
    ["POST", `${START}?ifEnded={"Completed":1}`],
    ["POST", `${START}?ifEnded={"Completed":`],
    ["POST", `${START}?ifEnded=[]`],
    ["POST", `${START}?startAt=tomorrow`],
    ["POST", `${START}?startAt=2026-13-45`],
    ["POST", `${START}?startAt=1e9`],
    ["POST", `${START}?tag=novalue`],
    ["POST", `${START}?tags={"a":1}`],
    ["POST", `${START}?timeout=-1&pollingInterval=1`],
    ["POST", `${START}?timeout=soon`],
    ["POST", `${START}?timeout=Infinity`],
    ["POST", `${START}?allowUnregistered=perhaps`],
    ["POST", `${START}?requestId=${"r".repeat(257)}`],
    ["POST", `${START}?taskHub=another`],
    ["POST", `${START}?version=a%00`],
    ["GET", `${BASE}/instances?runtimeStatus=Running,Walking`],
    ["GET", `${BASE}/instances?top=0`],
    ["GET", `${BASE}/instances?top=1.5`],
    ["GET", `${BASE}/instances?top=many`],
    ["GET", `${BASE}/instances?createdTimeFrom=now`],
    ["GET", `${BASE}/instances?showInput=perhaps`],
    ["GET", `${BASE}/instances?name=a&name=b`],
    ["GET", `${BASE}/refusals?instanceId=@x`],
    ["DELETE", `${BASE}/instances?createdTimeFrom=2020-01-01&runtimeStatus=Suspended`],
  ])("%s %s is refused", async (method, path) => {
    const answer = await kit.call(method, path.replaceAll('"', "%22"));
    expect(answer.status).toBe(400);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(member(answer.body, "Message")).toBe(member(answer.body, "detail"));
  });

  test("those that nobody knows are ignored", async () => {
    expect(
      (await kit.call("GET", `${BASE}/instances?__proto__=1&toString=2&x=${"y".repeat(2000)}`)).status,
    ).toBe(200);
  });
});

describe("hosts and origins", () => {
  const at = (url: string, headers: Record<string, string> = {}): Promise<Response> =>
    kit.handler(new Request(`${url}${BASE}/instances`, { headers }));

  test.each([
    "localhost",
    "LOCALHOST:7071",
    "127.0.0.1:1",
    "[::1]:7071",
    "tenure.example.org",
    "tenure.example.org:99",
    "other.example.org:8443",
  ])("host %s is served", async (host) => {
    expect((await at(`http://${host}`)).status).toBe(200);
    expect((await at("http://localhost", { host })).status).toBe(200);
  });

  test.each([
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example:7071",
    "evil.example:8443",
    "other.example.org",
    "[::2]",
    "0.0.0.0",
    "x@localhost",
    "localhost:7071:1",
    "localhost/",
    " ",
  ])("host %s is not", async (host) => {
    const answer = await at("http://localhost", { host });
    expect(answer.status).toBe(421);
  });

  test("a request line's host counts as well", async () => {
    expect((await at("http://evil.example", { host: "localhost" })).status).toBe(421);
  });

  test.each([
    ["http://localhost:7071", 200],
    ["https://localhost:7071", 200],
    ["http://localhost:7072", 403],
    ["http://evil.example", 403],
    ["null", 403],
    ["", 403],
    ["chrome-extension://abc", 403],
  ])("origin %s answers %i, never with CORS headers", async (origin, status) => {
    const answer = await at("http://localhost:7071", { origin });
    expect(answer.status).toBe(status);
    expect([...answer.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
  });

  test("what a browser loads for another site's page is refused, a link that is followed is not", async () => {
    const site = { "sec-fetch-site": "cross-site" };
    expect((await at("http://localhost", { ...site, "sec-fetch-mode": "no-cors" })).status).toBe(403);
    const followed = { ...site, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };
    expect((await at("http://localhost", followed)).status).toBe(200);
    expect((await at("http://localhost", { ...followed, "sec-fetch-dest": "iframe" })).status).toBe(403);
    expect((await at("http://localhost", { "sec-fetch-site": "same-origin" })).status).toBe(200);
  });

  test("forwarding headers are not believed", async () => {
    const headers = {
      "x-forwarded-host": "evil.example",
      "x-forwarded-proto": "https",
      forwarded: "host=evil.example",
      "x-original-host": "evil.example",
    };
    const answer = await kit.call("POST", START, { headers });
    expect(answer.status).toBe(202);
    expect(answer.text).not.toContain("evil");
    expect(member(answer.body, "statusQueryGetUri")).toMatch(/^http:\/\/localhost:7071\//);
  });
});

test("nothing that a caller can send makes a 500, or an answer without its form", async () => {
  const piece = fc.oneof(
    fc.constantFrom(
      "runtime",
      "webhooks",
      "durabletask",
      "instances",
      "orchestrators",
      "Echo",
      "x",
      "raiseEvent",
      "terminate",
      "rewind",
      "suspend",
      "resume",
      "restart",
      "history",
      "executions",
      "refusals",
      "retention",
      "workers",
      "entities",
      "api",
      "healthz",
      "%2f",
      "%00",
      "%",
      "..",
      "@a",
      "__proto__",
      "*",
      ":id",
      "{id}",
      "w0",
    ),
    fc
      .string({ unit: "binary", maxLength: 12 })
      .map((text) => text.replace(/[\ud800-\udfff]/g, "s"))
      .map(encodeURIComponent),
    fc.string({ maxLength: 8 }),
  );
  const key = fc.constantFrom(
    "ifLive",
    "ifEnded",
    "requestId",
    "startAt",
    "tag",
    "tags",
    "version",
    "allowUnregistered",
    "timeout",
    "runtimeStatus",
    "createdTimeFrom",
    "top",
    "showInput",
    "showHistory",
    "name",
    "instanceIdPrefix",
    "taskHub",
    "executionId",
    "reason",
    "__proto__",
  );
  const value = fc.oneof(
    fc.string({ maxLength: 20 }),
    fc.constantFrom("true", "1", "{}", "Running", "2026-01-01", "%", "%00", "a:b", "\u0000"),
  );
  const base = fc.constantFrom(
    "",
    BASE,
    `${BASE}/instances`,
    `${BASE}/instances/x`,
    `${BASE}/orchestrators/Echo`,
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"),
      base,
      fc.array(piece, { maxLength: 4 }),
      fc.array(fc.tuple(key, value), { maxLength: 4 }),
      fc.oneof(fc.constant(undefined), fc.json({ maxDepth: 3 }), fc.string({ maxLength: 40 })),
      fc.constantFrom("application/json", "text/plain", "application/x-www-form-urlencoded", "a/b;c"),
      async (method, prefix, pieces, query, body, type) => {
        const path = `${prefix}/${pieces.map((text) => text.replace(/[?#]/g, "")).join("/")}`;
        const search = query.map(([name, text]) => `${name}=${text.replace(/[&#]/g, "")}`).join("&");
        // Short waits only: a fuzzed timeout may be long.
        if (/timeout=\d/.test(search) || !URL.canParse(`http://localhost${path}?${search}`)) return;
        const answer = await kit.call(method, `http://localhost${path}?${search}`, {
          headers: { "content-type": type },
          ...(body === undefined || method === "GET" || method === "HEAD" ? {} : { body }),
        });
        if (answer.status === 500) throw new Error(`${method} ${path}?${search}: ${answer.text}`);
        const { headers, body: shown } = answer;
        const isProblem =
          headers.get("content-type") === "application/problem+json" &&
          (method === "HEAD" || typeof member(shown, "Message") === "string");
        expect([answer.status, isProblem]).toEqual([answer.status, answer.status >= 400]);
        expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
      },
    ),
    { numRuns: 1500 },
  );
});
