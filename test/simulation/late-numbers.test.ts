import { expect, test } from "vitest";
import { LATE_MS, LateNumbers } from "../../sim/late-numbers.js";
import type { Command } from "../../src/core/command.js";
import type { Message } from "../../src/core/message.js";
import { startPolicy } from "../../src/core/start-policy.js";
import type { Store } from "../../src/core/store.js";
import { openMemoryStore } from "../../src/stores/memory/store.js";

let nowMs = 0;

function start(instanceId: string): Command {
  const executionId = instanceId.padStart(32, "0");
  return {
    kind: "start",
    instanceId,
    name: "one",
    tags: {},
    atMs: nowMs,
    executionId,
    policy: startPolicy("reject", {}),
  };
}

function raise(instanceId: string): Command {
  return { kind: "raise", instanceId, name: "go", atMs: nowMs };
}

/** A hub in which a and b have begun, at different times. */
async function begunHub(): Promise<{
  store: Store;
  write: (command: Command, agoMs: number) => Promise<void>;
}> {
  nowMs = 0;
  const numbers = new LateNumbers(openMemoryStore(), () => nowMs);
  const { store } = numbers;
  const write = async (command: Command, agoMs: number): Promise<void> => {
    await store.execute([command]);
    await numbers.number(() => agoMs);
  };
  await write(start("a"), 0);
  nowMs += 1_000;
  await write(start("b"), 0);
  return { store, write };
}

function receiver(message: Message): number | undefined {
  return message.kind === "mail" ? message.iid : undefined;
}

const all = { shards: "all", limit: 10 } as const;

test("a message whose number was drawn early appears below those that are there, and above those of that time", async () => {
  const { store, write } = await begunHub();
  const [ofA, ofB] = await store.poll({ ...all, after: 0 });
  nowMs += 500;
  await write(raise("a"), 700);
  const seen = await store.poll({ ...all, after: 0 });
  expect(seen.map(receiver)).toEqual([1, 1, 2]);
  expect([seen[0]?.n, seen[2]?.n]).toEqual([ofA?.n, ofB?.n]);
  expect(await store.poll({ ...all, after: ofB?.n ?? 0 })).toEqual([]);
});

test("counted mail of one instance rises with its count, however early its number was drawn", async () => {
  const { store, write } = await begunHub();
  for (const agoMs of [0, LATE_MS, 900, LATE_MS]) {
    nowMs += 100;
    await write(raise("a"), agoMs);
  }
  const [loaded] = await store.load([1]);
  expect(loaded?.messages.map(({ mail }) => mail)).toEqual([0, 1, 2, 3, 4]);
  const numbers = loaded?.messages.map(({ n }) => n) ?? [];
  expect(numbers).toEqual(numbers.toSorted((one, other) => one - other));
});

test("a turn takes a late message in by the number under which it was shown", async () => {
  const { store, write } = await begunHub();
  nowMs += 500;
  await write(raise("a"), 700);
  const [loaded] = await store.load([1]);
  const consumed = loaded?.messages.map(({ n }) => n) ?? [];
  const turn = { iid: 1, instanceId: "a", executionId: "a".padStart(32, "0"), generation: 1, sequence: 0 };
  const nothing = { activities: 0, timersSet: [], timersCleared: [], requests: [] };
  const commit = { ...turn, ...nothing, writer: "w", commitNumber: 1, atMs: nowMs, consumed };
  expect(await store.commit([commit])).toMatchObject([{ accepted: true }]);
  expect((await store.poll({ ...all, after: 0 })).map(receiver)).toEqual([2]);
});
