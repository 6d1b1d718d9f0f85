import { once } from "node:events";
import { afterEach, describe, expect, test } from "vitest";
import { silentLogger } from "../../src/core/env.js";
import {
  EngineFaultError,
  StoreClosedError,
  StoreConflictError,
  StoreFailedError,
  StoreUnusableError,
  type TenureError,
} from "../../src/core/errors.js";
import type { HistoryEvent } from "../../src/core/history.js";
import { decodeChunk, encodeChunk } from "../../src/core/history-codec.js";
import type { Store } from "../../src/core/store.js";
import { activity, orchestration, TaskHub, type TaskHubOptions } from "../../src/index.js";
import { MemoryDatabase } from "../../src/stores/memory/database.js";
import { openMemoryStore } from "../../src/stores/memory/store.js";
import { systemEnv } from "../../src/system-env.js";
import { gate, storeWith } from "./support.js";

/** As ever, but nobody sleeps for long. */
const hasty = systemEnv(silentLogger);
const env = { ...hasty, sleep: (ms: number, signal?: AbortSignal) => hasty.sleep(Math.min(ms, 5), signal) };

/** Fails so many times, and then does what it is for. */
function failing<A extends unknown[], R>(
  times: number,
  error: () => Error,
  then: (...args: A) => Promise<R>,
): (...args: A) => Promise<R> {
  let left = times;
  return async (...args) => {
    if (left-- > 0) throw error();
    return then(...args);
  };
}

const echo = activity("echo", (_ctx, value: string) => value);
const job = orchestration("job", async (ctx) => {
  const first = await ctx.callActivity(echo, "a");
  return first + (await ctx.callActivity(echo, "b"));
});

const opened: TaskHub[] = [];
afterEach(async () => {
  for (const hub of opened.splice(0)) await hub.close({ drainMs: 0 });
});

async function open(
  functions: TaskHubOptions["functions"],
  wrap: (store: Store) => Store,
  database = new MemoryDatabase(),
): Promise<TaskHub> {
  const hub = await TaskHub.open({ functions, env, store: wrap(openMemoryStore({ database })) });
  opened.push(hub);
  return hub;
}

describe("a store that fails for a while", () => {
  test.each([
    { what: "says that it is busy", error: () => new StoreConflictError("busy") },
    { what: "cannot be used at all", error: () => new StoreUnusableError("restarting") },
  ])("loses no turn while it $what", async ({ error }) => {
    const hub = await open([job, echo], (store) =>
      storeWith(store, { commit: failing(3, error, (turns) => store.commit(turns)) }),
    );
    expect(await (await hub.client.startNew(job)).result()).toBe("ab");
  });

  test("does not keep what an earlier engine left from being gone on with", async () => {
    const database = new MemoryDatabase();
    const stuck = activity("echo", async () => new Promise<string>(() => {}));
    const former = await open([job, stuck], (store) => store, database);
    await former.client.startNew(job, { instanceId: "x" });
    while (former.status().activities === 0) await hasty.yieldNow();
    await former.close({ drainMs: 0 });
    let tries = 0;
    const hub = await open(
      [job, echo],
      (store) =>
        storeWith(store, {
          unfinished: async (query) => {
            if (++tries <= 3) throw new StoreConflictError("too slow");
            return store.unfinished(query);
          },
        }),
      database,
    );
    expect(await hub.client.waitForCompletion("x")).toMatchObject({ output: "ab" });
    expect(tries).toBeGreaterThan(3);
  });
});

test("a hub that closes while an instance is being read logs no error", async () => {
  const errors: unknown[] = [];
  const store = openMemoryStore();
  const [asked, closes] = [gate(), gate()];
  const slow = storeWith(store, {
    load: async () => {
      asked.open();
      await closes.passed;
      throw new StoreClosedError();
    },
    close: async () => {
      closes.open();
      await store.close();
    },
  });
  const logger = { ...silentLogger, error: (...logged: unknown[]) => void errors.push(logged) };
  const hub = await TaskHub.open({ functions: [job, echo], store: slow, logger });
  await hub.client.startNew(job);
  await asked.passed;
  await hub.close({ drainMs: 0 });
  await hasty.yieldNow();
  expect(errors).toEqual([]);
});

describe("a store that fails for good", () => {
  test("stops its engine, which asks it nothing more, and whoever opened the hub is told", async () => {
    const store = openMemoryStore();
    const failed = new StoreFailedError("the disk failed");
    let tell: (error: TenureError) => void = () => {};
    const failure = new Promise<TenureError>((resolve) => {
      tell = resolve;
    });
    let commits = 0;
    const commit: Store["commit"] = async () => {
      commits += 1;
      tell(failed);
      throw failed;
    };
    const told = await new Promise((resolve, reject) => {
      TaskHub.open({
        functions: [job, echo],
        env,
        store: Object.assign(storeWith(store, { commit }), { failure }),
        onStoreFailure: resolve,
      })
        .then(async (hub) => {
          opened.push(hub);
          await hub.client.startNew(job, { instanceId: "x" });
        })
        .catch(reject);
    });
    expect(told).toBe(failed);
    const [hub] = opened;
    expect(hub?.status().state).toBe("draining");
    await hub?.close();
    expect(hub?.status().state).toBe("closed");
    expect(commits).toBe(1);
  });
});

