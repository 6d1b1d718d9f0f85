// Workers that ended one after the other make the next one careful: src/worker/caution.ts. What real processes do to
// one another is tried in test/hostile/poison.test.ts.
import { describe, expect, test } from "vitest";
import type { Store, WorkerInfo } from "../../src/core/store.js";
import { activity, orchestration, TaskHub } from "../../src/index.js";
import { openMemoryStore } from "../../src/stores/memory/store.js";
import type { TestHub } from "../../src/testing/test-hub.js";
import { PROBATION_SETTING, Probation } from "../../src/worker/probation.js";
import { gate, NOW, onEveryStore, storeWith } from "./support.js";

const LEAVE = { activities: "leave" } as const;

/** Less time than a suspect is watched for, in the steps in which it is looked at. */
async function moments(hub: TestHub): Promise<void> {
  for (let moment = 1; moment <= 20; moment++) await hub.advance(50);
}

onEveryStore("after workers have ended one after the other", (open) => {
  /** A hub whose engine, from its next start on, finds so many workers that have ended on probation. */
  async function openWith(ended: number) {
    const held = gate();
    const began: string[] = [];
    const work = activity("work", async (ctx) => {
      began.push(ctx.instanceId);
      await held.passed;
      return ctx.instanceId;
    });
    const job = orchestration("job", async (ctx) => ctx.callActivity(work));
    const stores: Store[] = [];
    const struck: number[] = [];
    let gone: string[] = [];
    const hub = await open([job, work], {}, (store) => {
      stores.push(store);
      return storeWith(store, {
        setting: async (key) => (key === PROBATION_SETTING ? JSON.stringify(gone) : store.setting(key)),
        recordStrike: async (strike) => {
          struck.push(strike.iid);
          await store.recordStrike(strike);
        },
      });
    });
    gone = Array.from({ length: ended }, (_, index) => `gone-${index}`);
    const begin = async (...ids: string[]) => {
      for (const instanceId of ids) await hub.client.startNew(job, { instanceId });
      await hub.idle(LEAVE);
    };
    const keyOf = async (id: string) => {
      const instance = (await stores.at(-1)?.get(id))?.instance;
      if (instance === undefined) throw new Error(`no instance ${id}`);
      return { iid: instance.iid, generation: instance.generation };
    };
    const strike = async (id: string, ...workers: string[]) => {
      const { iid, generation } = await keyOf(id);
      for (const worker of workers)
        await stores.at(-1)?.recordStrike({ iid, generation: -generation, worker });
    };
    const strikes = async () => (await stores.at(-1)?.strikes())?.map(({ iid, count }) => ({ iid, count }));
    const crash = async () => {
      began.length = 0;
      await hub.crash();
    };
    return { hub, began, struck, begin, keyOf, strike, strikes, crash, held };
  }

  test("instances are taken up one at a time until all have passed, and then as ever", async () => {
    const { hub, began, struck, begin, keyOf, strikes, crash, held } = await openWith(2);
    await begin("a", "b");
    expect(struck).toEqual([]);
    await crash();
    const strikeOf = async (id = "none") => [{ iid: (await keyOf(id)).iid, count: 1 }];
    expect(began).toHaveLength(1); // either
    expect(await strikes()).toEqual(await strikeOf(began[0]));
    await hub.advance(5_000, LEAVE);
    expect(began.toSorted()).toEqual(["a", "b"]);
    expect(await strikes()).toEqual(await strikeOf(began[1]));
    await hub.advance(5_000, LEAVE);
    expect(await strikes()).toEqual([]);
    for (let look = 1; look <= 2; look++) await hub.advance(2_000, LEAVE);
    struck.length = 0;
    await begin("c", "d");
    expect(began.slice(2)).toEqual(["c", "d"]);
    expect(struck).toEqual([]);
    held.open();
    await hub.idle();
    const { instances } = await hub.client.list({ runtimeStatus: ["Completed"] });
    expect(instances).toHaveLength(4);
  });

  test("those that were under way when one ended come first", async () => {
    const { began, begin, strike, crash, held } = await openWith(3);
    await begin("a", "b");
    await strike("b", "gone-2");
    await crash();
    expect(began).toEqual(["b"]);
    held.open();
  });

  test("a turn that ends clears no strike while the activities that it began run", async () => {
    const { hub, began, strike, strikes, keyOf, held } = await openWith(3);
    await hub.stop();
    await hub.client.startNew("job", { instanceId: "a" });
    await strike("a", "gone-2");
    await hub.start();
    expect(began).toEqual(["a"]);
    expect(await strikes()).toEqual([{ iid: (await keyOf("a")).iid, count: 2 }]);
    await hub.advance(5_000, LEAVE);
    expect(await strikes()).toEqual([]);
    held.open();
  });

  test("who has come to an end passes before its time is over", async () => {
    const { hub, began, begin, strikes, crash, held } = await openWith(2);
    await begin("a", "b", "c");
    held.open();
    await crash();
    await moments(hub);
    expect(began.toSorted()).toEqual(["a", "b", "c"]);
    expect(await strikes()).toEqual([]);
  });

  test("one that was under way at three ends is parked, can be terminated, and goes on once resumed", async () => {
    const { hub, began, begin, strike, strikes, crash, held } = await openWith(5);
    await begin("a", "b", "c");
    for (const id of ["a", "b"]) await strike(id, "gone-2", "gone-3", "gone-4");
    await crash();
    expect(began).toEqual(["c"]);
    for (const id of ["a", "b"]) {
      expect(await hub.client.getStatus(id)).toMatchObject({
        runtimeStatus: "Running",
        parked: { code: "ProcessEnded" },
      });
    }
    held.open();
    await hub.client.terminate("a");
    await hub.client.resume("b");
    await moments(hub);
    expect(began).toEqual(["c", "b"]);
    expect(await hub.client.getStatus("a")).toMatchObject({ runtimeStatus: "Terminated" });
    expect(await hub.client.waitForCompletion("b", NOW)).toMatchObject({ output: "b" });
    expect((await strikes())?.length).toBe(1); // of the one that was terminated: until it is purged
  });
});

