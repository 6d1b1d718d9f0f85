// `tenure dev` and `tenure serve` as real processes of the built CLI.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { cleanUp, cli, end, launch, project, type Serving, serving, tenure, until } from "./cli-process.js";

afterEach(cleanUp);

const APP = `
import { activity, orchestration } from "tenure";
const sleep = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });
export const greet = activity("greet", async (_ctx, name: string) => "Hello, " + name + "!");
export const slow = activity("slow", async (_ctx, ms: number) => { await sleep(ms); return "slept"; });
export const hello = orchestration("hello", async (ctx, name: string) => ctx.callActivity(greet, name));
export const sleeper = orchestration("sleeper", async (ctx, ms: number) => ctx.callActivity(slow, ms));
export const monitor = orchestration("EternalMonitor", async (ctx) => {
  await ctx.waitForExternalEvent("stop");
  return "stopped";
});
`;

const HELLO = (greeting: string): string => `
import { activity, orchestration } from "tenure";
export const greet = activity("greet", async (_ctx, name: string) => "${greeting}, " + name + "!");
export const hello = orchestration("hello", async (ctx, name: string) => ctx.callActivity(greet, name));
`;

type Json = Readonly<Record<string, unknown>>;

function api(url: string, path: string): string {
  return `${url}/runtime/webhooks/durabletask${path}`;
}

async function post(url: string, path: string, body?: unknown): Promise<{ status: number; body: Json }> {
  const answer = await fetch(api(url, path), {
    method: "POST",
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  });
  return { status: answer.status, body: await jsonOf(answer) };
}

async function statusOf(url: string, id: string): Promise<Json> {
  return jsonOf(await fetch(api(url, `/instances/${id}`)));
}

async function jsonOf(answer: Response): Promise<Json> {
  const text = await answer.text();
  const content: unknown = text === "" ? {} : JSON.parse(text);
  return typeof content === "object" && content !== null ? { ...content } : {};
}

/** Runs an orchestration to its end, and returns its output. */
async function outputOf(url: string, name: string, input?: unknown): Promise<unknown> {
  const { body } = await post(url, `/orchestrators/${name}`, input);
  return outputOnceCompleted(url, String(body["id"]));
}

async function outputOnceCompleted(url: string, id: string): Promise<unknown> {
  const { output } = await until(async () => {
    const status = await statusOf(url, id);
    return status["runtimeStatus"] === "Completed" ? { output: status["output"] } : undefined;
  });
  return output;
}

/** Waits for an activity to be under way. */
async function untilScheduled(url: string, id: string): Promise<void> {
  await until(async () => {
    const history = await jsonOf(await fetch(api(url, `/instances/${id}/history`)));
    return JSON.stringify(history).includes("TaskScheduled") ? true : undefined;
  });
}

