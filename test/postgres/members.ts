// Processes of a shared hub (member.mjs), and what the tests ask of them.
import { type ChildProcess, execFileSync, fork } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { z } from "zod";
import { freshSchema } from "../postgres-schema.js";
import { leftIn } from "./left.js";

/** The store's options that tests shorten, and the functions that a process has registered: all by default. */
export interface MemberOptions {
  readonly url: string;
  readonly witness?: string;
  readonly store?: { readonly leaseTimes?: { leaseMs: number; renewMs: number; lateMs: number } };
  readonly functions?: readonly string[];
  /** Set for the process. */
  readonly env?: Readonly<Record<string, string>>;
  /** What starts it, e.g. `ip netns exec NAME`: becomes it, and does not stay beside it. */
  readonly launcher?: readonly string[];
}

const messages = z.union([
  z.object({ ready: z.string() }),
  z.object({ stopping: z.array(z.string()) }),
  z.object({ refused: z.string() }),
  z.object({ n: z.number(), answer: z.unknown() }),
  z.object({ n: z.number(), error: z.string() }),
]);

const started = z.array(
  z.object({
    instanceId: z.string(),
    outcome: z.enum(["started", "attached", "replaced", "returned", "refused"]),
    executionId: z.string(),
    run: z.number(),
  }),
);
const waited = z.array(
  z.object({ instanceId: z.string(), runtimeStatus: z.string(), output: z.unknown().optional() }),
);
const workers = z.array(
  z.object({ id: z.string(), pid: z.number(), shards: z.number(), draining: z.boolean() }),
);

export type StartAnswer = z.infer<typeof started>[number];

/** What a start asks for, beside the ID. */
export interface StartOptions {
  readonly name?: string;
  readonly input?: unknown;
  readonly ifLive?: string;
  readonly ifEnded?: string;
}

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (reason: Error) => void;
}

/** A process of the hub. */
export class Member {
  readonly worker: string;
  readonly pid: number;
  /** The instances whose turns were decided here and refused by the store, as often as they were. */
  readonly refused: string[] = [];
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  readonly #exit: Promise<unknown>;
  #calls = 0;
  #stopping: readonly string[] | undefined;
  #onStopping: (ids: readonly string[]) => void = () => {};

