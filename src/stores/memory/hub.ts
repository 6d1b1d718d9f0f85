import { randomBytes } from "node:crypto";
import {
  type Change,
  type Command,
  type CommandAnswer,
  decide,
  type OutboundRequest,
  type RewindCommand,
  type RunBegin,
  type RunEnd,
  type StartAccepted,
} from "../../core/command.js";
import { EngineFaultError } from "../../core/errors.js";
import type { Chunk } from "../../core/history-codec.js";
import {
  type Execution,
  type Instance,
  isLive,
  type ParentLink,
  runtimeStatusOf,
} from "../../core/instance.js";
import {
  type BrokenMailLimit,
  brokenMailLimit,
  type MailLimit,
  mailWaiting,
  roomWithoutLook,
} from "../../core/mail-limit.js";
import type { Mail, Message } from "../../core/message.js";
import { shardOf } from "../../core/shard.js";
import {
  ANY_MAIL,
  type ChangeHint,
  type CommitResult,
  type NextGeneration,
  START_TIMER,
  showsInStatus,
  type TurnCommit,
  type WorkerInfo,
} from "../../core/store.js";
import type { OfferedTask, TaskResult } from "../../core/task.js";
import type { Counters } from "./database.js";
import { LeaseTable } from "./leases.js";
import { Refusals } from "./refusals.js";
import { Strikes } from "./strikes.js";
import { TaskTable } from "./tasks.js";

/** For how long a retried start is told what the first one was told: 24 h. */
const REQUEST_ID_LIFE_MS = 24 * 60 * 60 * 1000;

/**
 * One task hub in memory. Each write method is a transaction: it checks first, then writes, and never
 * pauses in between. This is the reference that the other stores are compared with, so what a seam in
 * core leaves open is settled here, in a comment at its place.
 */
export class Hub {
  readonly secret = randomBytes(32).toString("base64url");
  readonly settings = new Map<string, string>();
  readonly refusals = new Refusals();
  readonly strikes = new Strikes();
  /** The one engine that runs on this hub, where its stores do not share it by leases. */
  engine: WorkerInfo | undefined;
  readonly leases = new LeaseTable();
  readonly tasks = new TaskTable();
  readonly subscriptions = new Set<Subscription>();

  readonly #counters: Counters;
  readonly #rows = new Map<number, Row>();
  readonly #byInstanceId = new Map<string, Row>();
  /** All messages in order of n: a Map keeps the order of insertion. */
  readonly #messages = new Map<number, Message>();
  /** The requests among the messages that start a child, and the run that sent each. */
  readonly #childStarts = new Map<number, Sender>();
  readonly #remembered = new Map<string, Remembered>();
  /** Per shard, the highest fencing token that a purge took away. */
  readonly #tokenFloors = new Map<number, number>();
  #written = nothingWritten();

  constructor(
    readonly taskHub: string,
    counters: Counters,
  ) {
    this.#counters = counters;
  }

  // --- reads ------------------------------------------------------------------------------------------------------

  rows(): Iterable<Row> {
    return this.#rows.values();
  }

  row(iid: number): Row | undefined {
    return this.#rows.get(iid);
  }

  rowOf(instanceId: string): Row | undefined {
    return this.#byInstanceId.get(instanceId);
  }

  messages(): Iterable<Message> {
    return this.#messages.values();
  }

  /** What was written since the last call, as a hint; nothing where nothing was. */
  takeHint(): ChangeHint | undefined {
    const { instanceIds, messages, nextDueMs, tasks } = this.#written;
    this.#written = nothingWritten();
    if (instanceIds.size === 0 && !messages && nextDueMs === undefined && !tasks) return undefined;
    return {
      from: "here",
      instanceIds: [...instanceIds],
      messages,
      ...(nextDueMs === undefined ? {} : { nextDueMs }),
      ...(tasks ? { tasks } : {}),
    };
  }

