// The client commands as real processes of the built CLI, over HTTP and on the hub's file.
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { cleanUp, project, type Result, type Serving, serving, tenure, until } from "./cli-process.js";

const APP = `
import { activity, orchestration } from "tenure";
export const greet = activity("greet", async (_ctx, name: string) => "Hello, " + name + "!");
export const hello = orchestration("hello", async (ctx, name: string) => ctx.callActivity(greet, name));
export const echo = orchestration("echo", async (_ctx, input: unknown) => ({ input: input ?? null }));
export const failing = orchestration("failing", async () => { throw new RangeError("too far"); });
export const monitor = orchestration("monitor", async (ctx) => {
  const event = await ctx.waitForExternalEvent("stop");
  return { event };
});
export const parent = orchestration("parent", async (ctx) =>
  ctx.callSubOrchestrator(monitor, undefined, { instanceId: ctx.instanceId + "-child" }));
let healthy = false;
export const heal = activity("heal", async () => { healthy = true; });
export const healing = orchestration("healing", async (ctx) => ctx.callActivity(heal, undefined));
export const fragile = activity("fragile", async () => {
  if (!healthy) throw new Error("not yet");
  return "healed";
});
export const patient = orchestration("patient", async (ctx) => ctx.callActivity(fragile, undefined));
`;

let cwd = "";
let server: Serving;

beforeAll(async () => {
  cwd = project({ "app.ts": APP });
  server = await serving(["dev"], { cwd });
});

afterAll(cleanUp);

/** Runs a client command against the server. */
function run(...args: string[]): Promise<Result> {
  return tenure(args, { cwd, env: { TENURE_URL: server.url } });
}

/** Runs it with `-o json`, and reads its data. */
async function json(...args: string[]): Promise<unknown> {
  const result = await run(...args, "-o", "json");
  if (result.code !== 0) throw new Error(`${args.join(" ")} exited ${result.code}: ${result.stderr}`);
  return JSON.parse(result.stdout);
}

