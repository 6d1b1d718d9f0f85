import { once } from "node:events";
import { connect as connectTcp, createServer, type Socket } from "node:net";
import { Pool } from "pg";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { connect, dropSchema, freshSchema, postgresUrl, storeUrl } from "../../../test/postgres-schema.js";
import type { RaiseCommand, StartCommand } from "../../core/command.js";
import { InvalidArgumentError, StoreConflictError, StoreUnusableError } from "../../core/errors.js";
import { decodeChunk, encodeChunk } from "../../core/history-codec.js";
import { startPolicy } from "../../core/start-policy.js";
import { ANY_MAIL, type Store, type TurnCommit } from "../../core/store.js";
import { executionsOf } from "../conformance/test-hub.js";
import { Row } from "../rows.js";
import { openPostgresStore } from "./index.js";
import { qualify } from "./qualify.js";
import type { SqlValue } from "./query.js";

const AT = Date.UTC(2026, 0, 1);

/** How many statements of a schema wait for a lock. */
const WAITING =
  "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and strpos(query, $1) > 0";

describe.skipIf(postgresUrl === undefined)("the PostgreSQL store", () => {
  let schema: string;
  let store: Store & { sweep(): Promise<void> };
  beforeEach(async () => {
    schema = freshSchema();
    store = await openPostgresStore({ url: storeUrl(schema) });
  });
  afterEach(async () => {
    await store.close();
    await dropSchema(schema);
  });

  describe("a sweep", () => {
    test("deletes mail that reached an instance after its generation", async () => {
      const { iid } = await started("p");
      await sql("update @inst set generation = 2 where iid = $1", [iid]);
      await sql("insert into @message (hub, shard, iid, generation, body) values (1, 0, $1, 1, '[]')", [iid]);
      const before = await count("select count(*) from @message");
      await store.sweep();
      expect(await count("select count(*) from @message where generation = 1 and body = '[]'")).toBe(0);
      expect(await count("select count(*) from @message")).toBeLessThan(before);
    });

    test("answers whoever a run that ended whatever came left waiting, however many they are", async () => {
      const [parent, child] = [await started("p"), await started("w")];
      await store.commit([endOf(child, '"one"')]);
      await leaveWaiters(child.iid, parent, 2_500);
      await store.sweep();
      expect(await count("select count(*) from @waiter")).toBe(0);
      expect(await answersTo(parent.iid)).toEqual(Array.from({ length: 2_500 }, () => '"one"'));
    });

    test("leaves those alone whose run goes on", async () => {
      const [parent, child] = [await started("p"), await started("w")];
      await leaveWaiters(child.iid, parent, 1);
      await store.sweep();
      expect(await count("select count(*) from @waiter")).toBe(1);
      expect(await answersTo(parent.iid)).toEqual([]);
    });

    test("deletes receipts of those who died, all of them, and no younger ones", async () => {
      await sql(
        `insert into @receipt (id, created) select k::text, now() - interval '61 minutes' from generate_series(1, 2500) k`,
      );
      await sql("insert into @receipt (id, created) values ('young', now() - interval '59 minutes')");
      await store.sweep();
      expect(await sql("select id from @receipt where length(id) < 32")).toEqual([["young"]]);
    });
  });

  test.each(["a new run begins", "it is purged"])(
    "whoever was left waiting for a run is told of that one's outcome when %s",
    async (how) => {
      const [parent, child] = [await started("p"), await started("w")];
      await store.commit([endOf(child, '"one"')]);
      await leaveWaiters(child.iid, parent, 1);
      if (how === "it is purged") {
        await store.execute([{ kind: "purge", instanceId: "w", atMs: AT }]);
      } else {
        await started("w");
      }
      expect(await answersTo(parent.iid)).toEqual(['"one"']);
      expect(await count("select count(*) from @waiter")).toBe(0);
    },
  );

  test("the end of a run tells nobody who waits for an earlier one, unless of that one's outcome", async () => {
    const [parent, child] = [await started("p"), await started("w")];
    await store.commit([endOf(child, '"one"')]);
    const second = await started("w");
    await leaveWaiters(child.iid, parent, 1);
    await store.commit([endOf(second, '"two"')]);
    expect(await answersTo(parent.iid)).toEqual(['"one"']);
  });

  test("purges instances with more history than a transaction has time for; what is left is swept", async () => {
    const ids = ["a", "b", "c"];
    for (const id of ids) await started(id);
    await store.execute(
      ids.map((instanceId) => ({ kind: "terminate", instanceId, atMs: AT, recurse: false })),
    );
    await sql(
      `insert into @hist (iid, generation, sequence, chunk)
       select iid, 1, k + 10, '' from @inst, generate_series(1, 9000) k where id <> 'c'`,
    );
    const answers = await store.execute(ids.map((instanceId) => ({ kind: "purge", instanceId, atMs: AT })));
    expect(answers.map(({ outcome }) => outcome)).toEqual(["purged", "purged", "purged"]);
    expect(await store.get("a")).toBeUndefined();
    // One piece of 10,000 went with the instances themselves.
    const left = await count("select count(*) from @hist");
    expect(left).toBeGreaterThan(7_900);
    expect(left).toBeLessThan(8_100);
    await store.sweep();
    for (const table of ["hist", "execution", "remains"])
      expect(await count(`select count(*) from @${table}`)).toBe(0);
  });

  test("prunes past executions with more history than a statement has time for; what is left is swept", async () => {
    const { iid } = await started("a");
    await store.execute([{ kind: "terminate", instanceId: "a", atMs: AT, recurse: false }, start("a")]);
    await sql(
      `insert into @hist (iid, generation, sequence, chunk)
       select $1::bigint, g, k + 10, '' from generate_series(1, 2) g, generate_series(1, 12000) k`,
      [iid],
    );
    const pruned = { status: "Terminated", endedBeforeMs: AT + 1, limit: 100 } as const;
    expect(await store.pruneExecutions(pruned)).toBe(1);
    expect(await count("select count(*) from @hist where generation = 1")).toBeGreaterThan(1_900);
    await store.sweep();
    expect(await count("select count(*) from @hist where generation = 1")).toBe(0);
    expect(await count("select count(*) from @hist where generation = 2 and sequence > 10")).toBe(12_000);
    expect(await count("select count(*) from @remains")).toBe(0);
    expect(await executionsOf(store, "a")).toHaveLength(1);
  });

  test("a purge of little history leaves nothing to sweep", async () => {
    await started("a");
    await store.execute([
      { kind: "terminate", instanceId: "a", atMs: AT, recurse: false },
      { kind: "purge", instanceId: "a", atMs: AT },
    ]);
    for (const table of ["hist", "execution", "remains"])
      expect(await count(`select count(*) from @${table}`)).toBe(0);
  });

  test("one locked row does not fail commands on other IDs that came with it", async () => {
    await Promise.all([started("hot"), started("warm")]);
    await using client = await connect();
    await client.query("begin");
    await client.query(qualify("select 1 from @inst where id = 'hot' for update", schema));
    const hot = store.execute([raise("hot")]);
    const others = store.execute([raise("warm"), start("other"), raise("warm"), raise("nobody")]);
    const refused = hot.catch((error: unknown) => error);
    expect((await others).map(({ outcome }) => outcome)).toEqual(["done", "started", "done", "notFound"]);
    expect(await refused).toBeInstanceOf(StoreConflictError);
    await client.query("rollback");
    expect(await store.execute([raise("hot")])).toMatchObject([{ outcome: "done" }]);
    expect(await count("select mail from @inst where id = 'warm'")).toBe(2);
    expect(await count("select mail from @inst where id = 'hot'")).toBe(1);
  });

  test("a row that is let go of in time fails nobody", async () => {
    await started("hot");
    await using client = await connect();
    await client.query("begin");
    await client.query(qualify("select 1 from @inst where id = 'hot' for update", schema));
    const hot = store.execute([raise("hot")]);
    const others = store.execute([start("other")]);
    await until(async () => (await count(`select count(*) from @inst where id = 'other'`)) === 1);
    await client.query("commit");
    expect(await hot).toMatchObject([{ outcome: "done" }]);
    expect(await others).toMatchObject([{ outcome: "started" }]);
  });

  test("a start does not wait for a purge", async () => {
    await store.commit([endOf(await started("old"), '"done"')]);
    await using client = await connect();
    await client.query("begin");
    await client.query(qualify("select 1 from @inst where id = 'old' for update", schema));
    const purged = store.execute([{ kind: "purge", instanceId: "old", atMs: AT }]);
    await until(async () => (await count(WAITING, [schema])) === 1);
    const begun = store.execute([start("new")]);
    expect(await Promise.race([purged, begun])).toMatchObject([{ outcome: "started" }]);
    await client.query("commit");
    expect(await purged).toMatchObject([{ outcome: "purged" }]);
  });

  test("what no text of the database can be is nowhere", async () => {
    const { executionId } = await started("x");
    expect(await store.history("x", executionId)).toBeDefined();
    expect(await store.history("x", "a\0b")).toBeUndefined();
    expect(await store.history("x\0")).toBeUndefined();
    expect(await store.get("x\0")).toBeUndefined();
    expect(await executionsOf(store, "x\0")).toEqual([]);
    expect(await store.refusals({ instanceId: "x\0", limit: 1 })).toEqual([]);
    expect(await store.setting("x\0")).toBeUndefined();
  });

  test("a store that closes leaves no receipts behind", async () => {
    const short = await openPostgresStore({ url: storeUrl(schema) });
    await short.execute([start("one")]);
    await short.execute([start("two")]);
    expect(await count("select count(*) from @receipt")).toBeGreaterThan(0);
    await short.close();
    expect(await count("select count(*) from @receipt")).toBe(0);
  });

  describe("a commit whose answer was lost", () => {
    test("is carried out once", async () => {
      const { answered, goOn } = await losing();
      goOn();
      expect(await answered).toMatchObject([{ outcome: "started" }, { outcome: "done" }]);
      expect(await sql("select run, mail from @inst where id = 'x'")).toEqual([["1", "1"]]);
    });

    test("is not carried out again where the server said that it could not flush it", async () => {
      const { answered, goOn } = await losing(PANIC);
      goOn();
      expect(await answered).toMatchObject([{ outcome: "started", run: 1 }, { outcome: "done" }]);
      expect(await sql("select run, mail from @inst where id = 'x'")).toEqual([["1", "1"]]);
    });

    test("is not carried out again by a process that stood still until its receipt was swept", async () => {
      const { answered, goOn } = await losing();
      vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 51 * 60_000 });
      onTestFinished(() => void vi.useRealTimers());
      await sql("delete from @receipt");
      goOn();
      expect(await answered).toBeInstanceOf(StoreUnusableError);
      expect(await sql("select run, mail from @inst where id = 'x'")).toEqual([["1", "1"]]);
    });

    /** Commands whose commit happens, unknown to those who wait for it. */
    async function losing(answer?: Buffer) {
      const proxy = await loseCommits(answer);
      const url = new URL(storeUrl(schema));
      url.hostname = "127.0.0.1";
      url.port = String(proxy.port);
      const own = await openPostgresStore({ url: url.href });
      onTestFinished(() => own.close());
      await own.execute([start("before")]);
      proxy.loseNext();
      const answered = own.execute([start("x"), raise("x")]).catch((error: unknown) => error);
      await proxy.lost;
      return { answered, goOn: proxy.goOn };
    }
  });

  describe("a pool of the application's own", () => {
    test("is used, keeps nothing of ours, and stays open", async () => {
      const pool = new Pool({ connectionString: postgresUrl, max: 5 });
      onTestFinished(() => pool.end());
      const own = await openPostgresStore({ pool, schema });
      await own.execute([start("mine")]);
      expect((await store.get("mine"))?.instance.run).toBe(1);
      await own.close();
      const { rows } = await pool.query({ text: "show statement_timeout", rowMode: "array" });
      expect(rows).toEqual([["0"]]);
    });

    test.each(["a".repeat(64), "Tenure", "pg_x", 'x"; drop'])("is refused the schema %s", async (name) => {
      const pool = new Pool({ connectionString: postgresUrl, max: 5 });
      onTestFinished(() => pool.end());
      await expect(openPostgresStore({ pool, schema: name })).rejects.toThrow(InvalidArgumentError);
      expect(pool.totalCount).toBe(0);
    });
  });

  async function sql(text: string, values: readonly SqlValue[] = []): Promise<readonly unknown[][]> {
    await using client = await connect();
    const statement = { text: qualify(text, schema), values: [...values] };
    return (await client.query<unknown[]>({ ...statement, rowMode: "array" })).rows;
  }

  async function count(text: string, values: readonly SqlValue[] = []): Promise<number> {
    const [row] = await sql(text, values);
    return Number(row?.[0]);
  }

  async function started(instanceId: string) {
    await store.execute([start(instanceId)]);
    const record = await store.get(instanceId);
    if (record === undefined) throw new Error(`${instanceId} was not started`);
    return record.instance;
  }

  /** As they are left by a process that dies between the end of a run whatever came and its second look. */
  async function leaveWaiters(iid: number, waiting: { iid: number; generation: number }, many: number) {
    await sql(
      `insert into @waiter (iid, run, waiting_iid, waiting_generation, waiting_task)
       select $1::bigint, 1, $2::bigint, $3::bigint, k from generate_series(1, $4::integer) k`,
      [iid, waiting.iid, waiting.generation, many],
    );
  }

  /** The results that an instance was sent. */
  async function answersTo(iid: number): Promise<unknown[]> {
    const bodies = await sql("select body from @message where iid = $1 and task is not null order by n", [
      iid,
    ]);
    return bodies.flatMap((row) =>
      decodeChunk(new Row(row).text()).map((event) => ("result" in event ? event.result : event.type)),
    );
  }
});

