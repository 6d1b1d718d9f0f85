import { setImmediate as nextRound } from "node:timers/promises";
import type { Client } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect, dropSchema, freshSchema, postgresUrl } from "../../../test/postgres-schema.js";
import type {
  Command,
  CommandAnswer,
  RaiseCommand,
  RunBegin,
  RunEnd,
  StartCommand,
} from "../../core/command.js";
import { EngineFaultError } from "../../core/errors.js";
import { encodeChunk } from "../../core/history-codec.js";
import { encodeRequest } from "../../core/request.js";
import { type IfLive, startPolicy } from "../../core/start-policy.js";
import { Row, STATUS_CODES } from "../rows.js";
import { beginRuns } from "./begin-run.js";
import { answersFromRead, executeCommands } from "./commands.js";
import { columnTypes } from "./driver.js";
import { endRunsFromOutside } from "./end-from-outside.js";
import { DatabaseFault } from "./fault.js";
import { addWaiter, postMail } from "./messages.js";
import { purgeInstances } from "./purge.js";
import { qualify } from "./qualify.js";
import type { Query } from "./query.js";
import { migrations } from "./schema.js";
import { type Notice, newNotice } from "./transaction.js";

/** Connections that race. */
const RACERS = 16;

/** How often they do. */
const ROUNDS = 300;

const HUB = 1;

/** One connection, as a process of its own would have it. */
class Session {
  readonly #client: Client;
  readonly #schema: string;
  readonly pid: number;
  /** How often a deadlock was broken here. */
  deadlocks = 0;

  private constructor(client: Client, schema: string, pid: number) {
    this.#client = client;
    this.#schema = schema;
    this.pid = pid;
  }

  static async open(schema: string): Promise<Session> {
    const client = await connect();
    const session = new Session(client, schema, 0);
    const [row] = await session.query("select pg_backend_pid()");
    return new Session(client, schema, new Row(row).integer());
  }

  readonly query: Query = async (sql, values = []) => {
    try {
      const text = qualify(sql, this.#schema);
      const { rows } = await this.#client.query<unknown[]>({
        text,
        values: [...values],
        rowMode: "array",
        types: columnTypes,
      });
      return rows;
    } catch (error) {
      throw new DatabaseFault(error);
    }
  };

  /** Carries out commands in a transaction of their own, again where it met another one. */
  async execute(
    commands: readonly Command[],
    notice: Notice = newNotice(),
  ): Promise<readonly CommandAnswer[]> {
    for (;;) {
      try {
        await this.query("begin isolation level read committed");
        const answers = await executeCommands({ query: this.query, hub: HUB, notice }, commands);
        await this.query("commit");
        return answers;
      } catch (error) {
        await this.query("rollback");
        if (!(error instanceof DatabaseFault) || error.kind !== "contention") throw error;
        this.deadlocks += 1;
      }
    }
  }

  async one(command: Command): Promise<CommandAnswer> {
    const [answer] = await this.execute([command]);
    if (answer === undefined) throw new Error("no answer");
    return answer;
  }

  /**
   * Carries out a command, and lets something happen each time before the statement is sent whose text contains
   * `text`. It gets what sends the statement.
   */
  async interrupted(
    command: Command,
    text: string,
    happening: (send: () => ReturnType<Query>, time: number) => ReturnType<Query>,
  ): Promise<CommandAnswer | undefined> {
    let times = 0;
    const query: Query = (sql, values) => {
      const send = (): ReturnType<Query> => this.query(sql, values);
      return sql.includes(text) ? happening(send, ++times) : send();
    };
    await this.query("begin isolation level read committed");
    const [answer] = await executeCommands({ query, hub: HUB, notice: newNotice() }, [command]);
    await this.query("commit");
    return answer;
  }

  async close(): Promise<void> {
    await this.#client.end();
  }
}

