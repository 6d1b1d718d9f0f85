import { randomBytes } from "node:crypto";
import pg from "pg";
import { afterEach, describe, expect, inject, test } from "vitest";
import { silentLogger } from "../../src/core/env.js";
import type { Store } from "../../src/core/store.js";
import { activity, orchestration, TaskHub, type TaskHubOptions } from "../../src/index.js";
import { MemoryDatabase } from "../../src/stores/memory/database.js";
import { openMemoryStore } from "../../src/stores/memory/store.js";
import { openPostgresStore } from "../../src/stores/postgres/store.js";
import { systemEnv } from "../../src/system-env.js";

const server = inject("postgresUrl") ?? "";

interface SharedData {
  readonly open: () => Promise<Store>;
  readonly remove: () => Promise<void>;
}

function onMemory(): SharedData {
  const database = new MemoryDatabase();
  const leases = { now: () => Date.now(), renewMs: 100 };
  return { open: async () => openMemoryStore({ database, leases }), remove: async () => {} };
}

function onPostgres(): SharedData {
  const schema = `shared_${randomBytes(6).toString("hex")}`;
  const url = new URL(server);
  url.searchParams.set("schema", schema);
  return {
    open: () => openPostgresStore({ url: url.href }),
    remove: async () => {
      const admin = new pg.Client({ connectionString: server });
      await admin.connect();
      await admin.query(`drop schema if exists ${schema} cascade`);
      await admin.end();
    },
  };
}

const STORES = [
  { name: "memory", data: onMemory },
  ...(server === "" ? [] : [{ name: "PostgreSQL", data: onPostgres }]),
];

/** A door that activities wait at. */
class Gate {
  readonly #opened: Promise<void>;
  open: () => void = () => {};

  constructor() {
    this.#opened = new Promise((resolve) => {
      this.open = resolve;
    });
  }

  pass(): Promise<void> {
    return this.#opened;
  }
}

/** Looks until something is as it should be. */
async function until(look: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await look())) {
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
}

const numbered = (count: number, name: string): string[] =>
  Array.from({ length: count }, (_each, index) => `${name}-${index}`);

