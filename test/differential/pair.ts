// Two stores that are to agree. Each side makes the same operation from what its own store holds, and what
// it is told is compared with what the other side is told.
import assert from "node:assert/strict";
import { answerEvents, type Command, type CommandAnswer } from "../../src/core/command.js";
import { encodeChunk } from "../../src/core/history-codec.js";
import type { Instance, ParentLink } from "../../src/core/instance.js";
import type { Message, RequestMessage } from "../../src/core/message.js";
import { commandOf, decodeRequest, encodeRequest, type Request } from "../../src/core/request.js";
import { SHARD_COUNT } from "../../src/core/shard.js";
import { startPolicy } from "../../src/core/start-policy.js";
import {
  ANY_MAIL,
  type ListCursor,
  type LoadedInstance,
  type Shards,
  type Store,
  type TurnCommit,
} from "../../src/core/store.js";
import { everything } from "../../src/stores/conformance/test-hub.js";
import {
  type CommandOperation,
  type FilterOperation,
  IDS,
  NAMES,
  type Operation,
  type RequestOperation,
  type TurnOperation,
} from "./operations.js";

/** A store that can be closed and opened again. */
export interface Reopenable {
  store: Store;
  readonly reopen: () => Promise<Store>;
}

/** How often what happened, over all runs: a test that never reaches a success proves nothing about it. */
export type Coverage = Map<string, number>;

/**
 * Whether the commands of a batch and the turns of a group are carried out strictly one after the other. PostgreSQL
 * carries out those of different IDs side by side, as if different callers had sent them: what they send is in order
 * for each receiver, by the kind of the command, and no more is asked of it.
 */
export type BatchOrder = "one by one" | "side by side";

export class Pair {
  readonly #model: Side;
  readonly #other: Side;

  constructor(model: Reopenable, other: Reopenable, coverage: Coverage, order: BatchOrder) {
    this.#model = new Side(model, coverage, order);
    this.#other = new Side(other, new Map(), order);
  }

  async do(operation: Operation): Promise<void> {
    await this.#both((side) => side.do(operation));
  }

  /** Compares all that can be seen, by every read. */
  async compare(): Promise<void> {
    await this.#both((side) => side.readEverything());
  }

  async #both(act: (side: Side) => Promise<void>): Promise<void> {
    await act(this.#model);
    await act(this.#other);
    assert.deepEqual(this.#other.takeTold(), this.#model.takeTold());
  }
}

/**
 * One store, and what it has told. Row IDs and message numbers may have gaps, and where these lie is a
 * store's own affair: what is told names them in the order in which they were first seen.
 */
class Side {
  readonly #hub: Reopenable;
  readonly #coverage: Coverage;
  readonly #order: BatchOrder;
  readonly #iids = new Names("instance");
  readonly #numbers = new Names("message");
  #told: unknown[] = [];
  /** Every turn that was ever sent, and every request that was ever seen. */
  readonly #turns: TurnCommit[] = [];
  readonly #requests = new Map<number, RequestMessage>();
  #ms = Date.UTC(2026, 0, 1);
  #ids = 0;
  #commits = 0;

  constructor(hub: Reopenable, coverage: Coverage, order: BatchOrder) {
    this.#hub = hub;
    this.#coverage = coverage;
    this.#order = order;
  }

  /** What the store has told since the last call. */
  takeTold(): readonly unknown[] {
    const told = this.#told;
    this.#told = [];
    return told;
  }

  async do(operation: Operation): Promise<void> {
    switch (operation.kind) {
      case "batch":
        return this.#execute(operation.commands);
      case "turns":
        return this.#commit(operation.turns);
      case "recommit":
        return this.#recommit(operation.pick);
      case "prune":
        return this.#prune(operation);
      case "recordRefusal":
        return this.#recordRefusal(operation.id, operation.count);
      case "strike":
      case "clearStrikes":
        return this.#strike(operation);
      case "setting":
        return this.#setting(`key ${operation.key}`, operation.value);
      case "list":
        return this.#list(operation.filter, operation.limit, operation.examine);
      case "page":
        return this.#page(operation);
      case "pass":
        this.#ms += operation.ms;
        return;
      case "reopen":
        return this.#reopen();
      default:
        return this.#execute([operation]);
    }
  }

  async readEverything(): Promise<void> {
    const all = await this.#ask(async (store) => {
      const { messages, ...rest } = await everything(store);
      return { ...rest, messages: this.#order === "one by one" ? messages : byReceiver(messages) };
    });
    for (const { executions } of all.instances) {
      this.#count(`executions ${Math.min(executions.length, 4)}`);
      for (const { status, droppedMessages } of executions) {
        this.#count(`execution ${status}`);
        if (droppedMessages > 0) this.#count("dropped messages");
      }
    }
    for (const instanceId of IDS) {
      const record = await this.#ask((store) => store.get(instanceId));
      this.#count(`get ${record === undefined ? "absent" : "present"}`);
      await this.#ask((store) => store.history(instanceId));
      await this.#ask((store) => store.refusals({ instanceId, limit: 3 }));
    }
  }

  // --- commands ---------------------------------------------------------------------------------------------------

  async #execute(operations: readonly CommandOperation[]): Promise<void> {
    const commands: Command[] = [];
    for (const operation of operations) {
      const command = await this.#command(operation);
      if (command !== undefined) commands.push(command);
    }
    for (const batch of this.#order === "one by one" ? [commands] : sideBySide(commands)) {
      const answers = await this.#ask((store) => store.execute(batch));
      for (const [index, command] of batch.entries()) {
        const answer = answers[index];
        if (answer !== undefined) this.#count(`${labelOf(command)} ${outcomeOf(command, answer)}`);
      }
    }
  }

