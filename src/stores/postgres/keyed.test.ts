import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { connect, postgresUrl } from "../../../test/postgres-schema.js";
import { newTables, type Tables } from "../../../test/postgres-tables.js";
import type { StartCommand } from "../../core/command.js";
import { startPolicy } from "../../core/start-policy.js";
import { executeCommands } from "./commands.js";
import { finishRuns } from "./end-run.js";
import { KEYED_PLANS } from "./keyed.js";
import { mailAnswers, postMail } from "./messages.js";
import { qualify } from "./qualify.js";
import type { Query } from "./query.js";
import { executionsOf, getInstances, headsOf, historyOf, loadInstances } from "./reads.js";
import { newNotice } from "./transaction.js";
import {
  CHILDREN,
  CONSUMES,
  CONTINUES,
  CUSTOM_STATUS,
  ENDS,
  QUEUES,
  REQUESTS,
  STATUS,
  TIMERS,
} from "./turn-columns.js";
import { turnStatement } from "./turn-statement.js";

const HUB = 1;
const TABLES = ["inst", "execution", "hist", "message", "timer", "waiter", "request", "task", "writer"];

const START: StartCommand = {
  kind: "start",
  instanceId: "one",
  atMs: 1,
  name: "Order",
  tags: {},
  executionId: "e",
  policy: startPolicy(),
};

const UPDATE = "update @inst i set sequence = 1 from unnest($1::bigint[]) u (iid) where i.iid = u.iid";

/** Everything that a turn may do, and nothing. */
const TURNS = [0, CONSUMES, STATUS, CONSUMES | STATUS, TIMERS, REQUESTS, QUEUES, CUSTOM_STATUS]
  .flatMap((some) => [some, some | ENDS | STATUS, some | CONTINUES])
  .concat(CHILDREN | ENDS | STATUS, (QUEUES << 1) - 1)
  .flatMap((parts) => [turnStatement(parts, true).sql, turnStatement(parts, false).sql]);

describe.skipIf(postgresUrl === undefined)("plans that were made while the tables were nearly empty", () => {
  let tables: Tables;
  beforeEach(async () => {
    tables = await newTables();
  });
  afterEach(() => tables[Symbol.asyncDispose]());

  /** What the planner may have seen: tables that nobody has looked at, that were found empty, that hold a row. */
  const states: readonly (readonly [string, () => Promise<void>])[] = [
    ["are new", async () => {}],
    [
      "were vacuumed",
      async () => {
        for (const table of TABLES) await tables.query(`vacuum analyze @${table}`);
      },
    ],
    [
      "hold one instance",
      async () => {
        await executeCommands({ query: tables.query, hub: HUB, notice: newNotice() }, [START]);
        for (const table of TABLES) await tables.query(`analyze @${table}`);
      },
    ],
  ];

  test.each(states)("know a detour when they see one, where tables %s", async (_, prepare) => {
    await prepare();
    expect(await detours([`${UPDATE} and i.hub = $2`])).not.toEqual([]);
  });

  test.each(states)("look up what turns commit by its key, where tables %s", async (_, prepare) => {
    await prepare();
    expect(await detours(new Set(TURNS))).toEqual([]);
  });

  test.each(states)(
    "look up what commands and reads ask for by its key, where tables %s",
    async (_, prepare) => {
      await prepare();
      const statements = new Set<string>();
      const query: Query = (sql, values) => {
        statements.add(sql);
        return tables.query(sql, values);
      };
      const transaction = { query, hub: HUB, notice: newNotice() };
      await executeCommands(transaction, [{ ...START, instanceId: "another", requestId: "r" }]);
      const [instance] = await getInstances(query, HUB, ["another"]);
      const iid = instance?.instance.iid ?? 0;
      await postMail(transaction, [{ iid, run: 1, events: "[]" }]);
      await mailAnswers(transaction, [{ to: { iid, generation: 1, task: 1 }, events: "[]" }]);
      const end = { status: "Terminated", answer: "[]", terminateChildren: "{}" } as const;
      await finishRuns(transaction, [{ iid, run: 1, generation: 1, end, atMs: 1 }]);
      await loadInstances(query, HUB, [iid]);
      await headsOf(query, HUB, [iid]);
      await executionsOf(query, HUB, { instanceId: "another", limit: 10, maxLength: 1_000 });
      await historyOf(query, HUB, "another", undefined);
      expect(await detours(statements)).toEqual([]);
    },
  );

  /** The ways to rows, in plans for any values, that are not by a key: whole indexes, or whatever a hub has. */
  async function detours(statements: Iterable<string>): Promise<string[]> {
    await using client = await connect();
    for (const [name, value] of KEYED_PLANS) await client.query(`set ${name} = ${value}`);
    const found: string[] = [];
    for (const sql of statements) {
      const parameters = Math.max(...[...sql.matchAll(/\$(\d+)/g)].map(([, n]) => Number(n)));
      await client.query(`prepare plan as ${qualify(sql, tables.schema)}`);
      const nulls = Array.from({ length: parameters }, () => "null").join(", ");
      const { rows } = await client.query<string[]>({
        text: `explain execute plan(${nulls})`,
        rowMode: "array",
      });
      await client.query("deallocate plan");
      const lines = rows.map(([line = ""]) => line.trim());
      for (const [at, line] of lines.entries()) {
        const condition = lines[at + 1] ?? "";
        if (/ Scan (using \w+ )?on (\w+)/.test(line) && isDetour(line, condition))
          found.push(`${line}; ${condition}; of ${sql.trim().slice(0, 200)}`);
      }
    }
    return found;
  }
});

function isDetour(line: string, condition: string): boolean {
  if (/Seq Scan|Bitmap/.test(line)) return true;
  if (!/Index (Only )?Scan/.test(line)) return false;
  return !condition.startsWith("Index Cond: ") || /^Index Cond: \(hub = [^()]*\)$/.test(condition);
}
