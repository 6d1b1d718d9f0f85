import { expect, test } from "vitest";
import {
  activity,
  InvalidArgumentError,
  type OrchestrationContext,
  orchestration,
  TaskHub,
  type TaskHubClient,
  TenureError,
} from "../../src/index.js";
import { expectNoPollution, misuse, onMemorySqliteAndPostgres, refusalOf, SOON } from "./stores.js";

const fine = orchestration("fine", async (_ctx, input: unknown) => input);
const waits = orchestration("waits", async (ctx, name: string) => ctx.waitForExternalEvent(name));
const echo = activity("echo", (_ctx, value: unknown) => value);

const PROTO: unknown = JSON.parse('{"__proto__":"start"}');

/** Texts that some part of the road could stumble over, and no rule forbids. */
const STRANGE: readonly string[] = [
  "'; drop table inst; --",
  '" or "1"="1',
  "%",
  "_",
  "[a-z]",
  "\\",
  "$1",
  ":a",
  "${x}",
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "then",
  "null",
  "undefined",
  "0",
  "-1",
  "1e0",
  " ",
  "trailing ",
  "..",
  "../..",
  "%2f",
  "%00",
  "a/b?c#d",
  "@a",
  "e\u0301",
  "é",
  "\u202eright to left",
  "👩‍👧",
  "а",
  "\ufeff",
  "\u2028",
];

const ILL_FORMED: readonly (readonly [what: string, text: unknown])[] = [
  ["empty text", ""],
  ["U+0000", "a\0b"],
  ["a line break", "a\nb"],
  ["a C1 control character", "a\u009bb"],
  ["half a surrogate pair", "a\ud800"],
  ["the other half", "\udc00a"],
  ["a number", 5],
  ["null", null],
  ["a symbol", Symbol("name")],
  ["an object", { toString: () => "fine" }],
];

/** A place for a text, with the most characters that it may have. */
interface Place {
  readonly most: number;
  readonly call: (client: TaskHubClient, text: unknown) => unknown;
}

function start(client: TaskHubClient, ...args: unknown[]): unknown {
  return misuse(client, "startNew", ...args);
}

const PLACES: Readonly<Record<string, Place>> = {
  "an orchestrator's name": {
    most: 200,
    call: (client, name) => start(client, name, { allowUnregistered: true }),
  },
  "an event's name": {
    most: 200,
    call: async (client, name) => {
      const { instanceId } = await client.startNew(waits, { input: "never" });
      return misuse(client, "raiseEvent", instanceId, name);
    },
  },
  "a version": { most: 256, call: (client, version) => start(client, fine, { version }) },
  "a request ID": { most: 256, call: (client, requestId) => start(client, fine, { requestId }) },
  "a tag's key": {
    most: 256,
    call: (client, key) => start(client, fine, { tags: { [String(key)]: "" } }),
  },
};

/** The same places, as an orchestrator reaches them. Answers with the code of the refusal, where there is one. */
const inside = orchestration("inside", async (ctx, { place, text }: { place: string; text: string }) => {
  const options = { tags: Object.fromEntries([[text, ""]]), version: text, queue: text };
  try {
    if (place === "activity") void ctx.callActivity(text);
    if (place === "queue") void ctx.callActivity(echo, 1, { queue: options.queue });
    if (place === "child") void ctx.callSubOrchestrator(text);
    if (place === "detached") ctx.startNew(text);
    if (place === "child tags") void ctx.callSubOrchestrator(fine, 1, { tags: options.tags });
    if (place === "child version") void ctx.callSubOrchestrator(fine, 1, { version: options.version });
    if (place === "event to others") ctx.sendEvent("nobody", text);
    if (place === "event waited for") void ctx.waitForExternalEvent(text);
    if (place === "continueAsNew version") ctx.continueAsNew({ place: "none", text }, { version: text });
  } catch (error) {
    return error instanceof TenureError ? error.code : String(error);
  }
  return place === "none" && ctx.version === text ? "arrived" : "accepted";
});

const INSIDE: Readonly<Record<string, number>> = {
  activity: 200,
  queue: 256,
  child: 200,
  detached: 200,
  "child tags": 256,
  "child version": 256,
  "event to others": 200,
  "event waited for": 200,
  "continueAsNew version": 256,
};

