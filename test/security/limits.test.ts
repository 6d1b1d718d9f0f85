// What bounds requests that are good, each by itself. What bounds bad ones is in test/hostile.
import { afterAll, describe, expect, test } from "vitest";
import { InvalidArgumentError } from "../../src/core/errors.js";
import { MAX_TOP, MAX_WAIT_MS, MAX_WAITS } from "../../src/http/limits.js";
import { Waits } from "../../src/http/waits.js";
import { BASE, httpTrigger, member, members, openKit } from "../http-kit.js";

const trigger = httpTrigger("Wait", {}, (request, { client }) =>
  client.waitForCompletionOrCreateCheckStatusResponse(request, "held", { timeoutInMilliseconds: 200_000 }),
);
const kit = await openKit({ functions: [trigger] });
afterAll(() => kit[Symbol.asyncDispose]());

test("the limits are those that the documentation names", () => {
  expect({ MAX_WAITS, MAX_WAIT_MS, MAX_TOP }).toEqual({
    MAX_WAITS: 1000,
    MAX_WAIT_MS: 230_000,
    MAX_TOP: 1000,
  });
});

describe("waits", () => {
  const signal = new AbortController().signal;

  test("last 230 s at most, whatever was asked for", async () => {
    for (const asked of [0, 1, MAX_WAIT_MS, MAX_WAIT_MS + 1, 1e15, Number.POSITIVE_INFINITY]) {
      const limits: number[] = [];
      const wait = async ({ timeoutMs }: { timeoutMs: number }): Promise<never> => {
        limits.push(timeoutMs);
        throw new InvalidArgumentError("x", "is what ends it");
      };
      await expect(new Waits().forEnd(wait, asked, signal)).rejects.toThrow(InvalidArgumentError);
      expect(limits).toEqual([Math.min(asked, MAX_WAIT_MS)]);
    }
  });

  test("are 1000 at once over all doors; one more is answered without waiting, and room is made", {
    timeout: 60_000,
  }, async () => {
    const attach = `${BASE}/orchestrators/Waiter/held?ifLive=attach&timeout=200`;
    expect((await kit.call("POST", `${BASE}/orchestrators/Waiter/held`)).status).toBe(202);
    const waiting = Array.from({ length: MAX_WAITS - 1 }, () => kit.call("POST", attach));
    const last = kit.call("GET", "/api/Wait");
    let answered = 0;
    for (const each of [...waiting, last]) void each.then(() => (answered += 1));
    // Begun after all of them: these are over what may wait. Else nothing would answer them.
    const over = [await kit.call("POST", attach), await kit.call("GET", "/api/Wait")];
    expect(over.map(({ status }) => status)).toEqual([202, 202]);
    expect(answered).toBe(0);
    expect((await kit.call("POST", `${BASE}/instances/held/raiseEvent/go`, { json: "end" })).status).toBe(
      202,
    );
    const ended = await Promise.all([...waiting, last]);
    expect(new Set(ended.map(({ status, text }) => `${status} ${text}`))).toEqual(new Set(['200 "end"']));
    // There is room again.
    const after = await kit.call("POST", `${BASE}/orchestrators/Echo/after?timeout=20`, { json: 1 });
    expect([after.status, after.body]).toEqual([200, 1]);
  });
});

test("a page has 1000 rows at most: HTTP takes more as that, the client refuses it", async () => {
  const { client } = kit.hub;
  await Promise.all(
    Array.from({ length: MAX_TOP + 1 }, () => client.startNew("Echo", { tags: { page: "full" } })),
  );
  const page = await kit.call("GET", `${BASE}/instances?top=999999999&tag=page:full`);
  expect([page.status, members(page.body).length]).toEqual([200, MAX_TOP]);
  expect(page.headers.get("x-ms-continuation-token")).not.toBeNull();
  expect((await client.list({ top: MAX_TOP, tags: { page: "full" } })).instances).toHaveLength(MAX_TOP);
  for (const top of [MAX_TOP + 1, 0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    await expect(client.list({ top })).rejects.toMatchObject({ code: "InvalidArgument" });
    await expect(client.listRefusals({ top })).rejects.toMatchObject({ code: "InvalidArgument" });
  }
  expect(member((await kit.call("GET", `${BASE}/refusals?top=0`)).body, "code")).toBe("InvalidArgument");
});
