// The whole table of instance IDs at the doors of HTTP, over a socket, on both stores that outlive a process.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isWellFormed } from "../../src/core/text.js";
import { ROUTES } from "../../src/http/handler.js";
import { BASE, member } from "../http-kit.js";
import { openTarget, reasonOf, type Target } from "./http-server.js";
import { ID_TABLE } from "./ids.js";
import { onSqliteAndPostgres } from "./stores.js";

const accepted = ID_TABLE.filter(({ refused }) => refused === undefined).map(({ id }) => id);
const refused = ID_TABLE.flatMap(({ id, refused: rule }) => (rule === undefined ? [] : [{ id, rule }]));

/** Every route with an instance's ID in its path; the ID is what is left. */
const doors = ROUTES.filter(({ path }) => path.includes("{instanceId")).map(({ method, path }) => ({
  method,
  at: (id: string): string =>
    path
      .replace(/\{instanceId\??\}/, () => id)
      .replace("{functionName}", "Echo")
      .replace("{eventName}", "go"),
}));

/** As it stands in a URL. Half a surrogate pair has no form in UTF-8: what a lenient writer makes of it is sent. */
function encoded(id: string): string {
  if (isWellFormed(id))
    return encodeURIComponent(id).replace(/^\.{1,2}$/, (dots) => dots.replaceAll(".", "%2E"));
  return Array.from(id)
    .map((char) => {
      const code = char.codePointAt(0) ?? 0;
      if (code < 0xd800 || code > 0xdfff) return encodeURIComponent(char);
      const bytes = [0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f)];
      return bytes.map((byte) => `%${byte.toString(16)}`).join("");
    })
    .join("");
}

/** What a path without that ID would have been read as can no longer be told, or it is no request at all. */
function verdict(id: string, rule: string): { status: number; code: string | undefined; says: string } {
  if (id.length > 10_000) return { status: 431, code: undefined, says: "" };
  if (id === "." || id === "..") return { status: 400, code: "MalformedRequest", says: '".."' };
  if (!isWellFormed(id)) return { status: 400, code: "MalformedRequest", says: "percent-encoded UTF-8" };
  return { status: 400, code: "InvalidInstanceId", says: rule };
}

onSqliteAndPostgres("instance IDs over HTTP", (store) => {
  let target: Target;
  beforeAll(async () => {
    target = await openTarget({ store });
  });
  afterAll(() => target[Symbol.asyncDispose]());

  describe.each(doors)("$method $at", ({ method, at }) => {
    test("refuses what breaks a rule, and says which", async () => {
      for (const { id, rule } of refused) {
        const answer = await target.ask(method, at(encoded(id)));
        if (id === "") continue; // below
        const { status, code, says } = verdict(id, rule);
        expect([id, ...reasonOf(answer)]).toEqual([id, status, code]);
        expect(String(member(answer.body, "detail"))).toContain(says);
      }
      await target.othersGoOn();
    });
  });

  test("an empty one makes another path: a start refuses it, and only a list is had without", async () => {
    const answers = [];
    for (const { method, at } of doors)
      answers.push([method, at(""), (await target.ask(method, at(""))).status]);
    expect(answers).toEqual(
      doors.map(({ method, at }) => {
        const path = at("");
        if (path === `${BASE}/orchestrators/Echo/`) return [method, path, 400];
        // Durable Functions' JavaScript SDK lists so. A purge of many says which it means, or is refused.
        if (path === `${BASE}/instances/`) return [method, path, method === "GET" ? 200 : 400];
        return [method, path, 404];
      }),
    );
  });

  test("starts nothing by any of them", async () => {
    const { instances } = await target.hub.client.list({ name: "Echo", top: 1000 });
    expect(instances.filter(({ instanceId }) => !instanceId.startsWith("healthy-"))).toEqual([]);
  });

  test("lets in what keeps the rules, as one instance each", { timeout: 90_000 }, async () => {
    await Promise.all(
      accepted.map(async (id) => {
        const start = `${BASE}/orchestrators/Waiter/${encoded(id)}`;
        const started = await target.ask("POST", start);
        expect([id, started.status, member(started.body, "id")]).toEqual([id, 202, id]);
        expect([id, ...reasonOf(await target.ask("POST", start))]).toEqual([id, 409, "InstanceHeld"]);
      }),
    );
    // Only now: an event that went astray shows.
    const executions = await Promise.all(
      accepted.map(async (id) => {
        const instance = `${BASE}/instances/${encoded(id)}`;
        const raised = await target.ask("POST", `${instance}/raiseEvent/go`, {
          body: JSON.stringify(`for ${id}`),
        });
        expect([id, raised.status]).toEqual([id, 202]);
        await target.hub.client.waitForCompletion(id, { timeoutMs: 60_000 });
        const { status, body } = await target.ask("GET", instance);
        expect([status, member(body, "instanceId"), member(body, "output")]).toEqual([200, id, `for ${id}`]);
        return member(body, "executionId");
      }),
    );
    expect(new Set(executions).size).toBe(accepted.length);
    await target.othersGoOn();
  });
});