onMemorySqliteAndPostgres("names and labels", [fine, waits, inside, echo], (hub) => {
  test.each(Object.entries(PLACES))("%s: has its length, and no character more", async (_what, place) => {
    const { client } = hub();
    await place.call(client, "漢".repeat(place.most));
    for (const length of [place.most + 1, 1_000_000]) {
      const refusal = await refusalOf(() => place.call(client, "x".repeat(length)));
      expect(refusal).toMatchObject({ code: "InvalidArgument" });
      expect(String(refusal)).toContain(`1 to ${place.most} characters, not ${length}`);
    }
  });

  test.each(Object.entries(PLACES))(
    "%s: is refused by name where it is no text for a name",
    async (what, place) => {
      const { client } = hub();
      for (const [, text] of ILL_FORMED) {
        if (what === "a tag's key" && typeof text !== "string") continue; // keys are made texts by the language
        expect(await refusalOf(() => place.call(client, text))).toMatchObject({
          code: "InvalidArgument",
        });
      }
    },
  );

  test.each(Object.entries(PLACES))("%s: may be any other text", async (_what, place) => {
    const { client } = hub();
    const outcomes = await Promise.allSettled(STRANGE.map((text) => place.call(client, text)));
    expect(outcomes.filter(({ status }) => status === "rejected")).toEqual([]);
  });

  test.each(Object.entries(INSIDE))(
    "%s, in an orchestrator: the same rules, of %i characters",
    async (place, most) => {
      const { client } = hub();
      const tell = async (text: string): Promise<unknown> => {
        const started = await client.startNew(inside, { input: { place, text } });
        return started.result(SOON);
      };
      const illFormed = ILL_FORMED.flatMap(([, text]) => (typeof text === "string" ? [text] : []));
      const refused = [...illFormed, "x".repeat(most + 1)];
      expect(await Promise.all(refused.map(tell))).toEqual(refused.map(() => "InvalidArgument"));
      const accepted = [...STRANGE.slice(0, 12), "x".repeat(most)];
      const answer = place === "continueAsNew version" ? "arrived" : "accepted";
      expect(await Promise.all(accepted.map(tell))).toEqual(accepted.map(() => answer));
    },
  );

  test("an event reaches the wait for its very name, without regard to case", async () => {
    const { client } = hub();
    const names = ["%", "_", "__proto__", "constructor", "e\u0301", "é", " ", "а", "a", "'"];
    const outputs = names.map(async (name, index) => {
      const start = await client.startNew(waits, { input: name });
      const others = names.filter((other) => other !== name);
      await Promise.all(others.map((other) => client.raiseEvent(start.instanceId, other, "another's")));
      await client.raiseEvent(start.instanceId, name.toUpperCase(), index);
      return start.result(SOON);
    });
    expect(await Promise.all(outputs)).toEqual(names.map((_name, index) => index));
  });

  test("tags: 64 of them, with values of 1,024 characters; one more of either is refused", async () => {
    const { client } = hub();
    const tags = (count: number, length: number) =>
      Object.fromEntries(Array.from({ length: count }, (_each, index) => [`k${index}`, "v".repeat(length)]));
    const { instanceId } = await client.startNew(fine, { tags: tags(64, 1024) });
    expect((await client.getStatus(instanceId))?.tags).toEqual(tags(64, 1024));
    for (const bad of [tags(65, 1), tags(1, 1025), { a: 5 }, { a: null }, { a: "\ud800" }, [], "a", 5, null])
      expect(await refusalOf(() => start(client, fine, { tags: bad }))).toMatchObject({
        code: "InvalidArgument",
      });
  });

  test("a reason: 16 K characters of anything, and a named limit for more", async () => {
    const { client } = hub();
    const reason = `\0\ud800 ' " \u001b[31m ${"r".repeat(16_000)}`;
    const { instanceId } = await client.startNew(waits, { input: "never" });
    await client.suspend(instanceId, reason);
    await client.resume(instanceId, reason);
    for (const call of ["suspend", "resume", "terminate", "rewind"]) {
      const tooLong = await refusalOf(() => misuse(client, call, instanceId, "r".repeat(16 * 1024 + 1)));
      // A rewind looks at the instance first: it has not failed.
      expect(tooLong).toMatchObject(call === "rewind" ? { code: "InvalidState" } : { limit: "reason" });
      const noText = await refusalOf(() => misuse(client, call, instanceId, { toString: () => "x" }));
      expect(noText).toMatchObject({ code: call === "rewind" ? "InvalidState" : "InvalidArgument" });
    }
    await client.terminate(instanceId, reason);
    expect(await client.getStatus(instanceId)).toMatchObject({ output: reason });
  });

  test("whoever asks may be named by any text, cut where it is too long", async () => {
    const { client } = hub();
    await client.startNew(waits, { instanceId: "asked for", input: "never" });
    const requester = `\0\ud800'; ${"r".repeat(100_000)}`;
    expect(
      await refusalOf(() => client.startNew(waits, { instanceId: "asked for", input: "", requester })),
    ).toMatchObject({ code: "InstanceHeld" });
    const [refusal] = await client.listRefusals({ instanceId: "asked for" });
    expect(refusal?.requester.startsWith("\0\ud800'; rrr")).toBe(true);
    expect(refusal?.requester.length).toBeLessThan(1000);
  });

  test.each<[what: string, call: (client: TaskHubClient) => unknown]>([
    ["no orchestrator", (client) => start(client)],
    ["null for an orchestrator", (client) => start(client, null)],
    ["an object for an orchestrator", (client) => start(client, {})],
    ["null for ifEnded", (client) => start(client, fine, { ifEnded: null })],
    ["a number for ifLive", (client) => start(client, fine, { ifLive: 1 })],
    ["a status named __proto__", (client) => start(client, fine, { ifEnded: PROTO })],
    ["an array for ifEnded", (client) => start(client, fine, { ifEnded: ["start"] })],
    ["a text for startAt", (client) => start(client, fine, { startAt: "2026-01-01" })],
    ["what only looks like a Date", (client) => start(client, fine, { startAt: { getTime: () => 0 } })],
    ["an invalid Date", (client) => start(client, fine, { startAt: new Date("x") })],
    ["retention that is none", (client) => misuse(client, "setRetention", { Completed: 1 })],
    ["retention below nothing", (client) => client.setRetention({ completedMs: -1 })],
  ])("%s: is refused as an argument", async (_what, call) => {
    expect(await refusalOf(() => call(hub().client))).toMatchObject({ code: "InvalidArgument" });
  });

  test.each([
    "startNew",
    "list",
    "waitForStart",
    "waitForCompletion",
    "purge",
    "purgeBy",
    "purgePage",
    "listRefusals",
  ])("%s: options that are none are refused as such", async (call) => {
    const { client } = hub();
    const first = ["list", "purgeBy", "purgePage", "listRefusals"].includes(call) ? [] : ["fine"];
    for (const options of [null, "a-well-known-id", 5, ["a"]]) {
      const refusal = await refusalOf(() => misuse(client, call, ...first, options));
      expect(refusal).toMatchObject({ code: "InvalidArgument" });
      expect(String(refusal)).toContain("must be an object");
    }
  });

  test("a start as Durable Functions 2.x writes it is told how it is written here", async () => {
    const refusal = await refusalOf(() => start(hub().client, "fine", "a-well-known-id", "input"));
    expect(String(refusal)).toContain("startNew(name, { instanceId, input })");
  });

  test("the ends of time are moments like others", async () => {
    const { client } = hub();
    const far = await client.startNew(fine, { startAt: new Date(8.64e15) });
    await client.terminate(far.instanceId);
    const past = await client.startNew(fine, { startAt: new Date(-8.64e15), input: 1 });
    expect(await past.result(SOON)).toBe(1);
    expectNoPollution();
  });
});

