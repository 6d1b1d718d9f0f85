// Secrets, looked for by a canary in everything that is said and written.
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import { parseStore } from "../../src/cli/store-option.js";
import type { Logger } from "../../src/core/env.js";
import type { PayloadCodec } from "../../src/core/payload.js";
import { createHttpHandler } from "../../src/http/index.js";
import { activity, orchestration } from "../../src/replay/definitions.js";
import { TaskHub } from "../../src/task-hub.js";
import { cleanUp, end, project, serving, tenure } from "../cli-process.js";
import { BASE, call, httpTrigger } from "../http-kit.js";

afterAll(cleanUp);

const CANARY = "canary-9d1c77";

const COMMANDS: readonly (readonly string[])[] = [
  ["start-new", "Echo", "--id", "x"],
  ["list"],
  ["get", "x"],
  ["wait", "x"],
  ["history", "x"],
  ["executions", "x"],
  ["raise", "x", "e"],
  ["suspend", "x"],
  ["resume", "x"],
  ["terminate", "x"],
  ["rewind", "x"],
  ["restart", "x"],
  ["purge", "x", "--yes"],
  ["purge", "--all", "--yes"],
  ["singleton", "refusals"],
  ["worker", "list"],
  ["worker", "drain", "w"],
];

/** Where nothing listens; and addresses that are wrong in ways that make a password part of something else. */
const STORES = [
  `postgres://user:${CANARY}@127.0.0.1:1/db`,
  `postgres://user@127.0.0.1:1/db?password=${CANARY}`,
  `postgres://user:${CANARY}/x@127.0.0.1:1/db`,
  `postgres://user:${CANARY}#x@127.0.0.1:1/db`,
  `postgres://user:x@${CANARY}@127.0.0.1:1/db?schema=BAD`,
  `postgres://user:${CANARY}@127.0.0.1:port/db`,
  `postgres://user:%zz${CANARY}@127.0.0.1:1/db`,
  `postgres://user:${CANARY}@127.0.0.1:1/db?pooled=maybe`,
  `postgres://user:${CANARY}@127.0.0.1:1/db?leaseMs=1`,
  `postgres:/user:${CANARY}@127.0.0.1:1/db`,
  `mysql://user:${CANARY}@127.0.0.1:1/db`,
];

const APP = 'import { orchestration } from "tenure"; export const e = orchestration("E", async () => 1);';

describe("the password of a store is not said", () => {
  test("by any command that cannot reach it", { timeout: 120_000 }, async () => {
    const cwd = project({ "app.mjs": APP });
    const [store = ""] = STORES;
    const lines = [
      ...COMMANDS.map((command) => [...command, "--store", store]),
      ["db", "status", "--store", store],
      ["db", "migrate", "--store", store],
      ["db", "print", "--store", store],
      ["serve", "app.mjs", "--port", "0", "--store", store],
      ["serve", "app.mjs", "--port", "0"], // by TENURE_STORE
    ];
    for (const args of lines) {
      const { code, stdout, stderr } = await tenure(args, {
        cwd,
        env: { TENURE_DEBUG: "1", TENURE_STORE: store },
      });
      const prints = args[1] === "print";
      expect([args, code === 0]).toEqual([args, prints]);
      // It was tried to reach it: else nothing was there to be said.
      expect([args, prints || stderr.includes("127.0.0.1:1")]).toEqual([args, true]);
      expect(stdout + stderr).not.toContain(CANARY);
    }
  });

  test.each(STORES)("by any error, with its cause and stack: %s", async (store) => {
    const errors: unknown[] = [];
    const keep = (error: unknown): void => void errors.push(error);
    try {
      parseStore(store);
    } catch (error) {
      keep(error);
    }
    await TaskHub.open({ store, functions: [] }).then((hub) => hub.close(), keep);
    await TaskHub.connect({ store }).then((connection) => connection.close(), keep);
    expect(errors.length).toBeGreaterThanOrEqual(2);
    for (const error of errors) expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(CANARY);
  });
});