  async #command(operation: CommandOperation): Promise<Command | undefined> {
    if (operation.kind === "request") return this.#requestCommand(operation.pick, operation.again);
    const addressed = { instanceId: idOf(operation.id), atMs: this.#now() };
    switch (operation.kind) {
      case "start":
        return {
          kind: "start",
          ...addressed,
          name: NAMES[operation.name] ?? NAMES[0],
          tags: operation.tag === undefined ? {} : { "a.b": operation.tag },
          executionId: this.#id(),
          policy: startPolicy(operation.ifLive, operation.ifEnded),
          ...(operation.tag === undefined ? {} : { version: operation.tag, input: `"${operation.tag}"` }),
          ...(operation.requestId === undefined ? {} : { requestId: `r${operation.requestId}` }),
          ...(operation.inMs === undefined ? {} : { startAtMs: addressed.atMs + operation.inMs }),
          ...(await this.#parent(operation.parent)),
        };
      case "raise":
        return { kind: "raise", ...addressed, name: `event ${this.#ms}`, input: "1" };
      case "terminate": {
        const child =
          operation.onlyChildOf === undefined ? undefined : await this.#instance(operation.onlyChildOf);
        const onlyChildOf = child && { iid: child.iid, run: child.run };
        const { recurse } = operation;
        return {
          kind: "terminate",
          ...addressed,
          recurse,
          reason: "enough",
          ...(onlyChildOf && { onlyChildOf }),
        };
      }
      case "rewind":
        return this.#rewind(operation, addressed.atMs);
      default:
        return { kind: operation.kind, ...addressed };
    }
  }

  async #rewind(operation: CommandOperation & { readonly kind: "rewind" }, atMs: number): Promise<Command> {
    const { id, stale } = operation;
    const instance = await this.#instance(id);
    const parent = await this.#parent(operation.parent);
    const policy = startPolicy("attach", "return");
    const instead = { kind: "start", instanceId: idOf(id), atMs, name: NAMES[0], tags: {}, policy } as const;
    return {
      kind: "rewind",
      instanceId: idOf(id),
      atMs,
      expectedExecutionId: stale || instance === undefined ? "0".repeat(32) : instance.executionId,
      executionId: this.#id(),
      history: encodeChunk([{ type: "OrchestratorStarted", atMs }]),
      activities: id % 2,
      timers: [{ task: 3, dueMs: atMs + 5 }],
      mail: encodeChunk([{ type: "ExecutionRewound", atMs }]),
      requests: [this.#outbound({ to: id + 1, what: "child" }, await this.#link(id))],
      ...parent,
      ...(operation.orElse ? { orElse: { ...instead, ...parent, executionId: this.#id() } } : {}),
    };
  }

  async #requestCommand(pick: number, again: boolean): Promise<Command | undefined> {
    const messages = await this.#messages(this.#hub.store);
    const waiting = messages.filter((message) => message.kind === "request");
    for (const message of waiting) this.#requests.set(message.n, message);
    const choice = again ? [...this.#requests.values()] : waiting;
    const message = choice[pick % Math.max(choice.length, 1)];
    if (message === undefined) return undefined;
    const request = readRequest(message.body);
    const { instanceId, n: consumes } = message;
    return commandOf(request, { instanceId, atMs: this.#now(), consumes, executionId: this.#id() });
  }

  // --- turns ------------------------------------------------------------------------------------------------------

  async #commit(operations: readonly TurnOperation[]): Promise<void> {
    const turns: LabelledTurn[] = [];
    for (const operation of operations) {
      const instance = await this.#instance(operation.id);
      if (instance === undefined) continue;
      const [loaded] = await this.#ask((store) => store.load([instance.iid]));
      if (loaded === undefined) throw new Error("an instance cannot be loaded");
      // Some turns of one batch are for the same row: the later ones count on the earlier ones.
      const before = turns.filter(({ turn }) => turn.iid === instance.iid).length;
      const turn = await this.#flawed(this.#turn(operation, loaded, before), operation, loaded);
      turns.push({ label: labelOfTurn(operation, loaded), turn });
      this.#turns.push(turn);
    }
    const ordered = this.#order === "one by one" ? turns : inWaves(turns);
    const commits = ordered.map(({ turn }) => turn);
    const results = await this.#ask((store) => store.commit(commits));
    for (const [index, { label }] of ordered.entries()) {
      this.#count(`${label} ${results[index]?.accepted === true ? "accepted" : "refused"}`);
    }
  }

  async #recommit(pick: number): Promise<void> {
    const turn = this.#turns[pick % Math.max(this.#turns.length, 1)];
    if (turn === undefined) return;
    const [result] = await this.#ask((store) => store.commit([turn]));
    this.#count(`recommit ${result?.accepted === true ? "accepted" : "refused"}`);
  }

  #turn(operation: TurnOperation, { instance, messages }: LoadedInstance, before: number): TurnCommit {
    const atMs = this.#now();
    const take = { all: messages, none: [], half: messages.filter((_, index) => index % 2 === 0) }[
      operation.take
    ];
    const base = {
      iid: instance.iid,
      instanceId: instance.instanceId,
      executionId: instance.executionId,
      generation: instance.generation,
      sequence: instance.sequence + before,
      writer: `worker-${operation.writer}`,
      commitNumber: ++this.#commits,
      atMs,
      consumed: before === 0 ? take.map(({ n }) => n) : [],
      activities: operation.activities,
      timersSet: operation.timersSet.map(({ task, inMs }) => ({ task, dueMs: atMs + inMs })),
      timersCleared: operation.timersCleared.filter((task) =>
        operation.timersSet.every((set) => set.task !== task),
      ),
      requests: operation.requests.map((request) => this.#outbound(request, linkOf(instance))),
      ...(operation.customStatus === undefined ? {} : { customStatus: operation.customStatus }),
    };
    const chunk = encodeChunk([{ type: "OrchestratorStarted", atMs }]);
    switch (operation.what) {
      case "goOn":
        return { ...base, chunk, status: "Running" };
      case "end":
      case "endAnyway":
        return {
          ...base,
          chunk,
          status: operation.status,
          mail: operation.what === "end" ? instance.mail : ANY_MAIL,
          end: this.#end(operation, instance),
        };
      case "continueAsNew":
        return {
          ...base,
          chunk,
          status: "Running",
          next: {
            executionId: this.#id(),
            input: `"${atMs}"`,
            events: encodeChunk([{ type: "ExecutionStarted", atMs }]),
            keepExecutions: operation.keepExecutions,
            ...(operation.writer === 0 ? {} : { version: "next" }),
          },
        };
      case "park":
        return { ...base, consumed: [], parked: { code: "EngineFault", message: "it's", sinceMs: atMs } };
      case "unpark":
        return { ...base, chunk, parked: null };
      case "raiseToken":
        return { ...base, consumed: [], raiseToken: true };
    }
  }

  #end({ status, terminateChildren }: TurnOperation, { iid, run, instanceId }: Instance) {
    const atMs = this.#ms;
    const body = encodeRequest({
      kind: "terminate",
      recurse: true,
      reason: instanceId,
      onlyChildOf: { iid, run },
    });
    return {
      status,
      output: `"${atMs}"`,
      answer: answerEvents(atMs, status, `"${atMs}"`, undefined),
      ...(status === "Failed" ? { failure: { type: "Error", message: "no" } } : {}),
      ...(terminateChildren ? { terminateChildren: body } : {}),
    };
  }

  async #flawed(
    turn: TurnCommit,
    { flaw, id }: TurnOperation,
    { instance }: LoadedInstance,
  ): Promise<TurnCommit> {
    switch (flaw) {
      case "none":
        return turn;
      case "iid":
        return { ...turn, iid: turn.iid + 1_000 };
      case "earlierGeneration":
        return { ...turn, generation: turn.generation - 1 };
      case "laterGeneration":
        return { ...turn, generation: turn.generation + 1 };
      case "earlierSequence":
        return { ...turn, sequence: turn.sequence - 1 };
      case "laterSequence":
        return { ...turn, sequence: turn.sequence + 1 };
      case "missingMessage":
        return { ...turn, consumed: [...turn.consumed, 1_000_000] };
      case "foreignMessage": {
        const messages = await this.#messages(this.#hub.store);
        const foreign = messages.find(
          (message) => message.kind === "request" || message.iid !== instance.iid,
        );
        return { ...turn, consumed: [...turn.consumed, foreign?.n ?? 1_000_000 + id] };
      }
      case "mail":
        return turn.mail === undefined ? turn : { ...turn, mail: turn.mail - 1 };
    }
  }

  // --- other writes ---------------------------------------------------------------------------------------------

  async #prune({ status, ageMs, limit }: Operation & { readonly kind: "prune" }): Promise<void> {
    const endedBeforeMs = this.#ms - ageMs;
    const pruned = await this.#ask((store) => store.pruneExecutions({ status, endedBeforeMs, limit }));
    this.#count(`prune ${pruned > 0 ? "some" : "none"}`);
  }

  async #strike(operation: Operation & { readonly kind: "strike" | "clearStrikes" }): Promise<void> {
    const instance = await this.#instance(operation.id);
    if (instance === undefined) return;
    const { iid, generation } = instance;
    if (operation.kind === "clearStrikes") await this.#ask((store) => store.clearStrikes(iid));
    else {
      const strike = { iid, generation, worker: `worker-${operation.worker}` };
      await this.#ask((store) => store.recordStrike(strike));
    }
    this.#count(operation.kind);
  }

