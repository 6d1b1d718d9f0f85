// What every fault is tried with: a server, three processes on one hub, callers; and the line that sums it up.
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { TaskHubClient } from "../../src/client/task-hub-client.js";
import { TaskHub, type TaskHubConnection } from "../../src/index.js";
import { miscounts } from "../postgres/counted.js";
import { type Member, type MemberOptions, SharedHub, type Testimony, until } from "../postgres/members.js";
import { Load } from "./load.js";
import { printSummary, type Summary } from "./summary.js";

/** How many jobs are under way at a time. */
const IN_FLIGHT = 60;

/** Leases that end while a test waits. */
export const SHORT_LEASE = { leaseMs: 2000, renewMs: 400, lateMs: 800 };

/** How long a process that runs again has to write what it had decided. */
const REFUSAL_MS = 5000;

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
}

/** Three processes and their callers, while something is done to them. */
export class Storm implements AsyncDisposable {
  readonly hub: SharedHub;
  /** Those that run now. */
  readonly members: Member[] = [];
  readonly load: Load;
  /** How often the fault was brought about, and bit: it befell somebody who was at work. */
  injected = 0;
  readonly #options: StormOptions;
  readonly #connection: TaskHubConnection;
  readonly #began = performance.now();

  private constructor(options: StormOptions, hub: SharedHub, connection: TaskHubConnection) {
    this.#options = options;
    this.hub = hub;
    this.#connection = connection;
    this.load = this.newLoad(options.name);
  }

  static async begin(options: StormOptions): Promise<Storm> {
    const hub = new SharedHub(options.server, options.parameters);
    const connection = await TaskHub.connect({ store: hub.url });
    const storm = new Storm(options, hub, connection);
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

  /** Sums up, prints the table's line, and tells which promises were broken. */
  async settle(
    loads: readonly Load[] = [this.load],
  ): Promise<Summary & { readonly broken: readonly string[] }> {
    const testimonies = this.hub.witness.read();
    const jobs = loads.flatMap(({ started }) => started);
    const lost = loads.flatMap((load) => load.lost);
    const found = await miscounts(
      this.#connection.client,
      jobs.filter((job) => !lost.includes(job)),
      testimonies,
    );
    const summary: Summary = {
      fault: this.#options.fault,
      runs: jobs.length,
      injected: this.injected,
      refused: this.hub.members.reduce((sum, { refused }) => sum + refused.length, 0),
      again: testimonies.length - new Set(testimonies.map(taskOf)).size,
      lost: lost.length,
      doubled: found.length,
      recoverMs: longestPause(testimonies),
      seconds: (performance.now() - this.#began) / 1000,
      errors: loads
        .flatMap(({ errors }) => [...errors].map(([code, count]) => `${count} ${code}`))
        .join(", "),
    };
    printSummary(summary);
    // Void, and not passed.
    const without = summary.injected === 0 ? ["the fault never bit: this shows nothing"] : [];
    const broken = [
      ...lost.map((job) => `${job} was acknowledged and did not complete`),
      ...found.map(({ instanceId, problem }) => `${instanceId} ${problem}`),
      ...without,
    ];
    return { ...summary, broken };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection.close();
    await this.hub[Symbol.asyncDispose]();
  }
}

function taskOf({ executionId, taskId }: Testimony): string {
  return `${executionId} ${taskId}`;
}

/** The longest time that a job stood between two of its steps: how long its owner was missed. */
function longestPause(testimonies: readonly Testimony[]): number {
  const last = new Map<string, number>();
  let longest = 0;
  for (const { instanceId, atMs } of testimonies) {
    const before = last.get(instanceId);
    if (before !== undefined) longest = Math.max(longest, atMs - before);
    last.set(instanceId, atMs);
  }
  return longest;
}

export function between(least: number, most: number): number {
  return least + Math.random() * (most - least);
}
