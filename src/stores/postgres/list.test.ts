import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { postgresUrl } from "../../../test/postgres-schema.js";
import { newTables, plansOf, type Tables } from "../../../test/postgres-tables.js";
import { type RuntimeStatus, runtimeStatusOf } from "../../core/instance.js";
import type { ListCursor, ListFilter, ListQuery } from "../../core/store.js";
import { Row } from "../rows.js";
import { listInstances } from "./list.js";
import type { Query, SqlValue } from "./query.js";

const HUB = 1;
const OTHER_HUB = 2;
const ROWS = 200_000;
const EXAMINE = 5000;

/** What a filter looks at. */
interface Known {
  readonly iid: number;
  readonly id: string;
  readonly name: string;
  readonly created: number;
  readonly updated: number;
  readonly status: RuntimeStatus;
  readonly tags: Readonly<Record<string, unknown>>;
}

describe.skipIf(postgresUrl === undefined)("lists of PostgreSQL with 200,000 instances", () => {
  let tables: Tables;
  let query: Query;
  /** In order of creation. */
  let all: readonly Known[] = [];

  beforeAll(async () => {
    tables = await newTables();
    ({ query } = tables);
    await fill(query);
    all = await readAll(query);
  }, 120_000);
  afterAll(() => tables[Symbol.asyncDispose]());

  test("pages hold what a filter by hand finds in what they examined, in order and without gaps", async () => {
    const random = randomFrom(20_261_121);
    for (let round = 0; round < 300; round++) {
      const asked = randomQuery(random, all);
      let after = asked.after;
      for (let page = 0; page < 3; page++) {
        const { records, next } = await listInstances(
          query,
          HUB,
          after === undefined ? asked : { ...asked, after },
        );
        const examined = between(all, after, next);
        const expected = examined.filter((known) => matches(known, asked.filter));
        expect({ ...asked, after, found: records.map(({ instance }) => instance.iid) }).toEqual({
          ...asked,
          after,
          found: expected.map(({ iid }) => iid),
        });
        expect(records.length).toBeLessThanOrEqual(asked.limit);
        if (next === undefined) break;
        after = next;
      }
    }
  }, 120_000);

  test("every plan walks an index, whether it is made for the values or for any", async () => {
    const random = randomFrom(7);
    const statements = new Map<string, readonly SqlValue[]>();
    const noting: Query = (sql, values = []) => {
      statements.set(sql, values);
      return query(sql, values);
    };
    const typical: readonly ListFilter[] = [
      {},
      { runtimeStatus: ["Failed"] },
      { runtimeStatus: ["Running", "Suspended"] },
      { instanceIdPrefix: "order-1" },
      { instanceIdPrefix: "rare-" },
      { instanceIdPrefix: "zzz" },
      { tags: { colour: "none" } },
      { name: "Nothing" },
    ];
    for (const filter of typical) await listInstances(noting, HUB, { filter, limit: 100, examine: EXAMINE });
    for (let round = 0; round < 100; round++) await listInstances(noting, HUB, randomQuery(random, all));
    const plans = await plansOf(tables, statements);
    expect(plans.filter((plan) => /Seq Scan on (inst|execution)\b/.test(plan))).toEqual([]);
  }, 60_000);

  test("a rare prefix is found at once, however many others were created before", async () => {
    const page = await listInstances(query, HUB, {
      filter: { instanceIdPrefix: "rare-" },
      limit: 1000,
      examine: EXAMINE,
    });
    expect(page.next).toBeUndefined();
    expect(page.records.map(({ instance }) => instance.iid)).toEqual(
      all.filter(({ id }) => id.startsWith("rare-")).map(({ iid }) => iid),
    );
  });

  test("live instances are found at once, however many have ended", async () => {
    const live = all.filter(
      ({ status }) => status === "Running" || status === "Pending" || status === "Suspended",
    );
    const asked = {
      filter: { runtimeStatus: ["Pending", "Running", "Suspended"] },
      limit: live.length + 1,
    } as const;
    const page = await listInstances(query, HUB, { ...asked, examine: live.length });
    expect(page.records.map(({ instance }) => instance.iid)).toEqual(live.map(({ iid }) => iid));
  });

  test("a tag is compared as a whole, wherever its text may stand", async () => {
    const ids = await idsOf({ tags: { ",": ":" } });
    expect(ids).toEqual(["tagged-exactly"]);
    expect(await idsOf({ tags: { quote: 'a "b" \\' } })).toEqual(["tagged-exactly"]);
    expect(await idsOf({ tags: { zero: "\0" } })).toEqual(["tagged-exactly"]);
  });

  test("U+0000, which the database cannot hold, is found nowhere", async () => {
    expect(await idsOf({ name: "Order\0" })).toEqual([]);
    expect(await idsOf({ instanceIdPrefix: "order\0" })).toEqual([]);
  });

  /** Of the instances that {@link fill} made after all others. */
  async function idsOf(filter: ListFilter): Promise<string[]> {
    const asked = { filter: { ...filter, createdFromMs: LATE }, limit: 10, examine: EXAMINE };
    const { records } = await listInstances(query, HUB, asked);
    return records.map(({ instance }) => instance.instanceId);
  }
});

/** Later than what was made at random. */
const LATE = 10_000_000;

