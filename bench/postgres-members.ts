import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { settle } from "./measure.js";
import { PostgresMeter } from "./postgres-meter.js";
import { inFreshSchema, storeUrl } from "./postgres-server.js";
import { type Figures, parseFigures } from "./report.js";

const program = fileURLToPath(new URL("postgres-member.js", import.meta.url));

/** A process of a shared hub, seen from the one that measures. */
export class Member {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #answers: AsyncIterator<string>;
  readonly #ended: Promise<unknown>;

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>) {
    this.#child = child;
    this.#answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    this.#ended = once(child, "close");
  }

  /** Resolves once it runs. */
  static async start(store: string): Promise<Member> {
    const member = new Member(
      spawn(process.execPath, [program, store], { stdio: ["pipe", "pipe", "inherit"] }),
    );
    await member.#answer();
    return member;
  }

  /** One request at a time. */
  async ask(...request: readonly (string | number)[]): Promise<Figures> {
    this.#child.stdin.write(`${request.join(" ")}\n`);
    return this.#answer();
  }

  async close(): Promise<void> {
    this.#child.stdin.end();
    await this.#ended;
  }

  /** Without a word, by SIGKILL. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }

  async #answer(): Promise<Figures> {
    const answer: IteratorResult<string, unknown> = await this.#answers.next();
    if (answer.done === true) throw new Error("a member of the hub has ended");
    return parseFigures(answer.value);
  }
}

/** How long members may take to spread the shards among them. */
const SPREAD_MS = 4000;
const WARM_UP_MS = 10_000;
const MEASURED_MS = 6000;

/** Clients in all, spread over the processes. */
const IN_FLIGHT = 300;

/** The rate of so many processes on one hub, each with an engine and its share of the clients. */
export function rateOf(url: string, processes: number): Promise<Figures> {
  return inFreshSchema(url, async (schema) => {
    const meter = await PostgresMeter.open(url);
    const members: Member[] = [];
    const all = (...request: readonly (string | number)[]): Promise<Figures[]> =>
      Promise.all(members.map((member) => member.ask(...request)));
    try {
      for (let index = 0; index < processes; index++) {
        members.push(await Member.start(storeUrl(url, schema)));
      }
      const inFlight = Math.round(IN_FLIGHT / processes);
      if (processes > 1) await settle(SPREAD_MS);
      await all("hello5s", inFlight, WARM_UP_MS);
      const databaseMs = meter.cpuMs();
      const runs = await all("hello5s", inFlight, MEASURED_MS);
      const completed = sumOf(runs, "completed");
      return {
        perSecond: sumOf(runs, "perSecond"),
        nodeMsEach: sumOf(runs, "cpuMs") / completed,
        databaseMsEach: (meter.cpuMs() - databaseMs) / completed,
        p99Ms: Math.max(...runs.map((run) => run["p99Ms"] ?? Number.NaN)),
      };
    } finally {
      await Promise.all(members.map((member) => member.close()));
      await meter.close();
    }
  });
}

function sumOf(runs: readonly Figures[], name: string): number {
  return runs.reduce((sum, run) => sum + (run[name] ?? Number.NaN), 0);
}

const TICKERS = 40;

/** A process owns what it has ticked for within this time; two looks so far apart must agree. */
const LATELY_MS = 600;

const TAKEOVER_LIMIT_MS = 60_000;

/**
 * Kills a process that owns instances with something due every 50 ms, so many times. Times from the kill until the
 * surviving process got on with the first, and with the last, of its instances.
 */
export function takeovers(url: string, times: number): Promise<readonly Figures[]> {
  return inFreshSchema(url, async (schema) => {
    const store = storeUrl(url, schema);
    const survivor = await Member.start(store);
    const runs: Figures[] = [];
    try {
      await survivor.ask("start-tickers", TICKERS);
      while (runs.length < times) {
        runs.push(await takeover(survivor, await Member.start(store)));
        process.stderr.write(".");
      }
    } finally {
      await survivor.close();
    }
    return runs;
  });
}

async function takeover(survivor: Member, victim: Member): Promise<Figures> {
  const owned = await shareOf(victim);
  await survivor.ask("forget-ticks");
  const killedMs = Date.now();
  await victim.kill();
  while (Date.now() - killedMs < TAKEOVER_LIMIT_MS) {
    const ticks = await survivor.ask("first-ticks");
    const times = owned.map((id) => ticks[id]).filter((time) => time !== undefined);
    if (times.length === owned.length) {
      return {
        owned: owned.length,
        firstMs: Math.min(...times) - killedMs,
        lastMs: Math.max(...times) - killedMs,
      };
    }
    await settle(20);
  }
  throw new Error(`nobody got on with all of ${owned.length} instances in ${TAKEOVER_LIMIT_MS} ms`);
}

/** The instances that a process has in hand, once it has its share of them and that share has come to rest. */
async function shareOf(member: Member): Promise<readonly string[]> {
  let before = "";
  for (let looks = 0; looks < 100; looks++) {
    await settle(LATELY_MS);
    const sinceMs = Date.now() - LATELY_MS;
    const ticks = Object.entries(await member.ask("last-ticks"));
    const lately = ticks.filter(([, atMs]) => atMs > sinceMs).map(([id]) => id);
    const now = lately.toSorted().join(" ");
    if (lately.length >= TICKERS / 5 && now === before) return lately;
    before = now;
  }
  throw new Error("a new process did not get its share of the instances in a minute");
}
