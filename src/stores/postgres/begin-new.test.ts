import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { connect, dropSchema, freshSchema, postgresUrl, storeUrl } from "../../../test/postgres-schema.js";
import type { StartCommand } from "../../core/command.js";
import { SHARD_COUNT, shardOf } from "../../core/shard.js";
import { startPolicy } from "../../core/start-policy.js";
import type { ChangeHint } from "../../core/store.js";
import { openPostgresStore, type PostgresStore } from "./store.js";

const AT = Date.UTC(2026, 0, 1);

function start(instanceId: string, fields: Partial<StartCommand> = {}): StartCommand {
  return {
    kind: "start",
    instanceId,
    atMs: AT,
    name: "Order",
    tags: { team: "red" },
    input: '"in"',
    version: "2",
    executionId: "0".repeat(32),
    policy: startPolicy(),
    ...fields,
  };
}

const onNew = (instanceId: string, fields: Partial<StartCommand> = {}): StartCommand =>
  start(instanceId, { hasNewId: true, ...fields });

describe.skipIf(postgresUrl === undefined)("a start whose ID was drawn for it", () => {
  let schema: string;
  let store: PostgresStore;
  beforeEach(async () => {
    schema = freshSchema();
    store = await openPostgresStore({ url: storeUrl(schema) });
  });
  afterEach(async () => {
    await store.close();
    await dropSchema(schema);
  });

  /** All rows of a table, without what differs by number and ID only. */
  async function rowsOf(table: string): Promise<unknown[]> {
    await using client = await connect();
    const { rows } = await client.query<Record<string, unknown>>(`select * from ${schema}.${table}`);
    const differing = new Set(["iid", "id", "n", "shard"]);
    return rows.map((row) =>
      Object.fromEntries(Object.entries(row).filter(([column]) => !differing.has(column))),
    );
  }

  test.each([
    { what: "at once", fields: {} },
    { what: "later", fields: { startAtMs: AT + 60_000.5 } },
  ])("leaves what a start of a chosen ID leaves, to begin $what", async ({ fields }) => {
    const [chosen] = await store.execute([start("chosen", fields)]);
    const [drawn] = await store.execute([onNew("drawn", fields)]);
    expect(drawn).toEqual(chosen);
    for (const table of ["inst", "execution", "message", "timer"]) {
      const rows = await rowsOf(table);
      expect(rows.length % 2).toBe(0);
      expect(rows[1]).toEqual(rows[0]);
    }
    expect(await rowsOf("inst")).toHaveLength(2);
    expect([await rowsOf("message"), await rowsOf("timer")].flat()).toHaveLength(2);
  });

  test("is told the same when its answer was lost and it is carried out again", async () => {
    const command = onNew("drawn");
    const first = await store.execute([command]);
    expect(await store.execute([command])).toEqual(first);
    expect([(await rowsOf("inst")).length, (await rowsOf("execution")).length]).toEqual([1, 1]);
    expect(await rowsOf("message")).toHaveLength(1);
  });

  test("is one statement, however many there are", async () => {
    // The wake-ups that follow a start are statements of their own, whenever they come.
    const silent = await openPostgresStore({ url: storeUrl(schema), capabilities: { notify: false } });
    await silent.execute([onNew("warm")]);
    const before = silent.roundTrips;
    await silent.execute([onNew("a"), onNew("b"), onNew("c")]);
    const roundTrips = silent.roundTrips - before;
    await silent.close();
    expect(roundTrips).toBe(1);
  });

  test("is told to whoever owns it, as a load would show it", async () => {
    const worker = "w".repeat(32);
    await store.join({ id: worker, pid: 1, host: "here", sinceMs: AT, orchestrations: [], activities: [] });
    const others = [shardOf("held"), shardOf("held") + 1];
    await store.leases.claim(
      worker,
      Array.from({ length: SHARD_COUNT }, (_, shard) => shard).filter((shard) => !others.includes(shard)),
    );
    const told = new Promise<ChangeHint>((resolve) => {
      store.subscribe((hint) => {
        if (hint.from === "here") resolve(hint);
      });
    });
    const { input: _, version: __, ...bare } = onNew("c", { tags: {} });
    await store.execute([onNew("a"), onNew("held"), onNew("b", { startAtMs: AT + 60_000 }), bare]);
    const hint = await told;
    const { began = [], loaded = [] } = hint.from === "here" ? hint : {};
    expect(loaded.map(({ instance }) => instance.instanceId)).toEqual(["a", "c"]);
    expect(loaded.map(({ instance }) => instance.iid)).toEqual(began);
    expect(await store.load(began)).toEqual(loaded);
  });

  test("has its own answer among others in one batch", async () => {
    await store.execute([start("held")]);
    const answers = await store.execute([onNew("d"), start("held"), onNew("e"), start("f")]);
    expect(answers.map(({ outcome }) => outcome)).toEqual(["started", "refused", "started", "started"]);
  });
});