onEveryStore("with more suspects than the time suffices for", (open) => {
  test("the careful workers do not all watch the same ones first", async () => {
    const began: string[] = [];
    const stores: Store[] = [];
    const work = activity("work", async (ctx) => {
      began.push(ctx.instanceId);
      await gate().passed;
    });
    const job = orchestration("job", async (ctx) => ctx.callActivity(work));
    const hub = await open([job, work], {}, (store) => {
      stores.push(store);
      return storeWith(store, { recordStrike: async () => {} }); // or the one that was watched comes first
    });
    for (let n = 1; n <= 12; n++) await hub.client.startNew(job, { instanceId: `job-${n}` });
    await hub.idle(LEAVE);
    const first = new Set<string | undefined>();
    for (let ended = 1; ended <= 8; ended++) {
      await hub.stop();
      await stores.at(-1)?.changeSetting(PROBATION_SETTING, '["gone-1","gone-2"]');
      began.length = 0;
      await hub.start();
      first.add(began[0]);
    }
    expect(first.size).toBeGreaterThan(1);
  });
});

onEveryStore("after a single unclean end", (open) => {
  test("nothing is written, and all go on together", async () => {
    const held = gate();
    const began: string[] = [];
    const struck: number[] = [];
    let gone: string[] = [];
    const work = activity("work", async (ctx) => {
      began.push(ctx.instanceId);
      await held.passed;
    });
    const job = orchestration("job", async (ctx) => ctx.callActivity(work));
    const hub = await open([job, work], {}, (store) =>
      storeWith(store, {
        setting: async (key) => (key === PROBATION_SETTING ? JSON.stringify(gone) : store.setting(key)),
        recordStrike: async ({ iid }) => void struck.push(iid),
      }),
    );
    for (const instanceId of ["a", "b"]) await hub.client.startNew(job, { instanceId });
    await hub.idle(LEAVE);
    gone = ["gone"];
    await hub.crash();
    expect(began).toEqual(["a", "b", "a", "b"]);
    expect(struck).toEqual([]);
    held.open();
  });
});

describe("workers on probation", () => {
  const living = new Set<string>();
  const base = openMemoryStore();
  const store = storeWith(base, {
    workers: async () => [...living].map((id): WorkerInfo => ({ ...INFO, id })),
  });
  const begin = (id: string) => {
    living.add(id);
    return new Probation(store, id).begin();
  };

  test("are counted once they live no more, until one has passed", async () => {
    expect(await begin("one")).toBe(0);
    expect(await begin("beside it")).toBe(0);
    living.delete("one");
    expect(await begin("two")).toBe(1);
    living.delete("two");
    expect(await begin("beside it")).toBe(2);
    expect(await begin("three")).toBe(2);
    await new Probation(store, "never began").pass();
    expect(await begin("three")).toBe(2);
    await new Probation(store, "three").pass();
    living.delete("three");
    expect(await begin("four")).toBe(0);
    living.delete("beside it");
    expect(await begin("five")).toBe(1);
  });

  test("are not those that stop in order", async () => {
    const own = openMemoryStore();
    for (let start = 1; start <= 3; start++) {
      const kept = storeWith(own, { join: async () => {}, close: async () => {} });
      await (await TaskHub.open({ store: kept, functions: [] })).close();
      expect(await own.setting(PROBATION_SETTING)).toBe("[]");
    }
  });
});

const INFO: WorkerInfo = {
  id: "",
  host: "here",
  pid: 1,
  sinceMs: 0,
  orchestrations: [],
  activities: [],
};