describe("tenure dev", () => {
  test("finds app.ts, and prints a line that starts a singleton, which is held when it is sent again", async () => {
    const cwd = project({ "app.ts": APP });
    const dev = await serving(["dev"], { cwd });
    const [, line = ""] = await dev.said(/curl -i -X POST (http\S+)/);
    await dev.said(/409 Conflict, and the answer says who holds the ID/);
    expect(dev.stdout()).toContain(`${dev.url}/openapi.json`);
    expect(line).toBe(api(dev.url, "/orchestrators/EternalMonitor/monitor-1"));
    const first = await fetch(line, { method: "POST" });
    expect(first.status).toBe(202);
    const second = await fetch(line, { method: "POST" });
    expect(second.status).toBe(409);
    expect(await second.json()).toMatchObject({
      code: "InstanceHeld",
      holder: { instanceId: "monitor-1", name: "EternalMonitor" },
    });
    expect(readFileSync(join(cwd, ".tenure", ".gitignore"), "utf8")).toBe("*\n");
  });

  test("keeps its state over a restart", async () => {
    const cwd = project({ "app.ts": APP });
    const first = await serving(["dev", "app.ts"], { cwd });
    const started = await post(first.url, "/orchestrators/EternalMonitor/kept");
    expect(await end(first, "SIGTERM")).toBe(0);
    const second = await serving(["dev", "app.ts"], { cwd });
    const refused = await post(second.url, "/orchestrators/EternalMonitor/kept");
    expect(refused.status).toBe(409);
    expect(refused.body["holder"]).toMatchObject({ executionId: started.body["executionId"], run: 1 });
    await post(second.url, "/instances/kept/raiseEvent/stop");
    expect(await outputOnceCompleted(second.url, "kept")).toBe("stopped");
  });

  test("refuses a second engine on its file, naming the process of the first", async () => {
    const cwd = project({ "app.ts": APP });
    const first = await serving(["dev"], { cwd });
    const second = await tenure(["dev", "--port", "0"], { cwd });
    expect(second.code).toBe(4);
    expect(second.stderr).toContain(`pid ${first.process.pid}`);
    expect(second.stderr).toContain("--wait");
    expect(second.stdout).toBe("");
  });

  test("stands by with --wait, and takes over when the first engine is killed", async () => {
    const cwd = project({ "app.ts": APP });
    const first = await serving(["dev"], { cwd });
    await post(first.url, "/orchestrators/EternalMonitor/handed-over");
    const second = launch(process.execPath, [cli, "dev", "--wait", "--port", "0"], { cwd });
    await second.said(/standing by/);
    expect(second.stdout()).toBe("");
    expect(await end(first, "SIGKILL")).toBe("SIGKILL");
    const [url = ""] = await second.said(/http:\/\/127\.0\.0\.1:\d+/, 5000);
    expect(await statusOf(url, "handed-over")).toMatchObject({ runtimeStatus: "Running" });
  });

  test("stops standing by when it is told to end", async () => {
    const cwd = project({ "app.ts": APP });
    await serving(["dev"], { cwd });
    const second = launch(process.execPath, [cli, "dev", "--wait", "--port", "0"], { cwd });
    await second.said(/standing by/);
    expect(await end(second, "SIGTERM")).toBe(0);
  });

  test("says which port is taken", async () => {
    const cwd = project({ "app.ts": APP });
    const taken = createServer();
    await new Promise<void>((resolve) => {
      taken.listen(0, "127.0.0.1", resolve);
    });
    const address = taken.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const dev = await tenure(["dev", "--port", String(port)], { cwd });
    taken.close();
    expect(dev.code).toBe(2);
    expect(dev.stderr).toMatch(new RegExp(`127\\.0\\.0\\.1:${port}.*EADDRINUSE.*--port`));
  });

  test("says what it looked for where there is no app", async () => {
    const cwd = project({});
    const dev = await tenure(["dev"], { cwd });
    expect(dev.code).toBe(1);
    expect(dev.stderr).toContain("app.ts, app.mts, app.mjs, app.js");
    expect(existsSync(join(cwd, ".tenure"))).toBe(false);
  });
});

describe("the end of a server", () => {
  test("by SIGTERM lets an activity under way finish, and exits 0", async () => {
    const cwd = project({ "app.ts": APP });
    const dev = await serving(["dev"], { cwd });
    await post(dev.url, "/orchestrators/sleeper/finishes", 1500);
    await untilScheduled(dev.url, "finishes");
    const endedAt = Date.now();
    expect(await end(dev, "SIGTERM")).toBe(0);
    expect(Date.now() - endedAt).toBeLessThan(8000);
    const again = await tenure(["get", "finishes", "--db", ".tenure/hub.db", "-o", "json"], { cwd });
    expect(again.code).toBe(0);
    const history = await tenure(["history", "finishes", "--db", ".tenure/hub.db", "-o", "json"], { cwd });
    expect(history.stdout).toContain("TaskCompleted");
  });

  test("by Ctrl-C exits 130", async () => {
    const cwd = project({ "app.ts": APP });
    const dev = await serving(["dev"], { cwd });
    expect(await end(dev, "SIGINT")).toBe(130);
    expect(dev.stderr()).toContain("ended");
  });

  test("comes within 10 s, whatever is under way", async () => {
    const cwd = project({ "app.ts": APP });
    const dev = await serving(["dev"], { cwd });
    await post(dev.url, "/orchestrators/sleeper/endless", 600_000);
    await untilScheduled(dev.url, "endless");
    // A caller that waits for the end must not hold the server either.
    const waiting = post(dev.url, "/orchestrators/EternalMonitor/awaited?timeout=200").catch(() => undefined);
    const endedAt = Date.now();
    expect(await end(dev, "SIGTERM")).toBe(0);
    expect(Date.now() - endedAt).toBeLessThan(10_000);
    await waiting;
  });

  test("comes at once with a second Ctrl-C", async () => {
    const cwd = project({ "app.ts": APP });
    const dev = await serving(["dev"], { cwd });
    await post(dev.url, "/orchestrators/sleeper/endless", 600_000);
    await untilScheduled(dev.url, "endless");
    const endedAt = Date.now();
    dev.process.kill("SIGINT");
    await dev.said(/letting work under way finish/);
    // Within half a second it counts as the same Ctrl-C: npm passes on what the terminal sent already.
    dev.process.kill("SIGINT");
    await new Promise((resolve) => {
      setTimeout(resolve, 700);
    });
    expect(dev.process.exitCode).toBeNull();
    expect(await end(dev, "SIGINT")).toBe(130);
    expect(Date.now() - endedAt).toBeLessThan(4000);
  });
});

