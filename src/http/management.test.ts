import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Answer, BASE, type HttpKit, member, members, openKit } from "../../test/http-kit.js";
import { MAIL_LIMIT } from "../core/mail-limit.js";

let kit: HttpKit;

beforeEach(async () => {
  kit = await openKit();
});

afterEach(async () => {
  await kit[Symbol.asyncDispose]();
});

/** Starts one and waits until it is in this status. */
async function given(id: string, name: string, status: string, input?: unknown): Promise<void> {
  await kit.call("POST", `${BASE}/orchestrators/${name}/${id}`, { json: input ?? null });
  if (status === "Running") await kit.hub.client.waitForStart(id);
  else await kit.hub.client.waitForCompletion(id, { timeoutMs: 5000 });
}

describe("start", () => {
  test("answers 202 with the management URLs and what it led to", async () => {
    const answer = await kit.call("POST", `${BASE}/orchestrators/Waiter/one`, { json: { a: 1 } });
    expect(answer.status).toBe(202);
    const instance = `http://localhost:7071${BASE}/instances/one`;
    expect(members(answer.body).map(([key]) => key)).toEqual([
      "id",
      "statusQueryGetUri",
      "sendEventPostUri",
      "terminatePostUri",
      "rewindPostUri",
      "purgeHistoryDeleteUri",
      "restartPostUri",
      "suspendPostUri",
      "resumePostUri",
      "outcome",
      "executionId",
      "run",
      "generation",
    ]);
    expect(answer.body).toMatchObject({
      id: "one",
      statusQueryGetUri: `${instance}?taskHub=default`,
      sendEventPostUri: `${instance}/raiseEvent/{eventName}?taskHub=default`,
      terminatePostUri: `${instance}/terminate?reason={text}&taskHub=default`,
      purgeHistoryDeleteUri: `${instance}?taskHub=default`,
      outcome: "started",
      run: 1,
      generation: 1,
    });
    expect(answer.headers.get("location")).toBe(`${instance}?taskHub=default`);
    expect(answer.headers.get("retry-after")).toBe("10");
    expect(answer.headers.get("content-type")).toBe("application/json");
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
  });

  test("generates an ID of 32 hex digits", async () => {
    const answer = await kit.call("POST", `${BASE}/orchestrators/Echo`, { json: 1 });
    expect(answer.status).toBe(202);
    expect(member(answer.body, "id")).toMatch(/^[0-9a-f]{32}$/);
  });

  test("answers 409 on a live ID, with the holder", async () => {
    await given("held", "Waiter", "Running");
    const answer = await kit.call("POST", `${BASE}/orchestrators/Waiter/held`, {
      from: "10.1.2.3",
      headers: { "user-agent": "curl/8" },
    });
    expect(answer.status).toBe(409);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(answer.body).toMatchObject({
      type: "urn:tenure:problem:InstanceHeld",
      title: "Conflict",
      status: 409,
      code: "InstanceHeld",
      holder: { instanceId: "held", name: "Waiter", run: 1, generation: 1, runtimeStatus: "Running" },
    });
    expect(member(answer.body, "holder", "since")).toMatch(/^\d{4}-.*Z$/);
    expect(member(answer.body, "Message")).toContain("An instance with ID 'held' already exists");

    const refusals = await kit.call("GET", `${BASE}/instances/held/refusals`);
    expect(refusals.status).toBe(200);
    expect(refusals.body).toMatchObject([
      {
        instanceId: "held",
        requester: "10.1.2.3 curl/8",
        orchestrator: "Waiter",
        ifLive: "reject",
        reason: "held",
        count: 1,
        holder: { instanceId: "held" },
      },
    ]);
    expect((await kit.call("GET", `${BASE}/refusals`)).body).toEqual(refusals.body);
    expect((await kit.call("GET", `${BASE}/refusals?instanceId=other`)).body).toEqual([]);
  });

  test.each([
    ["attach", 202, "attached"],
    ["terminate", 202, "replaced"],
    ["reject", 409, undefined],
  ])("ifLive=%s answers %i", async (ifLive, status, outcome) => {
    await given("live", "Waiter", "Running");
    const answer = await kit.call("POST", `${BASE}/orchestrators/Waiter/live?ifLive=${ifLive}`);
    expect(answer.status).toBe(status);
    expect(member(answer.body, "outcome")).toBe(outcome);
  });

  test.each([
    ["start", 202, "started"],
    ["return", 202, "returned"],
    ["reject", 409, undefined],
    ["Completed=return", 202, "returned"],
    ["Failed=reject,Completed=start", 202, "started"],
    ['{"Completed":"reject"}', 409, undefined],
  ])("ifEnded=%s answers %i", async (ifEnded, status, outcome) => {
    await given("ended", "Echo", "Completed");
    const query = new URLSearchParams({ ifEnded }).toString();
    const answer = await kit.call("POST", `${BASE}/orchestrators/Echo/ended?${query}`);
    expect(answer.status).toBe(status);
    expect(member(answer.body, "outcome")).toBe(outcome);
  });

  test("a request ID gives a retry the first answer, as a parameter and as a header", async () => {
    const first = await kit.call("POST", `${BASE}/orchestrators/Waiter?requestId=r1`);
    const second = await kit.call("POST", `${BASE}/orchestrators/Waiter`, {
      headers: { "idempotency-key": '"r1"' },
    });
    expect(second.status).toBe(202);
    expect(second.body).toEqual(first.body);
    const both = await kit.call("POST", `${BASE}/orchestrators/Waiter?requestId=r1`, {
      headers: { "idempotency-key": "r2" },
    });
    expect(both.status).toBe(400);
  });

  test("takes startAt, tags and version", async () => {
    const query = "startAt=2099-01-01T00:00:00Z&tag=team:red&tag=a:b:c&version=2.0";
    expect((await kit.call("POST", `${BASE}/orchestrators/Echo/later?${query}`)).status).toBe(202);
    const status = await kit.call("GET", `${BASE}/instances/later`);
    expect(status.body).toMatchObject({
      runtimeStatus: "Pending",
      scheduledStartTime: "2099-01-01T00:00:00.000Z",
      tags: { team: "red", a: "b:c" },
      version: "2.0",
    });
  });

  test("refuses a name that no worker has registered, unless told to wait", async () => {
    const refused = await kit.call("POST", `${BASE}/orchestrators/Nobody/n`);
    expect(refused.status).toBe(400);
    expect(refused.body).toMatchObject({ code: "UnregisteredName" });
    expect(member(refused.body, "knownNames")).toContain("Echo");
    const waits = await kit.call("POST", `${BASE}/orchestrators/Nobody/n?allowUnregistered=true`);
    expect(waits.status).toBe(202);
  });

  test("waits with timeout and pollingInterval", async () => {
    const wait = "timeout=5&pollingInterval=1";
    const done = await kit.call("POST", `${BASE}/orchestrators/Echo/done?${wait}`, { json: { a: 1 } });
    expect([done.status, done.body]).toEqual([200, { a: 1 }]);
    const failed = await kit.call("POST", `${BASE}/orchestrators/Failing/failed?${wait}`);
    expect(failed.status).toBe(200);
    expect(failed.body).toMatchObject({ runtimeStatus: "Failed" });
    const told = await kit.call(
      "POST",
      `${BASE}/orchestrators/Failing/failed?${wait}&returnInternalServerErrorOnFailure=true`,
    );
    expect(told.status).toBe(500);
    expect(told.body).toMatchObject({
      runtimeStatus: "Failed",
      output: "Orchestrator function 'Failing' failed: boom",
    });
    const late = await kit.call(
      "POST",
      `${BASE}/orchestrators/Waiter/late?timeout=0.05&pollingInterval=0.01`,
    );
    expect(late.status).toBe(202);
    expect(late.body).toMatchObject({ id: "late" });
    const odd = await kit.call("POST", `${BASE}/orchestrators/Echo/odd?timeout=1&pollingInterval=2`);
    expect(odd.status).toBe(400);
  });
});