describe("exit codes", () => {
  test("0: done", async () => {
    const started = await run("start-new", "hello", "--input", '"Ada"', "--wait", "-o", "json");
    expect(started.code).toBe(0);
    expect(JSON.parse(started.stdout)).toMatchObject({ runtimeStatus: "Completed", output: "Hello, Ada!" });
    expect(started.stderr).toBe("");
  });

  test("1: an error, such as an orchestrator that nobody has registered", async () => {
    const started = await run("start-new", "nobody");
    expect(started.code).toBe(1);
    expect(started.stderr).toMatch(/nobody.*Known: .*hello/);
    expect(started.stdout).toBe("");
  });

  test.each([
    ["an unknown command", ["lsit"]],
    ["an unknown option", ["list", "--frobnicate"]],
    ["a missing ID", ["get"]],
    ["an ID that cannot be", ["get", "a/b"]],
    ["input that is not JSON", ["start-new", "echo", "--input", "{a"]],
    ["a file that is not there", ["start-new", "echo", "--input", "@gone.json"]],
    ["an answer that is none", ["start-new", "echo", "--if-live", "maybe"]],
    ["a status that is none", ["list", "--status", "Sleeping"]],
    ["a status that has not ended", ["purge", "--status", "Running", "-y"]],
    ["a time that is none", ["start-new", "echo", "--start-at", "tomorrow"]],
    ["a tag without a value", ["start-new", "echo", "--tag", "a"]],
    ["a timeout without --wait", ["start-new", "echo", "--timeout", "1s"]],
    ["an address that is none", ["list", "--url", "localhost"]],
    ["two places", ["list", "--url", "http://127.0.0.1:1", "--db", ".tenure/hub.db"]],
    ["a file that would be made", ["list", "--db", "gone.db"]],
    ["nothing to purge", ["purge", "-y"]],
    ["nobody to ask", ["purge", "--all"]],
  ])("2: %s", async (_what, args) => {
    const result = await run(...args);
    expect(result.code).toBe(2);
    expect(result.stdout).toBe("");
    expect(result.stderr).not.toBe("");
    expect(result.stderr).not.toContain("    at ");
  });

  test.each(["get", "wait", "history", "executions", "suspend", "resume", "terminate", "rewind", "restart"])(
    "3: %s finds no instance",
    async (command) => {
      for (const where of [[], ["--db", ".tenure/hub.db"]]) {
        const result = await run(command, "nobody", ...where);
        expect(result.code).toBe(3);
        expect(result.stderr).toContain("nobody");
      }
    },
  );

  test("3: purge and raise find no instance", async () => {
    for (const where of [[], ["--db", ".tenure/hub.db"]]) {
      expect((await run("purge", "nobody", "-y", ...where)).code).toBe(3);
      expect((await run("raise", "nobody", "stop", ...where)).code).toBe(3);
    }
  });

  test("4: the ID is held, and the holder is printed", async () => {
    const started = await json("start-new", "monitor", "--id", "held");
    const { executionId } = readStarted(started);
    for (const where of [[], ["--db", ".tenure/hub.db"]]) {
      const refused = await run("start-new", "monitor", "--id", "held", ...where);
      expect(refused.code).toBe(4);
      expect(refused.stdout).toBe("");
      expect(refused.stderr).toMatch(/held by +monitor/);
      expect(refused.stderr).toContain(executionId);
      const data = await run("start-new", "monitor", "--id", "held", "-o", "json", ...where);
      expect(data.code).toBe(4);
      expect(JSON.parse(data.stdout)).toMatchObject({ outcome: "refused", holder: { executionId, run: 1 } });
    }
  });

  test("5: the awaited orchestration failed, or was terminated", async () => {
    for (const where of [[], ["--db", ".tenure/hub.db"]]) {
      const id = `fails${where.length}`;
      const failed = await run("start-new", "failing", "--id", id, "--wait", "-o", "json", ...where);
      expect(failed.code).toBe(5);
      expect(JSON.parse(failed.stdout)).toMatchObject({
        runtimeStatus: "Failed",
        failure: { type: "RangeError" },
      });
      expect(failed.stderr).toContain("too far");
      expect((await run("wait", id, ...where)).code).toBe(5);
    }
    await run("start-new", "monitor", "--id", "ended");
    await run("terminate", "ended", "--reason", "enough");
    const waited = await run("wait", "ended");
    expect(waited.code).toBe(5);
    expect(waited.stderr).toContain("enough");
  });

  test("6: the time ran out", async () => {
    await run("start-new", "monitor", "--id", "long");
    for (const where of [[], ["--db", ".tenure/hub.db"]]) {
      const waited = await run("wait", "long", "--timeout", "200ms", ...where);
      expect(waited.code).toBe(6);
      expect(waited.stderr).toContain("still Running");
    }
    const started = await run("start-new", "monitor", "--wait", "--timeout", "0.2");
    expect(started.code).toBe(6);
  });

  test("7: there is no server, or another one", async () => {
    const away = await run("list", "--url", "http://127.0.0.1:1");
    expect(away.code).toBe(7);
    expect(away.stderr).toMatch(/no answer from http:\/\/127\.0\.0\.1:1/);
    const stranger = createServer((_request, response) => response.end("<h1>hello</h1>"));
    await new Promise<void>((resolve) => {
      stranger.listen(0, "127.0.0.1", resolve);
    });
    const address = stranger.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const other = await run("list", "--url", `http://127.0.0.1:${port}`);
    stranger.close();
    expect(other.code).toBe(1);
    expect(other.stderr).toContain("something else");
  });
});