describe("a store that is busy when an instance has been ended from outside", () => {
  test("does not keep its activity from being told", async () => {
    const running = gate();
    const told = gate<boolean>();
    const long = activity("long", async (ctx) => {
      running.open();
      await once(ctx.signal, "abort");
      told.open(ctx.signal.aborted);
    });
    const waits = orchestration("waits", async (ctx) => ctx.callActivity(long));
    let asked = 0;
    const hub = await open([waits, long], (store) =>
      storeWith(store, {
        heads: async (iids) => {
          if (++asked <= 2) throw new StoreConflictError("busy");
          return store.heads(iids);
        },
      }),
    );
    await hub.client.startNew(waits, { instanceId: "x" });
    await running.passed;
    await hub.client.terminate("x", "stop");
    expect(await told.passed).toBe(true);
    expect(asked).toBeGreaterThan(2);
  });
});

describe("a store that takes long to say who is there", () => {
  test("does not have a name refused that a live worker has registered", async () => {
    let laterMs = 0;
    const store = openMemoryStore();
    const slow = storeWith(store, {
      workers: async () => {
        laterMs += 60_000;
        return store.workers();
      },
    });
    const hub = await TaskHub.open({
      functions: [job, echo],
      env: { ...env, monotonicMs: () => hasty.monotonicMs() + laterMs },
      store: slow,
    });
    opened.push(hub);
    expect(await (await hub.client.startNew(job)).result()).toBe("ab");
    expect(laterMs).toBeGreaterThan(0);
  });
});

describe("an instance that cannot be read", () => {
  test("keeps no other one from running, and goes on once it can be", async () => {
    let damaged = true;
    const hub = await open([job, echo], (store) =>
      storeWith(store, {
        load: async (iids) => {
          const bad = (await store.get("bad"))?.instance.iid;
          if (damaged && bad !== undefined && iids.includes(bad)) throw new EngineFaultError("a damaged row");
          return store.load(iids);
        },
      }),
    );
    const ids = ["good-1", "bad", "good-2"];
    const [first, bad, last] = await Promise.all(
      ids.map((instanceId) => hub.client.startNew(job, { instanceId })),
    );
    expect([await first?.result(), await last?.result()]).toEqual(["ab", "ab"]);
    expect((await hub.client.getStatus("bad"))?.runtimeStatus).toBe("Pending");
    damaged = false;
    expect(await bad?.result()).toBe("ab");
  });
});

describe("an event that shows up after a later one", () => {
  const collects = orchestration("collects", async (ctx) => {
    const taken: string[] = [];
    while (taken.length < 2) taken.push(await ctx.waitForExternalEvent<string>("e"));
    return taken;
  });

  test("is taken in before it, and not lost", async () => {
    let hidden = 0;
    const hub = await open([collects], (store) =>
      storeWith(store, {
        poll: async (query) => {
          const page = await store.poll(query);
          // As where the first one's transaction is open still when the page is read, and the second one's is not.
          const mail = page.filter((message) => message.kind === "mail" && message.mail !== undefined);
          if (mail.length < 2) return page;
          hidden += 1;
          return page.filter((message) => message !== mail[0]);
        },
      }),
    );
    const start = await hub.client.startNew(collects, { instanceId: "x" });
    while ((await hub.client.getStatus("x"))?.runtimeStatus !== "Running") await hasty.yieldNow();
    await Promise.all([hub.client.raiseEvent("x", "e", "first"), hub.client.raiseEvent("x", "e", "second")]);
    expect(await start.result()).toEqual(["first", "second"]);
    expect(hidden).toBe(1);
    expect((await hub.client.getHistory("x"))?.execution.droppedMessages ?? 0).toBe(0);
  });
});

describe("another owner", () => {
  test("that has answered an activity is not answered again by the one that runs it, too", async () => {
    const database = new MemoryDatabase();
    const ends = gate();
    const reads = gate();
    const asked = gate();
    let isHeld = false;
    const slow = activity("slow", async () => {
      await ends.passed;
      return "ours";
    });
    const waits = orchestration("waits", async (ctx) => {
      const result = await ctx.callActivity(slow);
      await ctx.waitForExternalEvent("go");
      return result;
    });
    const hub = await open(
      [waits, slow],
      (store) =>
        storeWith(store, {
          load: async (iids) => {
            if (isHeld) {
              asked.open();
              await reads.passed;
            }
            return store.load(iids);
          },
        }),
      database,
    );
    const handle = await hub.client.startNew(waits, { instanceId: "x" });
    while (hub.status().activities === 0) await hasty.yieldNow();

    const other = openMemoryStore({ database });
    await commitResult(other, "x", "theirs");
    isHeld = true;
    await hub.client.raiseEvent("x", "go"); // its turn is refused, and what is stored is read again
    await asked.passed;
    ends.open();
    while (hub.status().activities > 0) await hasty.yieldNow();
    reads.open();

    expect(await handle.result()).toBe("theirs");
    const history = await other.history("x");
    const events = history?.chunks.flatMap((chunk) => decodeChunk(chunk)) ?? [];
    expect(events.filter(({ type }) => type === "TaskCompleted")).toHaveLength(1);
  });
});

/** A turn as another owner would commit it: the instance's first activity has answered. */
async function commitResult(store: Store, instanceId: string, result: string): Promise<void> {
  const record = await store.get(instanceId);
  if (record === undefined) throw new TypeError(`there is no ${instanceId}`);
  const { iid, executionId, generation, sequence, updatedAtMs: atMs } = record.instance;
  const events: HistoryEvent[] = [
    { type: "OrchestratorStarted", atMs },
    { type: "TaskCompleted", atMs, taskScheduledId: 0, result: JSON.stringify(result) },
  ];
  const turn = {
    iid,
    instanceId,
    executionId,
    generation,
    sequence,
    writer: "another",
    commitNumber: 1,
    atMs,
  };
  const nothing = { consumed: [], activities: 0, timersSet: [], timersCleared: [], requests: [] };
  const [answer] = await store.commit([{ ...turn, ...nothing, chunk: encodeChunk(events) }]);
  expect(answer).toMatchObject({ accepted: true });
}
