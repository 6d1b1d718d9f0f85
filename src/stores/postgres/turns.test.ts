import { randomBytes } from "node:crypto";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from "vitest";
import type { RunBegin } from "../../core/command.js";
import { encodeChunk } from "../../core/history-codec.js";
import { shardOf } from "../../core/shard.js";
import { ANY_MAIL, type TurnCommit } from "../../core/store.js";
import { Row, STATUS_CODES } from "../rows.js";
import { beginRuns } from "./begin-run.js";
import { columnTypes } from "./driver.js";
import { finishRuns, sweepOrphans } from "./end-run.js";
import { KEYED_PLANS } from "./keyed.js";
import { addWaiter, postMail } from "./messages.js";
import { qualify, quoteName } from "./qualify.js";
import type { Query } from "./query.js";
import { migrations } from "./schema.js";
import { newNotice } from "./transaction.js";
import { partsOf, valuesOf } from "./turn-columns.js";
import { turnStatement } from "./turn-statement.js";
import { commitTurns, REFUSED } from "./turns.js";

const url = inject("postgresUrl");
const HUB = 1;
const AT = Date.UTC(2026, 0, 1);

describe.skipIf(url === undefined)("turns on PostgreSQL", () => {
  const schema = `turns_${randomBytes(6).toString("hex")}`;
  let client: Client;
  let query: Query;
  let pid: number;

  beforeAll(async () => {
    client = await connect();
    query = queryOf(client);
    pid = new Row((await query("select pg_backend_pid()"))[0]).integer();
    await client.query(`create schema ${quoteName(schema)}`);
    for (const { statements } of migrations) for (const sql of statements) await query(sql);
  });

  afterAll(async () => {
    await client.query(`drop schema ${quoteName(schema)} cascade`);
    await client.end();
  });

  describe("the guard", () => {
    const spoiled: Record<string, (valid: TurnCommit) => TurnCommit | Promise<TurnCommit>> = {
      "its instance does not exist": (valid) => ({ ...valid, iid: valid.iid + 1_000_000 }),
      "it is of an earlier generation": (valid) => ({ ...valid, generation: valid.generation - 1 }),
      "it is of a generation to come": (valid) => ({ ...valid, generation: valid.generation + 1 }),
      "its sequence is stale": (valid) => ({ ...valid, sequence: valid.sequence - 1 }),
      "its sequence is yet to come": (valid) => ({ ...valid, sequence: valid.sequence + 1 }),
      "it takes in a message which never was": (valid) => ({
        ...valid,
        consumed: [...valid.consumed, 1_000_000_000],
      }),
      "it takes in nothing but another instance's message": async (valid) => ({
        ...valid,
        consumed: [await raise(await begin())],
      }),
      "it takes in another instance's message": async (valid) => ({
        ...valid,
        consumed: [...valid.consumed, await raise(await begin())],
      }),
    };
    const kinds: Record<string, (iid: number) => Promise<TurnCommit>> = {
      "goes on": turnOf,
      "ends the run": (iid) => endOf(iid),
      "ends the run whatever came": async (iid) => ({ ...(await endOf(iid)), mail: ANY_MAIL }),
      "continues as new": (iid) => nextOf(iid),
    };
    for (const [kind, make] of Object.entries(kinds)) {
      for (const [what, spoil] of Object.entries(spoiled)) {
        test(`refuses a turn that ${kind} when ${what}, alone and in a group`, async () => {
          const [one, other] = [await begin(), await begin()];
          await raise(one);
          const valid = { ...(await make(one)), consumed: await mailOf(one) };
          const bad = await spoil(valid);
          const before = await everythingOf(one);
          expect(await commit([bad])).toEqual([REFUSED]);
          expect(await commit([bad, await turnOf(other)])).toEqual([REFUSED, 1]);
          expect(await everythingOf(one)).toEqual(before);
          expect(await commit([valid])).not.toEqual([REFUSED]);
        });
      }

      test(`refuses a turn that ${kind} on another hub`, async () => {
        const valid = await make(await begin());
        const notice = newNotice();
        expect(await commitTurns({ statement: query, writerOf }, HUB + 1, [valid], notice)).toEqual([
          REFUSED,
        ]);
        expect(await commit([valid])).not.toEqual([REFUSED]);
      });

      test(`refuses a turn that ${kind} on a run that has ended, with every number as the row has it`, async () => {
        const iid = await begin();
        await commit([await endOf(iid)]);
        expect(await commit([await make(iid)])).toEqual([REFUSED]);
      });
    }

    test("refuses an end that has seen less mail than there is, or more, or does not say", async () => {
      const iid = await begin();
      const end = await endOf(iid);
      const { mail: _mail, ...silent } = end;
      expect(await commit([silent])).toEqual([REFUSED]);
      expect(await commit([{ ...end, mail: 1 }])).toEqual([REFUSED]);
      await raise(iid);
      expect(await commit([end])).toEqual([REFUSED]);
      expect(await commit([{ ...end, mail: 1 }])).toEqual([1]);
    });
  });

  describe("at READ COMMITTED", () => {
    test("a turn that ends the run is refused by an event between its snapshot and its lock", async () => {
      const iid = await begin();
      const end = await endOf(iid);
      const result = await during(
        (held) => raise(iid, held),
        () => commit([end]),
      );
      expect(result).toEqual([REFUSED]);
      expect(await commit([{ ...end, mail: 1 }])).toEqual([1]);
    });

    test("a turn that goes on is accepted with an event between its snapshot and its lock, which stays", async () => {
      const iid = await begin();
      const turn = await turnOf(iid);
      const result = await during(
        (held) => raise(iid, held),
        () => commit([turn]),
      );
      expect(result).toEqual([1]);
      expect(await mailOf(iid)).toHaveLength(1);
      expect(await instanceOf(iid)).toMatchObject({ sequence: 1, mail: 1 });
    });

    test("a continue-as-new knows of an event between its snapshot and its lock", async () => {
      const iid = await begin();
      const turn = await nextOf(iid);
      await during(
        (held) => raise(iid, held),
        () => commit([turn]),
      );
      expect(await numbers(`select mail, generation from @message where iid = $1 order by n`, [iid])).toEqual(
        [
          [1, null],
          [1, 2],
        ],
      );
    });

    test("a turn is refused by the run's end between its snapshot and its lock", async () => {
      const iid = await begin();
      const end = await endOf(iid);
      const turn = { ...(await turnOf(iid)), writer: "other" };
      const result = await during(
        (held) => commitTurns({ statement: held, writerOf }, HUB, [end], newNotice()),
        () => commit([turn]),
      );
      expect(result).toEqual([REFUSED]);
      expect(await instanceOf(iid)).toMatchObject({ status: STATUS_CODES.Completed });
    });

    test("a waiter that comes between the snapshot and the lock of an end whatever came is answered", async () => {
      const [iid, waiting] = [await begin(), await begin()];
      const end = { ...(await endOf(iid)), mail: ANY_MAIL };
      const result = await during(
        (held) =>
          addWaiter(
            { query: held, hub: HUB, notice: newNotice() },
            { iid, run: 1 },
            { iid: waiting, generation: 1, task: 7 },
          ),
        () => commit([end]),
      );
      expect(result).toEqual([1]);
      expect(await mailOf(waiting)).toHaveLength(1);
      expect(await numbers("select count(*) from @waiter where iid = $1", [iid])).toEqual([[0]]);
    });

    describe("an event that comes between the snapshot and the lock of an end whatever came", () => {
      const dropped = (iid: number): Promise<unknown> =>
        numbers("select run, dropped from @execution where iid = $1 order by generation", [iid]);

      async function endUnseen(id: string): Promise<number> {
        const iid = await begin({ id });
        const end = { ...(await endOf(iid)), mail: ANY_MAIL };
        const result = await during(
          (held) => raise(iid, held),
          () => commit([end]),
        );
        expect(result).toEqual([1]);
        expect(await mailOf(iid)).toHaveLength(1); // or this tests nothing
        return iid;
      }

      test("does not reach the next run, and counts as dropped", async () => {
        const iid = await endUnseen("unseen-1");
        const run: RunBegin = {
          over: ["Completed"],
          name: "O",
          tags: {},
          executionId: "next",
          events: CHUNK,
        };
        const began = await beginRuns({ query, hub: HUB, notice: newNotice() }, [
          { instanceId: "unseen-1", begin: run, atMs: AT, over: { iid } },
        ]);
        expect(began.get("unseen-1")).toMatchObject({ run: 2 });
        expect(await numbers("select run, generation from @message where iid = $1", [iid])).toEqual([
          [null, 2],
        ]);
        expect(await dropped(iid)).toEqual([
          [1, 1],
          [2, 0],
        ]);
      });

      test("is swept, and counts as dropped", async () => {
        const iid = await endUnseen("unseen-2");
        await sweepOrphans(query, HUB, 0);
        expect(await mailOf(iid)).toEqual([]);
        expect(await dropped(iid)).toEqual([[1, 1]]);
      });
    });

    test("a child that is born between the snapshot and the lock is told that its parent has ended", async () => {
      const iid = await begin();
      await commit([
        {
          ...(await turnOf(iid)),
          requests: [request("unborn", true), request("born", true)],
        },
      ]);
      const end = await endOf(iid, { terminateChildren: "end" });
      await during(
        async (held) => {
          await held("delete from @message where target = $1", ["born"]);
          await begin({ id: `born-${iid}`, parent: iid, by: held });
        },
        () => commit([end]),
      );
      expect(await requestsOf("end")).toEqual(["born"]);
    });

    test("of two connections that commit on the same state, one is accepted each time", async () => {
      const other = await connect();
      onTestFinished(() => other.end());
      const iid = await begin();
      const accepted = [0, 0];
      for (let round = 0; round < 200; round++) {
        const turn = await turnOf(iid);
        const results = await Promise.all([
          commit([{ ...turn, writer: "one", commitNumber: round }]),
          commit([{ ...turn, writer: "two", commitNumber: round }], queryOf(other)),
        ]);
        for (const [index, [token]] of results.entries())
          accepted[index] = (accepted[index] ?? 0) + (token ?? 0);
        expect(new Set(results.flat())).toEqual(new Set([REFUSED, 1]));
      }
      expect(await instanceOf(iid)).toMatchObject({ sequence: 200 });
      expect(await numbers("select count(*) from @hist where iid = $1", [iid])).toEqual([[200]]);
    });

    test("two connections that commit overlapping groups in different orders do not deadlock", async () => {
      const other = await connect();
      onTestFinished(() => other.end());
      const iids = await Promise.all(Array.from({ length: 40 }, () => begin()));
      for (let round = 0; round < 25; round++) {
        const turns = await Promise.all(iids.map(turnOf));
        const mine = turns.map((turn) => ({ ...turn, writer: "one", commitNumber: round }));
        const theirs = turns.map((turn) => ({ ...turn, writer: "two", commitNumber: round })).reverse();
        const [first, second] = await Promise.all([commit(mine), commit(theirs, queryOf(other))]);
        expect(
          first.map((token, index) => token === REFUSED || second.at(-1 - index) === REFUSED),
        ).not.toContain(false);
      }
      expect(
        await numbers("select distinct sequence from @inst where iid = any($1::bigint[])", [iids]),
      ).toEqual([[25]]);
    });
  });

  describe("a turn", () => {
    test("of 500 in a group is written like one alone", async () => {
      const iids = await Promise.all(Array.from({ length: 500 }, () => begin()));
      const turns = await Promise.all(
        iids.map(async (iid, index) => {
          if (index % 5 === 1) return endOf(iid);
          if (index % 5 === 2) return nextOf(iid);
          const turn = await turnOf(iid);
          if (index % 5 === 3) return { ...turn, sequence: 9 };
          return {
            ...turn,
            requests: [request(`of-500-${index}`, false)],
            timersSet: [{ task: 1, dueMs: 5.5 }],
          };
        }),
      );
      const notice = newNotice();
      const tokens = await commit(turns.reverse(), query, notice);
      expect(tokens.reverse()).toEqual(iids.map((_, index) => [1, 1, 2, REFUSED, 1][index % 5]));
      expect(notice.nextDueMs).toBe(5.5);
      expect(
        await numbers(
          `select status, generation, sequence, count(*) from @inst where iid = any($1::bigint[])
           group by 1, 2, 3 order by 1, 2, 3`,
          [iids],
        ),
      ).toEqual([
        [0, 1, 0, 100],
        [1, 1, 1, 200],
        [1, 2, 0, 100],
        [2, 1, 1, 100],
      ]);
      expect(await numbers("select count(*) from @hist where iid = any($1::bigint[])", [iids])).toEqual([
        [400],
      ]);
      expect(
        await numbers("select due, count(*) from @timer where iid = any($1::bigint[]) group by 1", [iids]),
      ).toEqual([[6, 200]]);
      expect(await numbers("select count(*) from @message where target like 'of-500-%'", [])).toEqual([
        [200],
      ]);
    });

    test("writes every part that it has, in any texts", async () => {
      const iid = await begin();
      await commit([
        {
          ...(await turnOf(iid)),
          timersSet: [
            { task: 1, dueMs: 10 },
            { task: 2, dueMs: 20 },
            { task: 3, dueMs: 30 },
          ],
        },
      ]);
      const text = `"quoted", {braces}, back\\slash, 'single', NULL, €\n`;
      const parked = { code: "X", message: text, sinceMs: 1 };
      const turn: TurnCommit = {
        ...(await turnOf(iid)),
        activities: 3,
        customStatus: text,
        parked,
        raiseToken: true,
        timersCleared: [1, 3],
        timersSet: [
          { task: 3, dueMs: 31 },
          { task: 3, dueMs: 32 },
        ],
        requests: [
          { instanceId: text, body: text, deduplicationKey: text, startsChild: true },
          request("", false),
        ],
      };
      const notice = newNotice();
      expect(await commit([turn], query, notice)).toEqual([2]);
      expect(notice).toEqual({ shards: new Set([shardOf(text), shardOf("")]), nextDueMs: 32 });
      expect(await instanceOf(iid)).toMatchObject({ activities: 3, token: 2, sequence: 2 });
      expect(await query("select parked from @inst where iid = $1", [iid])).toEqual([
        [JSON.stringify(parked)],
      ]);
      expect(await query("select custom_status from @execution where iid = $1", [iid])).toEqual([[text]]);
      expect(await numbers("select task, due from @timer where iid = $1 order by task", [iid])).toEqual([
        [2, 20],
        [3, 32],
      ]);
      expect(
        await query(
          `select target, body, deduplication_key, sender_iid, sender_run from @message
           where target in ($1, '') order by n`,
          [text],
        ),
      ).toEqual([
        [text, text, text, iid, 1],
        ["", "body", "key-", null, null],
      ]);
      await commit([{ ...(await turnOf(iid)), parked: null, customStatus: null }]);
      expect(await query("select parked from @inst where iid = $1", [iid])).toEqual([[null]]);
      expect(await query("select custom_status from @execution where iid = $1", [iid])).toEqual([[null]]);
    });

    test("that is sent again is told the same, and is written once, whatever it did", async () => {
      for (const make of [
        turnOf,
        endOf,
        nextOf,
        async (iid: number) => nextOf(iid, 1),
        async (iid: number) => {
          const { chunk: _chunk, ...silent } = await turnOf(iid);
          return { ...silent, raiseToken: true as const };
        },
      ]) {
        const iid = await begin();
        const turn = await make(iid);
        const [token] = await commit([turn]);
        expect(token).toBeGreaterThan(0);
        const before = await everythingOf(iid);
        expect(await commit([turn])).toEqual([token]);
        expect(await commit([turn, turn])).toEqual([token, token]);
        expect(await commit([{ ...turn, writer: "other" }])).toEqual([REFUSED]);
        expect(await commit([{ ...turn, commitNumber: turn.commitNumber + 1_000 }])).toEqual([REFUSED]);
        expect(await everythingOf(iid)).toEqual(before);
      }
    });

    test("that is sent again after other runs have begun is told its own token, not that of a later run", async () => {
      const iid = await begin();
      const middle = await turnOf(iid);
      expect(await commit([middle])).toEqual([1]);
      const next = await nextOf(iid);
      expect(await commit([next])).toEqual([2]);
      expect(await commit([middle, next])).toEqual([1, 2]);
      await query("update @inst set run = 2, generation = 3, token = 9 where iid = $1", [iid]);
      await query(
        `insert into @hist (iid, generation, sequence, writer, commit_number, chunk)
         values ($1, $2, $3, 1, $4, '')
         on conflict do nothing`,
        [iid, next.generation, next.sequence + 1, next.commitNumber],
      );
      expect(await commit([middle])).toEqual([1]);
      expect(await commit([next])).toEqual([2]);
      await query("delete from @message where iid = $1", [iid]);
    });

    test("may follow another one of its instance in one call, and a third that does not fit is refused", async () => {
      const iid = await begin();
      const first = await turnOf(iid);
      const second = { ...(await turnOf(iid)), sequence: 1 };
      const third = { ...(await turnOf(iid)), sequence: 1 };
      expect(await commit([first, second, third])).toEqual([1, 1, REFUSED]);
    });
  });

  describe("an end", () => {
    test("drops and counts what it has not taken in, but no results, and answers parent and waiters", async () => {
      const [parent, second, gone] = [await begin(), await begin(), await begin()];
      const iid = await begin({ parent });
      await raise(iid);
      await raise(iid);
      await query(
        "insert into @message (hub, shard, iid, generation, task, body) values ($1, 0, $2, 1, 1, '')",
        [HUB, iid],
      );
      for (const [waiting, generation] of [
        [second, 1],
        [gone, 2],
      ] as const) {
        await addWaiter(transaction(), { iid, run: 1 }, { iid: waiting, generation, task: 4 });
      }
      const [first = 0] = await mailOf(iid);
      const notice = newNotice();
      const end = { ...(await endOf(iid)), mail: 4, consumed: [first], customStatus: '"last"' };
      expect(await commit([end], query, notice)).toEqual([1]);
      expect(await mailOf(iid)).toEqual([]);
      expect(
        await query("select status, dropped, output, custom_status, ended from @execution where iid = $1", [
          iid,
        ]),
      ).toEqual([[STATUS_CODES.Completed, 1, '"out"', '"last"', end.atMs]]);
      expect(
        await query(
          "select iid, generation, task, body from @message where iid = any($1::bigint[]) order by n",
          [[parent, second, gone]],
        ),
      ).toEqual([
        [parent, 1, 3, "answer"],
        [second, 1, 4, "answer"],
      ]);
      expect(await numbers("select count(*) from @waiter where iid = $1", [iid])).toEqual([[0]]);
      expect(notice.shards).toEqual(new Set([shardOf(`i-${parent}`), shardOf(`i-${second}`)]));
    });

    test("withdraws unborn children, its own turn's too, and asks the live ones to end", async () => {
      const iid = await begin();
      await commit([{ ...(await turnOf(iid)), requests: [request("x1", true), request("told", false)] }]);
      const child = await begin({ parent: iid });
      const ended = await begin({ parent: iid });
      await commit([await endOf(ended)]);
      const end = {
        ...(await endOf(iid, { terminateChildren: `end ${iid}` })),
        requests: [request("x2", true), request("told too", false)],
      };
      const bystander = await begin();
      expect(await commit([await turnOf(bystander), end, await endOf(child)])).toEqual([1, 1, 1]);
      expect(await requestsOf(`end ${iid}`)).toEqual([`i-${child}`]);
      expect(await numbers("select count(*) from @message where target in ('x1', 'x2')", [])).toEqual([[0]]);
      expect(await numbers("select count(*) from @message where target in ('told', 'told too')", [])).toEqual(
        [[2]],
      );
    });

    test("from outside does the same, for several runs at once", async () => {
      const parent = await begin();
      const [one, two] = [await begin({ parent }), await begin()];
      await raise(one);
      await addWaiter(transaction(), { iid: two, run: 1 }, { iid: parent, generation: 1, task: 9 });
      await commit([
        { ...(await turnOf(two)), requests: [request("y1", true)], timersSet: [{ task: 1, dueMs: 1 }] },
      ]);
      const child = await begin({ parent: two });
      await query(`update @inst set status = 4 where iid = any($1::bigint[])`, [[one, two]]);
      const link = { iid: parent, run: 1, generation: 1, task: 3, instanceId: "", executionId: "", name: "" };
      const failure = { type: "E", message: "" };
      await finishRuns(transaction(), [
        {
          iid: one,
          run: 1,
          generation: 1,
          parent: link,
          atMs: AT,
          end: { status: "Terminated", answer: "one", failure },
        },
        {
          iid: two,
          run: 1,
          generation: 1,
          atMs: AT,
          end: { status: "Terminated", answer: "two", output: "o", terminateChildren: `stop ${two}` },
        },
      ]);
      expect(await mailOf(one)).toEqual([]);
      expect(
        await query(
          "select status, dropped, output, failure from @execution where iid = any($1::bigint[]) order by iid",
          [[one, two]],
        ),
      ).toEqual([
        [4, 1, null, JSON.stringify(failure)],
        [4, 0, "o", null],
      ]);
      expect(await query("select task, body from @message where iid = $1 order by n", [parent])).toEqual([
        [3, "one"],
        [9, "two"],
      ]);
      expect(await requestsOf(`stop ${two}`)).toEqual([`i-${child}`]);
      expect(await numbers("select count(*) from @message where target = 'y1'", [])).toEqual([[0]]);
      expect(await numbers("select count(*) from @timer where iid = $1", [two])).toEqual([[0]]);
    });
  });

  describe("a continue-as-new", () => {
    test("begins an execution that takes over run, name, tags and the custom status as it is then", async () => {
      for (const customStatus of [undefined, '"new"', null]) {
        const iid = await begin();
        await commit([{ ...(await turnOf(iid)), customStatus: '"old"', timersSet: [{ task: 1, dueMs: 1 }] }]);
        const turn = await nextOf(iid);
        await commit([{ ...turn, ...(customStatus === undefined ? {} : { customStatus }) }]);
        const kept = customStatus === undefined ? '"old"' : customStatus;
        expect(
          await query(
            `select generation, execution_id, run, name, tags, version, input, token, status, past, custom_status
             from @execution where iid = $1 order by generation`,
            [iid],
          ),
        ).toEqual([
          [1, `x-${iid}`, 1, "Order", "{}", null, null, 1, STATUS_CODES.ContinuedAsNew, 1, kept],
          [2, turn.next?.executionId, 1, "Order", "{}", "2", '"in"', 2, null, 0, kept],
        ]);
        expect(await numbers("select count(*) from @timer where iid = $1", [iid])).toEqual([[0]]);
      }
    });

    test.each([1, 2, 3])("keeps %i generations, with their history, and others that ended", async (keep) => {
      const iid = await begin({ generation: 2 });
      await query(
        `insert into @execution (iid, generation, hub, execution_id, run, name, tags, status, token, created)
         values ($1, 1, 1, '', 1, '', '{}', 3, 1, 1)`,
        [iid],
      );
      for (let round = 0; round < 5; round++) {
        await commit([await turnOf(iid)]);
        await commit([await nextOf(iid, keep)]);
      }
      const newest = [7, 6, 5].slice(0, keep);
      expect(
        await numbers("select generation from @execution where iid = $1 order by generation desc", [iid]),
      ).toEqual([...newest, 1].map((generation) => [generation]));
      expect(
        await numbers("select generation, count(*) from @hist where iid = $1 group by 1 order by 1 desc", [
          iid,
        ]),
      ).toEqual(newest.slice(1).map((generation) => [generation, 2]));
    });
  });

  test("mail that nobody will read is swept, and no other", async () => {
    const [live, ended, moved] = [await begin(), await begin(), await begin({ generation: 2 })];
    await commit([await endOf(ended)]);
    await raise(live);
    await raise(moved);
    const before = await numbers("select n from @message where hub = $1 order by n", [HUB]);
    for (const [iid, generation] of [
      [ended, 1],
      [moved, 1],
      [moved + 1_000_000, 1],
    ] as const) {
      await query("insert into @message (hub, shard, iid, generation, body) values ($1, 0, $2, $3, '')", [
        HUB,
        iid,
        generation,
      ]);
    }
    expect(await sweepOrphans(query, HUB, 0)).toEqual({ deleted: 3, last: undefined });
    expect(await sweepOrphans(query, HUB, 0)).toEqual({ deleted: 0, last: undefined });
    expect(await numbers("select n from @message where hub = $1 order by n", [HUB])).toEqual(before);
  });

  describe("the cost", () => {
    test("a middle turn is a heap-only update", async () => {
      const iids = await Promise.all(Array.from({ length: 20 }, () => begin()));
      for (const iid of iids) await commit([await turnOf(iid)]);
      const own = await connect();
      onTestFinished(() => own.end());
      const by = queryOf(own);
      const updates = async (): Promise<readonly [number, number]> => {
        const [figures] = await by(
          `select n_tup_upd, n_tup_hot_upd from pg_stat_xact_user_tables
           where schemaname = $1 and relname = 'inst'`,
          [schema],
        );
        const row = new Row(figures);
        return [row.integer(), row.integer()];
      };
      const shareOfHeapOnly = async (): Promise<number> => {
        let [all, heapOnly] = [0, 0];
        for (let round = 0; round < 50; round++) {
          const turns = await Promise.all(iids.map(middleOf));
          await own.query("begin");
          const before = await updates();
          await commit(turns, by);
          const after = await updates();
          await own.query("commit");
          all += after[0] - before[0];
          heapOnly += after[1] - before[1];
        }
        expect(all).toBe(1_000);
        return heapOnly / all;
      };
      // While another test's transaction is open, pages cannot be cleared: what matters is that it can be so.
      const shares: number[] = [];
      while (shares.length < 4 && Math.max(0, ...shares) <= 0.9) shares.push(await shareOfHeapOnly());
      expect(Math.max(...shares)).toBeGreaterThan(0.9);
    });

    test("a lone middle turn reads nothing but by index, also with a generic plan", async () => {
      const plan = await explain([await middleOf(await begin())]);
      expect(plan).not.toMatch(/Seq Scan|Hash|Merge|Bitmap|Sort/);
      expect(plan.match(/Index Scan/g)).toHaveLength(1);
    });

    test("a group with everything in it reads tables by index only", async () => {
      const turns = [
        { ...(await endOf(await begin(), { terminateChildren: "end" })), consumed: [1] },
        {
          ...(await turnOf(await begin())),
          requests: [request("z", true)],
          timersCleared: [1],
          timersSet: [{ task: 2, dueMs: 1 }],
        },
        await nextOf(await begin()),
      ];
      expect(await explain(turns)).not.toMatch(/Seq Scan|Bitmap/);
      expect(await explain(turns.slice(0, 1))).not.toMatch(/Seq Scan|Bitmap/);
    });
  });

  describe("a turn with very much in it", () => {
    test("looks up each timer that it cancels by its whole key, alone and in a group", async () => {
      const cancels = { ...(await turnOf(await begin())), timersCleared: [1, 2, 3] };
      for (const turns of [[cancels], [cancels, await turnOf(await begin())]]) {
        const deletion = partOf(await explain(turns), "timers_cleared");
        expect(deletion).toMatch(/Index Cond: .*iid = .*generation = .*task = /);
        expect(deletion).not.toMatch(/Filter/);
      }
    });

    test("tells mail that it has not seen by one table of what it took in", async () => {
      for (const last of [endOf, nextOf]) {
        const turn = { ...(await last(await begin())), consumed: [1, 2, 3] };
        for (const turns of [[turn], [turn, await turnOf(await begin())]]) {
          expect(partOf(await explain(turns), "gone")).toMatch(/hashed SubPlan/);
        }
      }
    });

    test("takes in 30,000 messages and cancels 30,000 timers as it ends", async () => {
      const own = await committer();
      onTestFinished(() => own.end());
      const by = queryOf(own);
      const iid = await begin();
      const many = Array.from({ length: 30_000 }, (_, nth) => nth);
      await commit([{ ...(await turnOf(iid)), timersSet: many.map((task) => ({ task, dueMs: AT })) }], by);
      await query(
        `with raised as (update @inst set mail = mail + $2::bigint where iid = $1 returning shard)
         insert into @message (hub, shard, iid, run, mail, body)
         select $3::integer, shard, $1::bigint, 1, k, '' from raised, generate_series(1, $2::bigint) k`,
        [iid, many.length + 1, HUB],
      );
      expect(await commit([{ ...(await turnOf(iid)), timersCleared: many.slice(1) }], by)).toEqual([1]);
      expect(await numbers("select task from @timer where iid = $1", [iid])).toEqual([[0]]);
      const end = { ...(await endOf(iid)), consumed: (await mailOf(iid)).slice(1), timersCleared: [0] };
      expect(await commit([end], by)).toEqual([1]);
      expect(await mailOf(iid)).toEqual([]);
      expect(await numbers("select count(*) from @timer where iid = $1", [iid])).toEqual([[0]]);
      expect(await numbers("select dropped from @execution where iid = $1", [iid])).toEqual([[1]]);
    });
  });

  /** What a plan says of one of its parts. */
  function partOf(plan: string, name: string): string {
    const part = new RegExp(`CTE ${name}\\n([^]*?)(?=\\n  CTE |\\n  ->|$)`).exec(plan)?.[1];
    if (part === undefined) throw new Error(`no ${name} in\n${plan}`);
    return part;
  }

  /** The plan as a connection of commits has it, whatever the parameters. */
  async function explain(turns: readonly TurnCommit[]): Promise<string> {
    const own = await committer();
    try {
      const { sql, columns } = turnStatement(partsOf(turns), turns.length === 1);
      const values = valuesOf(
        columns,
        HUB,
        turns.map((turn, place) => ({ turn, place, writer: 1 })),
      );
      const rows = await queryOf(own)(`explain ${sql}`, values);
      return rows.map((row) => new Row(row).text()).join("\n");
    } finally {
      await own.end();
    }
  }

  /**
   * Runs a statement that waits for what another connection holds: its snapshot is taken before the other one
   * commits, its locks are got after.
   */
  async function during<T>(hold: (held: Query) => Promise<unknown>, statement: () => Promise<T>): Promise<T> {
    const other = await connect();
    try {
      await other.query("begin");
      await hold(queryOf(other));
      const result = statement();
      const watch = queryOf(other);
      await expect
        .poll(async () => watch("select cardinality(pg_blocking_pids($1))", [pid]), { interval: 5 })
        .toEqual([[1]]);
      await other.query("commit");
      return await result;
    } finally {
      await other.end();
    }
  }

  /** A connection with the settings of those that commit. */
  async function committer(): Promise<Client> {
    const own = await connect();
    await own.query(KEYED_PLANS.map(([name, value]) => `set ${name} = ${value}`).join("; "));
    return own;
  }

  async function connect(): Promise<Client> {
    const connected = new Client(url);
    await connected.connect();
    return connected;
  }

  /** One statement after the other. */
  function queryOf(on: Client): Query {
    let last: Promise<unknown> = Promise.resolve();
    return (sql, values = []) => {
      const statement = { text: qualify(sql, schema), values: [...values], types: columnTypes };
      const rows = last.then(
        async () => (await on.query<unknown[]>({ ...statement, rowMode: "array" })).rows,
      );
      last = rows.catch(() => undefined);
      return rows;
    };
  }

  function transaction() {
    return { query, hub: HUB, notice: newNotice() };
  }

  /** An instance as a start leaves it, but without its first mail. Returns its iid. */
  async function begin({
    id,
    parent,
    generation = 1,
    by = query,
  }: {
    readonly id?: string;
    readonly parent?: number;
    readonly generation?: number;
    readonly by?: Query;
  } = {}): Promise<number> {
    const link =
      parent === undefined
        ? null
        : JSON.stringify({
            iid: parent,
            run: 1,
            generation: 1,
            task: 3,
            instanceId: "",
            executionId: "",
            name: "",
          });
    const [row] = await by("select nextval(pg_get_serial_sequence($1, 'iid'))", [qualify("@inst", schema)]);
    const iid = new Row(row).integer();
    const name = id ?? `i-${iid}`;
    await by(
      `insert into @inst (
         iid, hub, id, shard, kind, generation, sequence, status, suspended, run, token, mail, activities, created,
         updated, name, execution_id, parent_iid, parent_run, parent
       ) values ($1, $2, $3, $4, 0, $5, 0, 0, 0, 1, 1, 0, 0, $6, $6, 'Order', $7, $8, $9, $10)`,
      [
        iid,
        HUB,
        name,
        shardOf(name),
        generation,
        AT,
        `x-${iid}`,
        parent ?? null,
        parent === undefined ? null : 1,
        link,
      ],
    );
    await by(
      `insert into @execution (iid, generation, hub, execution_id, run, name, tags, token, created)
       values ($1, $2, $3, $4, 1, 'Order', '{}', 1, $5)`,
      [iid, generation, HUB, `x-${iid}`, AT],
    );
    return iid;
  }

  /** Raises an event; returns the number of a message of the instance. */
  async function raise(iid: number, by = query): Promise<number> {
    await postMail({ query: by, hub: HUB, notice: newNotice() }, [{ iid, run: 1, events: CHUNK }]);
    const [row] = await by("select max(n) from @message where iid = $1", [iid]);
    return new Row(row).integer();
  }

  async function mailOf(iid: number): Promise<number[]> {
    return (await numbers("select n from @message where iid = $1 order by n", [iid])).flat().map(Number);
  }

  async function requestsOf(body: string): Promise<unknown[]> {
    return (await query("select target from @message where body = $1 order by n", [body])).flat();
  }

  async function numbers(sql: string, values: readonly (number | readonly number[])[]) {
    return query(sql, values);
  }

  async function instanceOf(iid: number) {
    const [row] = await query(
      "select generation, sequence, status, mail, token, activities from @inst where iid = $1",
      [iid],
    );
    const columns = new Row(row);
    return {
      generation: columns.integer(),
      sequence: columns.integer(),
      status: columns.integer(),
      mail: columns.integer(),
      token: columns.integer(),
      activities: columns.integer(),
    };
  }

  async function everythingOf(iid: number): Promise<unknown> {
    return Promise.all(
      ["inst", "execution", "hist", "message", "timer", "waiter"].map((table) =>
        query(`select t::text from @${table} t where iid = $1 order by 1`, [iid]),
      ),
    );
  }

  /** The next turn of an instance, which makes it run. */
  async function turnOf(iid: number): Promise<TurnCommit> {
    const { generation, sequence } = await instanceOf(iid);
    return {
      iid,
      instanceId: `i-${iid}`,
      executionId: `x-${iid}`,
      generation,
      sequence,
      writer: "worker-1",
      commitNumber: ++commits,
      atMs: AT + commits,
      consumed: [],
      status: "Running",
      chunk: CHUNK,
      activities: 0,
      timersSet: [],
      timersCleared: [],
      requests: [],
    };
  }

  /** A turn as those between the first and the last are: it records progress and nothing else. */
  async function middleOf(iid: number): Promise<TurnCommit> {
    const { status: _status, ...turn } = await turnOf(iid);
    return turn;
  }

  async function endOf(iid: number, end: { readonly terminateChildren?: string } = {}): Promise<TurnCommit> {
    const turn = await turnOf(iid);
    const { mail } = await instanceOf(iid);
    return { ...turn, mail, end: { status: "Completed", output: '"out"', answer: "answer", ...end } };
  }

  async function nextOf(iid: number, keepExecutions = 10): Promise<TurnCommit> {
    const turn = await turnOf(iid);
    const executionId = `x-${iid}-${turn.generation + 1}`;
    return { ...turn, next: { executionId, input: '"in"', version: "2", events: CHUNK, keepExecutions } };
  }

  async function commit(turns: readonly TurnCommit[], by = query, notice = newNotice()): Promise<number[]> {
    return commitTurns({ statement: by, writerOf }, HUB, turns, notice);
  }
});

const CHUNK = encodeChunk([{ type: "OrchestratorStarted", atMs: AT }]);

let commits = 0;

function request(instanceId: string, startsChild: boolean): TurnCommit["requests"][number] {
  return { instanceId, body: "body", deduplicationKey: `key-${instanceId}`, startsChild };
}

const writers = new Map<string, number>();

async function writerOf(worker: string): Promise<number> {
  const known = writers.get(worker) ?? writers.size + 1;
  writers.set(worker, known);
  return known;
}
