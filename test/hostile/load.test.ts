import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Store } from "../../src/core/store.js";
import { activity, orchestration, TaskHub } from "../../src/index.js";
import { MemoryDatabase } from "../../src/stores/memory/database.js";
import { openMemoryStore } from "../../src/stores/memory/store.js";
import { openSqliteStore } from "../../src/stores/sqlite/store.js";
import { TestHub } from "../../src/testing/test-hub.js";
import { textWith } from "../orchestration/support.js";
import { onMemorySqliteAndPostgres, SOON } from "./stores.js";

describe("a history of 100,000 events", () => {
  const ROUNDS = 8;
  const WIDE = 6_250;
  let calls = 0;
  let replayed = 0;
  const count = activity("count", () => {
    calls += 1;
  });
  /** Each call is an event when it is scheduled, and another when it is answered. */
  const long = orchestration("long", async (ctx) => {
    for (let round = 0; round < ROUNDS; round++)
      await ctx.all(Array.from({ length: WIDE }, () => ctx.callActivity(count)));
    replayed += 1;
    await ctx.waitForExternalEvent("go");
    ctx.setCustomStatus("gone on");
    await ctx.waitForExternalEvent("never");
  });

  test.each<[name: string, data: () => { readonly open: () => Promise<Store>; readonly remove: () => void }]>(
    [
      [
        "memory",
        () => {
          const database = new MemoryDatabase();
          return { open: async () => openMemoryStore({ database }), remove: () => {} };
        },
      ],
      [
        "SQLite",
        () => {
          const folder = mkdtempSync(join(tmpdir(), "tenure-hostile-"));
          const open = (): Promise<Store> => openSqliteStore({ file: join(folder, "hub.db"), inline: true });
          return { open, remove: () => rmSync(folder, { recursive: true }) };
        },
      ],
    ],
  )("builds, is replayed after a crash, and can be terminated and purged (%s)", async (_store, data) => {
    calls = 0;
    replayed = 0;
    const { open, remove } = data();
    const hub = await TestHub.open({ functions: [long, count], replayEveryTurn: false }, open);
    try {
      await hub.client.startNew(long, { instanceId: "long" });
      await hub.idle();
      expect([calls, replayed]).toEqual([ROUNDS * WIDE, 1]);
      const before = process.memoryUsage().rss;
      await hub.crash();
      await hub.client.raiseEvent("long", "go");
      await hub.idle();
      expect(await hub.client.getStatus("long")).toMatchObject({ customStatus: "gone on" });
      // From its beginning, and nothing of it ran again.
      expect([calls, replayed]).toEqual([ROUNDS * WIDE, 2]);
      expect(process.memoryUsage().rss - before).toBeLessThan(600 * 2 ** 20);
      expect((await hub.client.getHistory("long"))?.events.length).toBeGreaterThan(100_000);
      await hub.client.terminate("long");
      expect(await hub.client.purge("long")).toBe(1);
      expect(await hub.client.getHistory("long")).toBeUndefined();
    } finally {
      await hub.close();
      remove();
    }
  });
});

let spins = 0;
const spin = orchestration("spin", async (ctx) => {
  spins += 1;
  ctx.continueAsNew();
});
const step = activity("step", (_ctx, number: number) => number + 1);
const steps = orchestration("steps", async (ctx, count: number) => {
  let number = 0;
  for (let index = 0; index < count; index++) number = await ctx.callActivity(step, number);
  return number;
});
/** Its signal tells when nobody waits for it any more. */
let aborted = 0;
const never = activity("never", (ctx) => {
  ctx.signal.addEventListener("abort", () => {
    aborted += 1;
  });
  return new Promise(() => {});
});
const stuck = orchestration("stuck", async (ctx, count: number) =>
  ctx.all(Array.from({ length: count }, () => ctx.callActivity(never))),
);

