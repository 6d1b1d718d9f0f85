import { expect, test } from "vitest";
import { encodeChunk } from "../core/history-codec.js";
import type { Mail } from "../core/message.js";
import type { LoadedInstance } from "../core/store.js";
import { Resident } from "./resident.js";

const EVENT: Mail = {
  kind: "mail",
  n: 7,
  shard: 0,
  iid: 1,
  run: 1,
  mail: 1,
  events: encodeChunk([{ type: "EventRaised", atMs: 0, name: "late" }]),
};

/** The first mail of the generation that begins after the event was accepted: it carries the same mail counter. */
const START: Mail = {
  kind: "mail",
  n: 8,
  shard: 0,
  iid: 1,
  generation: 2,
  mail: 1,
  events: encodeChunk([{ type: "ExecutionStarted", atMs: 0 }]),
};

const LOADED: LoadedInstance = {
  instance: {
    iid: 1,
    instanceId: "order-1",
    kind: "orchestration",
    name: "Order",
    executionId: "e1",
    run: 1,
    generation: 1,
    sequence: 1,
    fencingToken: 1,
    status: "Running",
    suspended: false,
    mail: 0,
    activities: 0,
    createdAtMs: 0,
    updatedAtMs: 0,
  },
  execution: {
    executionId: "e1",
    run: 1,
    generation: 1,
    name: "Order",
    status: "Running",
    tags: {},
    fencingToken: 1,
    droppedMessages: 0,
    createdAtMs: 0,
    updatedAtMs: 0,
  },
  chunks: [],
  messages: [],
};

test("memory is read again when a generation's start overtakes an event that was accepted before it", () => {
  const resident = new Resident(LOADED, false);
  resident.receive(START);
  expect(resident.isVoid()).toBe(true);
});

test("memory stays when the start comes after the event", () => {
  const resident = new Resident(LOADED, false);
  resident.receive(EVENT);
  resident.receive(START);
  expect(resident.isVoid()).toBe(false);
});

test("memory is read again when an event overtakes another one", () => {
  const resident = new Resident(LOADED, false);
  resident.receive({ ...EVENT, mail: 2 });
  expect(resident.isVoid()).toBe(true);
});

test("mail of an ended run that comes late does not reach the next one", () => {
  const resident = new Resident(
    { ...LOADED, instance: { ...LOADED.instance, run: 2, generation: 2 } },
    false,
  );
  resident.receive({ ...EVENT, run: 1 });
  expect(resident.takeInbox()).toEqual([]);
  resident.receive({ ...EVENT, n: 9, run: 2 });
  expect(resident.takeInbox()).toHaveLength(1);
});

test("mail of an earlier generation that comes late does not reach the next one", () => {
  const resident = new Resident({ ...LOADED, instance: { ...LOADED.instance, generation: 2 } }, false);
  const { run: _run, ...result } = EVENT;
  resident.receive({ ...result, generation: 1 });
  expect(resident.takeInbox()).toEqual([]);
});

test("a scheduled run that was parked before it began still waits for its start", () => {
  const resident = new Resident(
    { ...LOADED, instance: { ...LOADED.instance, sequence: 1 }, chunks: [] },
    true,
  );
  resident.receive(EVENT);
  expect(resident.isReady()).toBe(false);
});

test("what comes before its generation's start waits for it, and is taken in after it", () => {
  const resident = new Resident(
    { ...LOADED, instance: { ...LOADED.instance, generation: 2, sequence: 0 } },
    false,
  );
  resident.receive(EVENT);
  expect(resident.isReady()).toBe(false);
  resident.receive(START);
  expect(resident.isReady()).toBe(true);
  expect(resident.takeInbox().map(({ n }) => n)).toEqual([START.n, EVENT.n]);
});