test("a server's key is said by no command, and not by the server", { timeout: 120_000 }, async () => {
  const cwd = project({ "app.mjs": APP, key: CANARY });
  const env = { TENURE_KEY: CANARY, TENURE_DEBUG: "1", TENURE_STORE: "memory" };
  const server = await serving(["serve", "app.mjs"], { cwd, env });
  await fetch(`${server.url}${BASE}/instances/none?code=${CANARY}`);
  await fetch(`${server.url}${BASE}/instances?top=x&code=${CANARY}`, {
    headers: { "x-functions-key": CANARY },
  });
  for (const [key, args] of [
    [CANARY, ["list", "--url", server.url]],
    [CANARY, ["get", "none", "--url", server.url]],
    [`${CANARY}-wrong`, ["list", "--url", server.url]],
    [CANARY, ["list", "--url", "http://127.0.0.1:1"]],
    ["", ["list", "--url", server.url, "--key-file", "key"]],
    ["", ["list", "--url", `http://user:${CANARY}@127.0.0.1:1`]],
    ["", ["list", "--url", `http://user:${CANARY}@ 127.0.0.1:1`]],
    ["", ["list", "--url", `${server.url}/?code=${CANARY}`]],
  ] as const) {
    const { stdout, stderr } = await tenure(args, { cwd, env: { TENURE_DEBUG: "1", TENURE_KEY: key } });
    expect(stdout + stderr).not.toContain(CANARY);
  }
  expect(await end(server, "SIGTERM")).toBe(0);
  expect(server.stdout() + server.stderr()).toMatch(/refused/); // it did log
  expect(server.stdout() + server.stderr()).not.toContain(CANARY);
});

/** Encrypts with AES-256-GCM; what it makes begins with the name of its key. */
function encrypting(key: Buffer): PayloadCodec {
  return {
    encode: (json) => {
      const iv = randomBytes(12);
      const cipher = createCipheriv("aes-256-gcm", key, iv);
      const body = Buffer.concat([cipher.update(json, "utf8"), cipher.final()]);
      return `k1:${Buffer.concat([iv, cipher.getAuthTag(), body]).toString("base64")}`;
    },
    decode: (payload) => {
      const bytes = Buffer.from(payload.slice(3), "base64");
      const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, 12)).setAuthTag(
        bytes.subarray(12, 28),
      );
      return Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString("utf8");
    },
  };
}

describe("payloads", () => {
  const pass = activity("pass", async (_ctx, value: unknown) => value);
  const child = orchestration("Child", async (_ctx, value: unknown) => value);
  const carries = orchestration("Carries", async (ctx, value: unknown) => {
    ctx.setCustomStatus({ value });
    const passed = await ctx.callActivity(pass, value);
    const back = await ctx.callSubOrchestrator(child, passed, { instanceId: "carried-child" });
    return [back, await ctx.waitForExternalEvent("go")];
  });
  const trigger = httpTrigger("Say", { methods: ["POST"] }, async (_request, { json }) => json());

  /** Sends the canary as input, event, custom status, activity's and child's value; gives what was logged and kept. */
  async function carry(
    codec: PayloadCodec | undefined,
  ): Promise<{ logged: string; kept: string; seen: string }> {
    const folder = mkdtempSync(join(tmpdir(), "tenure-canary-"));
    const logged: string[] = [];
    const log = (message: string, fields?: object): void => {
      logged.push(
        JSON.stringify({ message, ...fields }, (_key, value: unknown) =>
          value instanceof Error ? value.stack : value,
        ),
      );
    };
    const logger: Logger = { debug: log, info: log, warn: log, error: log };
    const hub = await TaskHub.open({
      store: `sqlite:${join(folder, "hub.db")}`,
      functions: [pass, child, carries, trigger],
      logger,
      ...(codec === undefined ? {} : { codec }),
    });
    const handler = createHttpHandler(hub, { logger });
    const json = { secret: CANARY };
    expect((await call(handler, "POST", `${BASE}/orchestrators/Carries/carried`, { json })).status).toBe(202);
    await call(handler, "POST", `${BASE}/orchestrators/Carries/carried`, { json });
    await call(handler, "POST", `${BASE}/orchestrators/Carries/carried2`, { body: `{"secret":"${CANARY}"` });
    await call(handler, "POST", "/api/Say", { json });
    await call(handler, "POST", `${BASE}/instances/carried/raiseEvent/go`, { json });
    await hub.client.waitForCompletion("carried", { timeoutMs: 20_000 });
    const seen = (
      await call(handler, "GET", `${BASE}/instances/carried?showHistory=true&showHistoryOutput=true`)
    ).text;
    const kept = (): string =>
      readdirSync(folder)
        .map((name) => readFileSync(join(folder, name), "latin1"))
        .join("");
    const whileOpen = kept();
    await hub.close({ drainMs: 1000 });
    const all = whileOpen + kept();
    rmSync(folder, { recursive: true, force: true });
    return { logged: logged.join("\n"), kept: all, seen };
  }

  test("are in no log, however much is logged", async () => {
    const { logged, kept } = await carry(undefined);
    expect(kept).toContain(CANARY); // without a codec they are text in the file: the canary can be found
    expect(logged).toContain("a request was refused");
    expect(logged).not.toContain(CANARY);
  });

  test("are nowhere in the database with a codec that encrypts, and come back whole", async () => {
    const { logged, kept, seen } = await carry(encrypting(randomBytes(32)));
    expect(seen.split(CANARY).length).toBeGreaterThan(5);
    expect(kept).toContain("k1:");
    expect(kept).not.toContain(CANARY);
    expect(logged).not.toContain(CANARY);
  });
});