describe("a change while tenure dev runs", () => {
  const change = (cwd: string, file: string, content: string): void =>
    writeFileSync(join(cwd, file), content);

  async function changed(dev: Serving, pattern: RegExp, act: () => void): Promise<void> {
    const before = dev.stderr().length;
    act();
    await until(async () => (pattern.test(dev.stderr().slice(before)) ? true : undefined));
  }

  test("of the app is served without a restart, and what ran goes on", async () => {
    const cwd = project({ "app.ts": APP });
    const dev = await serving(["dev"], { cwd });
    await post(dev.url, "/orchestrators/EternalMonitor/ran-before");
    expect(await outputOf(dev.url, "hello", "Ada")).toBe("Hello, Ada!");
    await changed(dev, /reloaded: 3 orchestrations, 2 activities/, () =>
      change(cwd, "app.ts", APP.replace("Hello, ", "Good day, ")),
    );
    expect(await outputOf(dev.url, "hello", "Ada")).toBe("Good day, Ada!");
    await post(dev.url, "/instances/ran-before/raiseEvent/stop");
    expect(await outputOnceCompleted(dev.url, "ran-before")).toBe("stopped");
  });

  test("of an imported module counts, in a new folder too, and data files do not", async () => {
    const cwd = project({
      "app.ts": 'export * from "./flows/hello.js";',
      "flows/hello.ts": HELLO("Hello"),
    });
    const dev = await serving(["dev"], { cwd });
    change(cwd, "data.json", "{}");
    change(cwd, "flows/log.txt", "more");
    await changed(dev, /reloaded/, () => change(cwd, "flows/hello.ts", HELLO("Ahoy")));
    expect(await outputOf(dev.url, "hello", "Ada")).toBe("Ahoy, Ada!");
    expect(dev.stderr()).not.toMatch(/data\.json|log\.txt/);
    await changed(dev, /reloaded/, () => {
      mkdirSync(join(cwd, "more"));
      change(cwd, "more/hello.ts", HELLO("Servus"));
      change(cwd, "app.ts", 'export * from "./more/hello.js";');
    });
    expect(await outputOf(dev.url, "hello", "Ada")).toBe("Servus, Ada!");
    await changed(dev, /reloaded/, () => change(cwd, "more/hello.ts", HELLO("Moin")));
    expect(await outputOf(dev.url, "hello", "Ada")).toBe("Moin, Ada!");
  });

  test("that an editor makes by renaming a file over it counts", async () => {
    const cwd = project({ "app.ts": HELLO("Hello") });
    const dev = await serving(["dev"], { cwd });
    change(cwd, "app.ts.tmp", HELLO("Ahoy"));
    await changed(dev, /reloaded/, () => renameSync(join(cwd, "app.ts.tmp"), join(cwd, "app.ts")));
    expect(await outputOf(dev.url, "hello", "Ada")).toBe("Ahoy, Ada!");
  });

  test("of native ES modules counts, imported ones included", async () => {
    const cwd = project({
      "app.mjs": 'export * from "./hello.mjs";',
      "hello.mjs": HELLO("Hello").replace(": string", "").replace(": string", ""),
    });
    const dev = await serving(["dev"], { cwd });
    expect(await outputOf(dev.url, "hello", "Ada")).toBe("Hello, Ada!");
    for (const greeting of ["Ahoy", "Moin"]) {
      await changed(dev, /reloaded/, () =>
        change(cwd, "hello.mjs", HELLO(greeting).replaceAll(": string", "")),
      );
      expect(await outputOf(dev.url, "hello", "Ada")).toBe(`${greeting}, Ada!`);
    }
  });

  test("that cannot be loaded or served is shown with its place, and the former code goes on", async () => {
    const cwd = project({ "app.ts": HELLO("Hello") });
    const dev = await serving(["dev"], { cwd });
    await changed(dev, /app\.ts:3:\d+/, () => change(cwd, "app.ts", "\n\nexport const broken = = 1;\n"));
    expect(await outputOf(dev.url, "hello", "Ada")).toBe("Hello, Ada!");
    const twice = `${HELLO("Twice")}export const again = orchestration("hello", async () => 1);`;
    await changed(dev, /not reloaded/, () => change(cwd, "app.ts", twice));
    expect(await outputOf(dev.url, "hello", "Ada")).toBe("Hello, Ada!");
    await changed(dev, /not reloaded[^]*exports nothing to run/, () =>
      change(cwd, "app.ts", "export const a = 1;"),
    );
    await changed(dev, /reloaded: 1 orchestration/, () => change(cwd, "app.ts", HELLO("Fixed")));
    expect(await outputOf(dev.url, "hello", "Ada")).toBe("Fixed, Ada!");
  });

  test("keeps what a memory store holds", async () => {
    const cwd = project({ "app.ts": APP });
    const dev = await serving(["dev", "--store", "memory"], { cwd });
    await post(dev.url, "/orchestrators/EternalMonitor/in-memory");
    await changed(dev, /reloaded/, () => change(cwd, "app.ts", `${APP}\n`));
    expect(await statusOf(dev.url, "in-memory")).toMatchObject({ runtimeStatus: "Running" });
    expect(existsSync(join(cwd, ".tenure"))).toBe(false);
  });
});

