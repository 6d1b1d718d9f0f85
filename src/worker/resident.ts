import type { HistoryEvent, IncomingEvent } from "../core/history.js";
import { decodeChunk } from "../core/history-codec.js";
import type { Execution, Instance } from "../core/instance.js";
import type { Mail } from "../core/message.js";
import { readMail } from "../core/message.js";
import type { DueTimer, LoadedInstance, NextGeneration } from "../core/store.js";
import { type OpenActivity, openTasksOf, type TurnState } from "../core/turn.js";

/** Something for an instance's next turn, and where it is kept until that turn commits. */
export interface InboxItem {
  readonly events: readonly IncomingEvent[];
  /** The message that brought it. */
  readonly n?: number;
  /** The mail counter that the message carries. */
  readonly mail?: number;
  /** The timer whose firing it is. */
  readonly timer?: number;
}

/** Shared by all that have none, and never written: many instances wait for events only. */
const NO_ACTIVITIES = new Map<number, OpenActivity>();

/** An instance in this worker's memory: its committed state, and what waits for its next turn. */
export class Resident {
  instance: Instance;
  execution: Execution;
  #openActivities: Map<number, OpenActivity>;
  otherOpenTasks: number;
  historyEvents: number;
  historyLength: number;
  mailSeen: number;
  /** The time of the last turn: turns never go back. */
  lastTurnMs: number;
  /** In order of arrival. */
  inbox: InboxItem[] = [];
  /** A turn or a commit of it is under way. */
  busy = false;
  /** Its memory is void: the store has moved on, or it was dropped. Nothing of it may be run any more. */
  dead = false;
  /** It stands parked, and neither a new process nor a resume lets it try again. */
  held: boolean;
  /** An activity that it waits for and that nobody here can run: it is to be parked before its next turn. */
  missingActivity: string | undefined;
  /** Its shard was lost, by handing it over or not; while it is busy it stays, and is dropped then. */
  lost: "handedOver" | "gone" | undefined;
  /** More has come for it than is in memory: it is to be read again. */
  stale = false;
  /** Timers of a later run, which fire once this memory is dropped. */
  timersAfter: readonly DueTimer[] | undefined;
  /** The messages that came with the load, until everything that waited for the load has come in, too. */
  #loadedWith: ReadonlySet<number> | undefined;
  #history: readonly HistoryEvent[] | undefined;
  /** The latest that mail has come of. */
  #latestRun = 0;
  #latestGeneration = 0;
  /** The highest mail counter in memory. */
  #mailReceived: number;

  constructor(loaded: LoadedInstance, retryParked: boolean) {
    const history = loaded.chunks.flatMap((chunk) => decodeChunk(chunk));
    const { openActivities, otherOpenTasks } = openTasksOf(history);
    this.instance = loaded.instance;
    this.execution = loaded.execution;
    this.#openActivities = openActivities.size === 0 ? NO_ACTIVITIES : new Map(openActivities);
    this.otherOpenTasks = otherOpenTasks;
    this.historyEvents = history.length;
    this.historyLength = loaded.chunks.reduce((length, chunk) => length + chunk.length, 0);
    this.mailSeen = loaded.instance.mail;
    this.#mailReceived = loaded.instance.mail;
    this.lastTurnMs = lastTurnOf(history);
    this.#loadedWith = loaded.messages.length === 0 ? undefined : new Set(loaded.messages.map(({ n }) => n));
    this.inbox = loaded.messages.map(itemOf);
    this.#history = history;
    this.held = loaded.instance.parked !== undefined && !retryParked && !this.isResumed();
  }

  get state(): TurnState {
    return this;
  }

  get openActivities(): ReadonlyMap<number, OpenActivity> {
    return this.#openActivities;
  }

