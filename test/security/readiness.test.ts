// What anybody may learn of a server, on the store whose processes have most to tell: PostgreSQL.
import { afterAll, describe, expect, test, vi } from "vitest";
import { createHttpHandler } from "../../src/http/index.js";
import { StoreProbe } from "../../src/http/store-probe.js";
import { TaskHub } from "../../src/task-hub.js";
import { call, echo, member } from "../http-kit.js";
import { dropSchema, freshSchema, postgresUrl, storeUrl } from "../postgres-schema.js";

if (postgresUrl === undefined)
  process.stdout.write("Readiness: no PostgreSQL server, its cases are left out.\n");

describe.skipIf(postgresUrl === undefined)("on PostgreSQL", async () => {
  const schema = freshSchema();
  const hub =
    postgresUrl === undefined
      ? undefined
      : await TaskHub.open({ store: storeUrl(schema), functions: [echo] });
  afterAll(async () => {
    await hub?.close({ drainMs: 0 });
    await dropSchema(schema);
  });

  test("health says of a server with a key that it is up, and its lease only to whoever has the key", async () => {
    if (hub === undefined) throw new Error("there is no server");
    const keyed = createHttpHandler(hub, { key: "right" });
    for (const headers of [{}, { "x-functions-key": "wrong" }, { "x-functions-key": "" }]) {
      const ready = await call(keyed, "GET", "/readyz", { headers });
      expect([ready.status, ready.text]).toEqual([200, '{"status":"ready"}']);
      expect((await call(keyed, "GET", "/healthz", { headers })).text).toBe('{"status":"ok"}');
    }
    for (const told of [
      await call(keyed, "GET", "/readyz", { headers: { "x-functions-key": "right" } }),
      await call(keyed, "GET", "/readyz?code=right"),
      await call(createHttpHandler(hub), "GET", "/readyz"), // on loopback alone
    ]) {
      expect(member(told.body, "lease", "leaseMs")).toBeGreaterThan(0);
    }
  });

  test("a hundred calls at once are one question to the store", async () => {
    if (hub === undefined) throw new Error("there is no server");
    const look = vi.spyOn(hub.client, "listWorkers");
    const handler = createHttpHandler(hub, { key: "right" });
    const answers = await Promise.all(Array.from({ length: 100 }, () => call(handler, "GET", "/readyz")));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(look).toHaveBeenCalledTimes(1);
    look.mockRestore();
  });
});

test("the store is asked once a second at most, and once at a time", async () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  try {
    const pending: { resolve: () => void; reject: (error: Error) => void }[] = [];
    const probe = new StoreProbe(
      () =>
        new Promise<void>((resolve, reject) => {
          pending.push({ resolve, reject });
        }),
    );
    const first = [probe.answers(), probe.answers()];
    vi.advanceTimersByTime(5000); // it does not answer: nobody asks again
    const second = probe.answers();
    expect(pending).toHaveLength(1);
    pending[0]?.resolve();
    expect(await Promise.all([...first, second])).toEqual([true, true, true]);
    const third = probe.answers();
    expect(pending).toHaveLength(2);
    pending[1]?.reject(new Error("gone"));
    expect(await third).toBe(false);
    vi.advanceTimersByTime(999);
    expect(await probe.answers()).toBe(false);
    expect(pending).toHaveLength(2);
    vi.advanceTimersByTime(1);
    const fourth = probe.answers();
    pending[2]?.resolve();
    expect(await fourth).toBe(true);
  } finally {
    vi.useRealTimers();
  }
});
