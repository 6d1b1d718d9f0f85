import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { StoreHeldError } from "../../core/errors.js";
import type { Tags } from "../../core/instance.js";
import { startPolicy } from "../../core/start-policy.js";
import type { ChangeHint, Store, WorkerInfo } from "../../core/store.js";
import { openSqliteStore } from "./store.js";

test("a second engine is told at once who holds the file", async () => {
  const file = await temporaryFile();
  const { child } = await runEngine(file);
  const store = await open(file);
  const before = performance.now();
  const refused = await store.join(WORKER).catch((error: unknown) => error);
  expect(performance.now() - before).toBeLessThan(1_500);
  expect(refused).toBeInstanceOf(StoreHeldError);
  expect(refused).toMatchObject({ pid: child.pid, host: "here" });
});

test("a second engine is not sent to a process that has ended, when the first has not said yet who it is", async () => {
  const file = await temporaryFile();
  const { child } = await runEngine(file);
  const [first, second] = [await open(file), await open(file)];
  await kill(child);
  await first.join({ ...WORKER, pid: Number(child.pid), host: hostname() }); // as the row still is while it joins
  const refused = await second.join(WORKER).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(StoreHeldError);
  expect(refused).toMatchObject({ pid: undefined, host: undefined });
});

test("an engine that was killed has let go of the file", async () => {
  const file = await temporaryFile();
  const { child } = await runEngine(file);
  const store = await open(file);
  await kill(child);
  const before = performance.now();
  await store.join(WORKER);
  expect(performance.now() - before).toBeLessThan(1_500);
  expect(await store.workers()).toEqual([WORKER]);
});

test("the workers of a hub are those of an engine that is alive", async () => {
  const file = await temporaryFile();
  const { child } = await runEngine(file);
  const store = await open(file);
  const other = await open(file, "other");
  expect((await store.workers()).map(({ id }) => id)).toEqual(["engine-child"]);
  expect(await other.workers()).toEqual([]);
  await kill(child);
  expect(await store.workers()).toEqual([]);
});

test("an engine can join while others ask all the time whether there is one", async () => {
  const file = await temporaryFile();
  const [store, asking] = [await open(file), await open(file)];
  const done = new AbortController();
  const asks = (async () => {
    while (!done.signal.aborted) await asking.workers();
  })();
  for (let round = 0; round < 20; round++) {
    const engine = await openSqliteStore({ file, inline: true });
    await engine.join(WORKER);
    await engine.close();
  }
  await expect(store.join(WORKER)).resolves.toBeUndefined();
  done.abort();
  await asks;
});

test("two hubs in a file have one engine between them", async () => {
  const file = await temporaryFile();
  const [store, other] = [await open(file), await open(file, "other")];
  await store.join(WORKER);
  await expect(other.join({ ...WORKER, id: "worker-2" })).rejects.toThrow(StoreHeldError);
  await store.close();
  await other.join({ ...WORKER, id: "worker-2" });
});

test("a start that was answered is there after a kill", async () => {
  const file = await temporaryFile();
  const answered: string[] = [];
  const { child } = run("start.mjs", [file, "1000000", "order-", "thread"], (line) => answered.push(line));
  await waitUntil(() => answered.length > 50);
  await kill(child);
  const store = await open(file);
  expect(answered.length).toBeGreaterThan(50);
  for (const line of answered) {
    const record = await store.get(line.replace("started ", ""));
    expect(record?.instance.status).toBe("Pending");
  }
});

test.each(["inline", "thread"])(
  "processes that open an empty file at once and start the same IDs (%s)",
  async (mode) => {
    const file = await temporaryFile();
    const answers: string[] = [];
    const children = Array.from({ length: 4 }, () =>
      run("start.mjs", [file, "25", "order-", mode], (line) => answers.push(line)),
    );
    const ends = await Promise.all(children.map(({ ended }) => ended));
    expect(ends).toEqual([0, 0, 0, 0]);
    expect(answers).toHaveLength(100);
    const started = answers.filter((answer) => answer.startsWith("started "));
    expect(new Set(started).size).toBe(25);
    expect(started).toHaveLength(25);
  },
);