  // --- commands ---------------------------------------------------------------------------------------------------

  execute(command: Command): CommandAnswer {
    if (command.consumes !== undefined && this.#messages.get(command.consumes)?.kind !== "request") {
      return { outcome: "void" };
    }
    const row = this.#byInstanceId.get(command.instanceId);
    const found = row && { instance: row.instance, execution: () => currentExecution(row) };
    const decision = decide(command, found, this.#rememberedAnswer(command));
    if (command.consumes !== undefined) this.#deleteMessage(command.consumes);
    return decision.change === undefined
      ? decision.answer
      : this.#apply(command, row, decision.change, decision.answer);
  }

  #apply(command: Command, found: Row | undefined, change: Change, decided: CommandAnswer): CommandAnswer {
    let answer = decided;
    let row = found;
    const { atMs } = command;
    if (change.endRun !== undefined) this.#endFromOutside(present(row), change.endRun, atMs);
    if (change.purge === true) answer = { outcome: "purged", children: this.#purge(present(row)) };
    if (change.rewind !== undefined) this.#rewind(present(row), change.rewind);
    if (change.beginRun !== undefined) {
      row = this.#beginRun(command.instanceId, row, change.beginRun, atMs);
      answer = began(answer, row.instance);
    }
    if (change.post !== undefined) {
      const broken = this.#brokenLimit(present(row), change.post);
      if (broken !== undefined)
        return { outcome: "full", runtimeStatus: runtimeStatusOf(present(row).instance), ...broken };
      this.#post(present(row), change.post);
    }
    if (change.wait !== undefined) this.#wait(present(row), change.wait);
    if (change.answer !== undefined) this.#answer(change.answer.to, change.answer.events);
    if (change.remember !== undefined) this.#remember(command, change.remember.requestId, answer);
    return answer;
  }

  #endFromOutside(row: Row, end: RunEnd, atMs: number): void {
    if (!isLive(row.instance.status)) throw new EngineFaultError("only a live run can be ended");
    const sequence = row.instance.sequence + 1;
    if (end.chunk !== undefined) addChunk(row, { sequence, chunk: end.chunk });
    this.#change(row, { sequence, updatedAtMs: atMs });
    changeExecution(row, { updatedAtMs: atMs });
    this.#endRun(row, end, atMs);
  }

