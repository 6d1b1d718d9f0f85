import { afterEach, describe, expect, expectTypeOf, test } from "vitest";
import { BASE, call, type HttpKit, member, openKit, waiter } from "../../test/http-kit.js";
import { DEFINITION, isDefinition } from "../core/definition.js";
import { InvalidValueError } from "../core/errors.js";
import type { RouteParams } from "./trigger/route-template.js";
import { type HttpTriggerDefinition, httpTrigger } from "./trigger.js";

let kit: HttpKit | undefined;

async function serving(...functions: HttpTriggerDefinition[]): Promise<HttpKit> {
  kit = await openKit({ functions });
  return kit;
}

afterEach(async () => {
  await kit?.[Symbol.asyncDispose]();
  kit = undefined;
});

const start = httpTrigger(
  "HttpStartSingle",
  { methods: ["POST"], route: "orchestrators/{functionName}/{instanceId}" },
  async (request, { client, params, json }) => {
    const { functionName, instanceId } = params;
    await client.startNew(functionName, { instanceId, input: await json() });
    return client.createCheckStatusResponse(request, instanceId);
  },
);

test("is a definition that apps can export, known by its brand", () => {
  expect(isDefinition(start)).toBe(true);
  expect(start[DEFINITION]).toBe("httpTrigger");
  expect(start).toMatchObject({ name: "HttpStartSingle", methods: ["POST"] });
});

test("its parameters are typed from the route", () => {
  expectTypeOf<RouteParams<"a/{b}/c/{d?}">>().toEqualTypeOf<{ readonly b: string; readonly d?: string }>();
  expectTypeOf<RouteParams<string>>().toEqualTypeOf<Readonly<Record<string, string>>>();
  httpTrigger("typed", { route: "{a}/{b?}" }, (_request, { params }) => {
    expectTypeOf(params.a).toEqualTypeOf<string>();
    expectTypeOf(params.b).toEqualTypeOf<string | undefined>();
    // @ts-expect-error -- the route has no such parameter
    return params.c;
  });
});

test.each(["{id:int}", "{*rest}", "a{b}", "{a}/{a}", "{a?}/b", "a b", "..", "{}", "a?b"])(
  "refuses the route %s",
  (route) => {
    expect(() => httpTrigger("t", { route }, () => 1)).toThrow(/route/);
  },
);

test("refuses unknown methods", () => {
  // @ts-expect-error -- FETCH is no method
  expect(() => httpTrigger("t", { methods: ["FETCH"] }, () => 1)).toThrow(/FETCH/);
  expect(() => httpTrigger("t", { methods: [] }, () => 1)).toThrow(/at least one/);
});

describe("the documented singleton trigger", () => {
  test("starts, answers the check-status response, and refuses a second start by itself", async () => {
    const { call } = await serving(start);
    const first = await call("POST", "/api/orchestrators/Waiter/only", { json: { a: 1 } });
    expect(first.status).toBe(202);
    expect(member(first.body, "statusQueryGetUri")).toBe(
      `http://localhost:7071${BASE}/instances/only?taskHub=default`,
    );
    expect(first.headers.get("retry-after")).toBe("10");
    const second = await call("POST", "/API/Orchestrators/Waiter/only/", {
      from: "10.0.0.9",
      headers: { "user-agent": "x/1" },
    });
    expect([second.status, member(second.body, "holder", "instanceId")]).toEqual([409, "only"]);
    expect(member(second.body, "Message")).toContain("An instance with ID 'only' already exists");
    expect((await call("GET", `${BASE}/instances/only/refusals`)).body).toMatchObject([
      { requester: "10.0.0.9 x/1" },
    ]);
    expect((await call("GET", `${BASE}/instances/only`)).body).toMatchObject({ input: { a: 1 } });
  });

  test("answers bad bodies, IDs and names by itself", async () => {
    const { call } = await serving(start);
    const json = { "content-type": "application/json" };
    const path = "/api/orchestrators/Waiter/x";
    expect((await call("POST", path, { body: "{", headers: json })).status).toBe(400);
    expect((await call("POST", path, { body: "[".repeat(65), headers: json })).status).toBe(400);
    expect(
      (await call("POST", path, { body: "a=1", headers: { "content-type": "text/plain" } })).status,
    ).toBe(415);
    expect((await call("POST", path, { body: `"${"x".repeat(1 << 20)}"`, headers: json })).status).toBe(413);
    expect((await call("POST", "/api/orchestrators/Waiter/a%2fb")).status).toBe(400);
    expect((await call("POST", "/api/orchestrators/Waiter/@x")).status).toBe(400);
    expect((await call("POST", "/api/orchestrators/Nobody/x")).status).toBe(400);
    expect((await call("GET", path)).status).toBe(404);
    expect((await call("GET", `${BASE}/instances/x`)).status).toBe(404); // nothing was started
  });
});