test("an open store that is idle does not keep its process alive", async () => {
  const { ended } = run("start.mjs", [await temporaryFile(), "1", "order-", "thread"], () => {});
  expect(await ended).toBe(0);
});

test("what another process writes is noticed within a moment, what this one writes is not news", async () => {
  const file = await temporaryFile();
  const store = await open(file);
  const hints: ChangeHint[] = [];
  store.subscribe((hint) => hints.push(hint));
  await start(store, "here-1");
  await waitUntil(() => hints.length > 0);
  await sleep(200);
  expect(hints).toEqual([{ from: "here", instanceIds: ["here-1"], messages: true }]);
  hints.length = 0;
  const { ended } = run("start.mjs", [file, "1", "elsewhere-", "inline"], () => {});
  await ended;
  await waitUntil(() => hints.length > 0);
  expect(hints[0]).toEqual({ from: "elsewhere" });
});

test("a turn that blocks the main thread is a strike until it ends, and is named on stderr", async () => {
  const lines: string[] = [];
  const { child, ended } = run("block.mjs", [await temporaryFile()], (line) => lines.push(line));
  let errors = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  expect(await ended).toBe(0);
  expect(lines).toEqual(["after a second", '[{"iid":1,"generation":1,"count":1}]', "[]"]);
  expect(errors).toContain("orchestrator 'Loop' (instance 'stuck-1') has blocked this process");
  expect(errors.trim().split("\n")).toHaveLength(1);
});

test("what cannot be sent to the thread fails alone", async () => {
  const store = await open(await temporaryFile());
  const tags = {};
  Reflect.set(tags, "priority", () => "high");
  const settled = await Promise.allSettled([
    start(store, "order-1"),
    start(store, "order-2", tags),
    start(store, "order-3"),
  ]);
  expect(settled).toMatchObject([
    { value: "started" },
    { reason: { code: "EngineFault" } },
    { value: "started" },
  ]);
});

test("close waits for what was asked before it", async () => {
  const file = await temporaryFile();
  const store = await openSqliteStore({ file });
  const answers = Array.from({ length: 700 }, (_, index) => start(store, `order-${index}`));
  await store.close();
  expect(new Set(await Promise.all(answers))).toEqual(new Set(["started"]));
  const again = await open(file);
  expect(await again.get("order-699")).toBeDefined();
});

const WORKER: WorkerInfo = {
  id: "worker-1",
  host: "test",
  pid: process.pid,
  sinceMs: 1,
  orchestrations: ["Order"],
  activities: ["charge"],
};

async function temporaryFile(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tenure-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return join(folder, "hub.db");
}

async function open(file: string, taskHub = "default"): Promise<Store> {
  const store = await openSqliteStore({ file, taskHub });
  onTestFinished(() => store.close());
  return store;
}

async function start(store: Store, instanceId: string, tags: Tags = {}): Promise<string | undefined> {
  const [answer] = await store.execute([
    {
      kind: "start",
      instanceId,
      atMs: Date.now(),
      name: "Order",
      tags,
      executionId: instanceId.padStart(32, "0"),
      policy: startPolicy(),
    },
  ]);
  return answer?.outcome;
}

interface Run {
  readonly child: ChildProcess;
  /** The exit code, or null when it was killed. */
  readonly ended: Promise<number | null>;
}

/** Runs a child against the built store. */
function run(script: string, args: readonly string[], onLine: (line: string) => void): Run {
  const path = fileURLToPath(new URL(`./children/${script}`, import.meta.url));
  const child = spawn(process.execPath, [path, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  createInterface({ input: child.stdout }).on("line", onLine);
  const ended = new Promise<number | null>((resolve) => {
    child.on("close", (code) => resolve(code));
  });
  return { child, ended };
}

async function runEngine(file: string): Promise<Run> {
  const lines: string[] = [];
  const engine = run("engine.mjs", [file], (line) => lines.push(line));
  await waitUntil(() => lines.includes("joined"));
  return engine;
}

async function kill(child: ChildProcess): Promise<void> {
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
}

async function waitUntil(isTrue: () => boolean): Promise<void> {
  for (let tries = 0; tries < 1_000 && !isTrue(); tries++) {
    await sleep(10);
  }
}
