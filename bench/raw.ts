import { join } from "node:path";
import { TaskHub } from "tenure";
import type { Driver } from "../dist/stores/sqlite/driver.js";
import { loadDriver } from "../dist/stores/sqlite/driver.js";
import { costOf, inFolder } from "./measure.js";
import type { Figures } from "./report.js";

/**
 * The raw ceilings: the same rows as the product writes, in groups of the same size, by bare prepared
 * statements with fsync on; no engine, no threads, nothing decided. What is left when nothing is wasted.
 */
export async function raws(name: string, group: number): Promise<Figures> {
  return inFolder(async (folder) => {
    const file = join(folder, "hub.db");
    // The product's own schema and hub row.
    const connection = await TaskHub.connect({ store: `sqlite:${file}` });
    await connection.close();
    const constructor = await loadDriver();
    const database = new constructor(file, { enableForeignKeyConstraints: false });
    database.exec("pragma journal_mode = wal; pragma synchronous = full; pragma temp_store = memory");
    try {
      return await rawOf(name)(database, group);
    } finally {
      database.close();
    }
  });
}

function rawOf(name: string): (database: Driver, group: number) => Promise<Figures> {
  switch (name) {
    case "hello5":
      return rawHello5;
    case "sequence":
      return rawSequence;
    case "starts":
      return rawStarts;
    default:
      throw new Error(`no raw ceiling "${name}"`);
  }
}

const TOTAL = 5000;
const IN_FLIGHT = 100;
const SEQUENCE_STEPS = 2000;
const STARTS = 5000;

async function rawHello5(database: Driver, group: number): Promise<Figures> {
  const write = writersOf(database);
  const { wallMs, cpuMs } = await costOf(() => {
    const grouped = new Grouped(database, group);
    for (let first = 0; first < TOTAL; first += IN_FLIGHT) {
      for (let stage = 0; stage < 7; stage++) {
        for (let index = first; index < first + IN_FLIGHT; index++) {
          grouped.next(() => (stage === 0 ? write.start(index) : write.turn(index + 1, stage)));
        }
      }
    }
    grouped.end();
  });
  return { perSecond: (TOTAL / wallMs) * 1000, cpuMsEach: cpuMs / TOTAL };
}

async function rawSequence(database: Driver): Promise<Figures> {
  const write = writersOf(database);
  write.start(0);
  const { wallMs } = await costOf(() => {
    const grouped = new Grouped(database, 1);
    for (let step = 1; step <= SEQUENCE_STEPS; step++) grouped.next(() => write.middleTurn(1, step));
    grouped.end();
  });
  return { stepMs: wallMs / SEQUENCE_STEPS };
}

async function rawStarts(database: Driver, group: number): Promise<Figures> {
  const write = writersOf(database);
  const fresh = await costOf(() => {
    const grouped = new Grouped(database, group);
    for (let index = 0; index < STARTS; index++) grouped.next(() => write.start(index));
    grouped.end();
  });
  const select = database.prepare("select * from inst where hub = 1 and id = ?");
  const refused = await costOf(() => {
    for (let index = 0; index < STARTS; index++) select.get("raw-7");
  });
  return {
    freshPerSecond: (STARTS / fresh.wallMs) * 1000,
    freshCpuMs: fresh.cpuMs / STARTS,
    refusedPerSecond: (STARTS / refused.wallMs) * 1000,
    refusedCpuMs: refused.cpuMs / STARTS,
  };
}

/** Commits after so many writes. */
class Grouped {
  readonly #database: Driver;
  readonly #group: number;
  #written = 0;

  constructor(database: Driver, group: number) {
    this.#database = database;
    this.#group = Math.max(1, Math.round(group));
  }

  next(write: () => void): void {
    if (this.#written === 0) this.#database.exec("begin immediate");
    write();
    if (++this.#written === this.#group) this.end();
  }

  end(): void {
    if (this.#written > 0) this.#database.exec("commit");
    this.#written = 0;
  }
}

const FIRST_CHUNK = '[1,[0,1795000000000],[1,-3],[2,3,0,"noop","0"]]';
const MIDDLE_CHUNK = '[1,[0,1795000000000],[3,0,0,"0"],[2,0,1,"noop","1"]]';
const LAST_CHUNK = '[1,[0,1795000000000],[3,0,4,"4"],[16,0,"Completed"]]';

function writersOf(database: Driver) {
  const inst = database.prepare(
    `insert into inst (hub, id, shard, kind, generation, sequence, status, suspended, run, token, mail, activities,
       created, updated, name, execution_id) values (1, ?, 7, 0, 1, 0, 0, 0, 1, 1, 0, 0, ?, ?, 'hello5', ?)`,
  );
  const execution = database.prepare(
    `insert into execution (iid, generation, hub, execution_id, run, name, tags, token, created)
       values (?, 1, 1, ?, 1, 'hello5', '{}', 1, ?)`,
  );
  const message = database.prepare(
    "insert into message (hub, shard, iid, generation, body) values (1, 7, ?, 1, '[1,[1,1795000000000]]')",
  );
  const consume = database.prepare("delete from message where n = ?");
  const turn = database.prepare(
    `update inst set sequence = sequence + 1, activities = 1, writer = 1, commit_number = ?, updated = ?
       where iid = ? and generation = 1 and sequence = ? and status < 2`,
  );
  const statusTurn = database.prepare(
    `update inst set sequence = sequence + 1, activities = 1, writer = 1, commit_number = ?, updated = ?, status = ?
       where iid = ? and generation = 1 and sequence = ? and status < 2`,
  );
  const hist = database.prepare(
    "insert into hist (iid, generation, sequence, writer, commit_number, chunk) values (?, 1, ?, 1, ?, ?)",
  );
  const output = database.prepare(
    "update execution set output = '10', status = 2, ended = ? where iid = ? and generation = 1",
  );
  const now = 1_795_000_000_000;
  let commits = 0;
  const middleTurn = (iid: number, step: number): void => {
    turn.run(++commits, now, iid, step - 1);
    hist.run(iid, step, commits, MIDDLE_CHUNK);
  };
  return {
    start(index: number): void {
      const id = `raw-${index}`;
      inst.run(id, now + index, now, `${id}-execution`);
      execution.run(index + 1, `${id}-execution`, now);
      message.run(index + 1);
    },
    middleTurn,
    turn(iid: number, stage: number): void {
      if (stage > 1 && stage < 6) {
        middleTurn(iid, stage);
        return;
      }
      statusTurn.run(++commits, now, stage === 1 ? 1 : 2, iid, stage - 1);
      hist.run(iid, stage, commits, stage === 1 ? FIRST_CHUNK : LAST_CHUNK);
      if (stage === 1) consume.run(iid);
      else output.run(now, iid);
    },
  };
}