  /** Returns the instance IDs of its children, of all its runs. */
  #purge(row: Row): string[] {
    const { iid, instanceId, fencingToken, status } = row.instance;
    if (isLive(status)) throw new EngineFaultError("a live instance cannot be purged");
    const shard = shardOf(instanceId);
    this.#tokenFloors.set(shard, Math.max(this.#tokenFloors.get(shard) ?? 0, fencingToken));
    this.#dropMail(row);
    this.#rows.delete(iid);
    this.#byInstanceId.delete(instanceId);
    this.strikes.clear(iid);
    this.#written.instanceIds.add(instanceId);
    return this.#childrenOf(iid).map((child) => child.instance.instanceId);
    // Its request IDs stay for their 24 h: a start that is retried after the purge must not start twice.
  }

  #rewind(row: Row, command: RewindCommand): void {
    const { atMs } = command;
    const failed = currentExecution(row);
    const { output: _output, failure: _failure, endedAtMs: _endedAtMs, ...kept } = failed;
    const generation = row.instance.generation + 1;
    const fencingToken = row.instance.fencingToken + 1;
    const { parked: _parked, ...instance } = row.instance;
    row.instance = {
      ...instance,
      executionId: command.executionId,
      generation,
      sequence: 1,
      fencingToken,
      status: "Pending",
      suspended: false,
      activities: command.activities,
      updatedAtMs: atMs,
      // A child that is rewound by itself keeps its link: it is still that run's child. Should its parent
      // still be at that generation, it is answered a second time, which replay ignores.
      ...(command.parent === undefined ? {} : { parent: command.parent }),
    };
    row.executions.push({
      ...kept,
      executionId: command.executionId,
      generation,
      status: "Pending",
      fencingToken,
      createdAtMs: atMs,
      updatedAtMs: atMs,
      droppedMessages: 0,
    });
    this.#changed(row);
    addChunk(row, { sequence: 1, chunk: command.history });
    for (const timer of command.timers) this.#setTimer(row, timer.task, timer.dueMs);
    this.#send(row, command.requests);
    this.#mailGeneration(row, command.mail);
  }

  #beginRun(instanceId: string, existing: Row | undefined, begin: RunBegin, atMs: number): Row {
    const before = existing?.instance;
    if (before !== undefined && !begin.over.some((status) => status === before.status)) {
      throw new EngineFaultError(`a run cannot begin over one that is ${before.status}`);
    }
    const instance: Instance = {
      iid: before?.iid ?? ++this.#counters.iid,
      instanceId,
      kind: "orchestration",
      name: begin.name,
      executionId: begin.executionId,
      run: (before?.run ?? 0) + 1,
      generation: (before?.generation ?? 0) + 1,
      sequence: 0,
      fencingToken: (before?.fencingToken ?? this.#tokenFloors.get(shardOf(instanceId)) ?? 0) + 1,
      status: "Pending",
      suspended: false,
      mail: before?.mail ?? 0,
      activities: 0,
      createdAtMs: atMs,
      updatedAtMs: atMs,
      ...(begin.startAtMs === undefined ? {} : { startAtMs: begin.startAtMs }),
      ...(begin.parent === undefined ? {} : { parent: begin.parent }),
    };
    const execution: Execution = {
      executionId: begin.executionId,
      run: instance.run,
      generation: instance.generation,
      name: begin.name,
      ...(begin.version === undefined ? {} : { version: begin.version }),
      tags: { ...begin.tags },
      status: "Pending",
      fencingToken: instance.fencingToken,
      ...(begin.input === undefined ? {} : { input: begin.input }),
      createdAtMs: atMs,
      updatedAtMs: atMs,
      droppedMessages: 0,
    };
    const row = existing ?? this.#addRow(instance, execution);
    if (existing !== undefined) {
      row.instance = instance;
      row.executions.push(execution);
    }
    this.#changed(row);
    if (begin.startAtMs === undefined) this.#mailGeneration(row, begin.events);
    else this.#setTimer(row, START_TIMER, begin.startAtMs);
    return row;
  }

  #addRow(instance: Instance, execution: Execution): Row {
    const row: Row = {
      instance,
      executions: [execution],
      chunks: new Map(),
      mail: new Map(),
      timers: new Map(),
      waiters: [],
    };
    this.#rows.set(instance.iid, row);
    this.#byInstanceId.set(instance.instanceId, row);
    return row;
  }

  #post(row: Row, post: { readonly events: Chunk; readonly suspended?: boolean }): void {
    const { iid, run } = row.instance;
    const mail = row.instance.mail + 1;
    // No progress of the run: updatedAtMs stays.
    this.#change(row, { mail, ...(post.suspended === undefined ? {} : { suspended: post.suspended }) });
    this.#addMail(row, { iid, run, mail, events: post.events });
  }

  #brokenLimit(
    { instance, mail }: Row,
    { events, limit }: { readonly events: Chunk; readonly limit?: MailLimit },
  ): BrokenMailLimit | undefined {
    if (limit === undefined) return undefined;
    const room = roomWithoutLook(limit, events);
    // No more has ever come.
    if (instance.mail + 1 <= room) return undefined;
    const waiting = [...mail.values()].filter(({ run }) => run !== undefined);
    const count = mailWaiting(instance.mail, waiting[0]?.mail);
    if (count + 1 <= room) return undefined;
    const bytes = waiting.reduce((sum, one) => sum + Buffer.byteLength(one.events), 0);
    return brokenMailLimit(
      limit,
      { events: count, bytes },
      { text: events, bytes: Buffer.byteLength(events) },
    );
  }

  #wait(row: Row, waiter: ParentLink): void {
    row.waiters.push(waiter);
    this.#change(row, { mail: row.instance.mail + 1 });
  }

  #remember(command: Command, requestId: string, answer: CommandAnswer): void {
    if (!isStartAccepted(answer)) throw new EngineFaultError("only an accepted start is remembered");
    for (const [key, { atMs }] of this.#remembered) {
      if (atMs + REQUEST_ID_LIFE_MS <= command.atMs) this.#remembered.delete(key);
    }
    this.#remembered.set(requestKey(command.instanceId, requestId), { answer, atMs: command.atMs });
  }

  #rememberedAnswer(command: Command): StartAccepted | undefined {
    if (command.kind !== "start" || command.requestId === undefined) return undefined;
    const remembered = this.#remembered.get(requestKey(command.instanceId, command.requestId));
    if (remembered === undefined || remembered.atMs + REQUEST_ID_LIFE_MS <= command.atMs) return undefined;
    return remembered.answer;
  }

  // --- turns ------------------------------------------------------------------------------------------------------

  commit(turn: TurnCommit): CommitResult {
    const row = this.#rows.get(turn.iid);
    if (row === undefined) return { accepted: false };
    if (!mayCommit(row, turn)) {
      const fencingToken = wasCommitted(row, turn) ? tokenAfter(row, turn) : undefined;
      return fencingToken === undefined ? { accepted: false } : { accepted: true, fencingToken };
    }
    const sequence = turn.sequence + 1;
    for (const n of turn.consumed) this.#deleteMail(row, n);
    for (const task of turn.timersFired ?? []) row.timers.delete(task);
    for (const task of turn.timersCleared) row.timers.delete(task);
    for (const timer of turn.timersSet) this.#setTimer(row, timer.task, timer.dueMs);
    if (turn.chunk !== undefined) {
      addChunk(row, { sequence, chunk: turn.chunk, writer: turn.writer, commitNumber: turn.commitNumber });
    }
    const { iid, generation } = turn;
    for (const activity of turn.queued ?? [])
      this.offerTask({ iid, generation, ...activity }, { withTurn: true });
    this.#send(row, turn.requests);
    this.#writeTurn(row, turn);
    row.lastCommitNumber = turn.commitNumber;
    if (turn.end !== undefined) this.#endRun(row, turn.end, turn.atMs);
    if (turn.next !== undefined) this.#continueAsNew(row, turn.next, turn.atMs);
    return { accepted: true, fencingToken: row.instance.fencingToken };
  }

  #writeTurn(row: Row, turn: TurnCommit): void {
    const { parked: parkedBefore, ...instance } = row.instance;
    const parked = turn.parked === undefined ? parkedBefore : turn.parked;
    const status = turn.status ?? instance.status;
    row.instance = {
      ...instance,
      sequence: turn.sequence + 1,
      fencingToken: instance.fencingToken + (turn.raiseToken === true ? 1 : 0),
      status,
      activities: turn.activities,
      worker: turn.writer,
      updatedAtMs: turn.atMs,
      ...(parked == null ? {} : { parked }),
    };
    const { customStatus: customStatusBefore, ...execution } = currentExecution(row);
    const customStatus = turn.customStatus === undefined ? customStatusBefore : turn.customStatus;
    row.executions[row.executions.length - 1] = {
      ...execution,
      status,
      updatedAtMs: turn.atMs,
      ...(customStatus == null ? {} : { customStatus }),
    };
    if (showsInStatus(turn)) this.#changed(row);
  }

  /**
   * What every end has in common, from outside or by the last turn: nothing of the run is left behind,
   * and everyone who waits is told. The `suspended` flag is left as it is: it means nothing any more.
   */
  #endRun(row: Row, end: RunEnd, atMs: number): void {
    const { parked: _parked, ...instance } = row.instance;
    row.instance = { ...instance, status: end.status, activities: 0 };
    changeExecution(row, {
      status: end.status,
      endedAtMs: atMs,
      droppedMessages: this.#dropMail(row),
      ...(end.output === undefined ? {} : { output: end.output }),
      ...(end.failure === undefined ? {} : { failure: end.failure }),
    });
    row.timers.clear();
    this.tasks.drop(row.instance.iid);
    const waiters = row.waiters.splice(0);
    if (instance.parent !== undefined) this.#answer(instance.parent, end.answer);
    for (const waiter of waiters) this.#answer(waiter, end.answer);
    if (end.terminateChildren !== undefined) this.#terminateChildren(instance, end.terminateChildren);
    this.#changed(row);
  }

  #terminateChildren({ iid, run }: Instance, body: string): void {
    for (const [n, sender] of this.#childStarts) {
      if (sender.iid === iid && sender.run === run) this.#deleteMessage(n);
    }
    for (const { instance } of this.#childrenOf(iid)) {
      if (instance.parent?.run === run && isLive(instance.status))
        this.#addRequest(instance.instanceId, body);
    }
  }

  #continueAsNew(row: Row, next: NextGeneration, atMs: number): void {
    const ended = currentExecution(row);
    changeExecution(row, { status: "ContinuedAsNew", endedAtMs: atMs });
    row.timers.clear();
    this.tasks.drop(row.instance.iid);
    // Results are for the old generation; events and commands are for the run and go on.
    for (const mail of row.mail.values()) if (mail.run === undefined) this.#deleteMail(row, mail.n);

    const generation = row.instance.generation + 1;
    const fencingToken = row.instance.fencingToken + 1;
    this.#change(row, {
      executionId: next.executionId,
      generation,
      sequence: 0,
      fencingToken,
      activities: 0,
    });
    row.executions.push({
      executionId: next.executionId,
      run: ended.run,
      generation,
      name: ended.name,
      ...(next.version === undefined ? {} : { version: next.version }),
      tags: ended.tags,
      status: ended.status,
      fencingToken,
      ...(next.input === undefined ? {} : { input: next.input }),
      // As in the Durable Task Framework, the custom status goes on until it is changed.
      ...(ended.customStatus === undefined ? {} : { customStatus: ended.customStatus }),
      createdAtMs: atMs,
      updatedAtMs: atMs,
      droppedMessages: 0,
    });
    deleteExecutions(
      row,
      (old) => old.status === "ContinuedAsNew" && old.generation <= generation - next.keepExecutions,
    );
    this.#mailGeneration(row, next.events);
  }

  // --- tasks ------------------------------------------------------------------------------------------------------

  offerTask(task: OfferedTask, how: { withTurn: boolean; holder?: string | undefined }): void {
    const isNew = this.tasks.offer(task, how);
    if (isNew && how.holder === undefined) this.#written.tasks = true;
  }

  freeTask(row: { holder?: string }): void {
    delete row.holder;
    this.#written.tasks = true;
  }

  raiseToken(iid: number): void {
    const row = this.#rows.get(iid);
    if (row === undefined) return;
    const { instance } = row;
    row.instance = { ...instance, fencingToken: instance.fencingToken + 1 };
  }

  /** Returns whether somebody waits for it: its generation must be the current one of a live run. */
  mailResult({ iid, generation, events }: TaskResult): boolean {
    const row = this.#rows.get(iid);
    if (row === undefined || !isLive(row.instance.status) || row.instance.generation !== generation)
      return false;
    this.#addMail(row, { iid, generation, events });
    return true;
  }

  // --- messages and timers ----------------------------------------------------------------------------------------

  /** Answers a waiter, if it still waits: its generation must be the current one of a live run. */
  #answer(to: ParentLink, events: Chunk): void {
    const waiting = this.#rows.get(to.iid);
    if (waiting === undefined || !isLive(waiting.instance.status)) return;
    if (waiting.instance.generation !== to.generation) return;
    this.#addMail(waiting, { iid: to.iid, generation: to.generation, task: to.task, events });
  }

  /** A generation's first mail. It does not raise the mail counter: whoever wrote the generation knows of it. */
  #mailGeneration(row: Row, events: Chunk): void {
    const { iid, generation, mail } = row.instance;
    this.#addMail(row, { iid, generation, mail, events });
  }

  #addMail(row: Row, mail: Omit<Mail, "kind" | "n" | "shard">): void {
    const n = ++this.#counters.n;
    const message: Mail = { kind: "mail", n, shard: shardOf(row.instance.instanceId), ...mail };
    row.mail.set(n, message);
    this.#messages.set(n, message);
    this.#written.messages = true;
  }

  #deleteMail(row: Row, n: number): void {
    row.mail.delete(n);
    this.#messages.delete(n);
  }

  /** Returns how many events and commands were among it; results and starts were nobody's to lose. */
  #dropMail(row: Row): number {
    const mail = [...row.mail.values()];
    for (const { n } of mail) this.#deleteMail(row, n);
    return mail.filter(({ run }) => run !== undefined).length;
  }

  #send(sender: Row, requests: readonly OutboundRequest[]): void {
    for (const request of requests) {
      const n = this.#addRequest(request.instanceId, request.body);
      const { iid, run } = sender.instance;
      if (request.startsChild) this.#childStarts.set(n, { iid, run });
    }
  }

  #addRequest(instanceId: string, body: string): number {
    const n = ++this.#counters.n;
    this.#messages.set(n, { kind: "request", n, shard: shardOf(instanceId), instanceId, body });
    this.#written.messages = true;
    return n;
  }

  #deleteMessage(n: number): void {
    this.#messages.delete(n);
    this.#childStarts.delete(n);
  }

  #setTimer(row: Row, task: number, dueMs: number): void {
    row.timers.set(task, dueMs);
    this.#written.nextDueMs = Math.min(this.#written.nextDueMs ?? dueMs, dueMs);
  }

  // --- rows -------------------------------------------------------------------------------------------------------

  #childrenOf(iid: number): Row[] {
    return [...this.#rows.values()].filter(({ instance }) => instance.parent?.iid === iid);
  }

  #change(row: Row, change: Partial<Instance>): void {
    row.instance = { ...row.instance, ...change };
    this.#changed(row);
  }

  #changed(row: Row): void {
    this.#written.instanceIds.add(row.instance.instanceId);
  }
}