describe("a log line is one line", () => {
  const NASTY = "x\r\n2026-01-01 info forged\u001b[2K\u2028\u0085y";

  test.each(["readable", "json"])("%s, whatever apps and callers write into it", async (form) => {
    const cwd = project({
      "app.mjs": `
        import { httpTrigger, orchestration } from "tenure";
        const nasty = ${JSON.stringify(NASTY)};
        export const bad = httpTrigger("Bad", {}, (_request, { log }) => {
          log.info(nasty, { [nasty]: nasty });
          throw new Error(nasty);
        });
        export const odd = orchestration(nasty.replace(/[^ -~]/g, ""), async () => 1);
      `,
    });
    const command =
      form === "json" ? ["serve", "app.mjs", "--store", "memory"] : ["dev", "app.mjs", "--store", "memory"];
    const server = await serving(command, { cwd, env: { TENURE_DEBUG: "1" } });
    await fetch(`${server.url}/api/Bad?${encodeURIComponent(NASTY)}`);
    await fetch(`${server.url}/${encodeURIComponent(NASTY)}`);
    await fetch(`${server.url}${BASE}/orchestrators/${encodeURIComponent(NASTY)}/x`, {
      method: "POST",
      body: "1",
    });
    await fetch(`${server.url}${BASE}/instances/x`, { headers: { "user-agent": "\u0085\u009b" } });
    expect(await end(server, "SIGTERM")).toBe(0);
    const written = server.stderr();
    expect(written).toContain("forged");
    // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
    expect(written).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029]/);
    const lines = written.trim().split("\n");
    expect(lines.filter((line) => form === "json" && !/^\{"level":.*\}$/.test(line))).toEqual([]);
    expect(lines.filter((line) => line.startsWith("2026-01-01 info forged"))).toEqual([]);
  });

  test("also of the thread that names a turn which blocks", { timeout: 60_000 }, async () => {
    const cwd = project({
      "app.mjs": `
        import { orchestration } from "tenure";
        export const blocks = orchestration("Blocks\\u2028\\u202eskcolB", async () => {
          const end = Date.now() + 4000;
          while (Date.now() < end);
        });
      `,
    });
    const server = await serving(["serve", "app.mjs", "--db", "hub.db"], { cwd });
    const name = encodeURIComponent("Blocks\u2028\u202eskcolB");
    await fetch(`${server.url}${BASE}/orchestrators/${name}/x%E2%80%A8%E2%80%AEy`, { method: "POST" });
    await server.said(/has blocked this process/);
    expect(await end(server, "SIGTERM")).toBe(0);
    const line =
      server
        .stderr()
        .split("\n")
        .find((each) => each.includes("has blocked")) ?? "";
    expect(line).toMatch(/^[ -~]+$/);
    expect(JSON.parse(line)).toMatchObject({
      instanceId: "x\u2028\u202ey",
      orchestrator: "Blocks\u2028\u202eskcolB",
    });
  });
});