describe("tenure serve", () => {
  test("needs a store", async () => {
    const cwd = project({ "app.ts": APP });
    const serve = await tenure(["serve"], { cwd });
    expect(serve.code).toBe(2);
    expect(serve.stderr).toContain("TENURE_STORE");
  });

  test("takes its store from TENURE_STORE, and logs JSON on stderr alone", async () => {
    const cwd = project({ "app.ts": APP });
    const serve = await serving(["serve"], { cwd, env: { TENURE_STORE: "sqlite:state/prod.db" } });
    expect(await outputOf(serve.url, "hello", "Ada")).toBe("Hello, Ada!");
    expect(await end(serve, "SIGTERM")).toBe(0);
    expect(existsSync(join(cwd, "state", "prod.db"))).toBe(true);
    expect(serve.stdout()).toBe("");
    const lines = serve.stderr().trim().split("\n");
    const logs = lines.map((line): unknown => JSON.parse(line));
    expect(logs[0]).toMatchObject({ level: "info", msg: "serving", url: serve.url });
  });

  test("does not listen beyond loopback without a key", async () => {
    const cwd = project({ "app.ts": APP });
    for (const host of ["0.0.0.0", "::", "192.0.2.1"]) {
      const serve = await tenure(["serve", "--store", "memory", "--host", host], { cwd });
      expect(serve.code).toBe(2);
      expect(serve.stderr).toMatch(/needs a key.*TENURE_KEY or --key-file/);
    }
  });

  test("asks for the key of --key-file or TENURE_KEY, and never shows it", async () => {
    const cwd = project({ "app.ts": APP, "key.txt": "correct-horse\n" });
    const byFile = await serving(
      ["serve", "--store", "memory", "--key-file", "key.txt", "--host", "0.0.0.0"],
      { cwd },
    );
    const byEnvironment = await serving(["dev", "--store", "memory"], {
      cwd,
      env: { TENURE_KEY: "correct-horse" },
    });
    for (const server of [byFile, byEnvironment]) {
      const url = server.url.replace("0.0.0.0", "127.0.0.1");
      const workers = api(url, "/workers");
      expect((await fetch(workers)).status).toBe(401);
      expect((await fetch(workers, { headers: { "x-functions-key": "wrong" } })).status).toBe(401);
      expect((await fetch(workers, { headers: { "x-functions-key": "correct-horse" } })).status).toBe(200);
      const list = ["list", "--url", url];
      expect((await tenure(list, { cwd })).stderr).toContain("asks for its key");
      expect((await tenure(list, { cwd, env: { TENURE_KEY: "correct-horse" } })).code).toBe(0);
      expect((await tenure([...list, "--key-file", "key.txt"], { cwd })).code).toBe(0);
      expect(await end(server, "SIGTERM")).toBe(0);
      expect(server.stdout() + server.stderr()).not.toContain("correct-horse");
    }
  });

  test("refuses settings that do not fit together", async () => {
    const cwd = project({ "app.ts": APP, "empty.txt": "\n" });
    for (const args of [
      ["--store", "memory", "--db", "a.db"],
      ["--store", "redis:x"],
      ["--store", "memory", "--port", "70000"],
      ["--store", "memory", "--key-file", "gone.txt"],
      ["--store", "memory", "--key-file", "empty.txt"],
      ["--stor", "memory"],
    ]) {
      const serve = await tenure(["serve", ...args], { cwd });
      expect([args, serve.code]).toEqual([args, 2]);
      expect(serve.stderr).not.toBe("");
    }
  });
});