describe("status", () => {
  test("has Durable Functions' members first, in its forms", async () => {
    await given("done", "Echo", "Completed", { a: 1 });
    const answer = await kit.call("GET", `${BASE}/instances/done`);
    expect(answer.status).toBe(200);
    expect(
      members(answer.body)
        .map(([key]) => key)
        .slice(0, 8),
    ).toEqual([
      "name",
      "instanceId",
      "runtimeStatus",
      "input",
      "customStatus",
      "output",
      "createdTime",
      "lastUpdatedTime",
    ]);
    expect(answer.body).toMatchObject({
      name: "Echo",
      instanceId: "done",
      runtimeStatus: "Completed",
      input: { a: 1 },
      customStatus: null,
      output: { a: 1 },
      run: 1,
      generation: 1,
      tags: {},
    });
    expect(member(answer.body, "createdTime")).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(answer.body).not.toHaveProperty("historyEvents");
    expect(answer.headers.get("location")).toBeNull();
  });

  test("answers 202 with Location and Retry-After while live, Suspended included", async () => {
    await given("live", "Waiter", "Running");
    const url = `${BASE}/instances/live?showInput=false`;
    const running = await kit.call("GET", url);
    expect(running.status).toBe(202);
    expect(running.headers.get("location")).toBe(`http://localhost:7071${url}`);
    expect(running.headers.get("retry-after")).toBe("5");
    expect((await kit.call("POST", `${BASE}/instances/live/suspend?reason=x`)).status).toBe(202);
    const suspended = await kit.call("GET", url);
    expect([suspended.status, member(suspended.body, "runtimeStatus")]).toEqual([202, "Suspended"]);
  });

  test("answers 404, and 500 for a failed one if asked", async () => {
    const missing = await kit.call("GET", `${BASE}/instances/none`);
    expect([missing.status, member(missing.body, "code")]).toEqual([404, "InstanceNotFound"]);
    await given("failed", "Failing", "Failed");
    expect((await kit.call("GET", `${BASE}/instances/failed`)).status).toBe(200);
    const url = `${BASE}/instances/failed?returnInternalServerErrorOnFailure=true`;
    expect((await kit.call("GET", url)).status).toBe(500);
  });

  test("shows the history aggregated, as Durable Functions does", async () => {
    await given("busy", "Busy", "Completed", 21);
    const url = `${BASE}/instances/busy?showHistory=true`;
    const full = await kit.call("GET", `${url}&showHistoryOutput=true`);
    const time: unknown = expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/);
    expect(member(full.body, "historyEvents")).toMatchObject([
      { EventType: "ExecutionStarted", Timestamp: time, FunctionName: "Busy", Input: "21" },
      { EventType: "TaskCompleted", Result: 42, ScheduledTime: time, FunctionName: "double", Input: "21" },
      { EventType: "TaskFailed", Reason: "no luck", FunctionName: "breaks", Input: '"x"' },
      { EventType: "SubOrchestrationInstanceCompleted", Result: { n: 21 }, FunctionName: "Echo" },
      { EventType: "TimerCreated", FireAt: time },
      { EventType: "TimerFired", FireAt: time },
      { EventType: "ExecutionCompleted", OrchestrationStatus: "Completed", Result: 42 },
    ]);
    expect(full.text).not.toMatch(/EventId|IsPlayed|TaskScheduledId|TimerId|OrchestratorStarted/);
    const bare = await kit.call("GET", `${url}&showInput=false`);
    expect(member(bare.body, "input")).toBeNull();
    for (const [, event] of members(member(bare.body, "historyEvents"))) {
      expect(event).not.toHaveProperty("Result");
      expect(event).not.toHaveProperty("Input");
    }
  });

  test("shows no history while Pending", async () => {
    await kit.call("POST", `${BASE}/orchestrators/Echo/later?startAt=2099-01-01`);
    const answer = await kit.call("GET", `${BASE}/instances/later?showHistory=true`);
    expect(answer.body).not.toHaveProperty("historyEvents");
  });

  test("our own history and executions are there as well", async () => {
    await given("twice", "Echo", "Completed", 1);
    await given("twice", "Echo", "Completed", 2);
    const executions = await kit.call("GET", `${BASE}/instances/twice/executions`);
    expect(executions.body).toMatchObject([
      { run: 2, generation: 2, runtimeStatus: "Completed", input: 2, output: 2 },
      { run: 1, generation: 1, runtimeStatus: "Completed", input: 1, output: 1 },
    ]);
    const page = await kit.call("GET", `${BASE}/instances/twice/executions?top=1`);
    expect(page.body).toMatchObject([{ run: 2 }]);
    const headers = { "x-ms-continuation-token": page.headers.get("x-ms-continuation-token") ?? "" };
    const rest = await kit.call("GET", `${BASE}/instances/twice/executions`, { headers });
    expect(rest.body).toMatchObject([{ run: 1 }]);
    expect(rest.headers.get("x-ms-continuation-token")).toBeNull();
    expect((await kit.call("GET", `${BASE}/instances/twice/executions?run=1`)).body).toMatchObject([
      { run: 1 },
    ]);
    expect((await kit.call("GET", `${BASE}/instances/twice/executions?run=3`)).status).toBe(404);
    expect((await kit.call("GET", `${BASE}/instances/twice/executions?run=0`)).status).toBe(400);
    expect((await kit.call("GET", `${BASE}/instances/twice/executions?run=1`, { headers })).status).toBe(400);
    const first = String(member(executions.body, 1, "executionId"));
    const history = await kit.call("GET", `${BASE}/instances/twice/history?executionId=${first}`);
    expect(history.status).toBe(200);
    expect(history.body).toMatchObject({ instanceId: "twice", executionId: first, run: 1, name: "Echo" });
    expect(member(history.body, "events", 0)).toMatchObject({ type: "OrchestratorStarted" });
    expect((await kit.call("GET", `${BASE}/instances/twice/history?executionId=x`)).status).toBe(404);
    expect((await kit.call("GET", `${BASE}/instances/none/history`)).status).toBe(404);
    expect((await kit.call("GET", `${BASE}/instances/none/executions`)).status).toBe(404);
  });
});