test.each<[what: string, call: (ctx: OrchestrationContext) => unknown, code: string]>([
  ["a text for sleep", (ctx) => misuse(ctx, "sleep", "5"), "InvalidArgument"],
  ["a BigInt for sleep", (ctx) => misuse(ctx, "sleep", 5n), "InvalidArgument"],
  ["NaN for sleep", (ctx) => ctx.sleep(Number.NaN), "InvalidArgument"],
  ["time below nothing", (ctx) => ctx.sleep(-1), "InvalidArgument"],
  ["an invalid Date", (ctx) => ctx.createTimer(new Date(Number.NaN)), "InvalidArgument"],
  ["no activity", (ctx) => misuse(ctx, "callActivity", undefined), "InvalidArgument"],
  ["an orchestration for an activity", (ctx) => misuse(ctx, "callActivity", fine), "InvalidArgument"],
  [
    "texts in a retry policy",
    (ctx) => misuse(ctx, "callActivity", echo, 1, { retry: { firstIntervalMs: "1", maxAttempts: 2 } }),
    "InvalidArgument",
  ],
  [
    "endless attempts",
    (ctx) =>
      ctx.callActivity(echo, 1, { retry: { firstIntervalMs: 1, maxAttempts: Number.POSITIVE_INFINITY } }),
    "InvalidArgument",
  ],
])("an orchestrator that gives %s is refused at the call", async (_what, call, code) => {
  const gives = orchestration("gives", async (ctx) => {
    try {
      call(ctx);
      return "accepted";
    } catch (error) {
      return error instanceof TenureError ? error.code : String(error);
    }
  });
  await using hub = await TaskHub.open({ store: "memory", functions: [gives, fine, echo] });
  expect(await (await hub.client.startNew(gives)).result(SOON)).toBe(code);
});

test("a wait of nothing that grows beyond all numbers stays one", async () => {
  let attempts = 0;
  const fails = activity("fails", () => {
    attempts += 1;
    throw new Error("no");
  });
  const retries = orchestration("retries", async (ctx) =>
    ctx.callActivity(fails, undefined, {
      retry: { firstIntervalMs: 0, backoffCoefficient: Number.MAX_VALUE, maxAttempts: 5 },
    }),
  );
  await using hub = await TaskHub.open({ store: "memory", functions: [retries, fails] });
  const start = await hub.client.startNew(retries);
  expect((await start.waitForCompletion(SOON)).runtimeStatus).toBe("Failed");
  expect(attempts).toBe(5);
});

test("a definition's name has the rule of names", () => {
  for (const name of ["", "a\0b", "a\nb", "\ud800", "x".repeat(201)]) {
    expect(() => orchestration(name, async () => {})).toThrow(InvalidArgumentError);
    expect(() => activity(name, () => {})).toThrow(InvalidArgumentError);
  }
});

test("a task hub's name has the rule of labels", async () => {
  for (const taskHub of ["", "a\0b", "\ud800", "x".repeat(257)]) {
    expect(await refusalOf(() => TaskHub.connect({ store: "memory", taskHub }))).toMatchObject({
      code: "InvalidArgument",
    });
  }
});