/** An instance with all that hangs on it. Records in it are replaced, never changed: readers may keep them. */
export interface Row {
  instance: Instance;
  /** The number of the last commit, by the writer that the instance names as its worker. */
  lastCommitNumber?: number;
  /** In order of generation; the last is the current one. */
  executions: Execution[];
  /** By generation, in order of sequence. */
  readonly chunks: Map<number, StoredChunk[]>;
  readonly mail: Map<number, Mail>;
  /** When the current generation's timers are due, by task. */
  readonly timers: Map<number, number>;
  /** Parents that attached to the current run. */
  readonly waiters: ParentLink[];
}

/** Who listens to a hub, through which store. */
export interface Subscription {
  readonly owner: object;
  readonly listener: (hint: ChangeHint) => void;
}

/** The events of one commit. Ends from outside and rewinds have no writer. */
interface StoredChunk {
  readonly sequence: number;
  readonly chunk: Chunk;
  readonly writer?: string;
  readonly commitNumber?: number;
}

interface Sender {
  readonly iid: number;
  readonly run: number;
}

interface Remembered {
  readonly answer: StartAccepted;
  readonly atMs: number;
}

interface Written {
  readonly instanceIds: Set<string>;
  messages: boolean;
  nextDueMs?: number;
  tasks: boolean;
}