describe("start-new", () => {
  test("reads its input from a file or standard input", async () => {
    writeFileSync(join(cwd, "input.json"), '{"from":"file"}');
    expect(await json("start-new", "echo", "--input", "@input.json", "--wait")).toMatchObject({
      output: { input: { from: "file" } },
    });
    const piped = await tenure(["start-new", "echo", "--input", "-", "--wait", "-o", "json"], {
      cwd,
      env: { TENURE_URL: server.url },
      input: '["piped"]',
    });
    expect(JSON.parse(piped.stdout)).toMatchObject({ output: { input: ["piped"] } });
  });

  test("attaches to, replaces, or returns what has the ID", async () => {
    const first = readStarted(await json("start-new", "monitor", "--id", "policy"));
    const attached = await json("start-new", "monitor", "--id", "policy", "--if-live", "attach");
    expect(attached).toMatchObject({ outcome: "attached", executionId: first.executionId });
    const replaced = readStarted(
      await json("start-new", "monitor", "--id", "policy", "--if-live", "terminate"),
    );
    expect(replaced).toMatchObject({ outcome: "replaced", run: 2 });
    await run("terminate", "policy");
    const returned = await json("start-new", "monitor", "--id", "policy", "--if-ended", "Terminated=return");
    expect(returned).toMatchObject({ outcome: "returned", executionId: replaced.executionId });
    const refused = await run(
      "start-new",
      "monitor",
      "--id",
      "policy",
      "--if-ended",
      "Completed=start,Terminated=reject",
    );
    expect(refused.code).toBe(4);
    expect(await json("executions", "policy")).toMatchObject([
      { run: 2 },
      { run: 1, runtimeStatus: "Terminated" },
    ]);
    const newest = await run("executions", "policy", "--top", "1", "-o", "json");
    expect(JSON.parse(newest.stdout)).toMatchObject([{ run: 2 }]);
    expect(newest.stderr).toContain("There are more than these 1");
  });

  test("gives a retried request the first one's answer", async () => {
    const first = await json("start-new", "monitor", "--id", "retried", "--request-id", "r1");
    expect(await json("start-new", "monitor", "--id", "retried", "--request-id", "r1")).toEqual(first);
  });

  test("waits for its own run, although another one has followed", async () => {
    for (const where of [[], ["--db", ".tenure/hub.db"]]) {
      const id = `followed${where.length}`;
      const waiting = run("start-new", "monitor", "--id", id, "--wait", "-o", "json", ...where);
      await until(async () => ((await run("get", id)).code === 0 ? true : undefined));
      await json("start-new", "echo", "--id", id, "--if-live", "terminate");
      const waited = await waiting;
      expect(waited.code).toBe(5);
      expect(JSON.parse(waited.stdout)).toMatchObject({
        run: 1,
        name: "monitor",
        runtimeStatus: "Terminated",
      });
    }
  });

  test("takes a time, tags and a version", async () => {
    const options = ["--start-at", "2099-01-01", "--tag", "team=red", "--tag", "area=a=b", "--version", "2"];
    for (const where of [[], ["--db", ".tenure/hub.db"]]) {
      const id = `later${where.length}`;
      await json("start-new", "echo", "--id", id, ...options, ...where);
      expect(await json("get", id, ...where)).toMatchObject({
        runtimeStatus: "Pending",
        scheduledStartTime: "2099-01-01T00:00:00.000Z",
        tags: { team: "red", area: "a=b" },
        version: "2",
      });
    }
  });

  test("lets a name wait that nobody has registered, if it is told to", async () => {
    const started = await json("start-new", "tomorrow", "--id", "unregistered", "--allow-unregistered");
    expect(started).toMatchObject({ outcome: "started" });
    expect(await json("get", "unregistered")).toMatchObject({ runtimeStatus: "Pending" });
  });
});

