import { expect, onTestFinished, test } from "vitest";
import { silentLogger } from "../core/env.js";
import type { ChangeHint } from "../core/store.js";
import { systemEnv } from "../system-env.js";
import { type Awaited, ChangeWaiter } from "./change-waiter.js";

const ENDS = { end: true };
const NOTHING = { instanceIds: [], messages: false };

/** A waiter that somebody has waited with before, so that it listens; and an instance that it can look at. */
async function listening() {
  const listeners = new Set<(hint: ChangeHint) => void>();
  const subscribe = (listener: (hint: ChangeHint) => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  const waiter = new ChangeWaiter(systemEnv(silentLogger), { subscribe });
  onTestFinished(() => waiter.close());
  await waiter.until("before", async () => true, {}, ENDS);
  const seen = { looks: 0, ended: false };
  const look = async () => {
    seen.looks += 1;
    return seen.ended ? "ended" : undefined;
  };
  const hint = (given: ChangeHint): void => {
    for (const listener of listeners) listener(given);
  };
  const wait = (awaited: Awaited, signal?: AbortSignal) => waiter.until("a", look, { signal }, awaited);
  return { waiter, seen, hint, wait };
}

function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

test("whoever waits for an end looks again when it may have come, and not at progress or at others", async () => {
  const { seen, hint, wait } = await listening();
  const waiting = wait(ENDS);
  await settled();
  expect(seen.looks).toBe(1);
  hint({ from: "here", ...NOTHING, instanceIds: ["a"], alive: ["a"] });
  hint({ from: "elsewhere", change: { ...NOTHING, instanceIds: ["b"] } });
  await settled();
  expect(seen.looks).toBe(1);
  hint({ from: "elsewhere", change: { ...NOTHING, instanceIds: ["a"] } });
  await settled();
  expect(seen.looks).toBe(2);
  seen.ended = true;
  hint({ from: "elsewhere" });
  expect(await waiting).toBe("ended");
  expect(seen.looks).toBe(3);
});

test("whoever waits for progress looks at that, too", async () => {
  const { seen, hint, wait } = await listening();
  const waiting = wait({ end: false });
  await settled();
  seen.ended = true;
  hint({ from: "elsewhere", change: { ...NOTHING, instanceIds: ["a"], alive: ["a"] } });
  expect(await waiting).toBe("ended");
});

test("what has begun since somebody listens is looked at only when its end was heard of", async () => {
  const { waiter, seen, hint, wait } = await listening();
  const since = waiter.now;
  expect(since).toBeDefined();
  hint({ from: "here", ...NOTHING, instanceIds: ["a"], alive: ["a"] });
  const waiting = wait({ end: true, since });
  await settled();
  expect(seen.looks).toBe(0);
  seen.ended = true;
  hint({ from: "here", ...NOTHING, instanceIds: ["a"] });
  expect(await waiting).toBe("ended");
  expect(seen.looks).toBe(1);
});

test.each<ChangeHint>([{ from: "here", ...NOTHING, instanceIds: ["a"] }, { from: "elsewhere" }])(
  "an end that was heard of before anybody waited is looked at: %j",
  async (given) => {
    const { waiter, seen, hint, wait } = await listening();
    const since = waiter.now;
    seen.ended = true;
    hint(given);
    expect(await wait({ end: true, since })).toBe("ended");
  },
);

test("a wait that must end at once does, also of what need not be looked at", async () => {
  const { waiter, seen, wait } = await listening();
  expect(await wait({ end: true, since: waiter.now }, AbortSignal.abort())).toBeUndefined();
  expect(seen.looks).toBe(1);
});
