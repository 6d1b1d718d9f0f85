import { decodeChunk } from "../src/core/history-codec.js";
import type { Execution, InstanceRecord } from "../src/core/instance.js";
import { type Mail, readMail } from "../src/core/message.js";
import type { Store } from "../src/core/store.js";
import { executionsOf } from "../src/stores/conformance/test-hub.js";
import { alike, type Entry, incomingOf, isPost, type Past, withoutEnd } from "./past.js";
import { nameOfRequest } from "./requests.js";

interface HoldingsParts {
  readonly store: Store;
  /** What the writes add up to, by instance ID. */
  readonly entries: ReadonlyMap<string, Entry>;
  /** What instances have asked of others and is on its way, in order. */
  readonly requests: readonly string[];
  /** How many answers of children are on their way to an instance. */
  readonly answersOf: (entry: Entry) => number;
  readonly expect: (isSo: boolean, problem: string) => void;
}

/** What a store holds, against what its writes add up to: rows, histories, messages, timers. */
export class Holdings {
  readonly #parts: HoldingsParts;

  constructor(parts: HoldingsParts) {
    this.#parts = parts;
  }

  /** Compares everything. */
  async compare(): Promise<void> {
    const { store, entries, expect } = this.#parts;
    const { records } = await store.list({ filter: {}, limit: 1_000, examine: 1_000 });
    const held = new Map(records.map((record) => [record.instance.instanceId, record]));
    for (const id of held.keys()) expect(entries.has(id), `${id}: the store has it, nobody started it`);
    for (const entry of entries.values()) await this.#compareEntry(entry, held.get(entry.instanceId));
    await this.#compareMessages(records);
    await this.#compareTimers(records);
    const ended = records.filter(
      ({ instance: { instanceId } }) => entries.get(instanceId)?.status !== "live",
    );
    const tasks = (await store.tasks?.of(ended.map(({ instance }) => instance.iid))) ?? [];
    expect(tasks.length === 0, `${tasks.length} tasks of ended instances were left behind`);
  }

  /** Compares what there is of one ID. */
  async compareEntry(entry: Entry): Promise<void> {
    await this.#compareEntry(entry, await this.#parts.store.get(entry.instanceId));
  }

