import { readdirSync, readFileSync } from "node:fs";
import pg from "pg";

/** The kernel counts CPU in ticks of 10 ms. */
const TICK_MS = 10;

/** Reads what a PostgreSQL has used so far. It is taken for granted that nobody else uses it. */
export class PostgresMeter {
  readonly #client: pg.Client;
  readonly #postmaster: number | undefined;

  private constructor(client: pg.Client, postmaster: number | undefined) {
    this.#client = client;
    this.#postmaster = postmaster;
  }

  static async open(url: string): Promise<PostgresMeter> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const backend = Number(await one(client, "select pg_backend_pid()"));
    return new PostgresMeter(client, postmasterOf(backend));
  }

  /**
   * CPU of all its processes: the server, those that live, and (as the server's children) those that have ended.
   * NaN where the server runs on another machine.
   */
  cpuMs(): number {
    if (this.#postmaster === undefined) return Number.NaN;
    const server = statOf(this.#postmaster);
    if (server === undefined) return Number.NaN;
    let ticks = server.ticks + server.endedTicks;
    for (const entry of readdirSync("/proc")) {
      const stat = /^\d+$/.test(entry) ? statOf(Number(entry)) : undefined;
      if (stat?.parent === this.#postmaster) ticks += stat.ticks + stat.endedTicks;
    }
    return ticks * TICK_MS;
  }

  /** Commits and rollbacks. A backend reports them when it commits more than a second after its last report. */
  async transactions(): Promise<number> {
    return Number(
      await one(
        this.#client,
        "select xact_commit + xact_rollback from pg_stat_database where datname = current_database()",
      ),
    );
  }

  async walBytes(): Promise<number> {
    return Number(await one(this.#client, "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"));
  }

  async close(): Promise<void> {
    await this.#client.end();
  }
}

async function one(client: pg.Client, text: string): Promise<unknown> {
  const { rows } = await client.query<unknown[]>({ text, rowMode: "array" });
  return rows[0]?.[0];
}

interface Stat {
  readonly command: string;
  readonly parent: number;
  readonly ticks: number;
  /** Of its children that have ended. */
  readonly endedTicks: number;
}

function statOf(pid: number): Stat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined; // it has ended
  }
  const end = text.lastIndexOf(")");
  const fields = text.slice(end + 2).split(" ");
  const field = (nth: number): number => Number(fields[nth - 3] ?? 0); // as proc(5) counts them
  return {
    command: text.slice(text.indexOf("(") + 1, end),
    parent: field(4),
    ticks: field(14) + field(15),
    endedTicks: field(16) + field(17),
  };
}

/** The server that a backend belongs to, where it runs on this machine. */
function postmasterOf(backend: number): number | undefined {
  const stat = statOf(backend);
  return stat?.command.startsWith("postgres") === true ? stat.parent : undefined;
}
