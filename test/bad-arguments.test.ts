import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { InvalidArgumentError, orchestration, TaskHub } from "../src/index.js";

// TypeScript stops most of these; callers from JavaScript, and casts, do not ask it.
const waits = orchestration("waits", async (ctx) => {
  await ctx.waitForExternalEvent("go");
});
let hub: TaskHub;

beforeAll(async () => {
  hub = await TaskHub.open({ store: "memory", functions: [waits] });
});

afterAll(() => hub.close());

describe("a start", () => {
  test.each<[what: string, options: object, message: RegExp]>([
    ["an unknown ifLive", { ifLive: "Reject" }, /^ifLive: must be one of reject, attach, terminate/],
    ["an unknown ifEnded", { ifEnded: "nope" }, /^ifEnded: must be one of start, return, reject/],
    [
      "an unknown status in ifEnded",
      { ifEnded: { completed: "start" } },
      /^ifEnded: "completed" is not one of/,
    ],
    ["an unknown answer in ifEnded", { ifEnded: { Completed: "nope" } }, /^ifEnded: must be one of/],
    ["a tag that is no string", { tags: { a: 1 } }, /^tags\.a: a tag's value is a string/],
    ["tags that are no object", { tags: "x" }, /^tags: must be an object/],
    ["a start time that is no Date", { startAt: "2030-01-01" }, /^startAt: must be a valid Date/],
    ["an invalid Date", { startAt: new Date(Number.NaN) }, /^startAt: must be a valid Date/],
    ["an empty request ID", { requestId: "" }, /^requestId: has 1 to 256 characters/],
    ["a version that is no string", { version: 5 }, /^version: must be a string/],
    ["a version with a line break", { version: "1\n2" }, /^version: must not contain control characters/],
  ])("with %s is refused by name, and nothing is started", async (_what, options, message) => {
    const start = hub.client.startNew("waits", Object.assign({ instanceId: "bad" }, options));
    await expect(start).rejects.toThrow(InvalidArgumentError);
    await expect(start).rejects.toThrow(message);
    expect(await hub.client.getStatus("bad")).toBeUndefined();
  });

  test.each([
    ["", "an empty name"],
    ["a".repeat(201), "a long name"],
    ["a\u0000b", "a control character"],
  ])("of %j (%s) is refused", async (name) => {
    await expect(hub.client.startNew(name)).rejects.toMatchObject({ code: "InvalidArgument" });
  });
});

describe("a list", () => {
  test.each<[what: string, options: object]>([
    ["a status in lower case", { runtimeStatus: ["running"] }],
    ["a status that is no array", { runtimeStatus: "Running" }],
    ["a page of no instances", { top: 0 }],
    ["a time that is no Date", { createdTimeFrom: 5 }],
  ])("with %s is refused", async (_what, options) => {
    await expect(hub.client.list(options)).rejects.toMatchObject({ code: "InvalidArgument" });
  });

  test("with a token that this hub did not make is refused", async () => {
    await expect(hub.client.list({ continuationToken: "a.b.c" })).rejects.toMatchObject({
      code: "InvalidToken",
    });
  });
});
