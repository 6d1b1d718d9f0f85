// What every fault is tried with: a server, three processes on one hub, callers; and the line that sums it up.
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { TaskHubClient } from "../../src/client/task-hub-client.js";
import { TaskHub, type TaskHubConnection } from "../../src/index.js";
import { type Accepted, fallenTokens, miscounts, ranAgain } from "../postgres/counted.js";
import { type Member, type MemberOptions, SharedHub, until } from "../postgres/members.js";
import { Load } from "./load.js";
import { longestSilence } from "./silence.js";
import { printSummary, type Summary } from "./summary.js";

/** How many jobs are under way at a time. */
const IN_FLIGHT = 60;

/** Leases that end while a test waits. */
export const SHORT_LEASE = { leaseMs: 2000, renewMs: 400, lateMs: 800 };

/** How long a process that runs again has to write what it had decided. */
const REFUSAL_MS = 5000;

/** Once the faults are off, a live instance that has something to do must have gone on within this time. */
const IDLE_MS = 10_000;

/** The store sweeps every half a minute; what came after all, when its instance had ended, is gone after two. */
const SWEPT_MS = 70_000;

/** What waits for somebody who does not come, on purpose: it has nothing to do. */
const WAITS = "hold";

export interface StormOptions {
  /** What is done to them: the table's first column. */
  readonly fault: string;
  /** The database's URL. */
  readonly server: string;
  readonly processes?: number;
  readonly inFlight?: number;
  /** The job that callers start. */
  readonly name?: string;
  readonly member?: Omit<MemberOptions, "url" | "witness">;
  /** Added to the URL of the hub. */
  readonly parameters?: Readonly<Record<string, string>>;
  /**
   * Whether a process can go on although others have taken over what it had: until it notices, its activities run under
   * tokens that are lower than those of its successors.
   */
  readonly overtaken?: true;
}

/** Three processes and their callers, while something is done to them. */
export class Storm implements AsyncDisposable {
  readonly hub: SharedHub;
  /** Those that run now. */
  readonly members: Member[] = [];
  readonly load: Load;
  /** What was started beside the load: it is counted likewise. */
  readonly beside: Accepted[] = [];
  /** How often the fault was brought about, and bit: it befell somebody who was at work. */
  injected = 0;
  readonly #options: StormOptions;
  readonly #connection: TaskHubConnection;
  readonly #rival: TaskHubConnection;
  readonly #began = performance.now();

  private constructor(
    options: StormOptions,
    hub: SharedHub,
    connection: TaskHubConnection,
    rival: TaskHubConnection,
  ) {
    this.#options = options;
    this.hub = hub;
    this.#connection = connection;
    this.#rival = rival;
    this.load = this.newLoad(options.name);
  }

  static async begin(options: StormOptions): Promise<Storm> {
    const hub = new SharedHub(options.server, options.parameters);
    const connection = await TaskHub.connect({ store: hub.url });
    const rival = await TaskHub.connect({ store: hub.url });
    const storm = new Storm(options, hub, connection, rival);
    await storm.join(options.processes ?? 3);
    return storm;
  }

  /** Whom the callers ask. */
  get client(): TaskHubClient {
    return this.#connection.client;
  }

  /** Callers of their own, for a job of another name. */
  newLoad(name = "job"): Load {
    return new Load({
      client: this.#connection.client,
      rival: this.#rival.client,
      prefix: `${name}-${randomBytes(2).toString("hex")}`,
      inFlight: this.#options.inFlight ?? IN_FLIGHT,
      name,
    });
  }