function start(instanceId: string): StartCommand {
  const executionId = (++executions).toString(16).padStart(32, "0");
  return { kind: "start", instanceId, atMs: AT, name: "Order", tags: {}, executionId, policy: startPolicy() };
}

function raise(instanceId: string): RaiseCommand {
  return { kind: "raise", instanceId, name: "paid", atMs: AT };
}

let executions = 0;

type Started = Pick<TurnCommit, "iid" | "instanceId" | "executionId" | "generation" | "sequence">;

/** A turn that ends the run whatever came. */
function endOf({ iid, instanceId, executionId, generation, sequence }: Started, output: string): TurnCommit {
  return {
    iid,
    instanceId,
    executionId,
    generation,
    sequence,
    mail: ANY_MAIL,
    writer: "worker",
    commitNumber: ++executions,
    atMs: AT,
    consumed: [],
    status: "Completed",
    activities: 0,
    timersSet: [],
    timersCleared: [],
    requests: [],
    end: {
      status: "Completed",
      output,
      answer: encodeChunk([
        { type: "SubOrchestrationInstanceCompleted", atMs: AT, taskScheduledId: -1, result: output },
      ]),
    },
  };
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  await expect.poll(holds, { interval: 20, timeout: 10_000 }).toBe(true);
}

/** What a server says that stops itself because it could not flush a commit: it may find it in its log all the same. */
const PANIC = errorResponse({ S: "PANIC", V: "PANIC", C: "58030", M: "could not flush to disk" });

