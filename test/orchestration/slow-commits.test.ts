// A store that takes long to answer: what comes meanwhile must neither be lost nor be looked for all the time.
import { setImmediate as nextRound } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Env } from "../../src/core/env.js";
import { silentLogger } from "../../src/core/env.js";
import type { Store } from "../../src/core/store.js";
import { orchestration, TaskHub } from "../../src/index.js";
import { openMemoryStore } from "../../src/stores/memory/store.js";
import { systemEnv } from "../../src/system-env.js";

/** How many rounds of the event loop are watched. */
const ROUNDS = 200;

const wait = orchestration("wait", async (ctx) => {
  await ctx.waitForExternalEvent("go");
});

const once = orchestration("once", async () => "done");

test("a worker does not spin while a turn is under way and a timer of the next run is due", async () => {
  const inner = openMemoryStore();
  const gate = withResolvers();
  const arrived = withResolvers();
  const seenDue = withResolvers();
  let isHeld = false;
  const store: Store = new Proxy(inner, {
    get: (target, key) => {
      if (key === "commit") {
        const commit: Store["commit"] = async (turns) => {
          if (isHeld) {
            arrived.resolve();
            await gate.promise;
          }
          return target.commit(turns);
        };
        return commit;
      }
      if (key === "due") {
        const due: Store["due"] = async (query) => {
          const found = await target.due(query);
          if (found.timers.length > 0) seenDue.resolve();
          return found;
        };
        return due;
      }
      const member: unknown = Reflect.get(target, key);
      return typeof member === "function" ? (member.bind(target) as unknown) : member;
    },
  });
  let yields = 0;
  const system = systemEnv(silentLogger);
  const env: Env = {
    ...system,
    yieldNow: () => {
      yields += 1;
      return system.yieldNow();
    },
  };
  await using hub = await TaskHub.open({ store, env, functions: [wait, once] });
  await hub.client.startNew(wait, { instanceId: "x" });
  await hub.client.waitForStart("x");
  isHeld = true;
  await hub.client.raiseEvent("x", "go");
  await arrived.promise; // its last turn is under way
  const next = await hub.client.startNew(once, {
    instanceId: "x",
    ifLive: "terminate",
    startAt: new Date(Date.now() + 5),
  });
  await seenDue.promise;
  const before = yields;
  for (let round = 0; round < ROUNDS; round++) await nextRound();
  const during = yields - before;
  isHeld = false;
  gate.resolve();
  expect(await next.result()).toBe("done");
  expect(during).toBeLessThan(ROUNDS / 4);
});

function withResolvers(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => {};
  const promise = new Promise<void>((...[resolvePromise]) => {
    resolve = resolvePromise;
  });
  return { promise, resolve };
}
