import assert from "node:assert/strict";
import {
  answerEvents,
  type Command,
  type CommandAnswer,
  type OutboundRequest,
  type RaiseCommand,
  type RewindCommand,
  type RunEnd,
  type StartAccepted,
  type StartCommand,
} from "../../core/command.js";
import { decodeChunk, encodeChunk } from "../../core/history-codec.js";
import type { EndedStatus, Execution, Instance, InstanceRecord, ParentLink } from "../../core/instance.js";
import type { Mail, Message, RequestMessage } from "../../core/message.js";
import { encodeRequest } from "../../core/request.js";
import { startPolicy } from "../../core/start-policy.js";
import type { CommitResult, LoadedInstance, NextGeneration, Store, TurnCommit } from "../../core/store.js";

/** A store that a case runs on, and what can be done with its data. */
export interface OpenedStore {
  readonly store: Store;
  /** Closes the store and opens its data again. */
  reopen?(): Promise<Store>;
  /** Opens a second store on the same data, beside the first: on its task hub, or on another one. */
  another?(taskHub?: string): Promise<Store>;
  /** Ends a worker's lease now, as if it had not been renewed in time; where the store has leases. */
  endLease?(worker: string): Promise<void>;
  /** Closes every store that was opened, and removes the data. */
  dispose(): Promise<void>;
}

/** Thrown by a case that a store cannot be asked; the message is the reason. */
export class SkippedCase extends Error {}

/** Status in which a case may need an instance. */
export type State = "Pending" | "Running" | "Suspended" | EndedStatus;

/** The statuses in which an instance holds its ID, and those in which it has let go of it. */
export const LIVE_STATES = ["Pending", "Running", "Suspended"] as const;
export const ENDED_STATES = ["Completed", "Failed", "Terminated", "Canceled"] as const;

/** The orchestrator's name where a case does not care. */
export const NAME = "Order";

const FIRST_MS = Date.UTC(2026, 0, 1);

/**
 * One case's task hub. It acts as clients and workers do: with commands, and with turns that are made
 * from what was loaded. Its clock is a counter.
 */
export class TestHub {
  store: Store;
  /** How often a race is repeated. */
  readonly rounds: number;
  readonly #opened: OpenedStore;
  #ms = FIRST_MS;
  #executions = 0;
  #commits = 0;

  constructor(opened: OpenedStore, rounds: number) {
    this.store = opened.store;
    this.rounds = rounds;
    this.#opened = opened;
  }

  // --- stores -----------------------------------------------------------------------------------------------------