describe("list", () => {
  test("follows pages up to --top, and says that there are more", async () => {
    for (let n = 0; n < 5; n++) await run("start-new", "echo", "--id", `page-${n}`, "--tag", "kind=page");
    const filter = ["list", "--tag", "kind=page"];
    const some = await run(...filter, "--top", "3", "-o", "json");
    expect(JSON.parse(some.stdout)).toHaveLength(3);
    expect(some.stderr).toContain("more than these 3");
    const all = await run(...filter, "--top", "5", "-o", "json");
    expect(JSON.parse(all.stdout)).toHaveLength(5);
    expect(all.stderr).toBe("");
    const direct = await run(...filter, "--top", "3", "-o", "json", "--db", ".tenure/hub.db");
    expect(JSON.parse(direct.stdout)).toEqual(JSON.parse(some.stdout));
    expect(direct.stderr).toContain("more than these 3");
  });

  test("filters, and prints a plain table where there is no terminal", async () => {
    await run("start-new", "echo", "--id", "plain-1", "--wait");
    const list = await run("list", "--status", "completed,Failed", "--name", "echo", "--id-prefix", "plain-");
    const [head, row, ...rest] = list.stdout.trimEnd().split("\n");
    expect(head).toMatch(/^ID +NAME +STATUS +CREATED +LAST UPDATED +RUN$/);
    expect(row).toMatch(/^plain-1 +echo +Completed +\S+Z +\S+Z +1$/);
    expect(rest).toEqual([]);
    expect(await json("list", "--created-from", "2099-01-01")).toEqual([]);
    expect(await json("list", "--updated-to", "2020-01-01")).toEqual([]);
    expect(
      await json("list", "--name", "echo", "--id-prefix", "plain-", "--created-to", "2099-01-01"),
    ).toHaveLength(1);
  });
});

describe("an instance", () => {
  test("is signalled, suspended, resumed and shown with its history", async () => {
    for (const where of [[], ["--db", ".tenure/hub.db"]]) {
      const id = `steered${where.length}`;
      await run("start-new", "monitor", "--id", id, ...where);
      expect((await run("suspend", id, "--reason", "lunch", ...where)).stdout).toContain("suspended");
      expect(await json("get", id, ...where)).toMatchObject({ runtimeStatus: "Suspended" });
      await json("raise", id, "stop", "--data", '{"a":1}', ...where);
      expect((await run("resume", id, ...where)).code).toBe(0);
      expect(await json("wait", id, ...where)).toMatchObject({ output: { event: { a: 1 } } });
      const history = await run("history", id, ...where);
      expect(history.stdout).toMatch(/EventRaised +\{"name":"stop","input":\{"a":1\}\}/);
      expect(history.stdout).toContain("ExecutionSuspended");
      expect((await run("raise", id, "stop", ...where)).code).toBe(1);
    }
  });

  test("is terminated with its sub-orchestrations", async () => {
    await run("start-new", "parent", "--id", "family");
    await until(async () => ((await run("get", "family-child")).code === 0 ? true : undefined));
    await json("terminate", "family", "--recursive");
    expect((await run("wait", "family-child")).code).toBe(5);
  });

  test("is rewound after a failure, and restarted", async () => {
    expect((await run("start-new", "patient", "--id", "patient", "--wait")).code).toBe(5);
    await json("start-new", "healing", "--wait");
    expect((await run("rewind", "patient", "--reason", "healed")).code).toBe(0);
    expect(await json("wait", "patient")).toMatchObject({ output: "healed" });
    expect((await run("rewind", "patient")).code).toBe(1);
    expect(await json("restart", "patient", "--same-id")).toMatchObject({ instanceId: "patient", run: 2 });
    const copy = readStarted(await json("restart", "patient"));
    expect(copy.instanceId).toMatch(/^[0-9a-f]{32}$/);
    expect(await json("wait", copy.instanceId)).toMatchObject({ output: "healed" });
  });

  test("is purged, alone or with others that match", async () => {
    for (const id of ["p1", "p2", "p3"])
      await run("start-new", "echo", "--id", id, "--tag", "kind=purge", "--wait");
    await run("start-new", "monitor", "--id", "p4", "--tag", "kind=purge");
    expect((await run("purge", "p4", "-y")).code).toBe(1);
    expect(await json("purge", "p1", "-y")).toEqual({ instancesDeleted: 1 });
    expect(await json("purge", "--tag", "kind=purge", "-y")).toEqual({ instancesDeleted: 2 });
    expect(await json("purge", "--tag", "kind=purge", "-y")).toEqual({ instancesDeleted: 0 });
    expect(await json("get", "p4")).toMatchObject({ runtimeStatus: "Running" });
  });
});

