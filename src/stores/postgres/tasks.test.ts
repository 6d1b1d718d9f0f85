import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { postgresUrl } from "../../../test/postgres-schema.js";
import { newTables, type Tables } from "../../../test/postgres-tables.js";
import { type TaskQuery, TURN_TASK } from "../../core/task.js";
import { Row } from "../rows.js";
import { PostgresTasks, sweepTasks, type TaskParts } from "./tasks.js";
import { showWorker } from "./workers.js";

const HUB = 1;

/** As long as a lost connection keeps a statement from being sent again, at least. */
const PAUSE = "select pg_sleep(0.025)";

describe.skipIf(postgresUrl === undefined)("tasks of PostgreSQL", () => {
  let tables: Tables;
  beforeEach(async () => {
    tables = await newTables();
    await join("a");
    await join("b");
  });
  afterEach(async () => {
    await tables[Symbol.asyncDispose]();
  });

  describe("a claim whose answer is lost", () => {
    test("and that is carried out again, keeps nothing for nobody", async () => {
      let loses = true;
      const tasks = tasksOf({
        query: async (sql, values) => {
          if (loses) await tables.query(sql, values).then(() => tables.query(PAUSE));
          loses = false;
          return tables.query(sql, values);
        },
      });
      await offered(await instance(), [1, 2]);
      expect(await claimed(tasks, "a", { limit: 1 })).toEqual([2]);
      expect(await heldBy("a")).toEqual([1, 2]);
      expect(await claimed(tasks, "a")).toEqual([1]);
      expect(await heldBy("a")).toEqual([1, 2]);
      expect(await claimed(tasks, "a")).toEqual([]);
    });

    test("for good, has its tasks handed out by the next one", async () => {
      let loses = true;
      const tasks = tasksOf({
        query: async (sql, values) => {
          const rows = await tables.query(sql, values);
          if (!loses) return rows;
          loses = false;
          throw new Error("the answer is lost");
        },
      });
      await offered(await instance(), [1, 2]);
      await expect(tasks.claim(everything("a"))).rejects.toThrow("lost");
      expect(await heldBy("a")).toEqual([1, 2]);
      expect(await claimed(tasks, "a")).toEqual([1, 2]);
    });

    test("before it is carried out, has its tasks handed out once it was", async () => {
      let late: (() => Promise<unknown>) | undefined;
      let loses = true;
      const tasks = tasksOf({
        query: async (sql, values) => {
          if (!loses) return tables.query(sql, values);
          loses = false;
          late = () => tables.query(sql, values);
          throw new Error("the answer is lost");
        },
      });
      const iid = await instance();
      await offered(iid, [1, 2]);
      await expect(tasks.claim(everything("a"))).rejects.toThrow("lost");
      expect(await claimed(tasks, "a", { limit: 1 })).toEqual([1]);
      await late?.();
      expect(await heldBy("a")).toEqual([1, 2]);
      expect(await claimed(tasks, "a")).toEqual([2]);
    });
  });

  test("a claim that finds nothing at all is one read", async () => {
    const texts: string[] = [];
    const told = (sql: string) => texts.push(sql);
    const tasks = tasksOf({
      query: (sql, values) => (told("write"), tables.query(sql, values)),
      read: (sql, values) => (told("read"), tables.query(sql, values)),
    });
    const iid = await instance();
    expect(await claimed(tasks, "a")).toEqual([]);
    expect(texts).toEqual(["read"]);
    await offered(iid, [1]);
    expect(await claimed(tasks, "b")).toEqual([1]);
    texts.length = 0;
    expect(await claimed(tasks, "a")).toEqual([]);
    expect(texts).toEqual(["read"]);
  });

  test("any number of void rows is passed by, and swept at once", async () => {
    const tasks = tasksOf();
    const numbers = Array.from({ length: 2_500 }, (_, index) => index);
    const ended = await instance();
    await offered(ended, numbers);
    const gone = await instance();
    await offered(gone, [1]);
    const many = await Promise.all(numbers.slice(0, 150).map(() => instance()));
    for (const iid of many) await offered(iid, [1]);
    const next = await instance();
    await offered(next, [TURN_TASK, 1, 2]);
    const live = await instance();
    await offered(live, [TURN_TASK, 7]);
    await tables.query("update @inst set status = 2 where iid = any($1)", [[ended, ...many]]);
    await tables.query("delete from @inst where iid = $1", [gone]);
    await tables.query("update @inst set generation = 2 where iid = $1", [next]);
    expect(await claimed(tasks, "a", { limit: 1 })).toEqual([TURN_TASK]);
    expect(await sweepTasks(tables.query, HUB)).toBe(false);
    expect(await tables.query("select iid, task from @task order by task")).toEqual([
      [live, TURN_TASK],
      [live, 7],
    ]);
  });

  test("a sweep frees whatever dead workers hold, and says that there is something", async () => {
    const numbers = Array.from({ length: 1_500 }, (_, index) => index);
    const tasks = tasksOf();
    const iid = await instance();
    await tasks.offer(
      numbers.map((task) => ({ iid, generation: 1, task, name: "Charge" })),
      "a",
    );
    expect(await sweepTasks(tables.query, HUB)).toBe(false);
    await tables.query("update @worker set lease_until = clock_timestamp() where id = 'a'");
    expect(await sweepTasks(tables.query, HUB)).toBe(true);
    expect(await heldBy("a")).toEqual([]);
    expect((await tasks.claim(everything("b", { limit: 5_000 }))).length).toBe(1_500);
  });

  test("the tasks and the dead workers of another hub are left alone", async () => {
    await tables.query(
      "insert into @worker (id, hub, pid, host, since, orchestrations, activities, renewed_at, lease_until) values ('c', 2, 1, 'h', 1, '[]', '[]', now(), now() + interval '1 hour')",
    );
    const iid = await instance();
    await offered(iid, [1]);
    const elsewhere = tasksOf({ hub: 2 });
    expect(await claimed(elsewhere, "c")).toEqual([]);
    expect(await elsewhere.of([iid])).toEqual([]);
    await tables.query("update @task set worker = 'dead'");
    await sweepTasks(tables.query, 2);
    expect(await heldBy("dead")).toEqual([1]);
    expect(await claimed(elsewhere, "c")).toEqual([]);
    // One who lives in another hub does not live in this.
    await tables.query("update @task set worker = 'c'");
    expect(await claimed(tasksOf(), "a")).toEqual([1]);
  });

  test("a turn that is offered at the moment when it is let go of is there for others", async () => {
    const tasks = tasksOf();
    const iid = await instance();
    await offered(iid, [TURN_TASK]);
    for (let round = 0; round < 50; round++) {
      const held = await tasks.claim(everything("a"));
      expect(held).toHaveLength(1);
      const offering = tasks.offer([{ iid, generation: 1, task: TURN_TASK, name: "Order" }]);
      await Promise.all([tasks.letGo("a", held), offering]);
    }
    expect(await claimed(tasks, "b")).toEqual([TURN_TASK]);
  });

  function tasksOf(parts: Partial<TaskParts> = {}): PostgresTasks {
    return new PostgresTasks({
      query: tables.query,
      read: tables.query,
      hub: HUB,
      skipLocked: true,
      onOffered: () => {},
      onAnswered: () => {},
      ...parts,
    });
  }

  async function instance(): Promise<number> {
    const [columns] = await tables.query(
      `insert into @inst (hub, id, shard, kind, generation, sequence, status, suspended, run, token, mail, activities,
         created, updated, name, execution_id)
       values ($1, gen_random_uuid()::text, 1, 0, 1, 1, 1, 0, 1, 1, 0, 0, 1, 1, 'Order', 'e') returning iid`,
      [HUB],
    );
    return new Row(columns).integer();
  }

  function offered(iid: number, numbers: readonly number[]): Promise<void> {
    return tasksOf().offer(
      numbers.map((task) => ({ iid, generation: 1, task, name: task === TURN_TASK ? "Order" : "Charge" })),
    );
  }

  async function claimed(tasks: PostgresTasks, worker: string, fields: Partial<TaskQuery> = {}) {
    return (await tasks.claim(everything(worker, fields))).map(({ task }) => task);
  }

  async function heldBy(worker: string): Promise<unknown[]> {
    const rows = await tables.query("select task from @task where worker = $1 order by task", [worker]);
    return rows.flat();
  }

  async function join(id: string): Promise<void> {
    const info = { id, host: "h", pid: 1, sinceMs: 1, orchestrations: ["Order"], activities: ["Charge"] };
    await showWorker(tables.query, HUB, info, { leaseMs: 60_000, draining: false });
  }
});

function everything(worker: string, fields: Partial<TaskQuery> = {}): TaskQuery {
  return { worker, activities: ["Charge"], orchestrations: ["Order"], limit: 100, ...fields };
}