onMemorySqliteAndPostgres("while one instance", [spin, step, steps, never, stuck], (hub) => {
  test("continues as new for ever, others end, and it can be terminated", async () => {
    const { client } = hub();
    for (const instanceId of ["spin 1", "spin 2"]) await client.startNew(spin, { instanceId });
    const starts = await Promise.all(Array.from({ length: 20 }, () => client.startNew(steps, { input: 5 })));
    const began = spins;
    expect(await Promise.all(starts.map((start) => start.result(SOON)))).toEqual(starts.map(() => 5));
    expect(spins).toBeGreaterThan(began); // or nothing was in their way
    for (const id of ["spin 1", "spin 2"]) await client.terminate(id);
    for (const id of ["spin 1", "spin 2"])
      expect(await client.waitForCompletion(id, SOON)).toMatchObject({ runtimeStatus: "Terminated" });
    // Of a turn that was under way, one more.
    const ended = spins;
    await (await client.startNew(steps, { input: 10 })).result(SOON);
    expect(spins - ended).toBeLessThanOrEqual(2);
  });

  test("waits for activities that never settle, others end, and it can be terminated: its activities are told", async () => {
    const { client } = hub();
    const before = aborted;
    await client.startNew(stuck, { instanceId: "stuck", input: 500 });
    await client.waitForStart("stuck", SOON);
    expect(await (await client.startNew(steps, { input: 5 })).result(SOON)).toBe(5);
    await client.terminate("stuck");
    expect(await client.getStatus("stuck")).toMatchObject({ runtimeStatus: "Terminated" });
    await expect.poll(() => aborted - before, { timeout: 20_000 }).toBe(500);
  });
});

describe("many things for one instance", () => {
  test("10,000 events of as many names, taken from the last to the first", async () => {
    const COUNT = 9_999; // and one more: all that may wait
    const reversed = orchestration("reversed", async (ctx) => {
      await ctx.waitForExternalEvent("all");
      let sum = 0;
      for (let index = COUNT - 1; index >= 0; index--)
        sum += await ctx.waitForExternalEvent<number>(`Event ${index}`);
      return sum;
    });
    await using hub = await TaskHub.open({ store: "memory", functions: [reversed] });
    const start = await hub.client.startNew(reversed);
    for (let index = 0; index < COUNT; index++)
      await hub.client.raiseEvent(start.instanceId, `EVENT ${index}`, index);
    await hub.client.raiseEvent(start.instanceId, "all");
    expect(await start.result(SOON)).toBe((COUNT * (COUNT - 1)) / 2);
  });

  test("10,000 activities pending at once, more than may run: each runs once, and others get their turn", async () => {
    let runs = 0;
    const slow = activity("slow", async () => {
      runs += 1;
      await Promise.resolve();
    });
    const wide = orchestration("wide", async (ctx) => {
      const results = await ctx.all(Array.from({ length: 10_000 }, () => ctx.callActivity(slow)));
      return results.length;
    });
    const peek = activity("peek", () => runs);
    const peeks = orchestration("peeks", async (ctx) => ctx.callActivity(peek));
    await using hub = await TaskHub.open({
      store: "memory",
      functions: [wide, slow, peek, peeks],
      maxConcurrentActivities: 2,
    });
    const many = await hub.client.startNew(wide);
    const few = await hub.client.startNew(peeks);
    expect(await few.result(SOON)).toBeLessThan(10_000);
    expect(await many.result(SOON)).toBe(10_000);
    expect(runs).toBe(10_000);
  });

  test("100,000 tasks may be pending; one more fails the instance by the limit's name", async () => {
    const timers = orchestration("timers", async (ctx, count: number) => {
      for (let index = 0; index < count; index++) ctx.sleep(1e12);
      return ctx.waitForExternalEvent("go");
    });
    await using hub = await TaskHub.open({ store: "memory", functions: [timers] });
    const { client } = hub;
    const most = await client.startNew(timers, { input: 100_000 });
    const more = await client.startNew(timers, { input: 100_001 });
    expect(await more.waitForCompletion(SOON)).toMatchObject({
      failure: { type: "LimitExceededError", message: textWith('"pending tasks" is 100000') },
    });
    expect((await client.waitForStart(most.instanceId, SOON)).runtimeStatus).toBe("Running");
    await client.terminate(most.instanceId);
  });
});