describe("list", () => {
  beforeEach(async () => {
    for (const id of ["a1", "a2", "b1"]) await given(id, "Echo", "Completed", id);
    await kit.call("POST", `${BASE}/orchestrators/Waiter/w1?tag=team:red`, { json: null });
    await kit.hub.client.waitForStart("w1");
  });

  const ids = (body: unknown): unknown[] => members(body).map(([, each]) => member(each, "instanceId"));

  test.each([
    ["", ["a1", "a2", "b1", "w1"]],
    ["runtimeStatus=Running", ["w1"]],
    ["runtimeStatus=completed,RUNNING&top=2000", ["a1", "a2", "b1", "w1"]],
    ["runtimeStatus=Running&runtimeStatus=Failed", ["w1"]],
    ["instanceIdPrefix=a", ["a1", "a2"]],
    ["instanceIdPrefix=%25", []],
    ["name=Waiter", ["w1"]],
    ["tag=team:red", ["w1"]],
    ["tags=%7B%22team%22:%22red%22%7D", ["w1"]],
    ["tags=team:blue", []],
    ["createdTimeFrom=2099-01-01", []],
    ["createdTimeTo=2099-01-01T00:00:00Z", ["a1", "a2", "b1", "w1"]],
    ["lastUpdatedTimeFrom=2099-01-01", []],
    ["lastUpdatedTimeTo=2001-01-01T00:00:00%2B02:00", []],
    ["RUNTIMESTATUS=Running&TASKHUB=default&connection=Storage&code=", ["w1"]],
  ])("with %s", async (query, expected) => {
    const answer = await kit.call("GET", `${BASE}/instances/?${query}`);
    expect([answer.status, ids(answer.body)]).toEqual([200, expected]);
  });

  const page = (token?: string): Promise<Answer> =>
    kit.call("GET", `${BASE}/instances?top=2&showInput=false`, {
      headers: token === undefined ? {} : { "x-ms-continuation-token": token },
    });

  test("pages by the token in the header", async () => {
    const first = await page();
    expect([first.status, ids(first.body)]).toEqual([200, ["a1", "a2"]]);
    const seen = [];
    let token = first.headers.get("x-ms-continuation-token");
    for (let pages = 0; token !== null && pages < 10; pages++) {
      const next = await page(token);
      seen.push(...ids(next.body));
      token = next.headers.get("x-ms-continuation-token");
    }
    expect(seen).toEqual(["b1", "w1"]);
  });

  test("nobody can change a token, or use it for another list", async () => {
    const token = (await page()).headers.get("x-ms-continuation-token") ?? "";
    expect(token.length).toBeGreaterThan(20);
    for (let at = 0; at < token.length; at++) {
      const changed = `${token.slice(0, at)}${token[at] === "0" ? "1" : "0"}${token.slice(at + 1)}`;
      const answer = await page(changed);
      expect([answer.status, member(answer.body, "code")]).toEqual([400, "InvalidToken"]);
    }
    const headers = { "x-ms-continuation-token": token };
    expect((await kit.call("GET", `${BASE}/instances?top=2&name=Echo`, { headers })).status).toBe(400);
  });

  test("purges what matches", async () => {
    expect((await kit.call("DELETE", `${BASE}/instances/`)).status).toBe(400);
    const from = "createdTimeFrom=2020-01-01T00:00:00Z";
    expect((await kit.call("DELETE", `${BASE}/instances?${from}&runtimeStatus=Running`)).status).toBe(400);
    const some = await kit.call("DELETE", `${BASE}/instances?${from}&instanceIdPrefix=a`);
    expect([some.status, some.body]).toEqual([200, { instancesDeleted: 2 }]);
    const rest = await kit.call("DELETE", `${BASE}/instances/?${from}&runtimeStatus=Completed,Failed`);
    expect([rest.status, rest.body]).toEqual([200, { instancesDeleted: 1 }]);
    const none = await kit.call("DELETE", `${BASE}/instances/?${from}`);
    expect(none.status).toBe(404);
    expect(none.body).toMatchObject({ code: "InstanceNotFound", instancesDeleted: 0 });
  });

  test("purges so many at a time, and says where to go on", async () => {
    const path = `${BASE}/instances?createdTimeFrom=2020-01-01T00:00:00Z&top=2`;
    const first = await kit.call("DELETE", path);
    expect([first.status, first.body]).toEqual([200, { instancesDeleted: 2 }]);
    const headers = { "x-ms-continuation-token": first.headers.get("x-ms-continuation-token") ?? "" };
    expect((await kit.call("DELETE", `${path}&name=Echo`, { headers })).status).toBe(400);
    const second = await kit.call("DELETE", path, { headers });
    expect([second.status, second.body]).toEqual([200, { instancesDeleted: 1 }]);
    expect(second.headers.get("x-ms-continuation-token")).toBeNull();
    expect((await kit.call("DELETE", path)).body).toEqual({ instancesDeleted: 0 });
  });
});

