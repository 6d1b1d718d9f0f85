// What every fault is tried with on SQLite: a file, an engine in a process of its own, callers in this one, which
// share the file with it; and the line that sums it up.
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TaskHub, type TaskHubConnection } from "../../src/index.js";
import { loadDriver } from "../../src/stores/sqlite/driver.js";
import { fallenTokens, miscounts, ranAgain } from "../postgres/counted.js";
import { until, Witness } from "../postgres/members.js";
import { Load } from "./load.js";
import { longestSilence } from "./silence.js";
import { Engine, type EngineOptions, refusedBeside } from "./sqlite-engine.js";
import { printSummary, type Summary } from "./summary.js";

/** How many jobs are under way at a time. */
const IN_FLIGHT = 30;

/** A live instance with nothing to wait for must have gone on within this time once the faults are off. */
const IDLE_MS = 10_000;

export interface StormOptions {
  /** What is done to it: the table's first column. */
  readonly fault: string;
  /** Where the hub's file lies; by default in a temporary folder. */
  readonly folder?: string;
  readonly inFlight?: number;
  readonly engine?: Omit<EngineOptions, "file" | "witness">;
}

/** An engine and its callers, while something is done to them. */
export class SqliteStorm implements AsyncDisposable {
  readonly file: string;
  readonly witness: Witness;
  readonly load: Load;
  readonly connection: TaskHubConnection;
  /** How often the fault was brought about, and bit. */
  injected = 0;
  /** Whom those ask who start the same IDs at the same time. */
  readonly #rival: TaskHubConnection;
  readonly #fault: string;
  readonly #own: string;
  readonly #engines: Engine[] = [];
  readonly #began = performance.now();

  private constructor(parts: {
    readonly fault: string;
    readonly file: string;
    readonly own: string;
    readonly inFlight: number;
    readonly connection: TaskHubConnection;
    readonly rival: TaskHubConnection;
  }) {
    this.#fault = parts.fault;
    this.#own = parts.own;
    this.file = parts.file;
    this.connection = parts.connection;
    this.#rival = parts.rival;
    // Never beside the file: where its disk is full, activities testify all the same.
    this.witness = new Witness(join(parts.own, "witness"));
    this.load = new Load({
      client: parts.connection.client,
      rival: parts.rival.client,
      prefix: `job-${randomBytes(2).toString("hex")}`,
      inFlight: parts.inFlight,
    });
  }

  /** Opens the file and starts an engine on it. */
  static async begin({ fault, folder, inFlight = IN_FLIGHT, engine }: StormOptions): Promise<SqliteStorm> {
    const own = mkdtempSync(join(tmpdir(), "tenure-storm-"));
    const file = join(folder ?? own, "hub.db");
    const connection = await TaskHub.connect({ store: `sqlite:${file}` });
    const rival = await TaskHub.connect({ store: `sqlite:${file}` });
    const storm = new SqliteStorm({ fault, file, own, inFlight, connection, rival });
    await storm.start(engine);
    return storm;
  }

  /** Starts an engine; returns once it runs. */
  async start(options: Omit<EngineOptions, "file" | "witness"> = {}): Promise<Engine> {
    const engine = this.launch(options);
    if (!(await engine.runs())) throw new Error(`the engine ended before it was ready:\n${engine.said}`);
    return engine;
  }

  /** Starts an engine that need not come to run. */
  launch(options: Omit<EngineOptions, "file" | "witness"> = {}): Engine {
    const engine = Engine.launch({ file: this.file, witness: this.witness.file, ...options });
    this.#engines.push(engine);
    return engine;
  }

  /** The engine that was started last. */
  get engine(): Engine {
    const engine = this.#engines.at(-1);
    if (engine === undefined) throw new Error("no engine was started");
    return engine;
  }

  /** The instances whose turns engines decided and the store refused, as often as it did. */
  get refused(): readonly string[] {
    return refusedBeside(this.witness.file);
  }

  /** Callers start jobs while `inject` does it, again and again if it likes; returns once all jobs have ended. */
  async rage(inject: () => Promise<void>): Promise<void> {
    const over = new AbortController();
    const load = this.load.run(over.signal);
    load.catch(() => {}); // told below, unless what was done failed first
    await inject().finally(() => over.abort());
    await load;
  }

  /** Sums up, prints the table's line, and tells which promises were broken. */
  async settle(): Promise<Summary & { readonly broken: readonly string[] }> {
    const unsettled = await this.#unsettled();
    const testimonies = this.witness.read();
    const { started: jobs, lost, disputed, errors } = this.load;
    const { client } = this.connection;
    const counted = await miscounts(
      client,
      jobs.filter((job) => !lost.includes(job)),
      testimonies,
    );
    const summary: Summary = {
      fault: `SQLite: ${this.#fault}`,
      runs: jobs.length,
      injected: this.injected,
      refused: this.refused.length,
      again: ranAgain(testimonies),
      lost: lost.length,
      doubled: counted.length,
      recoverMs: longestSilence(jobs, testimonies),
      seconds: (performance.now() - this.#began) / 1000,
      errors: [...errors].map(([code, count]) => `${count} ${code}`).join(", "),
    };
    printSummary(summary);
    const broken = [
      ...lost.map(({ instanceId }) => `${instanceId} was acknowledged and did not complete`),
      ...disputed,
      ...counted.map(({ instanceId, problem }) => `${instanceId} ${problem}`),
      ...fallenTokens(testimonies),
      ...unsettled,
      ...(await damage(this.file)),
      // Void, and not passed.
      ...(summary.injected === 0 ? ["the fault never bit: this shows nothing"] : []),
    ];
    return { ...summary, broken };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#engines.map((engine) => engine.kill()));
    await Promise.all([this.connection.close(), this.#rival.close()]);
    rmSync(this.#own, { recursive: true, force: true });
  }

  /** All callers have left: whatever still lives has work to do that nobody does, and rows that are left are forgotten. */
  async #unsettled(): Promise<readonly string[]> {
    const look = async (): Promise<readonly string[]> => {
      const { instances } = await this.connection.client.list({
        runtimeStatus: ["Pending", "Running"],
        top: 1000,
      });
      return [
        ...instances.map(({ instanceId, runtimeStatus }) => `${instanceId} stays ${runtimeStatus}`),
        ...(await leftIn(this.file)),
      ];
    };
    await until(async () => ((await look()).length === 0 ? true : undefined), IDLE_MS).catch(() => {});
    return look();
  }
}

/** Rows that nobody will look at again, once nothing is under way; none, normally. */
export async function leftIn(file: string): Promise<readonly string[]> {
  const Driver = await loadDriver();
  const connection = new Driver(file, { enableForeignKeyConstraints: false });
  try {
    return ["message", "timer", "waiter"].flatMap((table) => {
      const rows = connection.prepare(`select * from ${table}`).all();
      return rows.map((row) => `left in ${table}: ${JSON.stringify(row)}`);
    });
  } finally {
    connection.close();
  }
}

/** What an integrity check of the file finds; nothing, normally. */
export async function damage(file: string): Promise<readonly string[]> {
  const Driver = await loadDriver();
  const connection = new Driver(file, { enableForeignKeyConstraints: false });
  try {
    const found = connection
      .prepare("pragma integrity_check")
      .all()
      .map((row) => JSON.stringify(row));
    return found.length === 1 && found[0]?.includes('"ok"') === true ? [] : found;
  } catch (error) {
    return [String(error)];
  } finally {
    connection.close();
  }
}