describe.each(STORES)("engines that share a hub ($name)", ({ data }) => {
  const closing: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).toReversed()) await close();
  });

  /** How further engines are opened on the same hub. */
  function hub(): (
    functions: TaskHubOptions["functions"],
    options?: Partial<TaskHubOptions>,
  ) => Promise<{ readonly hub: TaskHub; readonly store: Store }> {
    const { open, remove } = data();
    closing.push(remove);
    return async (functions, options = {}) => {
      const store = await open();
      const opened = await TaskHub.open({ functions, ...options, store });
      closing.push(() => opened.close({ drainMs: 0 }));
      return { hub: opened, store };
    };
  }

  /** Once these workers hold this many shards at least. */
  const spread = (store: Store, workers: number, shards = 60): Promise<void> =>
    until(async () => {
      const shown = await store.workers();
      return shown.filter((worker) => (worker.shards ?? 0) >= shards).length === workers;
    });

  const renderAt = (place: string) =>
    activity("render", { queue: "gpu" }, (_ctx, page: number) => `${place} ${page}`);
  const render = orchestration("render", async (ctx, pages: number[]) =>
    ctx.all(pages.map((page) => ctx.callActivity(renderAt("nowhere"), page))),
  );

  test("run the activities of a queue where that queue is served, whoever runs the orchestration", async () => {
    const open = hub();
    const one = await open([render, renderAt("one")], { queues: ["cpu"] });
    await open([render, renderAt("two")], { queues: ["gpu"] });
    await spread(one.store, 2);
    for (const instanceId of numbered(6, "book")) {
      const start = await one.hub.client.startNew(render, { instanceId, input: [1, 2, 3] });
      expect(await start.result()).toEqual(["two 1", "two 2", "two 3"]);
    }
  });

  test("let a queued activity that nobody has registered wait, visibly, until somebody comes who has", async () => {
    const open = hub();
    const one = await open([render]);
    const start = await one.hub.client.startNew(render, { instanceId: "book", input: [1] });
    await until(async () => (await one.hub.client.getStatus("book"))?.parked !== undefined);
    const status = await one.hub.client.getStatus("book");
    expect(status).toMatchObject({ runtimeStatus: "Running", parked: { code: "UnregisteredName" } });
    expect(status?.parked?.message).toContain('activity "render"');
    await open([renderAt("two")]);
    expect(await start.result()).toEqual(["two 1"]);
    expect((await one.hub.client.getStatus("book"))?.parked).toBeUndefined();
  });

  const report = orchestration("report", async (ctx, rounds: number): Promise<string> => {
    const doubled = await ctx.callActivity(double, rounds);
    await ctx.sleep(1);
    const child = await ctx.callSubOrchestrator(part, doubled);
    const word = await ctx.waitForExternalEvent<string>("word");
    if (rounds > 1) {
      ctx.continueAsNew(rounds - 1);
      return "";
    }
    return `${child} ${word}`;
  });
  const part = orchestration(
    "part",
    async (ctx, value: number) => (await ctx.callActivity(double, value)) + 1,
  );
  const double = activity("double", (_ctx, value: number) => value * 2);
  const other = orchestration("other", async (ctx) => ctx.instanceId);

  test("run an orchestration where it is registered, whoever owns its instance", async () => {
    const open = hub();
    const one = await open([other]);
    const two = await open([report, part, double]);
    await spread(one.store, 2);
    const ids = numbered(12, "report");
    const starts = await Promise.all(
      ids.map((instanceId) => two.hub.client.startNew(report, { instanceId, input: 2 })),
    );
    for (const instanceId of ids) {
      await one.hub.client.raiseEvent(instanceId, "word", "first");
      await one.hub.client.raiseEvent(instanceId, "word", "second");
    }
    const results = await Promise.all(starts.map((start) => start.result()));
    expect(results).toEqual(ids.map(() => "5 second"));
  });

  test("let an orchestration that nobody has registered wait, visibly, until somebody comes who has", async () => {
    const open = hub();
    const one = await open([other]);
    const start = await one.hub.client.startNew(report, {
      instanceId: "report",
      input: 1,
      allowUnregistered: true,
    });
    await until(async () => (await one.hub.client.getStatus("report"))?.parked !== undefined);
    expect((await one.hub.client.getStatus("report"))?.parked?.message).toContain('orchestration "report"');
    await open([report, part, double]);
    await one.hub.client.raiseEvent("report", "word", "late");
    expect(await start.result()).toBe("5 late");
  });

  test("offer activities that the orchestration's process has not registered to one that has", async () => {
    const open = hub();
    const one = await open([part]);
    const two = await open([double]);
    await spread(one.store, 2);
    for (const instanceId of numbered(6, "part")) {
      const start = await two.hub.client.startNew(part, { instanceId, input: 4 });
      expect(await start.result()).toBe(9);
    }
  });

  test("hand shards over without a second run of what has begun, nor of what has not", async () => {
    const gate = new Gate();
    const runs: string[] = [];
    const aborted: string[] = [];
    const long = activity("long", async (ctx, number: number) => {
      runs.push(`${ctx.instanceId} ${number}`);
      ctx.signal.addEventListener("abort", () => aborted.push(ctx.instanceId));
      await gate.pass();
      return number;
    });
    const waits = orchestration("waits", async (ctx) =>
      ctx.all([1, 2].map((number) => ctx.callActivity(long, number))),
    );
    const open = hub();
    // Of the two activities of each instance one has begun at most when the shards go.
    const one = await open([waits, long], { maxConcurrentActivities: 20 });
    await spread(one.store, 1, 256);
    const ids = numbered(20, "waits");
    const starts = await Promise.all(ids.map((instanceId) => one.hub.client.startNew(waits, { instanceId })));
    await until(() => runs.length === 20);
    const two = await open([waits, long], { maxConcurrentActivities: 20 });
    await spread(two.store, 2);
    gate.open();
    const results = await Promise.all(starts.map((start) => start.result()));
    expect(results).toEqual(ids.map(() => [1, 2]));
    expect(runs.toSorted()).toEqual(ids.flatMap((id) => [`${id} 1`, `${id} 2`]).toSorted());
    expect(aborted).toEqual([]);
  });

  test("go by the store's clock: one whose own is ahead begins nothing early", async () => {
    const hour = 3_600_000;
    const real = systemEnv(silentLogger);
    const open = hub();
    const ahead = await open([other], { env: { ...real, now: () => real.now() + hour } });
    await spread(ahead.store, 1, 256);
    const right = await open([other]);
    const starts = await Promise.all(
      numbered(20, "later").map((instanceId) =>
        right.hub.client.startNew(other, { instanceId, startAt: new Date(real.now() + hour / 2) }),
      ),
    );
    await spread(ahead.store, 2);
    for (const instanceId of numbered(10, "soon")) {
      const startAt = new Date(real.now() + 50);
      const soon = await right.hub.client.startNew(other, { instanceId, startAt });
      expect(await soon.result()).toBe(instanceId);
    }
    for (const { instanceId } of starts)
      expect((await right.hub.client.getStatus(instanceId))?.runtimeStatus).toBe("Pending");
  });

  test("take no tasks once they drain, and finish those that they have", async () => {
    const gate = new Gate();
    const open = hub();
    const one = await open([render], { queues: [] });
    const slow = activity("render", { queue: "gpu" }, async (_ctx, page: number) => {
      await gate.pass();
      return `two ${page}`;
    });
    const two = await open([slow]);
    const begun = await one.hub.client.startNew(render, { instanceId: "begun", input: [1] });
    await until(() => two.hub.status().activities === 1);
    const [drained] = (await one.store.workers()).filter(({ activities }) => activities.includes("render"));
    await one.hub.client.drainWorker(drained?.id ?? "");
    await until(() => two.hub.status().lease?.draining === true);
    const later = await one.hub.client.startNew(render, { instanceId: "later", input: [1] });
    await open([renderAt("three")]);
    expect(await later.result()).toEqual(["three 1"]);
    gate.open();
    expect(await begun.result()).toEqual(["two 1"]);
  });

  test("give back what they hold of others when they close", async () => {
    const gate = new Gate();
    const open = hub();
    const one = await open([render], { queues: [] });
    const stuck = activity("render", { queue: "gpu" }, async () => gate.pass());
    const two = await open([stuck]);
    const start = await one.hub.client.startNew(render, { instanceId: "book", input: [1] });
    await until(() => two.hub.status().activities === 1);
    await two.hub.close({ drainMs: 0 });
    await open([renderAt("three")]);
    expect(await start.result()).toEqual(["three 1"]);
    gate.open();
  });
});