describe("signals", () => {
  beforeEach(async () => {
    await given("live", "Waiter", "Running");
    await given("ended", "Echo", "Completed");
  });

  test.each(["raiseEvent/go", "terminate", "suspend", "resume"])("%s: 202, 404, 410", async (operation) => {
    const accepted = await kit.call("POST", `${BASE}/instances/live/${operation}?reason=why`);
    expect([accepted.status, accepted.text]).toEqual([202, ""]);
    const missing = await kit.call("POST", `${BASE}/instances/none/${operation}`);
    expect([missing.status, member(missing.body, "code")]).toEqual([404, "InstanceNotFound"]);
    const ended = await kit.call("POST", `${BASE}/instances/ended/${operation}`);
    expect([ended.status, member(ended.body, "code")]).toEqual([410, "InstanceEnded"]);
  });

  test("an event beyond what may wait for an instance is 429, and says what to do", async () => {
    await kit.call("POST", `${BASE}/orchestrators/Echo/crowded?startAt=2099-01-01`);
    const { client } = kit.hub;
    await Promise.all(
      Array.from({ length: MAIL_LIMIT.events }, (_, nth) => client.raiseEvent("crowded", "go", nth)),
    );
    const answer = await kit.call("POST", `${BASE}/instances/crowded/raiseEvent/go`);
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([429, "1"]);
    expect(answer.body).toMatchObject({
      code: "MailboxFull",
      instanceId: "crowded",
      runtimeStatus: "Pending",
      limit: "waiting events",
      allowed: 10_000,
      actual: 10_001,
    });
    await expect(client.raiseEvent("crowded", "go")).rejects.toThrow(/Try again once it has/);
    expect((await kit.call("POST", `${BASE}/instances/crowded/terminate`)).status).toBe(202);
  });

  test("names of operations match in any case", async () => {
    expect((await kit.call("POST", `${BASE}/Instances/live/SUSPEND`)).status).toBe(202);
    expect((await kit.call("POST", `${BASE}/instances/live/Suspend/`)).status).toBe(202); // twice is fine
    expect((await kit.call("POST", `${BASE}/instances/live/resume`)).status).toBe(202);
    expect((await kit.call("POST", `${BASE}/instances/live/RaiseEvent/GO`, { json: 7 })).status).toBe(202);
    const ended = await kit.hub.client.waitForCompletion("live", { timeoutMs: 5000 });
    expect(ended.output).toBe(7);
  });

  test("the reason of a terminate becomes the output", async () => {
    await kit.call("POST", `${BASE}/instances/live/terminate?reason=enough%20of%20it`);
    const answer = await kit.call("GET", `${BASE}/instances/live`);
    expect([answer.status, member(answer.body, "output")]).toEqual([200, "enough of it"]);
  });

  test("rewind: 202, 404, 412, and a JSON string for Durable Functions' SDK", async () => {
    await given("failed", "Failing", "Failed");
    for (const id of ["live", "ended"]) {
      const problem = await kit.call("POST", `${BASE}/instances/${id}/rewind`);
      expect([problem.status, member(problem.body, "code")]).toEqual([412, "InvalidState"]);
      const headers = { accept: "application/json, text/plain, */*" };
      const text = await kit.call("POST", `${BASE}/instances/${id}/rewind`, { headers });
      expect(text.status).toBe(412);
      expect(text.body).toContain("must be Failed");
    }
    expect((await kit.call("POST", `${BASE}/instances/none/rewind?reason=x`)).status).toBe(404);
    expect((await kit.call("POST", `${BASE}/instances/failed/rewind?reason=x`)).status).toBe(202);
    expect((await kit.hub.client.waitForCompletion("failed", { timeoutMs: 5000 })).generation).toBe(2);
  });

  test("restart: 202, 400, 409", async () => {
    const anew = await kit.call("POST", `${BASE}/instances/live/restart`);
    expect([anew.status, member(anew.body, "outcome")]).toEqual([202, "started"]);
    expect(member(anew.body, "id")).not.toBe("live");
    const same = await kit.call("POST", `${BASE}/instances/ended/restart?restartWithNewInstanceId=false`);
    expect(same.body).toMatchObject({ id: "ended", run: 2 });
    const held = await kit.call("POST", `${BASE}/instances/live/restart?restartWithNewInstanceId=False`);
    expect([held.status, member(held.body, "code")]).toEqual([409, "InstanceHeld"]);
    const missing = await kit.call("POST", `${BASE}/instances/none/restart`);
    expect([missing.status, member(missing.body, "code")]).toEqual([400, "InstanceNotFound"]);
    const waited = await kit.call("POST", `${BASE}/instances/ended/restart?timeout=5&pollingInterval=1`);
    expect(waited.status).toBe(200);
  });

  test("purge: 200, 404, 412", async () => {
    const live = await kit.call("DELETE", `${BASE}/instances/live`);
    expect([live.status, member(live.body, "code")]).toEqual([412, "InvalidState"]);
    const ended = await kit.call("DELETE", `${BASE}/instances/ended`);
    expect([ended.status, ended.body]).toEqual([200, { instancesDeleted: 1 }]);
    expect((await kit.call("DELETE", `${BASE}/instances/ended`)).status).toBe(404);
  });
});

