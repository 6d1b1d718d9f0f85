import pg from "pg";
import { openPostgresStore } from "../dist/stores/postgres/store.js";
import { closedLoop, costOf } from "./measure.js";
import { PostgresMeter } from "./postgres-meter.js";
import { inFreshSchema, storeUrl, withClient } from "./postgres-server.js";
import type { Figures } from "./report.js";

/**
 * The raw ceilings: the same rows as the product writes, in groups of the same size, by bare prepared statements
 * over arrays, each group autocommitted; no engine, nothing decided. What is left when nothing is wasted.
 */
export async function raws(url: string, name: string, group: number): Promise<Figures> {
  return inFreshSchema(url, async (schema) => {
    // The product's own schema and hub row.
    const store = await openPostgresStore({ url: storeUrl(url, schema) });
    await store.close();
    const meter = await PostgresMeter.open(url);
    try {
      return await rawOf(name)({ url, schema, meter, group: Math.max(1, Math.round(group)) });
    } finally {
      await meter.close();
    }
  });
}

interface Place {
  readonly url: string;
  readonly schema: string;
  readonly meter: PostgresMeter;
  readonly group: number;
}

function rawOf(name: string): (place: Place) => Promise<Figures> {
  switch (name) {
    case "hello5":
      return rawHello5;
    case "sequence":
      return rawSequence;
    case "refused":
      return rawRefused;
    default:
      throw new Error(`no raw ceiling "${name}"`);
  }
}

const TOTAL = 6000;
const WARM_UP = 2000;
const SEQUENCE_STEPS = 2000;

/** More connections than the store commits on bring no more: the two cores are busy. */
const LANES = 2;

async function rawHello5(place: Place): Promise<Figures> {
  const lanes = await Promise.all(Array.from({ length: LANES }, () => Lane.open(place)));
  let next = 0;
  const run = async (total: number): Promise<void> => {
    const until = next + total;
    const oneLane = async (lane: Lane): Promise<void> => {
      while (next < until) {
        const from = next;
        next = Math.min(until, next + place.group);
        await lane.hello5s(from, next);
      }
    };
    await Promise.all(lanes.map(oneLane));
  };
  await run(WARM_UP);
  const databaseMs = place.meter.cpuMs();
  const walBytes = await place.meter.walBytes();
  const { wallMs, cpuMs } = await costOf(() => run(TOTAL));
  const figures = {
    perSecond: (TOTAL / wallMs) * 1000,
    cpuMsEach: cpuMs / TOTAL,
    databaseMsEach: (place.meter.cpuMs() - databaseMs) / TOTAL,
    walBytesEach: ((await place.meter.walBytes()) - walBytes) / TOTAL,
  };
  await Promise.all(lanes.map((lane) => lane.close()));
  return figures;
}

async function rawSequence(place: Place): Promise<Figures> {
  const lane = await Lane.open(place);
  const run = async (index: number): Promise<number> => {
    const { iids } = await lane.start(index, index + 1);
    const { wallMs } = await costOf(async () => {
      for (let step = 0; step < SEQUENCE_STEPS; step++) await lane.middleTurn(iids, step);
    });
    return wallMs;
  };
  await run(0); // warm
  const stepMs = (await run(1)) / SEQUENCE_STEPS;
  await lane.close();
  return { stepMs };
}

const REFUSED = 10_000;
const IN_FLIGHT = 100;

/** As many connections as the store keeps for reads. */
const CONNECTIONS = 6;

async function rawRefused({ url, schema }: Place): Promise<Figures> {
  await withClient(url, (client) =>
    client.query(
      `insert into "${schema}".inst (hub, id, shard, kind, generation, sequence, status, suspended, run, token, mail,
         activities, created, updated, name, execution_id) values (1, 'held', 7, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 'hello5', 'e')`,
    ),
  );
  const pool = new pg.Pool({ connectionString: url, max: CONNECTIONS });
  const text = `select i.*, w.name as worker from "${schema}".inst i left join "${schema}".writer w on w.writer = i.writer
    where i.hub = 1 and i.id = $1`;
  const run = (): Promise<void> =>
    closedLoop(REFUSED, IN_FLIGHT, () =>
      pool.query({ name: "held", text, values: ["held"], rowMode: "array" }),
    );
  await run();
  const { wallMs, cpuMs } = await costOf(run);
  await pool.end();
  return { perSecond: (REFUSED / wallMs) * 1000, cpuMsEach: cpuMs / REFUSED };
}

const FIRST_CHUNK = '[1,[0,1795000000000],[1,-3],[2,3,0,"noop","0"]]';
const MIDDLE_CHUNK = '[1,[0,1795000000000],[3,0,0,"0"],[2,0,1,"noop","1"]]';
const LAST_CHUNK = '[1,[0,1795000000000],[3,0,4,"4"],[16,0,"Completed"]]';
const NOW = 1_795_000_000_000;