  async #setting(key: string, value: string): Promise<void> {
    const before = await this.#ask((store) => store.setting(key));
    this.#count(`setting ${before === undefined ? "absent" : "present"}`);
    await this.#ask((store) => store.changeSetting(key, value));
  }

  async #reopen(): Promise<void> {
    this.#hub.store = await this.#hub.reopen();
    this.#count("reopen");
  }

  // --- reads ------------------------------------------------------------------------------------------------------

  async #list(operation: FilterOperation, limit: number, examine: number): Promise<void> {
    const filter = {
      ...(operation.statuses === undefined ? {} : { runtimeStatus: operation.statuses }),
      ...(operation.name === undefined ? {} : { name: NAMES[operation.name] ?? NAMES[0] }),
      ...(operation.prefix === undefined ? {} : { instanceIdPrefix: operation.prefix }),
      ...(operation.tag === undefined ? {} : { tags: { "a.b": operation.tag } }),
      ...(operation.createdWithinMs === undefined
        ? {}
        : { createdFromMs: this.#ms - operation.createdWithinMs }),
      ...(operation.updatedWithinMs === undefined
        ? {}
        : { updatedFromMs: this.#ms - operation.updatedWithinMs }),
    };
    // How many rows a page examined is the store's own affair; the walk as a whole is not.
    const records = await this.#ask(async (store) => {
      const found = [];
      for (let after: ListCursor | undefined; ; ) {
        const page = await store.list({ filter, limit, examine, ...(after === undefined ? {} : { after }) });
        assert.ok(page.records.length <= limit);
        found.push(...page.records);
        if (page.next === undefined) return found;
        after = page.next;
      }
    });
    for (const key of Object.keys(filter))
      this.#count(`list by ${key} ${records.length > 0 ? "some" : "none"}`);
  }

  async #page({ shards: seed, after, limit }: Operation & { readonly kind: "page" }): Promise<void> {
    const shards =
      seed === 0
        ? "all"
        : Array.from({ length: SHARD_COUNT }, (_, shard) => shard).filter((shard) => shard % 3 === seed - 1);
    const iid = this.#iids.pick(seed);
    const n = this.#numbers.pick(after);
    const messages = await this.#ask((store) =>
      this.#order === "one by one"
        ? store.poll({ shards, after: n, limit })
        : this.#messages(store, shards, limit),
    );
    const { timers } = await this.#ask((store) => store.due({ shards, untilMs: this.#ms, limit }));
    const { unfinished } = await this.#ask(async (store) => ({
      unfinished: await store.unfinished({ shards, afterIid: iid, limit }),
    }));
    await this.#ask((store) => store.heads([iid, 1_000_000]));
    if (messages.length > 0) this.#count("poll some");
    if (timers.length > 0) this.#count("due some");
    if (unfinished.length > 0) this.#count("unfinished some");
  }

  async #recordRefusal(id: number, count: number): Promise<void> {
    const instanceId = idOf(id);
    const holder = {
      instanceId,
      name: "Order",
      executionId: this.#id(),
      run: 1,
      generation: 1,
      runtimeStatus: "Running",
      sinceMs: 1,
      lastProgressMs: 2,
    } as const;
    const refusal = {
      instanceId,
      atMs: this.#now(),
      requester: "test",
      orchestrator: "Order",
      policy: startPolicy(),
      reason: "held",
      holder,
      count,
    } as const;
    await this.#ask((store) => store.recordRefusals([refusal]));
    this.#count("record refusal");
  }

  /** All messages, by receiver where only that order is promised. */
  async #messages(store: Store, shards: Shards = "all", limit = 1_000): Promise<readonly Message[]> {
    const messages: Message[] = [];
    for (let page: readonly Message[] | undefined; page === undefined || page.length === limit; ) {
      page = await store.poll({ shards, after: messages.at(-1)?.n ?? 0, limit });
      messages.push(...page);
    }
    return this.#order === "one by one" ? messages : byReceiver(messages);
  }

  // --- helpers ----------------------------------------------------------------------------------------------------

  async #ask<T>(question: (store: Store) => Promise<T>): Promise<T> {
    const answer = await question(this.#hub.store);
    this.#told.push(this.#named(answer));
    return answer;
  }

  /** The same value, with names for row IDs and message numbers. */
  #named(value: unknown): unknown {
    if (typeof value === "string" && value.startsWith('{"format":')) return this.#named(JSON.parse(value));
    if (typeof value !== "object" || value === null) return value;
    if (Array.isArray(value)) return value.map((each) => this.#named(each));
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(entries.map(([key, each]) => [key, this.#namedProperty(key, each)]));
  }

  #namedProperty(key: string, value: unknown): unknown {
    if (typeof value === "number" && key === "iid") return this.#iids.of(value);
    if (typeof value === "number" && key === "n") return this.#numbers.of(value);
    if (key === "unfinished" && Array.isArray(value))
      return value.map((iid) => this.#namedProperty("iid", iid));
    return this.#named(value);
  }

  #count(what: string): void {
    this.#coverage.set(what, (this.#coverage.get(what) ?? 0) + 1);
  }

  #now(): number {
    return ++this.#ms;
  }

  #id(): string {
    return (++this.#ids).toString(16).padStart(32, "0");
  }

  async #instance(id: number): Promise<Instance | undefined> {
    return (await this.#hub.store.get(idOf(id)))?.instance;
  }

  async #link(id: number): Promise<ParentLink | undefined> {
    const instance = await this.#instance(id);
    return instance && linkOf(instance);
  }

  async #parent(id: number | undefined): Promise<{ parent?: ParentLink }> {
    const parent = id === undefined ? undefined : await this.#link(id);
    return parent === undefined ? {} : { parent };
  }

  #outbound({ to, what }: RequestOperation, sender: ParentLink | undefined) {
    const start = {
      kind: "start",
      name: NAMES[0],
      tags: {},
      policy: startPolicy("attach", "return"),
    } as const;
    const request: Request = {
      child: { ...start, ...(sender === undefined ? {} : { parent: { ...sender, task: to } }) },
      detached: start,
      raise: { kind: "raise", name: "sent" } as const,
      terminate: { kind: "terminate", recurse: true } as const,
    }[what];
    return {
      instanceId: idOf(to % IDS.length),
      body: encodeRequest(request),
      deduplicationKey: `request ${this.#id()}`,
      startsChild: what === "child",
    };
  }
}