describe("what a handler returns", () => {
  test.each<[string, unknown, number, string | null, string]>([
    ["a string", "hello", 200, "text/plain; charset=utf-8", "hello"],
    ["an object", { a: 1 }, 200, "application/json", '{"a":1}'],
    ["a number", 0, 200, "application/json", "0"],
    ["undefined", undefined, 204, null, ""],
    ["null", null, 204, null, ""],
    ["a Response", new Response("made", { status: 201 }), 201, "text/plain;charset=UTF-8", "made"],
  ])("%s", async (_what, value, status, type, text) => {
    const { call } = await serving(httpTrigger("Give", { methods: ["GET"] }, () => value));
    const answer = await call("GET", "/api/give");
    expect([answer.status, answer.headers.get("content-type"), answer.text]).toEqual([status, type, text]);
  });

  test("the parts of the route, decoded, the optional one or not", async () => {
    const { call } = await serving(
      httpTrigger("Parts", { methods: ["GET"], route: "parts/{a}/{b?}" }, (_request, { params }) => params),
    );
    expect((await call("GET", "/api/parts/x%20y")).body).toEqual({ a: "x y" });
    expect((await call("GET", "/api/parts/x%2Fy/%E2%82%AC")).body).toEqual({ a: "x/y", b: "€" });
  });

  test("a word wins over a parameter, whatever the order", async () => {
    const { call } = await serving(
      httpTrigger("Any", { methods: ["GET"], route: "{a}/{b}" }, () => "any"),
      httpTrigger("Word", { methods: ["GET"], route: "v1/{b}" }, () => "word"),
    );
    expect((await call("GET", "/api/V1/x")).text).toBe("word");
    expect((await call("GET", "/api/v2/x")).text).toBe("any");
  });
});

describe("what a handler throws", () => {
  test.each<[string, unknown, number, string]>([
    ["an error of ours", new InvalidValueError("it", [], "odd", "none"), 400, "InvalidValue"],
    ["any error", new Error("secret"), 500, "TriggerFailed"],
    [
      "an error with a code of its own",
      Object.assign(new Error("secret"), { code: "ENOENT" }),
      500,
      "TriggerFailed",
    ],
    ["no error", null, 500, "TriggerFailed"],
    [
      "an error with a code that is a name of Object's",
      Object.assign(new Error("secret"), { code: "toString" }),
      500,
      "TriggerFailed",
    ],
  ])("%s", async (_what, thrown, status, code) => {
    const { call } = await serving(
      httpTrigger("Throw", { methods: ["GET"] }, () => {
        throw thrown;
      }),
    );
    const answer = await call("GET", "/api/throw");
    expect([answer.status, member(answer.body, "code")]).toEqual([status, code]);
    expect(answer.text).not.toContain("secret");
  });

  test("what cannot be JSON answers 500 as well", async () => {
    const { call } = await serving(httpTrigger("Big", { methods: ["GET"] }, () => ({ n: 1n })));
    expect((await call("GET", "/api/Big")).status).toBe(500);
  });

  test("a body larger than allowed, read by the handler itself, is 413", async () => {
    const { handler } = await serving(
      httpTrigger("Read", { methods: ["POST"] }, async (request) => (await request.text()).length),
    );
    const chunk = new Uint8Array(64 * 1024);
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += chunk.length;
        if (sent > 64 * 1024 * 1024) controller.close();
        else controller.enqueue(chunk);
      },
    });
    const request = new Request("http://localhost/api/Read", { method: "POST", body, duplex: "half" });
    expect((await handler(request)).status).toBe(413);
    expect(sent).toBeLessThan(4 * 1024 * 1024);
    expect((await call(handler, "POST", "/api/Read", { body: "12345" })).text).toBe("5");
  });
});

describe("the client of a handler", () => {
  test("waits, or answers where to look", async () => {
    const wait = httpTrigger(
      "Wait",
      { methods: ["POST"], route: "wait/{name}/{ms}" },
      async (request, { client, params }) => {
        const started = await client.startNew(params.name, { input: { n: 1 } });
        const timeoutInMilliseconds = Number(params.ms);
        return client.waitForCompletionOrCreateCheckStatusResponse(request, started.instanceId, {
          timeoutInMilliseconds,
          retryIntervalInMilliseconds: 1,
        });
      },
    );
    const { call } = await serving(wait);
    const done = await call("POST", "/api/wait/Echo/5000");
    expect([done.status, done.body]).toEqual([200, { n: 1 }]);
    const failed = await call("POST", "/api/wait/Failing/5000");
    expect([failed.status, member(failed.body, "runtimeStatus")]).toEqual([500, "Failed"]);
    const late = await call("POST", "/api/wait/Waiter/20");
    expect([late.status, typeof member(late.body, "statusQueryGetUri")]).toEqual([202, "string"]);
    expect((await call("POST", "/api/wait/Waiter/0")).status).toBe(400); // shorter than the retry interval
  });

  test("does what the task hub's client does, typed", async () => {
    const seen: unknown[] = [];
    const all = httpTrigger("All", { methods: ["POST"] }, async (request, { client, log }) => {
      log.info("called");
      const handle = await client.startNew(waiter, { instanceId: "all", tags: { a: "b" } });
      await client.suspend("all");
      await client.resume("all");
      await client.raiseEvent("all", "go", 7);
      seen.push(await handle.result({ timeoutMs: 5000 }), client.taskHub);
      seen.push((await client.list()).instances.length, (await client.listExecutions("all")).length);
      seen.push((await client.getHistory("all"))?.execution.name, (await client.getStatus("all"))?.tags);
      seen.push(await client.purgeBy({ instanceIdPrefix: "all" }), await client.listRefusals());
      return client.createHttpManagementPayload(request, "a b");
    });
    const { call } = await serving(all);
    const answer = await call("POST", "/api/All?code=k");
    expect(answer.status).toBe(200);
    expect(member(answer.body, "purgeHistoryDeleteUri")).toBe(
      `http://localhost:7071${BASE}/instances/a%20b?taskHub=default&code=k`,
    );
    expect(seen).toEqual([7, "default", 1, 1, "Waiter", { a: "b" }, 1, []]);
  });
});
