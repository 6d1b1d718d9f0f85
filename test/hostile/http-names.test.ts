// IDs, names, filters, tokens and numbers that are meant to be taken for something else, on the stores that could.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createHttpHandler } from "../../src/http/index.js";
import { TaskHub } from "../../src/task-hub.js";
import { BASE, call, member } from "../http-kit.js";
import { dropSchema, freshSchema, postgresUrl, storeUrl } from "../postgres-schema.js";
import { type Answered, openTarget, reasonOf, type Target } from "./http-server.js";

/** Texts that SQL, LIKE, regular expressions, shells, paths, templates and JavaScript read their own way. */
const META = [
  "%",
  "_",
  "a%",
  "a_b",
  "[a-z]",
  "*",
  ".*",
  "(a+)+$",
  "'",
  "a'b",
  "a''b",
  '"',
  "a;drop table inst;--",
  "' or 1=1 --",
  "') union select null--",
  "$1",
  ":id",
  "@inst",
  "${7*7}",
  "{{7*7}}",
  "%s%n",
  "a\u202eb",
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "hasOwnProperty",
  "null",
  "undefined",
  "NaN",
  "-1",
  "true",
  "x/../y".replaceAll("/", "|"),
  "<script>alert(1)</script>".replaceAll("/", "|"),
] as const;

/** Pairs that people, collations and normal forms take for one. */
const LOOK_ALIKES = [
  "Order",
  "order",
  "ORDER",
  "оrder",
  "order ",
  " order",
  "order\u200b",
  "ord\u00ADer",
  "caf\u00e9",
  "cafe\u0301",
  "K",
  "\u212a",
  "k",
  "stra\u00dfe",
  "strasse",
  "\u0131",
  "i",
  "I",
  "\u0130",
  "\ufb01",
  "fi",
  "1",
  "01",
  "\u0661",
  "a.",
  "a",
  "a%20",
  "a ",
];

const stores: [name: string, url: string | undefined][] = [
  ["sqlite", ""],
  ["postgres", postgresUrl],
];
for (const [name, url] of stores) {
  if (url === undefined) console.log(`skipped on ${name}: there is no server`);
}