  async #compareEntry(entry: Entry, record: InstanceRecord | undefined): Promise<void> {
    const { instanceId } = entry;
    if (record === undefined) {
      this.#parts.expect(false, `${instanceId}: it was lost`);
      return;
    }
    const { iid, run, generation, sequence, mail, executionId, name, activities, ...instance } =
      record.instance;
    const isLive = entry.status === "live";
    const last = entry.executions.at(-1);
    const status = isLive ? (entry.pending ? "Pending" : "Running") : entry.status;
    this.#agree(
      instanceId,
      { run, generation, sequence, mail, executionId, name, activities, status: instance.status },
      {
        run: entry.run,
        generation: entry.generation,
        sequence: entry.sequence,
        mail: entry.mail,
        executionId: last?.executionId,
        name: entry.name,
        activities: entry.activities,
        status,
      },
    );
    const suspended = isLive && instance.suspended;
    const parent = instance.parent;
    this.#agree(
      instanceId,
      { suspended, parked: instance.parked?.code, parent, iid },
      {
        suspended: isLive && entry.suspended,
        parked: entry.parked,
        parent: entry.parent,
        iid: entry.iid ?? iid,
      },
    );
    this.#compareTokens(entry, instance.fencingToken);
    await this.#compareExecutions(entry);
  }

  /** A worker that claims work draws a token, too, of which no commit tells. */
  #compareTokens({ instanceId, executions }: Entry, token: number): void {
    for (const past of executions) {
      const highest = Math.max(0, ...past.tokens);
      const isRight = past === executions.at(-1) ? token >= highest : token > highest;
      this.#parts.expect(isRight, `${instanceId}: its token is ${token}, where ${highest} was told`);
    }
  }

  async #compareExecutions(entry: Entry): Promise<void> {
    const { store, expect } = this.#parts;
    const { instanceId } = entry;
    const kept = await executionsOf(store, instanceId);
    const newer = kept.toReversed();
    const rises = newer.every(({ fencingToken }, at) => fencingToken > (newer[at - 1]?.fencingToken ?? 0));
    expect(rises, `${instanceId}: the tokens of its executions do not rise`);
    for (const past of entry.executions) {
      const execution = kept.find(({ executionId }) => executionId === past.executionId);
      const isOld = past.status === "ContinuedAsNew" && past.generation <= entry.generation - 10;
      expect(execution !== undefined || isOld, `${instanceId}: execution ${past.executionId} was lost`);
      if (execution !== undefined) await this.#compareExecution(entry, past, execution);
    }
    this.#conserve(entry, kept);
  }

  async #compareExecution(
    { instanceId, pending, status: stands }: Entry,
    past: Past,
    execution: Execution,
  ): Promise<void> {
    const { store, expect } = this.#parts;
    const { name, run, generation, input, customStatus, output, failure, endedAtMs } = execution;
    const isLive = past.status === "live" && stands === "live";
    this.#agree(
      `${instanceId} ${past.executionId}`,
      {
        name,
        run,
        generation,
        input,
        customStatus,
        status: execution.status,
        hasEnded: endedAtMs !== undefined,
      },
      {
        name: past.name,
        run: past.run,
        generation: past.generation,
        input: past.input,
        customStatus: past.customStatus,
        status: past.status === "live" ? (pending ? "Pending" : "Running") : past.status,
        hasEnded: !isLive,
      },
    );
    // A run that is replaced is given a text that only its end knows.
    if (past.status !== "Terminated" || past.output !== undefined)
      this.#agree(
        `${instanceId} ${past.executionId}`,
        { output, failure: failure && JSON.stringify(failure) },
        { output: past.output, failure: past.failure },
      );
    const history = await store.history(instanceId, past.executionId);
    const events = history?.chunks.flatMap((chunk) => decodeChunk(chunk)) ?? [];
    const told = past.status === "Terminated" ? withoutEnd(events) : events;
    expect(
      alike(told, past.events),
      `${instanceId}: the history of ${past.executionId} is not what was committed`,
    );
    if (past.status === "live") return;
    const last = events.at(-1);
    const isSealed = last?.type === "ExecutionCompleted" && last.status === past.status;
    expect(isSealed, `${instanceId}: ${past.status} but its history ends with ${last?.type}`);
  }

  /** What was accepted for a run was taken in by it, or dropped with its end, and counted; or the run still lives. */
  #conserve(entry: Entry, kept: readonly Execution[]): void {
    for (const [run, { accepted, taken }] of entry.mailbags) {
      const dropped = kept.reduce((sum, each) => sum + (each.run === run ? each.droppedMessages : 0), 0);
      const missing = accepted.length - taken;
      const isLive = run === entry.run && entry.status === "live";
      this.#parts.expect(
        dropped === (isLive ? 0 : missing),
        `${entry.instanceId} run ${run}: ${missing} events and commands missing, ${dropped} recorded as dropped`,
      );
    }
  }

  async #compareMessages(records: readonly InstanceRecord[]): Promise<void> {
    const { store, requests, expect } = this.#parts;
    const messages = await store.poll({ shards: "all", after: 0, limit: 1_000 });
    const sent = messages.flatMap((message) =>
      message.kind === "request" ? nameOfRequest(message.instanceId, message.body) : [],
    );
    expect(
      alike(sent.toSorted(), requests),
      `on its way is ${sent.join(", ") || "nothing"}, where ${requests.join(", ") || "nothing"} was sent`,
    );
    const mail = messages.flatMap((message) => (message.kind === "mail" ? [message] : []));
    for (const { instance } of records)
      this.#compareMail(
        instance.instanceId,
        mail.filter(({ iid }) => iid === instance.iid),
      );
    const strays = mail.filter(({ iid }) => records.every(({ instance }) => instance.iid !== iid));
    expect(strays.length === 0, `mail was left behind: ${JSON.stringify(strays[0])}`);
  }

  #compareMail(instanceId: string, mail: readonly Mail[]): void {
    const { entries, answersOf, expect } = this.#parts;
    const entry = entries.get(instanceId);
    if (entry === undefined) return;
    if (entry.status !== "live") {
      expect(mail.length === 0, `${instanceId}: it has ended, and ${mail.length} messages were left behind`);
      return;
    }
    const bag = entry.mailbags.get(entry.run);
    const posts = mail
      .filter(({ run }) => run === entry.run)
      .flatMap((each) => readMail(each).filter(isPost));
    const due = bag?.accepted.slice(bag.taken) ?? [];
    expect(
      alike(
        posts.map(({ type }) => type),
        due.map(({ type }) => type),
      ),
      `${instanceId}: it is to be sent ${posts.length} events and commands, where ${due.length} were accepted`,
    );
    const answers = mail.filter(({ task }) => task !== undefined).length;
    expect(
      answers === answersOf(entry),
      `${instanceId}: ${answers} answers are on their way, where ${answersOf(entry)} were given`,
    );
    const others = mail.filter(({ run, generation }) =>
      run === undefined ? generation !== entry.generation : run !== entry.run,
    );
    expect(others.length === 0, `${instanceId}: it is to be sent what was for another run or generation`);
    const first = entry.executions.at(-1)?.first;
    const isByMail = first !== undefined && entry.timers.size === 0;
    const starts = mail.filter((each) => alike(incomingOf(readMail(each)), first));
    if (isByMail) expect(starts.length === 1, `${instanceId}: it is to begin ${starts.length} times`);
  }

  async #compareTimers(records: readonly InstanceRecord[]): Promise<void> {
    const { store, entries, expect } = this.#parts;
    const { timers } = await store.due({ shards: "all", untilMs: Number.MAX_SAFE_INTEGER, limit: 1_000 });
    const held = timers.map(
      ({ iid, generation, task, dueMs }) => `${iid}.${generation}: ${task} at ${dueMs}`,
    );
    const due = records.flatMap(({ instance: { iid, instanceId, generation } }) =>
      [...(entries.get(instanceId)?.timers ?? [])].map(
        ([task, dueMs]) => `${iid}.${generation}: ${task} at ${dueMs}`,
      ),
    );
    expect(
      alike(held.toSorted(), due.toSorted()),
      `timers are set: ${held.join(", ") || "none"}, where ${due.join(", ") || "none"} were asked for`,
    );
  }

  #agree(of: string, held: object, due: object): void {
    this.#parts.expect(
      alike(held, due),
      `${of}: the store says ${JSON.stringify(held)}, its writes add up to ${JSON.stringify(due)}`,
    );
  }
}