interface Started {
  readonly iids: readonly number[];
  readonly messages: readonly number[];
}

/** Tables that have just been made have no statistics: without these, plans are by chance. */
const KEYED_PLANS = `set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set enable_hashjoin = off;
  set enable_mergejoin = off; set enable_bitmapscan = off; set jit = off`;

/** A connection with the bare statements. */
class Lane {
  readonly #client: pg.Client;
  readonly #schema: string;
  #commits = 0;

  private constructor(client: pg.Client, schema: string) {
    this.#client = client;
    this.#schema = schema;
  }

  static async open({ url, schema }: Place): Promise<Lane> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query(KEYED_PLANS);
    return new Lane(client, schema);
  }

  /** A group of orchestrations, each through its seven points. */
  async hello5s(from: number, to: number): Promise<void> {
    const { iids, messages } = await this.start(from, to);
    await this.#sql(FIRST_TURN, [iids, this.#numbers(iids), NOW, FIRST_CHUNK, messages]);
    for (let sequence = 1; sequence < 5; sequence++) await this.middleTurn(iids, sequence);
    await this.#sql(LAST_TURN, [iids, this.#numbers(iids), NOW, LAST_CHUNK]);
  }

  async start(from: number, to: number): Promise<Started> {
    const ids = Array.from({ length: to - from }, (_, index) => `raw-${from + index}`);
    const rows = await this.#sql(START, [ids, NOW]);
    return { iids: rows.map((row) => Number(row[0])), messages: rows.map((row) => Number(row[1])) };
  }

  async middleTurn(iids: readonly number[], sequence: number): Promise<void> {
    await this.#sql(MIDDLE_TURN, [iids, this.#numbers(iids), NOW, MIDDLE_CHUNK, sequence]);
  }

  async close(): Promise<void> {
    await this.#client.end();
  }

  #numbers(of: readonly number[]): number[] {
    return of.map(() => ++this.#commits);
  }

  async #sql(statement: Statement, values: unknown[]): Promise<unknown[][]> {
    const text = statement.text.replace(/@(\w+)/g, (_, table: string) => `"${this.#schema}".${table}`);
    const { rows } = await this.#client.query<unknown[]>({
      name: statement.name,
      text,
      values,
      rowMode: "array",
    });
    return rows;
  }
}

interface Statement {
  readonly name: string;
  readonly text: string;
}

const START: Statement = {
  name: "start",
  text: `
    with started as (
      insert into @inst (hub, id, shard, kind, generation, sequence, status, suspended, run, token, mail, activities,
        created, updated, name, execution_id)
      select 1, id, 7, 0, 1, 0, 0, 0, 1, 1, 0, 0, $2::int8, $2::int8, 'hello5', id || '-execution'
      from unnest($1::text[]) as given (id)
      returning iid, execution_id
    ), executions as (
      insert into @execution (iid, generation, hub, execution_id, run, name, tags, token, created)
      select iid, 1, 1, execution_id, 1, 'hello5', '{}', 1, $2 from started
    )
    insert into @message (hub, shard, iid, generation, body)
    select 1, 7, iid, 1, '[1,[1,1795000000000]]' from started
    returning iid, n`,
};

const FIRST_TURN: Statement = {
  name: "first",
  text: turnText("0", "status = 1,", "delete from @message where n = any($5::int8[])"),
};

const MIDDLE_TURN: Statement = { name: "middle", text: turnText("$5::int8", "", "") };

const LAST_TURN: Statement = {
  name: "last",
  text: turnText(
    "5",
    "status = 2,",
    `update @execution e set output = '10', status = 2, updated = $3, ended = $3 from turned t
     where e.iid = t.iid and e.generation = t.generation`,
  ),
};

/** One statement per group: all else hangs on the guarded update. */
function turnText(sequence: string, status: string, also: string): string {
  return `
    with given as (select * from unnest($1::int8[], $2::int8[]) as given (iid, commit_number)),
    turned as (
      update @inst i set sequence = i.sequence + 1, activities = 1, writer = 1, ${status}
        commit_number = g.commit_number, updated = $3::int8
      from given g where i.iid = g.iid and i.generation = 1 and i.sequence = ${sequence} and i.status < 2
      returning i.iid, i.generation, i.commit_number
    )${also === "" ? "" : `, also as (${also})`}
    insert into @hist (iid, generation, sequence, writer, commit_number, chunk)
    select iid, 1, ${sequence} + 1, 1, commit_number, $4 from turned`;
}