  /** A turn was committed: some activities were answered, some are scheduled. */
  changeActivities(closed: readonly number[], scheduled: readonly OpenActivity[]): void {
    for (const task of closed) this.#openActivities.delete(task);
    if (scheduled.length > 0 && this.#openActivities.size === 0) this.#openActivities = new Map();
    for (const activity of scheduled) this.#openActivities.set(activity.task, activity);
    if (this.#openActivities.size === 0) this.#openActivities = NO_ACTIVITIES;
  }

  /** The history as it was loaded; given away once, for the first turn's replay. */
  takeHistory(): readonly HistoryEvent[] | undefined {
    const history = this.#history;
    this.#history = undefined;
    return history;
  }

  /** Whether it is to be dropped, now that it is no longer busy. */
  isVoid(): boolean {
    return !this.dead && (this.lost !== undefined || this.stale);
  }

  /**
   * Whether mail has come of a run or generation that began after the one in memory. While it is busy that may be the
   * one that its own commit begins.
   */
  isBehind(): boolean {
    const { run, generation } = this.instance;
    return !this.dead && (this.#latestRun > run || this.#latestGeneration > generation);
  }

  /** Whether this memory is about the row's current generation. */
  isAt(generation: number): boolean {
    return this.instance.generation === generation;
  }

  /**
   * Whether a turn can run: something came in, and, in a new generation, its start is among it. Events
   * that precede a start (of a scheduled instance, or around continue-as-new) wait for it.
   */
  isReady(): boolean {
    if (this.busy || this.dead || this.held) return false;
    if (this.missingActivity !== undefined) return true;
    if (this.inbox.length === 0) return false;
    return this.historyEvents > 0 || this.inbox.some(startsExecution);
  }

  /** Whether this mail did not come with the load already: the mail that asked for the load mostly did. */
  isNew(mail: Mail): boolean {
    return this.#loadedWith?.has(mail.n) !== true;
  }

  /** Nothing waits for the load any more: from now on the mailbox knows what came with it. */
  settled(): void {
    this.#loadedWith = undefined;
  }

  receive(mail: Mail): void {
    if (!this.isNew(mail)) return;
    // Mail of the next generation may come before the commit that begins it has been seen to be accepted.
    if (mail.generation !== undefined && mail.generation < this.instance.generation) return;
    // For an earlier run, and dropped with its end: the message was on its way here for that long.
    if (mail.run !== undefined && mail.run < this.instance.run) return;
    this.inbox.push(itemOf(mail));
    this.#latestRun = Math.max(this.#latestRun, mail.run ?? 0);
    this.#latestGeneration = Math.max(this.#latestGeneration, mail.generation ?? 0);
    if (mail.mail === undefined || mail.mail <= this.#mailReceived) return;
    // Mail is numbered without gaps, and a start has the number of the mail before it: one before this was accepted,
    // and has not come yet. A load brings it.
    const isCounted = mail.generation === undefined;
    if (mail.mail > this.#mailReceived + (isCounted ? 1 : 0)) this.stale = true;
    this.#mailReceived = mail.mail;
  }

  /** Takes what waits, each message once, the execution's start first. */
  takeInbox(): InboxItem[] {
    const items = this.inbox.length > 1 ? withoutRepeats(this.inbox) : this.inbox;
    this.inbox = [];
    for (const { mail } of items) if (mail !== undefined && mail > this.mailSeen) this.mailSeen = mail;
    return items.length > 1 && items.some(startsExecution)
      ? [...items.filter(startsExecution), ...items.filter((item) => !startsExecution(item))]
      : items;
  }

  /** Continue-as-new: the same run in a new execution, with an empty history. Only the run's mail remains. */
  beginGeneration(next: NextGeneration, atMs: number): void {
    const { input: _input, customStatus: _status, ...kept } = this.execution;
    this.execution = {
      ...kept,
      executionId: next.executionId,
      generation: this.instance.generation,
      fencingToken: this.instance.fencingToken,
      createdAtMs: atMs,
      updatedAtMs: atMs,
      ...(next.input === undefined ? {} : { input: next.input }),
      ...(next.version === undefined ? {} : { version: next.version }),
    };
    this.#openActivities = NO_ACTIVITIES;
    this.missingActivity = undefined;
    this.otherOpenTasks = 0;
    this.historyEvents = 0;
    this.historyLength = 0;
    this.#history = [];
    this.inbox = this.inbox.filter((item) => item.mail !== undefined);
  }

  /** Whether a resume waits among its mail: a parked instance is to try again. */
  isResumed(): boolean {
    return this.inbox.some((item) => item.events.some((event) => event.type === "ExecutionResumed"));
  }

  /** Nothing of it is needed in memory: it waits for something that will come by message or timer. */
  isIdle(): boolean {
    return !this.busy && this.inbox.length === 0;
  }
}

function itemOf(mail: Mail): InboxItem {
  return { events: readMail(mail), n: mail.n, ...(mail.mail === undefined ? {} : { mail: mail.mail }) };
}

/** A turn must not take one message twice: the commit's guard would find it both times. */
function withoutRepeats(items: InboxItem[]): InboxItem[] {
  const taken = new Set<number>();
  const isFirst = ({ n }: InboxItem): boolean => n === undefined || (!taken.has(n) && taken.add(n).size > 0);
  return items.filter(isFirst);
}

function startsExecution(item: InboxItem): boolean {
  return item.events.some((event) => event.type === "ExecutionStarted" || event.type === "ExecutionRewound");
}

function lastTurnOf(history: readonly HistoryEvent[]): number {
  const last = history.findLast((event) => event.type === "OrchestratorStarted");
  return last?.atMs ?? 0;
}