/** Commands of one kind at a time, in an order of IDs in which new rows are numbered by every store. */
function sideBySide(commands: readonly Command[]): readonly (readonly Command[])[] {
  const kinds = new Set(commands.map(kindOf));
  return [...kinds].map((kind) =>
    commands
      .filter((command) => kindOf(command) === kind)
      .toSorted((a, b) => (a.instanceId < b.instanceId ? -1 : a.instanceId > b.instanceId ? 1 : 0)),
  );
}

/**
 * Those that answer a parent are a kind for themselves: an answer comes after what other commands send. So is each
 * purge: one that goes with its parent's is told among the children.
 */
function kindOf(command: Command): string {
  if (command.kind === "purge") return `purge of ${command.instanceId}`;
  const answers = "parent" in command && command.parent !== undefined;
  return answers ? `${command.kind} for ${command.parent.iid}` : command.kind;
}

function byReceiver(messages: readonly Message[]): readonly Message[] {
  const receiver = (message: Message): string =>
    message.kind === "request" ? message.instanceId : String(message.iid).padStart(20, "0");
  return messages.toSorted((a, b) => {
    const [one, other] = [receiver(a), receiver(b)];
    return one === other ? a.n - b.n : one < other ? -1 : 1;
  });
}

interface LabelledTurn {
  readonly label: string;
  readonly turn: TurnCommit;
}