  private constructor(child: ChildProcess, worker: string) {
    this.#child = child;
    // What a child said last may arrive after the news of its exit, but never after its channel is closed.
    this.#exit = Promise.all([once(child, "exit"), once(child, "disconnect")]);
    this.pid = child.pid ?? 0;
    this.worker = worker;
    child.on("message", (message: unknown) => this.#onMessage(message));
    void this.#exit.then(() => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`process ${this.pid} has ended`));
      this.#waiting.clear();
    });
  }

  /** Starts a process; returns once its engine runs. */
  static async start({ env = {}, launcher = [], ...options }: MemberOptions): Promise<Member> {
    const [execPath, ...execArgv] = [...launcher, process.execPath];
    const child = fork(join(import.meta.dirname, "member.mjs"), [JSON.stringify(options)], {
      execPath,
      execArgv,
      env: { ...process.env, ...env },
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    const said = await Promise.race([
      once(child, "message"),
      once(child, "exit").then(([code]) => {
        throw new Error(`a process of the hub ended with ${String(code)} before it was ready`);
      }),
    ]);
    const { ready } = z.object({ ready: z.string() }).parse(said[0]);
    return new Member(child, ready);
  }

  async startAll(ids: readonly string[], options: StartOptions = {}): Promise<readonly StartAnswer[]> {
    return started.parse(await this.#call("start", { ids, ...options }));
  }

  async raise(ids: readonly string[], name: string, data?: unknown): Promise<void> {
    await this.#call("raise", { ids, name, data });
  }

  async waitAll(ids: readonly string[], timeoutMs = 30_000) {
    return waited.parse(await this.#call("wait", { ids, timeoutMs }));
  }

  async workers() {
    return workers.parse(await this.#call("workers"));
  }

  async logs(): Promise<readonly string[]> {
    return z.array(z.string()).parse(await this.#call("logs"));
  }

  /** What its clock shows. */
  async clockMs(): Promise<number> {
    return z.number().parse(await this.#call("clock"));
  }

  async drain(worker: string): Promise<void> {
    await this.#call("drain", { worker });
  }

  /**
   * Lets the process stop itself (SIGSTOP) between the decision of its next turn and the writing of it.
   * Resolves once it has; with the instances whose turns it holds in its hands.
   */
  async stopsBeforeNextCommit(): Promise<readonly string[]> {
    const ids = await this.#stopsAtCommit("stopBeforeNextCommit");
    // It says so before it does.
    await until(async () => (isStopped(this.pid) ? true : undefined));
    return ids;
  }

  /** The same, but it keeps its own thread for so long, and then goes on. */
  async blocksBeforeNextCommit(ms: number): Promise<readonly string[]> {
    return this.#stopsAtCommit("blockBeforeNextCommit", { ms });
  }

  pause(): void {
    this.#child.kill("SIGSTOP");
  }

  wake(): void {
    this.#child.kill("SIGCONT");
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exit;
  }

  /** As a deploy ends it. */
  async close(): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#exit;
  }

  async #stopsAtCommit(call: string, argument?: unknown): Promise<readonly string[]> {
    const stopping = new Promise<readonly string[]>((resolve) => {
      this.#onStopping = resolve;
    });
    await this.#call(call, argument);
    const ids = this.#stopping ?? (await stopping);
    this.#stopping = undefined;
    return ids;
  }

  async #call(call: string, argument?: unknown): Promise<unknown> {
    const n = ++this.#calls;
    const answer = new Promise((resolve, reject) => {
      this.#waiting.set(n, { resolve, reject });
    });
    this.#child.send({ n, call, argument });
    return answer;
  }

  #onMessage(said: unknown): void {
    const message = messages.parse(said);
    if ("ready" in message) return;
    if ("refused" in message) {
      this.refused.push(message.refused);
      return;
    }
    if ("stopping" in message) {
      this.#stopping = message.stopping;
      this.#onStopping(message.stopping);
      return;
    }
    const waiting = this.#waiting.get(message.n);
    this.#waiting.delete(message.n);
    if ("error" in message) waiting?.reject(new Error(`process ${this.pid}: ${message.error}`));
    else waiting?.resolve(message.answer);
  }
}

/** A hub of its own in a database: a new schema, and a file in which the processes' activities testify. */
export class SharedHub implements AsyncDisposable {
  readonly url: string;
  readonly witness: Witness;
  readonly members: Member[] = [];
  readonly #server: string;
  readonly #schema: string;
  readonly #folder: string;

  /** @param parameters are added to the hub's URL. */
  constructor(server: string, parameters: Readonly<Record<string, string>> = {}) {
    this.#server = server;
    this.#schema = freshSchema();
    const url = new URL(server);
    url.searchParams.set("schema", this.#schema);
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    this.url = url.href;
    this.#folder = mkdtempSync(join(tmpdir(), "tenure-members-"));
    this.witness = new Witness(join(this.#folder, "witness"));
  }

  /** Starts so many processes; each runs when they are returned. */
  async start(count: number, options: Omit<MemberOptions, "url" | "witness"> = {}): Promise<Member[]> {
    const members = await Promise.all(
      Array.from({ length: count }, () =>
        Member.start({ url: this.url, witness: this.witness.file, ...options }),
      ),
    );
    this.members.push(...members);
    return members;
  }

  /** Messages, timers, tasks and waiters that are there. */
  async left(): Promise<readonly string[]> {
    return leftIn(this.#server, this.#schema);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.members.map((member) => member.kill()));
    rmSync(this.#folder, { recursive: true, force: true });
    const client = new pg.Client({ connectionString: this.#server });
    await client.connect();
    await client.query(`drop schema if exists ${this.#schema} cascade`);
    await client.end();
  }
}

const testimony = z.object({
  instanceId: z.string(),
  executionId: z.string(),
  taskId: z.number(),
  fencingToken: z.number(),
  result: z.string(),
  pid: z.number(),
  /** By the machine's monotonic clock. */
  atMs: z.number(),
  /** By the clock of its process. */
  clockMs: z.number(),
});

/** A run of an activity. */
export type Testimony = z.infer<typeof testimony>;

/** The clock of {@link Testimony.atMs}: the machine's monotonic one, the same in all its processes. */
export function witnessMs(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

/** What the activities of all processes wrote when they ran. */
export class Witness {
  constructor(readonly file: string) {}

  /** In the order in which they ran. A line that a killed process left unfinished is left out. */
  read(): Testimony[] {
    if (!existsSync(this.file)) return [];
    const lines = readFileSync(this.file, "utf8").split("\n").slice(0, -1);
    return lines.flatMap((line) => {
      const parsed = testimony.safeParse(parseJson(line));
      return parsed.success ? [parsed.data] : [];
    });
  }
}

function isStopped(pid: number): boolean {
  return execFileSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" }).startsWith("T");
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** Waits until something holds; for what processes do without saying so. */
export async function until<T>(look: () => Promise<T | undefined>, timeoutMs = 30_000): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    if (performance.now() > deadline) throw new Error(`it did not come about: ${look.toString()}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
}