/** https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-ERRORRESPONSE */
function errorResponse(fields: Readonly<Record<string, string>>): Buffer {
  const body = Buffer.from(
    `${Object.entries(fields)
      .map(([code, text]) => `${code}${text}\0`)
      .join("")}\0`,
  );
  const head = Buffer.alloc(5, "E");
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

/** A proxy that passes a commit on, loses its answer or gives another, and lets nobody in until it may go on. */
async function loseCommits(answer?: Buffer) {
  const target = new URL(postgresUrl ?? "postgres://");
  const sockets = new Set<Socket>();
  let armed = false;
  let shut = false;
  let tell = (): void => {};
  const lost = new Promise<void>((resolve) => {
    tell = resolve;
  });
  const server = createServer((client) => {
    client.on("error", () => {});
    if (shut) return void client.destroy();
    const upstream = connectTcp(Number(target.port || 5432), target.hostname);
    for (const socket of [client, upstream]) sockets.add(socket);
    let losing = false;
    client.on("data", (data) => {
      if (armed && data.includes("commit\0")) {
        armed = false;
        losing = true;
        shut = true;
      }
      upstream.write(data);
    });
    upstream.on("data", (data) => {
      if (!losing) return void client.write(data);
      if (answer !== undefined) {
        client.end(answer);
        sockets.delete(client);
      }
      for (const socket of sockets) socket.destroy();
      tell();
    });
    upstream.on("error", () => client.destroy()).on("close", () => client.destroy());
    client.on("close", () => upstream.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    lost,
    loseNext: () => {
      armed = true;
    },
    goOn: () => {
      shut = false;
    },
  };
}
