import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { postgresUrl } from "../../../test/postgres-schema.js";
import { newTables, plansOf, type Statement, type Tables } from "../../../test/postgres-tables.js";
import { Row } from "../rows.js";
import type { Query } from "./query.js";
import {
  dueTimers,
  executionsOf,
  getInstances,
  headsOf,
  historyOf,
  loadInstances,
  pollMessages,
  unfinishedInstances,
} from "./reads.js";

const HUB = 1;

describe.skipIf(postgresUrl === undefined)("reads of PostgreSQL", () => {
  let tables: Tables;
  let query: Query;
  beforeEach(async () => {
    tables = await newTables();
    ({ query } = tables);
  });
  afterEach(() => tables[Symbol.asyncDispose]());

  test("instances are loaded with the current generation's chunks and messages, in the order that was asked", async () => {
    const [one, two] = [await addInstance("one", { generation: 2 }), await addInstance("two")];
    await query("insert into @writer (writer, name) values (5, 'worker-5')");
    await query("update @inst set writer = 5 where iid = $1", [one]);
    for (const [generation, sequence] of [
      [2, 2],
      [1, 1],
      [2, 1],
    ] as const) {
      await addChunk(one, generation, sequence);
    }
    const mail = [
      await addMail(one, { run: 1, mail: 3 }),
      await addMail(one, { generation: 2, task: 4 }),
      await addMail(one, { generation: 1, task: 4 }), // nobody's
    ];
    await addMail(two, { run: 1 });
    await addRequest("one", 9);
    const loaded = await loadInstances(query, HUB, [two, 4711, one]);
    expect(loaded.map(({ instance }) => instance.instanceId)).toEqual(["two", "one"]);
    expect(loaded[0]).toMatchObject({ chunks: [], messages: [{ kind: "mail", iid: two, run: 1 }] });
    expect(loaded[1]).toMatchObject({
      instance: { worker: "worker-5", generation: 2 },
      execution: { executionId: `one-2`, status: "Running" },
      chunks: [chunk(2, 1), chunk(2, 2)],
    });
    expect(loaded[1]?.messages).toEqual([
      { kind: "mail", n: mail[0], shard: 3, iid: one, events: '["é\\n"]', run: 1, mail: 3 },
      { kind: "mail", n: mail[1], shard: 3, iid: one, events: '["é\\n"]', generation: 2, task: 4 },
    ]);
    expect(await loadInstances(query, 2, [one, two])).toEqual([]);
    expect(await loadInstances(query, HUB, [])).toEqual([]);
  });

  test("messages are polled in order of n, of all shards or of some", async () => {
    const iid = await addInstance("one");
    const first = await addMail(iid, { run: 1 });
    const second = await addRequest("elsewhere", 9);
    const third = await addMail(iid, { run: 1 });
    await query("insert into @message (hub, shard, target, body) values (2, 9, 'x', '{}')");
    const polled = async (shards: "all" | readonly number[], after: number, limit: number) =>
      (await pollMessages(query, HUB, { shards, after, limit })).map(({ n }) => n);
    expect(await polled("all", 0, 10)).toEqual([first, second, third]);
    expect(await polled("all", first, 1)).toEqual([second]);
    expect(await polled([3, 200], 0, 10)).toEqual([first, third]);
    expect(await polled([9], 0, 10)).toEqual([second]);
    expect(await polled([], 0, 10)).toEqual([]);
    expect(await pollMessages(query, HUB, { shards: [9], after: 0, limit: 1 })).toEqual([
      { kind: "request", n: second, shard: 9, instanceId: "elsewhere", body: "{}" },
    ]);
  });

  test("timers that are due come oldest first, with the time of the next one", async () => {
    const due = (shards: "all" | readonly number[], untilMs: number, limit: number) =>
      dueTimers(query, HUB, { shards, untilMs, limit });
    expect(await due("all", 100, 10)).toEqual({ timers: [] });
    for (const [iid, shard, at] of [
      [1, 1, 50],
      [2, 2, 40],
      [3, 1, 70],
      [4, 1, 60],
    ] as const) {
      await query(
        "insert into @timer (iid, generation, task, hub, shard, due) values ($1, 1, 0, $2, $3, $4)",
        [iid, HUB, shard, at],
      );
    }
    expect(await due("all", 50, 10)).toEqual({
      timers: [
        { iid: 2, generation: 1, task: 0, dueMs: 40 },
        { iid: 1, generation: 1, task: 0, dueMs: 50 },
      ],
      nextDueMs: 60,
    });
    expect(await due("all", 65, 1)).toMatchObject({ timers: [{ iid: 2 }], nextDueMs: 70 });
    expect(await due([2], 65, 10)).toEqual({ timers: [{ iid: 2, generation: 1, task: 0, dueMs: 40 }] });
    expect(await due([1], 10, 10)).toEqual({ timers: [], nextDueMs: 50 });
    expect(await due([], 100, 10)).toEqual({ timers: [] });
  });

  test("live instances with activities in flight or parked are unfinished", async () => {
    const ids = [];
    for (const id of ["a", "b", "c", "d"]) ids.push(await addInstance(id));
    const [a, b, c, d] = ids;
    await query("update @inst set activities = 1 where id in ('a', 'b')");
    await query("update @inst set status = 2 where id = 'b'");
    await query("update @inst set parked = '{}', shard = 9 where id = 'd'");
    const unfinished = (shards: "all" | readonly number[], afterIid: number, limit: number) =>
      unfinishedInstances(query, HUB, { shards, afterIid, limit });
    expect([b, c]).not.toContain(undefined);
    expect(await unfinished("all", 0, 10)).toEqual([a, d]);
    expect(await unfinished("all", 0, 1)).toEqual([a]);
    expect(await unfinished("all", a ?? 0, 10)).toEqual([d]);
    expect(await unfinished([9], 0, 10)).toEqual([d]);
    expect(await unfinished([], 0, 10)).toEqual([]);
  });

  test("many IDs are looked up at once, each with an answer of its own", async () => {
    const [one] = [await addInstance("one"), await addInstance("Two ä")];
    await query("update @inst set status = 2 where iid = $1", [one]);
    const found = await getInstances(query, HUB, ["Two ä", "two ä", "one", "Two ä"]);
    expect(found.map((record) => record?.instance.instanceId)).toEqual(["Two ä", undefined, "one", "Two ä"]);
    expect(await headsOf(query, HUB, [4711, one])).toEqual([
      { iid: one, generation: 1, sequence: 1, live: false },
    ]);
  });

  test("executions are listed newest first, and the history of each can be read", async () => {
    const iid = await addInstance("one", { generation: 2 });
    await addChunk(iid, 1, 1);
    await addChunk(iid, 2, 1);
    const { executions } = await executionsOf(query, HUB, { instanceId: "one", limit: 10, maxLength: 1_000 });
    expect(executions.map(({ executionId }) => executionId)).toEqual(["one-2", "one-1"]);
    const past = await historyOf(query, HUB, "one", "one-1");
    expect(past).toMatchObject({
      of: { generation: 1 },
      execution: { generation: 2 },
      chunks: [chunk(1, 1)],
    });
    const current = await historyOf(query, HUB, "one", undefined);
    expect(current).toMatchObject({ of: { generation: 2 }, chunks: [chunk(2, 1)] });
    expect(await historyOf(query, HUB, "one", "one-2")).toEqual(current);
    expect(await historyOf(query, HUB, "one", "another")).toBeUndefined();
    expect(await historyOf(query, HUB, "another", undefined)).toBeUndefined();
    await query("delete from @hist");
    expect(await historyOf(query, HUB, "one", "one-1")).toMatchObject({ of: { generation: 1 }, chunks: [] });
  });

  test("what a worker reads all the time goes by indexes where a hundred thousand instances have ended", async () => {
    await query(
      `insert into @inst (
         hub, id, shard, kind, generation, sequence, status, suspended, run, token, mail, activities,
         created, updated, name, execution_id
       )
       select 1, 'order-' || g, g % 256, 0, 1, 1, case when g % 5000 = 0 then 1 else 2 end, 0, 1, 1, 0, g % 7,
         g, g, 'Order', 'e' from generate_series(1, 100000) g`,
    );
    await query(
      `insert into @execution (iid, generation, hub, execution_id, run, name, tags, token, created)
       select iid, 1, 1, execution_id, 1, name, '{}', 1, created from @inst`,
    );
    await query("insert into @hist (iid, generation, sequence, chunk) select iid, 1, 1, '[]' from @inst");
    for (const table of ["inst", "execution", "hist", "message", "timer"]) await query(`analyze @${table}`);
    const statements: Statement[] = [];
    const noting: Query = (sql, values = []) => {
      statements.push([sql, values]);
      return query(sql, values);
    };
    await loadInstances(noting, HUB, [1, 2, 3]);
    await unfinishedInstances(noting, HUB, { shards: "all", afterIid: 0, limit: 100 });
    await unfinishedInstances(noting, HUB, { shards: [1, 2, 3], afterIid: 50_000, limit: 100 });
    await headsOf(noting, HUB, [1, 2, 3]);
    await getInstances(noting, HUB, ["order-1", "order-2"]);
    await executionsOf(noting, HUB, { instanceId: "order-1", limit: 10, maxLength: 1_000 });
    await historyOf(noting, HUB, "order-1", undefined);
    const plans = await plansOf(tables, statements);
    expect(plans.filter((plan) => /Seq Scan on (inst|execution|hist)\b/.test(plan))).toEqual([]);
    const unfinished = plans.filter((plan) => plan.includes("activities > 0"));
    expect(unfinished.filter((plan) => !plan.includes("inst_live"))).toEqual([]);
  });

  async function addInstance(id: string, { generation = 1 } = {}): Promise<number> {
    const rows = await query(
      `insert into @inst (
         hub, id, shard, kind, generation, sequence, status, suspended, run, token, mail, activities,
         created, updated, name, execution_id
       ) values ($1, $2, 3, 0, $3, 1, 1, 0, 1, 1, 0, 0, 10, 20, 'Order', $4) returning iid`,
      [HUB, id, generation, `${id}-${generation}`],
    );
    const iid = numberOf(rows);
    for (let each = 1; each <= generation; each++) {
      await query(
        `insert into @execution (
           iid, generation, hub, execution_id, run, name, tags, token, created, status, updated, ended, past
         ) values ($1, $2, $3, $4, 1, 'Order', '{}', 1, 10, $5, 7, 7, $6)`,
        [iid, each, HUB, `${id}-${each}`, each < generation ? 7 : null, each < generation ? 1 : 0],
      );
    }
    return iid;
  }

  async function addChunk(iid: number, generation: number, sequence: number): Promise<void> {
    await query("insert into @hist (iid, generation, sequence, chunk) values ($1, $2, $3, $4)", [
      iid,
      generation,
      sequence,
      chunk(generation, sequence),
    ]);
  }

  async function addMail(
    iid: number,
    { run, generation, task, mail }: { run?: number; generation?: number; task?: number; mail?: number },
  ): Promise<number> {
    const rows = await query(
      `insert into @message (hub, shard, iid, run, generation, task, mail, body)
       values ($1, 3, $2, $3, $4, $5, $6, $7) returning n`,
      [HUB, iid, run ?? null, generation ?? null, task ?? null, mail ?? null, '["é\\n"]'],
    );
    return numberOf(rows);
  }

  async function addRequest(target: string, shard: number): Promise<number> {
    const rows = await query(
      "insert into @message (hub, shard, target, body) values ($1, $2, $3, '{}') returning n",
      [HUB, shard, target],
    );
    return numberOf(rows);
  }
});

/** Text that JSON has to escape. */
function chunk(generation: number, sequence: number): string {
  return `["\\u0000 \\" ü \u{1f600}",\n${generation},${sequence}]`;
}

function numberOf([columns]: readonly unknown[]): number {
  return new Row(columns).integer();
}