  /** More processes. */
  async join(count: number, member: Omit<MemberOptions, "url" | "witness"> = {}): Promise<void> {
    this.members.push(...(await this.hub.start(count, { ...this.#options.member, ...member })));
  }

  /**
   * Does it again and again, with a pause of `pauseMs` at random between, while callers start jobs. `inject` tells
   * whether it bit: a fault that befalls nobody shows nothing.
   */
  async rage(
    forMs: number,
    pauseMs: readonly [least: number, most: number],
    inject: () => Promise<boolean>,
  ): Promise<void> {
    const over = AbortSignal.timeout(forMs);
    const load = this.load.run(over);
    while (!over.aborted) {
      await sleep(between(...pauseMs));
      if (over.aborted) break;
      if (await inject()) this.injected += 1;
    }
    await load;
  }

  /** One of them, at random; it no longer counts as one that runs. */
  take(): Member {
    const [member] = this.members.splice(Math.floor(Math.random() * this.members.length), 1);
    if (member === undefined) throw new Error("no process runs");
    return member;
  }

  /** Kills one, and starts another in its place. @returns whether it was at work. */
  async killOne(): Promise<boolean> {
    const member = this.take();
    await member.kill();
    const worked = this.hub.witness.read().some(({ pid }) => pid === member.pid);
    await this.join(1);
    return worked;
  }

  /**
   * One of them stands still, and goes on. `stall` tells of which instances it had decided turns that were not written.
   * @returns whether one of these was refused. Where nobody had taken it over, it is accepted: that shows nothing.
   */
  async stall(stall: (member: Member) => Promise<readonly string[]>): Promise<boolean> {
    const member = this.any();
    const before = member.refused.length;
    const held = await stall(member);
    const isRefused = async (): Promise<true | undefined> =>
      member.refused.slice(before).some((id) => held.includes(id)) ? true : undefined;
    return until(isRefused, REFUSAL_MS).catch(() => false);
  }

  any(): Member {
    const member = this.members[Math.floor(Math.random() * this.members.length)];
    if (member === undefined) throw new Error("no process runs");
    return member;
  }

  /** Once the faults are off: sums up, prints the table's line, and tells which promises were broken. */
  async settle(
    loads: readonly Load[] = [this.load],
  ): Promise<Summary & { readonly broken: readonly string[] }> {
    const unsettled = await this.#unsettled();
    const testimonies = this.hub.witness.read();
    const jobs = loads.flatMap(({ started }) => started);
    const lost = loads.flatMap((load) => load.lost);
    const found = await miscounts(
      this.#connection.client,
      [...jobs.filter((job) => !lost.includes(job)), ...this.beside],
      testimonies,
    );
    const summary: Summary = {
      fault: this.#options.fault,
      runs: jobs.length + this.beside.length,
      injected: this.injected,
      refused: this.hub.members.reduce((sum, { refused }) => sum + refused.length, 0),
      again: ranAgain(testimonies),
      lost: lost.length,
      doubled: found.length,
      recoverMs: longestSilence(jobs, testimonies),
      seconds: (performance.now() - this.#began) / 1000,
      errors: loads
        .flatMap(({ errors }) => [...errors].map(([code, count]) => `${count} ${code}`))
        .join(", "),
    };
    printSummary(summary);
    // Void, and not passed.
    const without = summary.injected === 0 ? ["the fault never bit: this shows nothing"] : [];
    const broken = [
      ...lost.map(({ instanceId }) => `${instanceId} was acknowledged and did not complete`),
      ...loads.flatMap(({ disputed }) => disputed),
      ...found.map(({ instanceId, problem }) => `${instanceId} ${problem}`),
      ...(this.#options.overtaken ? [] : fallenTokens(testimonies)),
      ...unsettled,
      ...without,
    ];
    return { ...summary, broken };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#connection.close(), this.#rival.close()]);
    await this.hub[Symbol.asyncDispose]();
  }

  /** All callers have left: whatever still lives has work to do that nobody does, and rows that stay are forgotten. */
  async #unsettled(): Promise<readonly string[]> {
    const idle = await whatStays(async () => {
      const { instances } = await this.client.list({ runtimeStatus: ["Pending", "Running"], top: 1000 });
      return instances
        .filter(({ name }) => name !== WAITS)
        .map(({ instanceId, runtimeStatus }) => `${instanceId} stays ${runtimeStatus}`);
    }, IDLE_MS);
    const left = await whatStays(() => this.hub.left(), SWEPT_MS);
    return [...idle, ...left.map((rows) => `${rows} is left`)];
  }
}

/** What is still there after that time; nothing, as soon as nothing is. */
async function whatStays(look: () => Promise<readonly string[]>, forMs: number): Promise<readonly string[]> {
  await until(async () => ((await look()).length === 0 ? true : undefined), forMs).catch(() => {});
  return look();
}

export function between(least: number, most: number): number {
  return least + Math.random() * (most - least);
}