/** The current execution of an instance. */
export function currentExecution(row: Row): Execution {
  const execution = row.executions.at(-1);
  if (execution === undefined) throw new EngineFaultError(`instance ${row.instance.iid} has no execution`);
  return execution;
}

/** The history of one generation, oldest first. */
export function chunksOf(row: Row, generation: number): Chunk[] {
  return (row.chunks.get(generation) ?? []).map(({ chunk }) => chunk);
}

/** Deletes past executions with their history. */
export function deleteExecutions(row: Row, goes: (execution: Execution) => boolean): void {
  const current = currentExecution(row);
  const gone = row.executions.filter((execution) => execution !== current && goes(execution));
  for (const { generation } of gone) row.chunks.delete(generation);
  row.executions = row.executions.filter((execution) => !gone.includes(execution));
}

/** The guard of a commit. */
function mayCommit(row: Row, turn: TurnCommit): boolean {
  const { instance, mail } = row;
  if (!isLive(instance.status)) return false;
  if (instance.generation !== turn.generation) return false;
  if (instance.sequence !== turn.sequence) return false;
  if (turn.end !== undefined && turn.mail !== ANY_MAIL && instance.mail !== turn.mail) return false;
  if (turn.timersFired?.every((task) => row.timers.has(task)) === false) return false;
  return turn.consumed.every((n) => mail.has(n));
}