describe.each(stores)("on %s", (store, url) => {
  describe.skipIf(url === undefined)("with a hub of its own", () => {
    const schema = freshSchema();
    let target: Target;

    beforeAll(async () => {
      target = await openTarget(store === "postgres" ? { store: storeUrl(schema) } : {});
      for (const id of [...META, ...LOOK_ALIKES]) {
        const tags = encodeURIComponent(JSON.stringify({ [id]: id }));
        const started = await target.ask(
          "POST",
          `${BASE}/orchestrators/Waiter/${encodeURIComponent(id)}?tags=${tags}`,
        );
        if (started.status !== (id.startsWith("@") ? 400 : 202)) throw new Error(`${id}: ${started.text}`);
      }
    });
    afterEach(() => target.othersGoOn());
    afterAll(async () => {
      await target[Symbol.asyncDispose]();
      if (store === "postgres") await dropSchema(schema);
    });

    /** The IDs that were started; those that begin with @ are refused. */
    const ids = [...META, ...LOOK_ALIKES].filter((id) => !id.startsWith("@"));

    /** All pages of a list, as IDs. */
    async function listed(query: string): Promise<string[]> {
      const found: string[] = [];
      let token: string | undefined;
      do {
        const page: Answered = await target.ask("GET", `${BASE}/instances?name=Waiter&top=7&${query}`, {
          headers: token === undefined ? {} : { "x-ms-continuation-token": token },
        });
        expect(page.status).toBe(200);
        if (Array.isArray(page.body))
          found.push(...page.body.map((each) => String(member(each, "instanceId"))));
        token = tokenOf(page);
      } while (token !== undefined);
      return found;
    }

    test("every ID is one instance of its own, whatever it looks like", async () => {
      const executions = new Set<unknown>();
      for (const id of ids) {
        const status = await target.ask("GET", `${BASE}/instances/${encodeURIComponent(id)}`);
        expect(member(status.body, "instanceId")).toBe(id);
        executions.add(member(status.body, "executionId"));
        const held = await target.ask("POST", `${BASE}/orchestrators/Echo/${encodeURIComponent(id)}`);
        expect(reasonOf(held)).toEqual([409, "InstanceHeld"]);
        expect(member(held.body, "holder", "instanceId")).toBe(id);
      }
      expect(executions.size).toBe(ids.length);
    });

    test("a prefix finds the IDs that begin with it, and no others", async () => {
      for (const prefix of [...META, ...LOOK_ALIKES, "a", "o", "O"]) {
        const found = await listed(`instanceIdPrefix=${encodeURIComponent(prefix)}`);
        expect([prefix, found.toSorted()]).toEqual([
          prefix,
          ids.filter((id) => id.startsWith(prefix)).toSorted(),
        ]);
      }
    });

    test("a tag finds the instance that has it, by key and by value", async () => {
      for (const id of ids) {
        const tags = encodeURIComponent(JSON.stringify({ [id]: id }));
        expect([id, await listed(`tags=${tags}`)]).toEqual([id, [id]]);
        const other = encodeURIComponent(JSON.stringify({ [id]: `${id}x`, [`${id}x`]: id }));
        expect(await listed(`tags=${other}`)).toEqual([]);
      }
    });

    test("a name finds orchestrations of that name alone", async () => {
      for (const name of META) {
        const list = await target.ask("GET", `${BASE}/instances?name=${encodeURIComponent(name)}`);
        expect([name, list.body]).toEqual([name, []]);
      }
    });

    test("in every other place they are text, or are refused", async () => {
      const parameters = [
        "createdTimeFrom",
        "createdTimeTo",
        "lastUpdatedTimeFrom",
        "runtimeStatus",
        "top",
        "showInput",
        "taskHub",
        "tag",
        "connection",
      ];
      for (const text of META) {
        const value = encodeURIComponent(text);
        const answers = await Promise.all([
          ...parameters.map((name) => target.ask("GET", `${BASE}/instances?${name}=${value}`)),
          target.ask(
            "DELETE",
            `${BASE}/instances?createdTimeFrom=2000-01-01&instanceIdPrefix=${value}&name=None`,
          ),
          target.ask("GET", `${BASE}/refusals?instanceId=${value}`),
          target.ask("GET", `${BASE}/instances/a/history?executionId=${value}`),
          target.ask("POST", `${BASE}/instances/a/suspend?reason=${value}`),
          target.ask("POST", `${BASE}/instances/a/resume?reason=${value}`),
          target.ask("POST", `${BASE}/instances/a/raiseEvent/${value}`, { body: JSON.stringify(text) }),
          target.ask("POST", `${BASE}/orchestrators/${value}/never`),
          target.ask("POST", `${BASE}/orchestrators/Waiter/a?ifLive=${value}`),
          target.ask("POST", `${BASE}/orchestrators/Waiter/a?ifEnded=${value}`),
          target.ask("POST", `${BASE}/orchestrators/Waiter/a?version=${value}&requestId=${value}`),
          target.ask("POST", `${BASE}/workers/${value}/drain`),
          target.ask("GET", `${BASE}/entities/${value}/${value}`),
        ]);
        for (const answer of answers) expect([200, 202, 400, 404, 409, 501]).toContain(answer.status);
      }
      expect(await listed("")).toHaveLength(ids.length);
      const status = await target.ask("GET", `${BASE}/instances/a?showHistory=true`);
      for (const text of META) expect(status.text).toContain(JSON.stringify(text).slice(1, -1));
    });

    describe("a continuation token", () => {
      const page = (token: string, query = "name=Waiter&top=7", method = "GET"): Promise<Answered> =>
        target.ask(method, `${BASE}/instances?${query}`, { headers: { "x-ms-continuation-token": token } });
      const first = async (): Promise<string> =>
        tokenOf(await target.ask("GET", `${BASE}/instances?name=Waiter&top=7`)) ?? "";

      test("with any character changed, added or taken away is refused", async () => {
        const token = await first();
        expect(token.length).toBeGreaterThan(40);
        const changed = token
          .split("")
          .flatMap((char, at) =>
            ["0", ".", String.fromCodePoint((char.codePointAt(0) ?? 0) ^ 1)]
              .filter((other) => other !== char && other > " ")
              .map((other) => token.slice(0, at) + other + token.slice(at + 1)),
          );
        const others = [
          token.slice(1),
          token.slice(0, -1),
          `${token}0`,
          `0${token}`,
          `${token}.`,
          token.toUpperCase(),
        ];
        for (const bad of [...changed, ...others]) {
          const answer = await page(bad);
          expect([bad, ...reasonOf(answer)]).toEqual([bad, 400, "InvalidToken"]);
        }
        expect((await page(token)).status).toBe(200);
      });

      test.each([
        "x",
        ".",
        "..",
        "...",
        "a.b.c",
        "__proto__",
        "constructor.name.length",
        "null",
        "0.0.",
        "-1.-1.x",
        "NaN.NaN.NaN",
        "9".repeat(4000),
        "%00",
        "' or 1=1--",
      ])("%s is none", async (token) => {
        expect(reasonOf(await page(token))).toEqual([400, "InvalidToken"]);
        expect(reasonOf(await page(token, "createdTimeFrom=2000-01-01&name=None&top=5", "DELETE"))).toEqual([
          400,
          "InvalidToken",
        ]);
      });

      test("is of one filter and one kind of request", async () => {
        const token = await first();
        for (const query of [
          "",
          "name=Echo",
          "name=Waiter&instanceIdPrefix=a",
          "name=Waiter&runtimeStatus=Running",
          "name=waiter",
        ]) {
          expect(reasonOf(await page(token, query))).toEqual([400, "InvalidToken"]);
        }
        const purge = await page(token, "createdTimeFrom=2000-01-01&name=Waiter&top=7", "DELETE");
        expect(reasonOf(purge)).toEqual([400, "InvalidToken"]);
        expect(await listed("")).toHaveLength(ids.length);
      });

      test("of another hub in the same store is refused, and its rows are never shown", async () => {
        const hub = store === "postgres" ? storeUrl(schema) : target.store;
        await using other = await TaskHub.connect({ store: hub, taskHub: "other" });
        for (let n = 0; n < 12; n++) {
          await other.client.startNew("Waiter", { instanceId: `foreign-${n}`, allowUnregistered: true });
        }
        const handler = createHttpHandler({ client: other.client, functions: [] });
        const theirs = await call(handler, "GET", `${BASE}/instances?name=Waiter&top=7`);
        const token = theirs.headers.get("x-ms-continuation-token") ?? "";
        expect(token).not.toBe("");
        expect(reasonOf(await page(token))).toEqual([400, "InvalidToken"]);
        const ours = await call(handler, "GET", `${BASE}/instances?name=Waiter&top=7`, {
          headers: { "x-ms-continuation-token": await first() },
        });
        expect([ours.status, member(ours.body, "code")]).toEqual([400, "InvalidToken"]);
        expect((await listed("")).filter((id) => id.startsWith("foreign"))).toEqual([]);
        expect((await target.ask("GET", `${BASE}/instances/foreign-1`)).status).toBe(404);
        expect((await target.ask("GET", `${BASE}/instances/foreign-1?taskHub=other`)).status).toBe(400);
      });

      test("stays good when what it pointed at is gone", async () => {
        for (let n = 0; n < 6; n++) {
          await target.ask("POST", `${BASE}/orchestrators/Echo/aged-${n}?timeout=20`, { body: "1" });
        }
        const query = "instanceIdPrefix=aged-&top=2";
        const token = tokenOf(await target.ask("GET", `${BASE}/instances?${query}`)) ?? "";
        for (let n = 0; n < 3; n++) {
          expect((await target.ask("DELETE", `${BASE}/instances/aged-${n}`)).status).toBe(200);
        }
        const next = await page(token, query);
        expect([next.status, member(next.body, 0, "instanceId")]).toEqual([
          200,
          expect.stringMatching(/^aged-[345]$/),
        ]);
      });
    });

    const huge = "9".repeat(400);
    const refused = [
      ...[
        "-1",
        "0",
        "1.5",
        "NaN",
        "Infinity",
        "1e3",
        "0x10",
        "+1",
        "%201",
        huge,
        "%D9%A1",
        "1,2",
        "[1]",
        "1&top=2",
      ].map((value) => ["GET", `instances?top=${value}`]),
      ...["-1", "NaN", "Infinity", "1e999", huge, "0x1", "1s", ".5", "1&timeout=1"].map((value) => [
        "POST",
        `orchestrators/Echo?timeout=${value}`,
      ]),
      ...[
        "0",
        "-1",
        "NaN",
        "1e99",
        "2026-02-30T00:00",
        "2026-01-01T24:01Z",
        "10000-01-01",
        "2026-1-1",
        "2026-01-01T00:00:00%2B99:00",
        "now",
        "1&createdTimeFrom=2",
      ].map((value) => ["GET", `instances?createdTimeFrom=${value}`]),
      ["GET", "instances?runtimeStatus=Running&runtimeStatus=__proto__"],
      ["GET", "instances?instanceIdPrefix=a&instanceIdPrefix=b"],
      ["GET", "instances?INSTANCEIDPREFIX=a&instanceIdPrefix=b"],
      ["GET", "instances?tag=a:1&tag=a:2"],
      ["GET", "instances?tag=a:1&tags=a:2"],
      ["GET", "instances?tags=%7B%22a%22:%221%22,%22a%22:%222%22%7D"],
      ["GET", "instances?tags=%7B%22a%22:%7B%7D%7D"],
      ["POST", "orchestrators/Echo?ifEnded=Failed=start,failed=reject"],
      ["POST", "orchestrators/Echo?ifEnded=%7B%22Failed%22:%22start%22,%22Failed%22:%22reject%22%7D"],
      ["GET", "instances/%"],
      ["GET", "instances/%ff"],
      ["GET", "instances/%ED%A0%80"],
      ["GET", "instances/%00"],
      ["GET", "instances/a%2f..%2fb"],
      ["GET", "instances/a%5c..%5cb"],
      ["GET", "instances/.."],
      ["GET", "instances/%2e%2e/x"],
      ["GET", "instances?instanceIdPrefix=%00"],
      // Percent-encoding that is none, or not of UTF-8: taken leniently, these would become one another.
      ...[
        "%ff",
        "%fe",
        "%",
        "%4",
        "%zz",
        "%u0041",
        "%c0%af",
        "%ed%a0%80",
        "%f5%80%80%80",
        "%c3",
        "a%c3%28",
      ].flatMap((text) => [
        ["GET", `instances?instanceIdPrefix=${text}`],
        ["GET", `instances?unknown=${text}`],
        ["GET", `instances?${text}=x`],
        ["POST", `orchestrators/Echo?tag=a:${text}`],
        ["POST", `orchestrators/Echo?version=${text}`],
        ["POST", `orchestrators/Echo?requestId=${text}`],
        ["POST", `instances/a/terminate?reason=${text}`],
        ["GET", `instances?taskHub=${text}`],
      ]),
      ["GET", "instances?taskHub=Default"],
      ["GET", "instances?taskHub=DEFAULT"],
      ["GET", "instances?taskHub=default%20"],
      ["GET", "instances?taskHub=default&taskHub=default"],
      ["GET", "instances?taskHub=default&TaskHub=other"],
      ["GET", "instances?connection=a&connection=b"],
      ["POST", "orchestrators/Echo/"],
      ["POST", "orchestrators/Echo//"],
      ["POST", "ORCHESTRATORS/Echo/?timeout=1"],
    ];

    test("parameters and paths that can be read in two ways, or in none, are refused", async () => {
      const before = await target.hub.client.list({ name: "Echo", top: 1000 });
      for (const [method = "", path = ""] of refused) {
        const answer = await target.ask(method, `${BASE}/${path}`);
        expect([path, ...reasonOf(answer)]).toEqual([
          path,
          400,
          expect.stringMatching(/^(InvalidArgument|InvalidJson|InvalidInstanceId|MalformedRequest)$/),
        ]);
      }
      const after = await target.hub.client.list({ name: "Echo", top: 1000 });
      expect(after.instances.length).toBe(before.instances.length);
    });

    test("an empty ID is not taken for none: a caller's empty variable would lose the singleton", async () => {
      const empty = await target.ask("POST", `${BASE}/orchestrators/Echo/`);
      expect(reasonOf(empty)).toEqual([400, "InvalidInstanceId"]);
      expect(member(empty.body, "detail")).toMatch(/it is empty/);
      // Durable Functions' JavaScript SDK makes lists so: an instance's URL with nothing for the ID.
      expect((await target.ask("GET", `${BASE}/instances/?top=1`)).status).toBe(200);
    });

    test("a hub is named letter for letter, a connection is not looked at", async () => {
      const names = ["taskHub=default", "TASKHUB=default", "taskHub=", "connection=Storage", "connection="];
      for (const query of [...names, "taskHub=&taskHub=default&connection=%27"]) {
        expect([query, (await target.ask("GET", `${BASE}/instances?top=1&${query}`)).status]).toEqual([
          query,
          200,
        ]);
      }
      const other = await target.ask("GET", `${BASE}/instances?taskHub=Default`);
      expect(member(other.body, "detail")).toContain('this server serves "default"');
    });

    test.each(["0000-01-01", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "1969-12-31"])(
      "the year of %s is as good as any",
      async (time) => {
        const list = await target.ask(
          "GET",
          `${BASE}/instances?createdTimeFrom=${time}&createdTimeTo=${time}`,
        );
        expect([list.status, list.body]).toEqual([200, []]);
        const started = await target.ask("POST", `${BASE}/orchestrators/Echo?startAt=${time}`);
        expect(started.status).toBe(202);
      },
    );

    test.each(["-1", "1.5", "1e300", '"1"', "[]", "{}", "true", "9007199254740993"])(
      "a retention of %s is refused",
      async (value) => {
        const answer = await target.ask("PUT", `${BASE}/retention`, { body: `{"completedMs":${value}}` });
        expect(answer.status).toBe(400);
      },
    );

    test.each([
      "[]",
      "1",
      '"x"',
      "true",
      '{"__proto__":{"completedMs":1}}',
      '{"constructor":1}',
      '{"completedms":1}',
    ])("%s as a retention changes nothing that it does not name", async (body) => {
      const before = await target.ask("GET", `${BASE}/retention`);
      const answer = await target.ask("PUT", `${BASE}/retention`, { body });
      expect([200, 400]).toContain(answer.status);
      expect((await target.ask("GET", `${BASE}/retention`)).body).toEqual(before.body);
    });

    test("names of parameters that objects have by birth are ignored", async () => {
      for (const name of [
        "__proto__",
        "constructor",
        "prototype",
        "toString",
        "__proto__[polluted]",
        "constructor.prototype",
      ]) {
        const list = await target.ask("GET", `${BASE}/instances?${name}=x&top=1&name=Waiter`);
        expect(list.status).toBe(200);
        const headers = { [name.replace(/[^a-z_]/g, "")]: "x" };
        expect((await target.ask("GET", `${BASE}/instances?top=1`, { headers })).status).toBe(200);
      }
      for (const path of [
        "/__proto__",
        "/constructor",
        "/api/__proto__",
        `${BASE}/__proto__`,
        `${BASE}/instances/a/constructor`,
      ]) {
        expect((await target.ask("GET", path)).status).toBe(404);
      }
    });
  });
});

function tokenOf({ headers }: Answered): string | undefined {
  const token = headers["x-ms-continuation-token"];
  return typeof token === "string" ? token : undefined;
}
