import { expect, test } from "vitest";
import { postgresUrl } from "../../../test/postgres-schema.js";
import { newTables } from "../../../test/postgres-tables.js";
import { pruneExecutions } from "./executions.js";

test.skipIf(postgresUrl === undefined)(
  "past executions go oldest first, no more than the limit says, each with its history",
  async () => {
    await using tables = await newTables();
    const { query } = tables;
    await query(
      `insert into @execution (iid, generation, hub, execution_id, run, name, tags, token, created, status, ended, past)
       select g, 1, 1 + g / 50, 'e', 1, 'Order', '{}', 1, 0, 2 + g % 2, 1000 - g, case when g % 4 = 0 then 0 else 1 end
       from generate_series(0, 99) g`,
    );
    await query(
      "insert into @hist (iid, generation, sequence, chunk) select iid, 1, s, '[]' from @execution, generate_series(1, 3) s",
    );
    await query(
      "insert into @hist (iid, generation, sequence, chunk) select iid, 2, 1, '[]' from @execution",
    );
    const asked = { status: "Failed", endedBeforeMs: 990 } as const; // of hub 1: 11, 13, …, 49
    expect(await pruneExecutions(query, 1, { ...asked, limit: 3 })).toBe(3);
    const gone = await query(
      "select g from generate_series(0, 99) g where g not in (select iid from @execution) order by g",
    );
    expect(gone).toEqual([[45], [47], [49]]);
    expect(
      await query("select distinct iid from @hist where generation = 1 and iid in (43, 45, 47, 49)"),
    ).toEqual([[43]]);
    expect(await query("select count(*) from @hist where generation = 2")).toEqual([[100]]);
    const both = await Promise.all([
      pruneExecutions(query, 1, { ...asked, limit: 100 }),
      pruneExecutions(query, 1, { ...asked, limit: 100 }),
    ]);
    expect(both[0] + both[1]).toBe(17);
    expect(await pruneExecutions(query, 1, { ...asked, limit: 100 })).toBe(0);
    expect(await query("select count(*) from @execution")).toEqual([[80]]);
  },
);
