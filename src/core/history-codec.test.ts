import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HistoryUnreadableError } from "./errors.js";
import type { Failure } from "./failure.js";
import type { HistoryEvent } from "./history.js";
import { CHUNK_FORMAT, decodeChunk, encodeChunk } from "./history-codec.js";

const atMs = fc.integer({ min: 0, max: 8_640_000_000_000 });
const id = fc.nat();
const text = fc.string({ unit: "binary" });
const tags = fc.dictionary(text, text);
const status = fc.constantFrom("Completed", "Failed", "Terminated", "Canceled", "ContinuedAsNew");

const failure: fc.Arbitrary<Failure> = fc.letrec<{ failure: Failure }>((tie) => ({
  failure: fc.record(
    {
      type: text,
      message: text,
      stack: text,
      inner: fc
        .option(tie("failure"), { nil: undefined, depthSize: "small" })
        .filter((inner) => inner !== undefined),
      nonRetriable: fc.boolean(),
      task: id,
    },
    { requiredKeys: ["type", "message"] },
  ),
})).failure;

/** Every kind of event, with and without its optional members. */
const event: fc.Arbitrary<HistoryEvent> = fc.oneof(
  fc.record({ type: fc.constant("OrchestratorStarted"), atMs }),
  fc.record({ type: fc.constant("ExecutionStarted"), atMs }),
  fc.record(
    { type: fc.constant("TaskCompleted"), atMs, taskScheduledId: id, result: text },
    { requiredKeys: ["type", "atMs", "taskScheduledId"] },
  ),
  fc.record({ type: fc.constant("TaskFailed"), atMs, taskScheduledId: id, failure }),
  fc.record(
    { type: fc.constant("SubOrchestrationInstanceCompleted"), atMs, taskScheduledId: id, result: text },
    { requiredKeys: ["type", "atMs", "taskScheduledId"] },
  ),
  fc.record({ type: fc.constant("SubOrchestrationInstanceFailed"), atMs, taskScheduledId: id, failure }),
  fc.record({ type: fc.constant("TimerFired"), atMs, timerId: id, fireAtMs: atMs }),
  fc.record(
    { type: fc.constant("EventRaised"), atMs, name: text, input: text },
    { requiredKeys: ["type", "atMs", "name"] },
  ),
  fc.record(
    { type: fc.constant("ExecutionSuspended"), atMs, reason: text },
    { requiredKeys: ["type", "atMs"] },
  ),
  fc.record(
    { type: fc.constant("ExecutionResumed"), atMs, reason: text },
    { requiredKeys: ["type", "atMs"] },
  ),
  fc.record(
    { type: fc.constant("ExecutionTerminated"), atMs, reason: text, recurse: fc.boolean() },
    { requiredKeys: ["type", "atMs", "recurse"] },
  ),
  fc.record(
    { type: fc.constant("ExecutionRewound"), atMs, reason: text },
    { requiredKeys: ["type", "atMs"] },
  ),
  fc.record(
    { type: fc.constant("TaskScheduled"), atMs, id, name: text, input: text },
    { requiredKeys: ["type", "atMs", "id", "name"] },
  ),
  fc.record(
    {
      type: fc.constant("SubOrchestrationInstanceCreated"),
      atMs,
      id,
      name: text,
      instanceId: text,
      input: text,
      detached: fc.constant(true),
      tags,
      version: text,
    },
    { requiredKeys: ["type", "atMs", "id", "name", "instanceId"] },
  ),
  fc.record({ type: fc.constant("TimerCreated"), atMs, id, fireAtMs: atMs }),
  fc.record(
    { type: fc.constant("EventSent"), atMs, id, instanceId: text, name: text, input: text },
    { requiredKeys: ["type", "atMs", "id", "instanceId", "name"] },
  ),
  fc.record({ type: fc.constant("ExecutionCompleted"), atMs, status }),
);

describe("a history chunk", () => {
  test("gives back every event as it was", () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 8 }), (events) => {
        expect(decodeChunk(encodeChunk(events))).toEqual(events);
      }),
    );
  });

  test("of another format is refused, with both numbers", () => {
    expect(() => decodeChunk("[7,[0,0]]")).toThrow(`has format 7; this program reads format ${CHUNK_FORMAT}`);
  });

  test.each([
    "",
    "{",
    "null",
    "7",
    '"text"',
    "[]",
    "[null]",
    "{}",
    "[1,7]",
    "[1,[]]",
    '[1,["a",0]]',
    "[1,[99,0]]",
    "[1,[2,0]]",
    "[1,[4,0,1,{}]]",
    "[1,[8,0,1,null]]",
  ])("that is damaged is refused by name: %s", (chunk) => {
    expect(() => decodeChunk(chunk)).toThrow(HistoryUnreadableError);
  });
});
