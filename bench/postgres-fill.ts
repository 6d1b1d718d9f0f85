import type pg from "pg";
import { openPostgresStore } from "../dist/stores/postgres/store.js";
import { storeUrl, withClient } from "./postgres-server.js";

/** The instances were created over so long, evenly, the last one just now. */
export const MONTHS_MS = 180 * 24 * 60 * 60 * 1000;

/** Rows per statement, and connections that fill: the machine has two cores. */
const BATCH = 50_000;
const LANES = 2;

/** The share of the instances that must still be there after the purges of earlier runs. */
const STILL_THERE = 0.9;

const TABLES = ["inst", "execution", "hist"] as const;

/** What a filled schema holds. */
export interface Filled {
  readonly instances: number;
  readonly fromMs: number;
  readonly toMs: number;
}

/**
 * Fills a schema with ended instances as the store would leave them, by bare statements (an orchestration for each
 * would take hours), or takes it as it is where it holds them already. `synchronous_commit` is off meanwhile, and
 * nothing but the rows is written: what the measured statements meet is the same. Says on stderr how far it is.
 */
export async function fill(url: string, schema: string, instances: number): Promise<Filled> {
  const store = await openPostgresStore({ url: storeUrl(url, schema) });
  await store.close();
  const there = await withClient(url, (client) => filledOf(client, schema));
  if (there !== undefined && there.instances >= instances * STILL_THERE) {
    process.stderr.write(`${schema} holds ${there.instances.toLocaleString("en")} instances already\n`);
    return there;
  }
  if (there !== undefined)
    throw new Error(`${schema} is not empty, and holds only ${there.instances} instances`);
  const toMs = Date.now();
  const fromMs = toMs - MONTHS_MS;
  const startedMs = performance.now();
  let next = 0;
  let done = 0;
  const lane = (): Promise<void> =>
    withClient(url, async (client) => {
      await client.query("set synchronous_commit = off");
      while (next < instances) {
        const from = next;
        const to = Math.min(instances, from + BATCH);
        next = to;
        const values = [from + 1, to, fromMs, MONTHS_MS / instances];
        await client.query(statementFor(schema), values);
        done += to - from;
        sayProgress(done, instances, startedMs);
      }
    });
  await Promise.all(Array.from({ length: LANES }, lane));
  await withClient(url, async (client) => {
    await client.query(`insert into "${schema}".writer (name) values ('bench') on conflict do nothing`);
    await client.query(`alter table "${schema}".inst alter iid restart with ${instances + 1}`);
    for (const table of TABLES) {
      process.stderr.write(`vacuum analyze ${table}\n`);
      // Autovacuum would do it within minutes, in the midst of what is measured.
      await client.query(`vacuum (analyze) "${schema}".${table}`);
    }
    await client.query("checkpoint");
  });
  return { instances, fromMs, toMs };
}

/** What of it is there; undefined where there is nothing. Rows that others have added since do not matter. */
async function filledOf(client: pg.Client, schema: string): Promise<Filled | undefined> {
  const { rows } = await client.query<unknown[]>({
    text: `select count(*), min(created), max(created) from "${schema}".inst`,
    rowMode: "array",
  });
  const [instances, fromMs, toMs] = (rows[0] ?? []).map(Number);
  if (instances === undefined || instances === 0) return undefined;
  return { instances, fromMs: fromMs ?? 0, toMs: toMs ?? 0 };
}

function sayProgress(done: number, of: number, startedMs: number): void {
  const seconds = (performance.now() - startedMs) / 1000;
  const left = (seconds / done) * (of - done);
  process.stderr.write(
    `${done.toLocaleString("en")} of ${of.toLocaleString("en")} instances after ${seconds.toFixed(0)} s, ` +
      `${left.toFixed(0)} s to go\n`,
  );
}

/**
 * Instances $1 to $2 in the order of their creation, from time $3 and $4 ms apart. Of 10,000: 5,000 are of `order`,
 * 3,000 of `invoice`, 1,900 of `email`, whose IDs are generated ones, 100 of `report`; one in a million is of `audit`,
 * has the tag `rare` and was canceled. One in 25 failed, one in 100 was terminated. Their shards are just spread:
 * nobody looks at those of ended instances.
 */
function statementFor(schema: string): string {
  return `
    with numbered as (
      select i, $3::float8 + i * $4::float8 as at, (i * 2654435761) % 4294967296 % 10000 as dice
      from generate_series($1::bigint, $2::bigint) i
    ), drawn as (
      select i, dice, at::bigint as created, at::bigint + 200 + dice * 6 as updated,
        case when i % 1000000 = 77 then 'audit' when dice < 5000 then 'order' when dice < 8000 then 'invoice'
          when dice < 9900 then 'email' else 'report' end as name,
        case when i % 1000000 = 77 then 5 when i % 25 = 3 then 3 when i % 100 = 9 then 4 else 2 end as status,
        '01' || substr(md5(i::text), 1, 30) as execution_id
      from numbered
    ), inst as (
      insert into "${schema}".inst (
        iid, hub, id, shard, kind, generation, sequence, status, suspended, run, token, mail, activities,
        writer, commit_number, created, updated, name, execution_id
      ) select i, 1, case when name = 'email' then lpad(to_hex(created), 12, '0') || substr(md5(i::text), 1, 20)
          else name || '-' || lpad(i::text, 8, '0') end,
        dice % 256, 0, 1, 1, status, 0, 1, 1, 0, 0, 1, i, created, updated, name, execution_id
      from drawn
    ), execution as (
      insert into "${schema}".execution (
        iid, generation, hub, execution_id, run, name, tags, status, token, created, updated, ended, input, output,
        failure
      ) select i, 1, 1, execution_id, 1, name,
        case when name = 'audit' then '{"tenant":"t1","rare":"yes"}'
          else '{"tenant":"t' || dice % 200 || '","region":"' || (array['eu', 'us', 'ap'])[i % 3 + 1] || '"}' end,
        status, 1, created, updated, updated,
        '{"customer":' || dice || ',"items":[{"sku":"A-' || dice % 97 || '","count":2},{"sku":"B-' || dice % 31
          || '","count":1}],"note":"' || md5(i::text) || '"}',
        case when status = 2 then '{"total":' || dice * 3 || ',"state":"shipped"}' when status = 4 then '"by hand"' end,
        case when status = 3 then '{"type":"Error","message":"card declined","stack":"Error: card declined\\n    '
          || 'at charge (file:///app/orders.js:31:11)\\n    at async order (file:///app/orders.js:12:3)"}' end
      from drawn
    )
    insert into "${schema}".hist (iid, generation, sequence, writer, commit_number, chunk)
    select i, 1, 1, 1, i, '[1,[0,' || created || '],[1,-29],[2,29,0,"reserve","{\\"sku\\":\\"A-' || dice % 97
      || '\\"}"],[3,0,0,"{\\"reserved\\":true,\\"ref\\":\\"' || md5(i::text) || '\\"}"],[2,0,1,"charge","' || dice
      || '"],[3,0,1,"{\\"ok\\":true}"],[16,0,"Completed"]]'
    from drawn`;
}