/** First turns of all instances before second ones, from one that ends its children to the next. */
function inWaves(turns: readonly LabelledTurn[]): readonly LabelledTurn[] {
  let floor = 0;
  const nextOf = new Map<number, number>();
  const placed = turns.map((labelled) => {
    const { iid, end } = labelled.turn;
    const alone = end?.terminateChildren !== undefined;
    const wave = alone ? Math.max(floor, ...nextOf.values()) : Math.max(floor, nextOf.get(iid) ?? 0);
    nextOf.set(iid, wave + 1);
    if (alone) floor = wave + 1;
    return { labelled, wave };
  });
  return placed.toSorted((a, b) => a.wave - b.wave).map(({ labelled }) => labelled);
}

/** Names for numbers, in the order in which they are met. */
class Names {
  readonly #kind: string;
  readonly #known = new Map<number, string>();

  constructor(kind: string) {
    this.#kind = kind;
  }

  of(number: number): string {
    const name = this.#known.get(number) ?? `${this.#kind} ${this.#known.size + 1}`;
    this.#known.set(number, name);
    return name;
  }

  /** One of the numbers that were met, or 0. */
  pick(index: number): number {
    return [0, ...this.#known.keys()][index % (this.#known.size + 1)] ?? 0;
  }
}

function linkOf({ iid, run, generation, instanceId, executionId, name }: Instance): ParentLink {
  return { iid, run, generation, task: 1, instanceId, executionId, name };
}

function idOf(index: number): string {
  return IDS[index % IDS.length] ?? IDS[0];
}

function readRequest(body: string): Exclude<Request, { kind: "rewind" }> {
  const request = decodeRequest(body);
  if (request.kind === "rewind") throw new Error("no operation sends a rewind");
  return request;
}

function labelOf(command: Command): string {
  return command.consumes === undefined ? command.kind : `requested ${command.kind}`;
}

function outcomeOf(command: Command, answer: CommandAnswer): string {
  if (answer.outcome === "refused") return `refused ${answer.reason}`;
  if (answer.outcome === "purged") return `purged with ${answer.children.length > 0 ? "children" : "none"}`;
  if (command.kind === "start" && "executionId" in answer && answer.outcome === "started") {
    return answer.executionId === command.executionId ? "started" : "remembered";
  }
  return answer.outcome;
}

function labelOfTurn({ what, flaw }: TurnOperation, { instance }: LoadedInstance): string {
  const live = instance.status === "Pending" || instance.status === "Running";
  const spoilt = flaw === "mail" && what !== "end" ? "none" : flaw;
  return `turn ${what} ${live ? spoilt : "ended"}`;
}