  async reopen(): Promise<void> {
    if (this.#opened.reopen === undefined) throw new SkippedCase("the factory gives no `reopen`");
    this.store = await this.#opened.reopen();
  }

  async another(taskHub?: string): Promise<Store> {
    if (this.#opened.another === undefined) throw new SkippedCase("the factory gives no `another`");
    return this.#opened.another(taskHub);
  }

  async endLease(worker: string): Promise<void> {
    if (this.#opened.endLease === undefined) throw new SkippedCase("the factory gives no `endLease`");
    await this.#opened.endLease(worker);
  }

  /** The same case on another store of the same data: with its own time, but with execution IDs that differ. */
  on(store: Store): TestHub {
    const hub = new TestHub({ store, dispose: async () => {} }, this.rounds);
    hub.#executions = this.#executions + 1_000_000;
    return hub;
  }

  // --- time and IDs -----------------------------------------------------------------------------------------------

  /** A time later than every one before. */
  now(): number {
    return ++this.#ms;
  }

  /** Lets time pass. */
  pass(ms: number): void {
    this.#ms += ms;
  }

  executionId(): string {
    return (++this.#executions).toString(16).padStart(32, "0");
  }

  // --- commands ---------------------------------------------------------------------------------------------------

  async command(command: Command): Promise<CommandAnswer> {
    const answers = await this.store.execute([command]);
    assert.equal(answers.length, 1);
    return present(answers[0]);
  }

  startCommand(instanceId: string, fields: Partial<StartCommand> = {}): StartCommand {
    return {
      kind: "start",
      instanceId,
      atMs: this.now(),
      name: NAME,
      tags: {},
      executionId: this.executionId(),
      policy: startPolicy(),
      ...fields,
    };
  }

  /** A start that must be accepted. */
  async start(instanceId: string, fields: Partial<StartCommand> = {}): Promise<StartAccepted> {
    return accepted(await this.command(this.startCommand(instanceId, fields)));
  }

  raiseCommand(instanceId: string, fields: Partial<RaiseCommand> = {}): RaiseCommand {
    return { kind: "raise", instanceId, atMs: this.now(), name: "event", ...fields };
  }

  async raise(instanceId: string, name = "event", input?: string): Promise<CommandAnswer> {
    return this.command(this.raiseCommand(instanceId, { name, ...(input === undefined ? {} : { input }) }));
  }

  async suspend(instanceId: string): Promise<CommandAnswer> {
    return this.command({ kind: "suspend", instanceId, atMs: this.now() });
  }

  async resume(instanceId: string): Promise<CommandAnswer> {
    return this.command({ kind: "resume", instanceId, atMs: this.now() });
  }

  async terminate(instanceId: string, recurse = false): Promise<CommandAnswer> {
    return this.command({ kind: "terminate", instanceId, atMs: this.now(), reason: "enough", recurse });
  }

  async purge(instanceId: string): Promise<CommandAnswer> {
    return this.command({ kind: "purge", instanceId, atMs: this.now() });
  }

  /** Ends the live run and begins another one. */
  async replace(instanceId: string, fields: Partial<StartCommand> = {}): Promise<StartAccepted> {
    return this.start(instanceId, { policy: startPolicy("terminate"), ...fields });
  }

  rewindCommand(failed: Instance, fields: Partial<RewindCommand> = {}): RewindCommand {
    const atMs = this.now();
    return {
      kind: "rewind",
      instanceId: failed.instanceId,
      atMs,
      expectedExecutionId: failed.executionId,
      executionId: this.executionId(),
      history: encodeChunk([
        { type: "OrchestratorStarted", atMs },
        { type: "ExecutionStarted", atMs },
      ]),
      activities: 0,
      timers: [],
      mail: encodeChunk([{ type: "ExecutionRewound", atMs }]),
      requests: [],
      ...fields,
    };
  }

  /** The link of a child to the instance's current generation. */
  async linkTo(instanceId: string, task: number): Promise<ParentLink> {
    const { iid, run, generation, executionId, name } = await this.instance(instanceId);
    return { iid, run, generation, task, instanceId, executionId, name };
  }

  async startChild(
    parentId: string,
    childId: string,
    task: number,
    fields: Partial<StartCommand> = {},
  ): Promise<StartAccepted> {
    return this.start(childId, { parent: await this.linkTo(parentId, task), ...fields });
  }

  // --- turns ------------------------------------------------------------------------------------------------------

  /** A valid turn on what was loaded. It takes in every message. */
  turnOn({ instance, messages }: LoadedInstance, fields: Partial<TurnCommit> = {}): TurnCommit {
    const atMs = fields.atMs ?? this.now();
    return {
      iid: instance.iid,
      instanceId: instance.instanceId,
      executionId: instance.executionId,
      generation: instance.generation,
      sequence: instance.sequence,
      writer: "worker-1",
      commitNumber: ++this.#commits,
      atMs,
      consumed: messages.map(({ n }) => n),
      chunk: encodeChunk([{ type: "OrchestratorStarted", atMs }]),
      activities: instance.activities,
      timersSet: [],
      timersCleared: [],
      requests: [],
      ...(instance.status === "Pending" ? { status: "Running" as const } : {}),
      ...fields,
    };
  }

  /** A valid turn that ends the run. */
  endOn(loaded: LoadedInstance, end: Partial<RunEnd> = {}, fields: Partial<TurnCommit> = {}): TurnCommit {
    const status = end.status ?? "Completed";
    const answer = answerEvents(this.now(), status, end.output, end.failure);
    return this.turnOn(loaded, {
      status,
      mail: loaded.instance.mail,
      activities: 0,
      end: { status, answer, ...end },
      ...fields,
    });
  }

  /** A valid turn that continues as new. */
  nextOn(
    loaded: LoadedInstance,
    next: Partial<NextGeneration> = {},
    fields: Partial<TurnCommit> = {},
  ): TurnCommit {
    const atMs = this.now();
    const events = encodeChunk([{ type: "ExecutionStarted", atMs }]);
    return this.turnOn(loaded, {
      activities: 0,
      next: { executionId: this.executionId(), events, keepExecutions: 10, ...next },
      ...fields,
    });
  }

  async commit(turn: TurnCommit): Promise<CommitResult> {
    const results = await this.store.commit([turn]);
    assert.equal(results.length, 1);
    return present(results[0]);
  }

  /** Commits a turn that must be accepted; returns the fencing token. */
  async accept(turn: TurnCommit): Promise<number> {
    const result = await this.commit(turn);
    assert.ok(result.accepted, "the turn was refused");
    return result.fencingToken;
  }

  /** Commits a turn that must be refused, and must leave no trace. */
  async refuse(turn: TurnCommit): Promise<void> {
    const before = await everything(this.store);
    const result = await this.commit(turn);
    assert.deepEqual(result, { accepted: false });
    assert.deepEqual(await everything(this.store), before);
  }

  async turn(instanceId: string, fields: Partial<TurnCommit> = {}): Promise<number> {
    return this.accept(this.turnOn(await this.load(instanceId), fields));
  }

  async end(
    instanceId: string,
    end: Partial<RunEnd> = {},
    fields: Partial<TurnCommit> = {},
  ): Promise<number> {
    return this.accept(this.endOn(await this.load(instanceId), end, fields));
  }

  async continueAsNew(
    instanceId: string,
    next: Partial<NextGeneration> = {},
    fields: Partial<TurnCommit> = {},
  ): Promise<number> {
    return this.accept(this.nextOn(await this.load(instanceId), next, fields));
  }

  /** An instance that has had its first turn. */
  async run(instanceId: string, fields: Partial<StartCommand> = {}): Promise<Instance> {
    await this.start(instanceId, fields);
    await this.turn(instanceId);
    return this.instance(instanceId);
  }

  /** Brings an unused ID into a status. */
  async bring(instanceId: string, state: State, fields: Partial<StartCommand> = {}): Promise<Instance> {
    await this.start(instanceId, fields);
    switch (state) {
      case "Pending":
        break;
      case "Running":
        await this.turn(instanceId);
        break;
      case "Suspended":
        await this.turn(instanceId);
        await this.suspend(instanceId);
        break;
      case "Completed":
      case "Failed":
      case "Terminated":
      case "Canceled":
        await this.end(instanceId, { status: state });
        break;
    }
    return this.instance(instanceId);
  }

  // --- reads ------------------------------------------------------------------------------------------------------

  async record(instanceId: string): Promise<InstanceRecord> {
    return present(await this.store.get(instanceId));
  }

  async instance(instanceId: string): Promise<Instance> {
    return (await this.record(instanceId)).instance;
  }

  async execution(instanceId: string): Promise<Execution> {
    return (await this.record(instanceId)).execution;
  }

  async load(instanceId: string): Promise<LoadedInstance> {
    const { iid } = await this.instance(instanceId);
    return present((await this.store.load([iid]))[0]);
  }

  async mail(instanceId: string): Promise<readonly Mail[]> {
    return (await this.load(instanceId)).messages;
  }

  async messages(): Promise<readonly Message[]> {
    return this.store.poll({ shards: "all", after: 0, limit: 1_000_000 });
  }

  /** The requests that wait, to one ID or to all. */
  async requests(instanceId?: string): Promise<RequestMessage[]> {
    const requests = (await this.messages()).filter((message) => message.kind === "request");
    return requests.filter((request) => instanceId === undefined || request.instanceId === instanceId);
  }

  async chunks(instanceId: string, executionId?: string): Promise<readonly string[]> {
    return present(await this.store.history(instanceId, executionId)).chunks;
  }
}

/** All that can be seen of a hub, for comparing before with after, and one store with another. */
export async function everything(store: Store) {
  const all = { shards: "all", limit: 1_000_000 } as const;
  const { records, next } = await store.list({ filter: {}, limit: 1_000_000, examine: 1_000_000 });
  assert.equal(next, undefined);
  const instances = await Promise.all(
    records.map(async (record) => {
      const { instanceId, iid } = record.instance;
      const executions = await executionsOf(store, instanceId);
      return {
        record,
        loaded: await store.load([iid]),
        heads: await store.heads([iid]),
        executions,
        histories: await Promise.all(
          executions.map(async ({ executionId }) => (await store.history(instanceId, executionId))?.chunks),
        ),
      };
    }),
  );
  return {
    instances,
    messages: await store.poll({ ...all, after: 0 }),
    due: await store.due({ ...all, untilMs: Number.MAX_SAFE_INTEGER }),
    unfinished: await store.unfinished({ ...all, afterIid: 0 }),
    refusals: await store.refusals({ limit: 1_000_000 }),
    strikes: [...(await store.strikes())].sort((a, b) => a.iid - b.iid || a.generation - b.generation),
  };
}

/** All executions of an ID that are kept, newest first. */
export async function executionsOf(store: Store, instanceId: string): Promise<readonly Execution[]> {
  const { executions, next } = await store.executions({
    instanceId,
    limit: 1_000,
    maxLength: 1_000_000_000,
  });
  assert.equal(next, undefined);
  return executions;
}

/** More pages than any case can fill. */
const MAX_PAGES = 1_000;

/** Reads page after page, each from where `next` says; none of its answers ends the walk. */
export async function walk<Page, From>(
  first: From,
  read: (from: From) => Promise<Page>,
  next: (page: Page) => From | undefined,
): Promise<Page[]> {
  const pages: Page[] = [];
  for (let from: From | undefined = first; from !== undefined; ) {
    assert.ok(pages.length < MAX_PAGES, "the pages never end");
    const page = await read(from);
    pages.push(page);
    from = next(page);
  }
  return pages;
}

/** A value that must be there. */
export function present<T>(value: T | undefined): T {
  assert.ok(value !== undefined, "expected a value");
  return value;
}

/** A start that must have been accepted. */
export function accepted(answer: CommandAnswer): StartAccepted {
  assert.ok("executionId" in answer, `the start was not accepted: ${JSON.stringify(answer)}`);
  return answer;
}

/** The types of the events in these messages, with an external event's name in place of its type. */
export function eventsIn(messages: readonly Mail[]): string[] {
  return messages
    .flatMap(({ events }) => decodeChunk(events))
    .map((event) => (event.type === "EventRaised" ? event.name : event.type));
}

/** The types of the events in a history. */
export function typesIn(chunks: readonly string[]): string[] {
  return chunks.flatMap((chunk) => decodeChunk(chunk)).map(({ type }) => type);
}

let requests = 0;

/** A request message, as a turn sends it. */
export function requestTo(instanceId: string, fields: Partial<OutboundRequest> = {}): OutboundRequest {
  return {
    instanceId,
    body: encodeRequest({ kind: "raise", name: `for ${instanceId}` }),
    deduplicationKey: `request-${++requests}`,
    startsChild: false,
    ...fields,
  };
}