describe.skipIf(postgresUrl === undefined)("commands on PostgreSQL", () => {
  const schema = freshSchema();
  const sessions: Session[] = [];
  let ms = Date.UTC(2026, 0, 1);
  let ids = 0;

  beforeAll(async () => {
    await using client = await connect();
    await client.query(`create schema "${schema}"`);
    for (const statement of migrations.flatMap(({ statements }) => statements))
      await client.query(qualify(statement, schema));
    for (let index = 0; index < RACERS; index++) sessions.push(await Session.open(schema));
  });

  afterAll(async () => {
    await Promise.all(sessions.map((session) => session.close()));
    await dropSchema(schema);
  });

  const session = (index: number): Session => {
    const found = sessions[index];
    if (found === undefined) throw new Error("no such session");
    return found;
  };
  const now = (): number => ++ms;
  const newId = (): string => `order-${++ids}`;
  const start = (instanceId: string, fields: Partial<StartCommand> = {}): StartCommand => ({
    kind: "start",
    instanceId,
    atMs: now(),
    name: "Order",
    tags: {},
    executionId: (++ids).toString(16).padStart(32, "0"),
    policy: startPolicy(),
    ...fields,
  });
  const raise = (instanceId: string, name = "paid"): RaiseCommand => ({
    kind: "raise",
    instanceId,
    name,
    atMs: now(),
  });
  const terminate = (instanceId: string): Command => ({
    kind: "terminate",
    instanceId,
    atMs: now(),
    recurse: false,
  });
  const purge = (instanceId: string): Command => ({ kind: "purge", instanceId, atMs: now() });

  /** The numbers of a row and of its current execution. */
  const rowOf = async (instanceId: string): Promise<Readonly<Record<string, number>> | undefined> => {
    const [columns] = await session(0).query(
      `select i.iid, i.run, i.generation, i.sequence, i.status, i.token, i.mail, e.token, e.dropped
       from @inst i join @execution e on e.iid = i.iid and e.generation = i.generation where i.hub = $1 and i.id = $2`,
      [HUB, instanceId],
    );
    if (columns === undefined) return undefined;
    const row = new Row(columns);
    return {
      iid: row.integer(),
      run: row.integer(),
      generation: row.integer(),
      sequence: row.integer(),
      status: row.integer(),
      token: row.integer(),
      mail: row.integer(),
      executionToken: row.integer(),
      dropped: row.integer(),
    };
  };

  const present = async (instanceId: string): Promise<Readonly<Record<string, number>>> => {
    const row = await rowOf(instanceId);
    if (row === undefined) throw new Error(`${instanceId} is not there`);
    return row;
  };

  /** Returns once the session waits for a lock. */
  const blocked = async (waiting: Session): Promise<void> => {
    for (;;) {
      const [row] = await session(0).query(
        "select count(*) from pg_stat_activity where pid = $1 and wait_event_type = 'Lock'",
        [waiting.pid],
      );
      if (new Row(row).integer() === 1) return;
      await nextRound();
    }
  };

  it("lets a start whose ID was purged while it waited draw a token above the purged one's", async () => {
    const [, starter, other] = [session(0), session(1), session(2)];
    const id = newId();
    let purgedToken = 0;
    const answer = await starter.interrupted(start(id), "insert into @inst", async (send) => {
      // The starter has seen that the ID is free. Now it is used, three times, and about to be purged ...
      for (let run = 0; run < 3; run++) await other.execute([start(id), terminate(id)]);
      purgedToken = (await present(id))["token"] ?? 0;
      await other.query("begin isolation level read committed");
      await executeCommands({ query: other.query, hub: HUB, notice: newNotice() }, [purge(id)]);
      // ... while the insert, whose snapshot shows the floor of before, waits for the purge.
      const sent = send();
      await blocked(starter);
      await other.query("commit");
      return sent;
    });
    expect(answer).toMatchObject({ outcome: "started", run: 1, generation: 1 });
    expect(purgedToken).toBe(3);
    const { token, executionToken } = await present(id);
    expect(token).toBe(4);
    expect(executionToken).toBe(4);
  });

  it("draws tokens that rise through purges", async () => {
    const id = newId();
    let last = 0;
    for (let run = 0; run < 4; run++) {
      await session(1).execute([start(id), terminate(id), start(id)]);
      const { token, executionToken } = await present(id);
      expect(token).toBeGreaterThan(last);
      expect(executionToken).toBe(token);
      last = token ?? 0;
      await session(1).execute([terminate(id), purge(id)]);
      expect(await rowOf(id)).toBeUndefined();
    }
  });

  it.each([
    ["reject", { outcome: "refused", reason: "held" }],
    ["attach", { outcome: "attached", run: 1, generation: 1 }],
    ["terminate", { outcome: "replaced", run: 2, generation: 2 }],
  ] as const)(
    "decides a start with ifLive %s again when another one came first",
    async (ifLive, expected) => {
      const id = newId();
      const first = start(id);
      const command = start(id, { policy: startPolicy(ifLive) });
      const answer = await session(1).interrupted(command, "insert into @inst", async (send, time) => {
        if (time === 1) await session(2).one(first);
        return send();
      });
      expect(answer).toMatchObject(expected);
      const holder = answer?.outcome === "refused" ? answer.holder.executionId : undefined;
      expect(holder).toBe(ifLive === "reject" ? first.executionId : undefined);
    },
  );

  it("gives a start with a used request ID the first answer, even if that run was ended and purged meanwhile", async () => {
    const id = newId();
    const first = start(id, { requestId: "r" });
    const answer = await session(1).interrupted(
      start(id, { requestId: "r" }),
      "insert into @request",
      async (send, time) => {
        if (time === 1) await session(2).execute([first, terminate(id), purge(id)]);
        return send();
      },
    );
    expect(answer).toMatchObject({ outcome: "started", executionId: first.executionId, run: 1 });
    expect(await rowOf(id)).toBeUndefined();
  });

  it("keeps no answer for a request ID whose start came to nothing", async () => {
    const id = newId();
    const command = start(id, { requestId: "r" });
    const answer = await session(1).interrupted(command, "insert into @inst", async (send, time) => {
      if (time === 1) await session(2).one(start(id));
      return send();
    });
    expect(answer).toMatchObject({ outcome: "refused" });
    await session(2).one(terminate(id));
    expect(await session(1).one(command)).toMatchObject({ outcome: "started", run: 2 });
    expect(await session(1).one(start(id, { requestId: "r" }))).toMatchObject({
      outcome: "started",
      executionId: command.executionId,
    });
  });

  it("forgets a request ID after a day", async () => {
    const id = newId();
    await session(1).execute([start(id, { requestId: "r" }), terminate(id)]);
    ms += 24 * 60 * 60 * 1000;
    const again = start(id, { requestId: "r" });
    expect(await session(1).one(again)).toMatchObject({ outcome: "started", run: 2 });
    expect(await session(1).one(start(id, { requestId: "r" }))).toMatchObject({
      executionId: again.executionId,
    });
  });

  it("finds nothing where the instance was purged while a command waited for its row", async () => {
    const id = newId();
    await session(1).execute([start(id), terminate(id)]);
    await session(2).query("begin");
    await executeCommands({ query: session(2).query, hub: HUB, notice: newNotice() }, [purge(id)]);
    const answer = session(1).one(raise(id));
    await blocked(session(1));
    await session(2).query("commit");
    expect(await answer).toEqual({ outcome: "notFound" });
  });

  it("names the worker that committed while a start waited for the row", async () => {
    const id = newId();
    await session(1).one(start(id));
    const [row] = await session(2).query("insert into @writer (name) values ($1) returning writer", [id]);
    await session(2).query("begin");
    await session(2).query("update @inst set writer = $1 where hub = $2 and id = $3", [
      new Row(row).integer(),
      HUB,
      id,
    ]);
    const answer = session(1).one(start(id));
    await blocked(session(1));
    await session(2).query("commit");
    expect(await answer).toMatchObject({ outcome: "refused", holder: { worker: id } });
  });

  it("carries out the commands of one ID in their order, beside those of others", async () => {
    const [a, b] = [newId(), newId()];
    const answers = await session(1).execute([
      raise(a),
      start(a),
      start(b, { startAtMs: ms + 60_000 }),
      start(a),
      raise(a, "one"),
      raise(a, "two"),
      { kind: "suspend", instanceId: a, atMs: now() },
      raise(a, "three"),
      purge(a),
      terminate(a),
      raise(a),
      terminate(b),
      purge(a),
      start(a, { policy: startPolicy("attach") }),
      start(a, { policy: startPolicy("attach") }),
    ]);
    expect(answers.map(({ outcome }) => outcome)).toEqual([
      "notFound",
      "started",
      "started",
      "refused",
      "done",
      "done",
      "done",
      "done",
      "invalidState",
      "done",
      "ended",
      "done",
      "purged",
      "started",
      "attached",
    ]);
    expect(await present(b)).toMatchObject({ status: STATUS_CODES.Terminated, sequence: 1 });
  });

  it("mails events in their order, each with the counter that it led to", async () => {
    const [a, b] = [newId(), newId()];
    await session(1).execute([start(a), start(b)]);
    const notice = newNotice();
    const events = Array.from({ length: 300 }, (_, index) =>
      raise(index % 3 === 0 ? b : a, `event-${index}`),
    );
    await session(1).execute(events, notice);
    for (const id of [a, b]) {
      const { iid, mail } = await present(id);
      const rows = await session(0).query(
        "select mail, body from @message where iid = $1 and run is not null order by n",
        [iid ?? 0],
      );
      const names = events.filter(({ instanceId }) => instanceId === id).map(({ name }) => name);
      expect(mail).toBe(names.length);
      expect(rows.map(([counter]) => counter)).toEqual(names.map((_, index) => index + 1));
      for (const [index, [, body]] of rows.entries()) expect(body).toContain(`"${names[index]}"`);
    }
    expect(notice.shards.size).toBeGreaterThan(0);
  });

  it("tells of the shard of a message, and of the time of a scheduled start", async () => {
    const id = newId();
    const notice = newNotice();
    const startAtMs = ms + 60_000.5;
    await session(1).execute([start(id, { startAtMs })], notice);
    expect(notice).toEqual({ shards: new Set(), nextDueMs: Math.ceil(startAtMs) });
    await session(1).execute([raise(id)], notice);
    expect(notice.shards.size).toBe(1);
  });

  it("carries out a request message once", async () => {
    const id = newId();
    const [row] = await session(1).query(
      "insert into @message (hub, shard, target, body) values ($1, 0, $2, $3) returning n",
      [HUB, id, encodeRequest({ kind: "raise", name: "paid" })],
    );
    await session(1).one(start(id));
    const carried = { ...raise(id), consumes: new Row(row).integer() };
    const answers = await Promise.all([
      session(1).execute([carried, carried]),
      session(2).execute([carried]),
      session(3).execute([carried]),
    ]);
    const outcomes = answers.flat().map(({ outcome }) => outcome);
    expect(outcomes.toSorted()).toEqual(["done", "void", "void", "void"]);
    expect((await present(id))["mail"]).toBe(1);
  });

  it("guards each write by itself, whatever was decided and whoever holds the row's lock", async () => {
    const id = newId();
    await session(1).one(start(id));
    const { iid = 0, run = 0, generation = 0 } = await present(id);
    const transaction = { query: session(1).query, hub: HUB, notice: newNotice() };
    const begin: RunBegin = {
      over: ["Completed", "Failed", "Terminated", "Canceled"],
      name: "Order",
      tags: {},
      executionId: "f".repeat(32),
      events: encodeChunk([]),
    };
    const end: RunEnd = { status: "Terminated", answer: encodeChunk([]) };
    const beginning = { instanceId: id, begin, atMs: now() };
    expect(await beginRuns(transaction, [beginning])).toEqual(new Map());
    expect(await beginRuns(transaction, [{ ...beginning, over: { iid } }])).toEqual(new Map());
    await expect(purgeInstances(transaction, [{ iid }])).rejects.toThrow(EngineFaultError);
    for (const stale of [{ sequence: 1 }, { generation: 2 }]) {
      const instance = { iid, run, generation, sequence: 0, ...stale };
      const ends = [{ instance, end, atMs: now() }];
      await expect(endRunsFromOutside(transaction, ends)).rejects.toThrow(EngineFaultError);
    }
    await expect(postMail(transaction, [{ iid, run: 2, events: "[]" }])).rejects.toThrow(EngineFaultError);
    expect(await present(id)).toMatchObject({ run: 1, generation: 1, sequence: 0, status: 0, mail: 0 });
    await session(1).one(terminate(id));
    const ends = [{ instance: { iid, run, generation, sequence: 1 }, end, atMs: now() }];
    await expect(endRunsFromOutside(transaction, ends)).rejects.toThrow(EngineFaultError);
    await expect(postMail(transaction, [{ iid, run, events: "[]" }])).rejects.toThrow(EngineFaultError);
    const waiting = { iid, generation, task: 0 };
    await expect(addWaiter(transaction, { iid, run }, waiting)).rejects.toThrow(EngineFaultError);
    const over = { ...begin, over: ["Completed" as const] };
    expect(await beginRuns(transaction, [{ ...beginning, begin: over, over: { iid } }])).toEqual(new Map());
    const elsewhere = { ...transaction, hub: HUB + 1 };
    await expect(purgeInstances(elsewhere, [{ iid }])).rejects.toThrow(EngineFaultError);
    expect(await beginRuns(elsewhere, [{ ...beginning, over: { iid } }])).toEqual(new Map());
    expect(await present(id)).toMatchObject({ run: 1, sequence: 1, status: STATUS_CODES.Terminated });
  });

  it("answers from a read only what needs no write", async () => {
    const [held, ended, free] = [newId(), newId(), newId()];
    const first = start(held, { requestId: "r" });
    await session(1).execute([first, start(ended), terminate(ended)]);
    const read = await answersFromRead(session(1).query, HUB, [
      start(held),
      start(held, { policy: startPolicy("attach") }),
      start(held, { policy: startPolicy("terminate") }),
      start(held, { requestId: "r" }),
      start(held, { policy: startPolicy("attach"), requestId: "s" }),
      start(ended),
      start(ended, { policy: startPolicy("reject", "return") }),
      start(ended, { policy: startPolicy("reject", "reject") }),
      start(free),
      { ...start(held), consumes: 1 },
      raise(held),
    ]);
    expect(read.answers.map((answer) => answer?.outcome)).toEqual([
      "refused",
      "attached",
      undefined,
      "started",
      undefined,
      undefined,
      "returned",
      "refused",
      undefined,
      undefined,
      undefined,
    ]);
    expect(read.answers[3]).toMatchObject({ executionId: first.executionId });
    expect(read.free).toEqual(new Set([free]));
  });

  it.each<[IfLive, string]>([
    ["reject", "refused"],
    ["attach", "attached"],
    ["terminate", "replaced"],
  ])(
    `lets one of ${RACERS} connections start an ID at once with ifLive %s; the others are %s`,
    async (ifLive, others) => {
      // Replacing takes many statements, one racer after the other.
      const rounds = ifLive === "terminate" ? ROUNDS / 5 : ROUNDS;
      for (let round = 0; round < rounds; round++) {
        const id = newId();
        const before = round % 2 === 0 ? 0 : 1;
        if (before === 1) await session(0).execute([start(id), terminate(id)]);
        const commands = sessions.map(() => start(id, { policy: startPolicy(ifLive) }));
        const answers = await Promise.all(
          sessions.map((racer, index) => racer.execute(commands.slice(index, index + 1))),
        );
        const outcomes = answers.flat().map(({ outcome }) => outcome);
        expect(outcomes.filter((outcome) => outcome === "started")).toHaveLength(1);
        expect(outcomes.filter((outcome) => outcome === others)).toHaveLength(RACERS - 1);
        const { run, token, executionToken, sequence } = await present(id);
        expect([run, sequence]).toEqual([before + (ifLive === "terminate" ? RACERS : 1), 0]);
        expect(executionToken).toBe(token);
        const executions = answers
          .flat()
          .map((answer) => ("executionId" in answer ? answer.executionId : ""));
        expect(new Set(executions).size).toBe({ reject: 2, attach: 1, terminate: RACERS }[ifLive]);
      }
    },
    120_000,
  );

  it("starts, ends and purges IDs in racing batches, in any order, without a token that falls", async () => {
    const hot = Array.from({ length: 4 }, newId);
    const tokens = new Map<string, number>();
    for (let round = 0; round < ROUNDS / 4; round++) {
      await Promise.all(
        sessions.slice(0, 6).map((racer, index) => {
          const order = index % 2 === 0 ? hot : hot.toReversed();
          return racer.execute(
            order.flatMap((id) =>
              index % 3 === 0 ? [terminate(id), purge(id)] : [start(id), raise(id), terminate(id)],
            ),
          );
        }),
      );
      for (const id of hot) {
        await session(0).one(start(id, { policy: startPolicy("attach") }));
        const { token, executionToken, generation } = await present(id);
        expect(token).toBeGreaterThanOrEqual(tokens.get(id) ?? 0);
        expect(executionToken).toBe(token);
        expect(generation).toBeGreaterThan(0);
        tokens.set(id, token ?? 0);
      }
    }
  }, 120_000);

  it("loses no event that races with a terminate: it was dropped and counted, or its caller was told", async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const id = newId();
      await session(1).one(start(id));
      const [raised] = await Promise.all([session(2).one(raise(id)), session(3).one(terminate(id))]);
      const { dropped, iid } = await present(id);
      expect(dropped).toBe(raised.outcome === "done" ? 1 : 0);
      expect(await session(0).query("select n from @message where iid = $1", [iid ?? 0])).toEqual([]);
    }
  }, 120_000);

  it("loses no event that races with a turn that ends the run: the turn is refused, or its caller was told", async () => {
    const outcomes = new Set<string>();
    for (let round = 0; round < ROUNDS; round++) {
      const id = newId();
      await session(1).one(start(id));
      const { iid } = await present(id);
      const [raised, ended] = await Promise.all([
        session(2).one(raise(id)),
        session(3).query(
          `update @inst set status = ${STATUS_CODES.Completed}, sequence = sequence + 1
           where iid = $1 and generation = 1 and sequence = 0 and status < 2 and mail = 0 returning iid`,
          [iid ?? 0],
        ),
      ]);
      expect(raised.outcome).toBe(ended.length === 1 ? "ended" : "done");
      outcomes.add(raised.outcome);
    }
    expect(outcomes.size).toBeGreaterThan(0);
  }, 120_000);
});