/** Whether this very commit was accepted before, and only its answer was lost. */
function wasCommitted(row: Row, turn: TurnCommit): boolean {
  const { instance, lastCommitNumber } = row;
  const sequence = turn.sequence + 1;
  if (instance.worker === turn.writer && lastCommitNumber === turn.commitNumber) {
    if (instance.generation === turn.generation && instance.sequence === sequence) return true;
    if (instance.generation === turn.generation + 1 && instance.sequence === 0) return true;
  }
  const written = row.chunks.get(turn.generation)?.find((chunk) => chunk.sequence === sequence);
  return written?.writer === turn.writer && written.commitNumber === turn.commitNumber;
}

/**
 * The token after this commit, where it was the row's last; else the one that its execution began with: never one that
 * somebody else has drawn since, who outranks whoever asks. None where that execution is gone.
 */
function tokenAfter(row: Row, { generation, next, writer, commitNumber }: TurnCommit): number | undefined {
  const { instance, executions } = row;
  const reached = next === undefined ? generation : generation + 1;
  const isLast = instance.worker === writer && row.lastCommitNumber === commitNumber;
  if (instance.generation === reached && isLast) return instance.fencingToken;
  return executions.findLast((one) => one.generation >= generation && one.generation <= reached)
    ?.fencingToken;
}

function addChunk(row: Row, chunk: StoredChunk): void {
  const { generation } = row.instance;
  const chunks = row.chunks.get(generation);
  if (chunks === undefined) row.chunks.set(generation, [chunk]);
  else chunks.push(chunk);
}

function changeExecution(row: Row, change: Partial<Execution>): void {
  row.executions[row.executions.length - 1] = { ...currentExecution(row), ...change };
}

function began(answer: CommandAnswer, { run, generation }: Instance): CommandAnswer {
  return isStartAccepted(answer) ? { ...answer, run, generation } : answer;
}

function isStartAccepted(answer: CommandAnswer): answer is StartAccepted {
  return "executionId" in answer;
}

/** IDs hold no control characters, so that no other pair gives this text. */
function requestKey(instanceId: string, requestId: string): string {
  return `${instanceId}\n${requestId}`;
}

function present(row: Row | undefined): Row {
  if (row === undefined) throw new EngineFaultError("a change was decided for an absent instance");
  return row;
}

function nothingWritten(): Written {
  return { instanceIds: new Set(), messages: false, tasks: false };
}