describe("the task hub", () => {
  test("shows who was refused", async () => {
    await run("start-new", "monitor", "--id", "contended");
    await run("start-new", "monitor", "--id", "contended");
    await run("start-new", "hello", "--id", "contended", "--if-live", "attach", "--db", ".tenure/hub.db");
    const refusals = await until(async () => {
      const list = await json("singleton", "refusals", "contended");
      return Array.isArray(list) && list.length === 2 ? list : undefined;
    });
    const fromHere: unknown = expect.stringContaining("pid");
    const fromServer: unknown = expect.stringContaining("tenure-cli");
    // Each process records its own in batches, so that their order between processes is open.
    expect(refusals).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          orchestrator: "hello",
          ifLive: "attach",
          reason: "otherName",
          requester: fromHere,
        }),
        expect.objectContaining({
          orchestrator: "monitor",
          ifLive: "reject",
          reason: "held",
          requester: fromServer,
        }),
      ]),
    );
    const table = await run("singleton", "refusals", "contended");
    expect(table.stdout).toMatch(/contended +hello/);
  });

  test("shows its workers", async () => {
    const orchestrations: unknown = expect.arrayContaining(["hello", "monitor"]);
    for (const where of [[], ["--db", ".tenure/hub.db"]]) {
      const [worker, ...others] = z
        .array(z.looseObject({ id: z.string() }))
        .parse(await json("worker", "list", ...where));
      expect(others).toEqual([]);
      expect(worker).toMatchObject({
        pid: server.process.pid,
        orchestrations,
        shards: null,
        leaseEnd: null,
        draining: false,
      });
      const drained = await run("worker", "drain", worker?.id ?? "", ...where);
      expect(drained).toMatchObject({ code: 2, stdout: "" });
      expect(drained.stderr).toContain("shares its work with nobody");
    }
    expect((await run("worker", "list")).stdout).toContain(String(server.process.pid));
  });

  test("takes the spellings of func durable", async () => {
    const started = await run(
      "start-new",
      "--function-name",
      "echo",
      "--id",
      "func",
      "--input",
      "1",
      "-o",
      "json",
    );
    expect(JSON.parse(started.stdout)).toMatchObject({ instanceId: "func" });
    await run("wait", "func");
    expect(await json("get-runtime-status", "--id", "func", "--show-input", "--show-output")).toMatchObject({
      output: { input: 1 },
    });
    expect(await json("get-history", "--id", "func")).toMatchObject({ instanceId: "func" });
    expect(await json("get-instances", "--runtime-status", "completed", "--top", "1")).toHaveLength(1);
    await run("start-new", "monitor", "--id", "func2");
    await json("raise-event", "--id", "func2", "--event-name", "stop", "--event-data", '"now"');
    expect(await json("wait", "--id", "func2")).toMatchObject({ output: { event: "now" } });
    const purged = await json("purge-history", "--created-before", "2020-01-01", "-y");
    expect(purged).toEqual({ instancesDeleted: 0 });
    expect((await run("--help")).stdout).not.toContain("get-instances");
  });

  test("never sends control characters of data to a terminal", async () => {
    const hostile = "\u001b]0;owned\u0007\u009b31m\u202e\n";
    await run(
      "start-new",
      "echo",
      "--id",
      "hostile",
      "--input",
      JSON.stringify(hostile),
      "--tag",
      `t=${hostile}`,
      "--wait",
    );
    for (const args of [
      ["get", "hostile"],
      ["history", "hostile"],
      ["get", "hostile", "-o", "json"],
      ["executions", "hostile"],
    ]) {
      const result = await run(...args);
      expect(result.code).toBe(0);
      expect(`${result.stdout}${result.stderr}`).not.toMatch(/[^\n\P{Cc}]|\u202e/u);
    }
    expect(await json("get", "hostile")).toMatchObject({ output: { input: hostile }, tags: { t: hostile } });
  });
});

interface Started {
  readonly executionId: string;
  readonly instanceId: string;
  readonly outcome: unknown;
  readonly run: unknown;
}

function readStarted(data: unknown): Started {
  const { executionId, instanceId, outcome, run } = Object.assign(
    { executionId: "", instanceId: "", outcome: undefined, run: undefined },
    data,
  );
  return { executionId, instanceId, outcome, run };
}