async function fill(query: Query): Promise<void> {
  // 3 in 100 live. Creation nearly in the order of the rows, as in life; many at the same time.
  await query(
    `insert into @inst (
       hub, id, shard, kind, generation, sequence, status, suspended, run, token, mail, activities,
       created, updated, name, execution_id
     )
     select case when g % 50 = 0 then ${OTHER_HUB} else ${HUB} end,
       case when g % 20000 = 7 then 'rare-' when g % 3 = 0 then 'user-' else 'order-' end || g,
       g % 256, 0, 1, 1, case when h < 3 then h % 2 else 2 + h % 4 end, case when h = 1 then 1 else 0 end,
       1, 1, 0, 0, g / 5 * 10 + (h % 7) * 30, g / 5 * 10 + h * 50, 'Name' || h % 10, g::text
     from (select g, abs(hashint4(g)) % 100 as h from generate_series(1, ${ROWS}) g) made`,
  );
  for (const id of ["tagged-exactly", "tagged-nearly", "tagged-not"]) {
    await query(
      `insert into @inst (
         hub, id, shard, kind, generation, sequence, status, suspended, run, token, mail, activities,
         created, updated, name, execution_id
       ) values (${HUB}, $1, 0, 0, 1, 1, 2, 0, 1, 1, 0, 0, ${LATE}, 1, 'Tagged', $1)`,
      [id],
    );
  }
  await query(
    `insert into @execution (iid, generation, hub, execution_id, run, name, tags, token, created)
     select iid, 1, hub, execution_id, 1, name, case id
         when 'tagged-exactly' then $1
         when 'tagged-nearly' then $2
         else case when iid % 3 = 0 then '{}'
           else '{"colour":"' || (array['red', 'green', 'blue'])[1 + iid % 3] || '","size":"' || iid % 5 || '"}' end
       end, 1, created
     from @inst`,
    [
      JSON.stringify({ ",": ":", quote: 'a "b" \\', zero: "\0" }),
      // Its text contains that of {",": ":"}.
      JSON.stringify({ a: "x,", ":": "zzz", b: ",", c: 'quote":"a "b' }),
    ],
  );
  await query("vacuum analyze @inst");
  await query("vacuum analyze @execution");
}

const STATUSES = ["Pending", "Running", "Completed", "Failed", "Terminated", "Canceled"] as const;

async function readAll(query: Query): Promise<Known[]> {
  const rows = await query(
    `select i.iid, i.id, i.name, i.created, i.updated, i.status, i.suspended, e.tags
     from @inst i join @execution e on e.iid = i.iid where i.hub = ${HUB} order by i.created, i.iid`,
  );
  return rows.map((columns) => {
    const row = new Row(columns);
    const known = {
      iid: row.integer(),
      id: row.text(),
      name: row.text(),
      created: row.integer(),
      updated: row.integer(),
    };
    const status = row.status();
    const suspended = row.integer() === 1;
    const tags = row.json();
    return {
      ...known,
      status: runtimeStatusOf({ status, suspended }),
      tags: typeof tags === "object" && tags !== null ? Object.fromEntries(Object.entries(tags)) : {},
    };
  });
}

function matches(known: Known, filter: ListFilter): boolean {
  return (
    (filter.runtimeStatus?.includes(known.status) ?? true) &&
    known.name === (filter.name ?? known.name) &&
    known.created >= (filter.createdFromMs ?? known.created) &&
    known.created <= (filter.createdToMs ?? known.created) &&
    known.updated >= (filter.updatedFromMs ?? known.updated) &&
    known.updated <= (filter.updatedToMs ?? known.updated) &&
    known.id.startsWith(filter.instanceIdPrefix ?? "") &&
    Object.entries(filter.tags ?? {}).every(([key, value]) => known.tags[key] === value)
  );
}

/** Those behind one place, up to another. */
function between(
  all: readonly Known[],
  after: ListCursor | undefined,
  upTo: ListCursor | undefined,
): readonly Known[] {
  return all.slice(
    after === undefined ? 0 : firstBehind(all, after),
    upTo === undefined ? all.length : firstBehind(all, upTo),
  );
}

function firstBehind(all: readonly Known[], { createdAtMs, iid }: ListCursor): number {
  let [low, high] = [0, all.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const known = all[middle];
    if (known === undefined) break;
    if (known.created > createdAtMs || (known.created === createdAtMs && known.iid > iid)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function randomQuery(random: () => number, all: readonly Known[]): ListQuery {
  const below = (end: number): number => Math.floor(random() * end);
  const often = (chance: number): boolean => random() < chance;
  const at = all[below(all.length)];
  const latest = (ROWS / 5) * 10;
  const from = below(latest);
  const filter: ListFilter = {
    ...(often(0.4) ? { runtimeStatus: STATUSES.filter(() => often(0.4)) } : {}),
    ...(often(0.1) ? { runtimeStatus: ["Suspended", "Pending"] } : {}),
    ...(often(0.3) ? { name: `Name${below(11)}` } : {}),
    ...(often(0.2) ? { createdFromMs: from } : {}),
    ...(often(0.2) ? { createdToMs: from + below(latest) } : {}),
    ...(often(0.2) ? { updatedFromMs: from } : {}),
    ...(often(0.2) ? { updatedToMs: from + below(latest) } : {}),
    ...(often(0.3) ? { instanceIdPrefix: (at?.id ?? "").slice(0, 1 + below(9)) } : {}),
    ...(often(0.2)
      ? { tags: { colour: ["red", "green", "pink"][below(3)] ?? "", size: `${below(5)}` } }
      : {}),
  };
  return {
    filter,
    limit: 1 + below(200),
    examine: often(0.2) ? 1 + below(50) : EXAMINE,
    ...(often(0.6) && at !== undefined ? { after: { createdAtMs: at.created, iid: at.iid } } : {}),
  };
}

/** The same numbers in [0, 1) in each run (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