describe("the hub", () => {
  test("retention is read and replaced", async () => {
    expect((await kit.call("GET", `${BASE}/retention`)).body).toEqual({});
    const put = await kit.call("PUT", `${BASE}/retention`, { json: { completedMs: 1000, failedMs: null } });
    expect([put.status, put.body]).toEqual([200, { completedMs: 1000 }]);
    expect((await kit.call("GET", `${BASE}/retention`)).body).toEqual({ completedMs: 1000 });
    for (const json of [{ completedMs: -1 }, { other: 1 }, [], 1, null]) {
      expect((await kit.call("PUT", `${BASE}/retention`, { json })).status).toBe(400);
    }
    expect((await kit.call("PUT", `${BASE}/retention`)).status).toBe(400);
  });

  test("workers are listed with what they registered", async () => {
    const answer = await kit.call("GET", `${BASE}/workers`);
    expect(answer.status).toBe(200);
    expect(member(answer.body, 0, "orchestrations")).toContain("Echo");
    expect(member(answer.body, 0, "draining")).toBe(false);
  });

  test("a worker that shares its hub with nobody is not drained", async () => {
    const answer = await kit.call("POST", `${BASE}/workers/any/drain`);
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ code: "InvalidArgument", parameter: "worker" });
  });

  test("entities are not served yet, and there is no app lease", async () => {
    for (const [method, path] of [
      ["GET", "entities"],
      ["GET", "entities/Counter"],
      ["GET", "entities/Counter/a"],
      ["POST", "entities/Counter/a"],
      ["DELETE", "entities/Counter/a"],
    ] as const) {
      const answer = await kit.call(method, `${BASE}/${path}`);
      expect([answer.status, member(answer.body, "code")]).toEqual([501, "NotSupported"]);
    }
    expect((await kit.call("POST", `${BASE}/makeprimary`)).status).toBe(400);
  });

  test("unknown routes and methods answer 404", async () => {
    for (const [method, path] of [
      ["GET", "/"],
      ["GET", BASE],
      ["GET", `${BASE}/orchestrators/Echo`],
      ["PATCH", `${BASE}/instances/x`],
      ["POST", `${BASE}/instances/x/explode`],
      ["GET", `${BASE}/instances/x/terminate`],
      ["POST", `${BASE}/instances//terminate`],
      ["OPTIONS", `${BASE}/instances`],
      ["GET", "/api/nothing"],
      ["PROPFIND", "/"],
    ] as const) {
      const answer = await kit.call(method, path);
      expect([answer.status, member(answer.body, "code")]).toEqual([404, "RouteNotFound"]);
    }
  });

  test("health and readiness follow the hub", async () => {
    expect((await kit.call("GET", "/healthz")).body).toEqual({ status: "ok" });
    expect((await kit.call("GET", "/readyz")).body).toEqual({ status: "ready" });
    expect((await kit.call("HEAD", "/readyz")).status).toBe(200);
    await kit.hub.close();
    expect((await kit.call("GET", "/healthz")).status).toBe(200);
    const closed = await kit.call("GET", "/readyz");
    expect([closed.status, member(closed.body, "code")]).toEqual([503, "NotReady"]);
    const refused = await kit.call("GET", `${BASE}/instances/x`);
    expect([refused.status, member(refused.body, "code")]).toEqual([503, "StoreClosed"]);
    expect(refused.headers.get("retry-after")).toBe("1");
  });
});
