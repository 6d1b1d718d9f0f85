import type { Command, CommandAnswer, StartAccepted, StartCommand } from "../src/core/command.js";
import type { HistoryEvent, IncomingEvent } from "../src/core/history.js";
import { decodeChunk } from "../src/core/history-codec.js";
import type { EndedStatus, ParentLink } from "../src/core/instance.js";
import { ANY_MAIL, type CommitResult, START_TIMER, type Store, type TurnCommit } from "../src/core/store.js";
import type { Testimony } from "./app.js";
import { Holdings } from "./holdings.js";
import {
  alike,
  answered,
  askedBy,
  begins,
  callOf,
  type Entry,
  givenIn,
  incomingOf,
  isAction,
  isPost,
  isSubsequence,
  type Mailbag,
  openActivities,
  type Past,
  type Post,
  raisedIn,
  runOf,
  Sight,
} from "./past.js";
import { START_MS } from "./process.js";
import { Requests } from "./requests.js";
import type { Effect } from "./store-line.js";

/** What a child's call is to be told. */
interface Answer {
  readonly status: EndedStatus | "refused";
  readonly output?: string | undefined;
  readonly failure?: string | undefined;
}

/** How many of an instance's executions are there for certain. */
const KEPT_EXECUTIONS = 10;

/**
 * An independent model of what a store must answer, fed with every write in the order in which it took effect. It
 * shares no code with the stores or with core's decisions; it knows nothing of processes, leases or clocks. Whatever it
 * does not expect is a problem, in words.
 */
export class Oracle {
  readonly problems: string[] = [];
  readonly #entries = new Map<string, Entry>();
  /** IDs whose instance was purged: their highest token. */
  readonly #highestToken = new Map<string, number>();
  /** Runs, by row, that were ended from outside together with their children. */
  readonly #endedWithChildren = new Set<string>();
  readonly #requests = new Requests();
  /** What children's calls are to be told and have not been yet. */
  readonly #answers = new Map<string, Answer[]>();
  readonly #remembered = new Map<string, StartAccepted>();
  readonly #consumed = new Set<number>();
  /** By writer and number: the token that an accepted commit was told. */
  readonly #commits = new Map<string, number>();
  /** The row ID under which an ID's turns are committed, from its first commit until it is purged. */
  readonly #rows = new Map<string, number>();
  readonly #byRow = new Map<number, Entry>();
  /** Which activity began under which token. */
  readonly #begun = new Set<string>();

  /** Takes a write in. */
  see(effect: Effect): void {
    if (effect.kind === "command") this.#command(effect.command, effect.answer, effect.atMs);
    else this.#turn(effect.turn, effect.result, effect.atMs);
  }

  /** Takes in an activity that began. */
  witness(seen: Testimony): void {
    const beginning = `${seen.executionId} ${seen.taskId} ${seen.fencingToken}`;
    this.#expect(
      !this.#begun.has(beginning),
      `${seen.instanceId}: activity ${seen.taskId} began twice under token ${seen.fencingToken}`,
    );
    this.#begun.add(beginning);
    const entry = this.#entries.get(seen.instanceId);
    const of = entry?.executions.find(({ executionId }) => executionId === seen.executionId);
    if (entry === undefined || of === undefined) return; // purged since
    const scheduled = of.events.some((event) => event.type === "TaskScheduled" && event.id === seen.taskId);
    this.#expect(
      scheduled,
      `${seen.instanceId}: activity ${seen.taskId} began before its scheduling was committed`,
    );
  }

  #expect(isSo: boolean, problem: string): void {
    if (!isSo && this.problems.length < 20) this.problems.push(problem);
  }

  // --- commands ---------------------------------------------------------------------------------------------------

  #command(command: Command, answer: CommandAnswer, atMs: number): void {
    const { instanceId } = command;
    const at = `${command.kind} ${instanceId}`;
    if (command.consumes !== undefined) {
      if (this.#consumed.has(command.consumes)) {
        this.#expect(answer.outcome === "void", `${at}: a request was carried out twice`);
        return;
      }
      // Withdrawn: the run that sent it has ended and ended its children.
      const parent = command.kind === "start" ? command.parent : undefined;
      const isWithdrawn = parent !== undefined && this.#endedWithChildren.has(runOf(parent));
      if (answer.outcome === "void") return;
      this.#expect(!isWithdrawn, `${at}: by a run that had ended and withdrawn it`);
      this.#consumed.add(command.consumes);
      this.#expect(this.#requests.carryOut(command), `${at}: carried out, although nobody asks for it`);
    }
    const entry = this.#entries.get(instanceId);
    switch (command.kind) {
      case "start":
        return this.#start(command, answer, entry);
      case "rewind":
        return this.#rewind(command, answer, entry);
      case "purge":
        return this.#purge(answer, entry, at);
      default:
        return this.#signal(command, answer, entry, atMs);
    }
  }

  #start(command: StartCommand, answer: CommandAnswer, entry: Entry | undefined): void {
    const { instanceId, policy, name, requestId } = command;
    const at = `start ${instanceId}`;
    const key = requestId === undefined ? undefined : `${instanceId} ${requestId}`;
    const remembered = key === undefined ? undefined : this.#remembered.get(key);
    if (remembered !== undefined) {
      const same = "executionId" in answer && answer.executionId === remembered.executionId;
      this.#expect(same && answer.outcome === remembered.outcome, `${at}: a retry was told something else`);
      return;
    }
    const expected = expectedOutcome(entry, name, policy);
    this.#expect(answer.outcome === expected, `${at}: ${answer.outcome}, where ${expected} was due`);
    if (answer.outcome === "refused") {
      const holder = entry?.executions.at(-1)?.executionId;
      this.#expect(answer.holder.executionId === holder, `${at}: refused for a holder that is none`);
      if (command.parent !== undefined) this.#tell(command.parent, { status: "refused" });
      return;
    }
    if (!("executionId" in answer)) return;
    if (key !== undefined) this.#remembered.set(key, answer);
    switch (answer.outcome) {
      case "attached":
        this.#expect(
          answer.executionId === entry?.executions.at(-1)?.executionId,
          `${at}: attached to another run`,
        );
        if (entry === undefined || command.parent === undefined) return;
        entry.mail += 1;
        entry.waiters.push(command.parent);
        return;
      case "returned": {
        const last = entry?.executions.at(-1);
        this.#expect(answer.executionId === last?.executionId, `${at}: given another run`);
        if (last !== undefined && command.parent !== undefined) this.#tell(command.parent, answerOf(last));
        return;
      }
      case "replaced":
      case "started":
        this.#begin(command, answer, entry, at);
        return;
    }
  }

  #begin(command: StartCommand, answer: StartAccepted, entry: Entry | undefined, at: string): void {
    const { instanceId, name, executionId } = command;
    this.#expect(answer.executionId === executionId, `${at}: began under another execution ID than asked`);
    if (entry !== undefined && answer.outcome === "replaced") {
      this.#end(entry, "Terminated");
      this.#endChildrenOf(entry);
    }
    const run = (entry?.run ?? 0) + 1;
    const generation = (entry?.generation ?? 0) + 1;
    this.#expect(answer.run === run, `${at}: run ${answer.run}, where ${run} was due`);
    this.#expect(
      answer.generation === generation,
      `${at}: generation ${answer.generation}, not ${generation}`,
    );
    const beginning = { name, run, generation, sequence: 0, ...anew(), waiters: [] };
    const begun: Entry = entry ?? {
      instanceId,
      ...beginning,
      mail: 0,
      timers: new Map(),
      executions: [],
      mailbags: new Map(),
    };
    Object.assign(begun, beginning);
    if (command.parent === undefined) delete begun.parent;
    else begun.parent = command.parent;
    if (command.startAtMs !== undefined && command.startAtMs > command.atMs)
      begun.timers.set(START_TIMER, command.startAtMs);
    const { input } = command;
    const first: IncomingEvent[] = [{ type: "ExecutionStarted", atMs: command.atMs }];
    begun.executions.push(pastOf({ executionId, run, generation, name, input, first }));
    begun.mailbags.set(run, { accepted: [], taken: 0 });
    this.#entries.set(instanceId, begun);
  }

  #rewind(
    command: Command & { readonly kind: "rewind" },
    answer: CommandAnswer,
    entry: Entry | undefined,
  ): void {
    const at = `rewind ${command.instanceId}`;
    const last = entry?.executions.at(-1);
    const isAsRead = entry?.status === "Failed" && last?.executionId === command.expectedExecutionId;
    if (!isAsRead && command.orElse !== undefined) return this.#start(command.orElse, answer, entry);
    if (!isAsRead || entry === undefined) {
      const due = entry === undefined ? "notFound" : "invalidState";
      this.#expect(answer.outcome === due, `${at}: ${answer.outcome}, where ${due} was due`);
      return;
    }
    this.#expect(answer.outcome === "done", `${at}: ${answer.outcome}, although it had failed`);
    if (last === undefined) return;
    const { executionId } = command;
    const generation = entry.generation + 1;
    const kept = decodeChunk(command.history);
    const first = incomingOf(decodeChunk(command.mail));
    const stands = last.events.slice(0, kept.length);
    this.#expect(
      alike(kept.map(withoutFirst), stands.map(withoutFirst)),
      `${at}: what stands is not what was committed`,
    );
    this.#expect(
      alike([...raisedIn(kept), ...raisedIn(first)], raisedIn(last.events)),
      `${at}: the events that it was sent are not those that it had taken in`,
    );
    Object.assign(entry, { generation, sequence: 1, ...anew(), activities: openActivities(kept) });
    for (const { task, dueMs } of command.timers) entry.timers.set(task, dueMs);
    if (command.parent !== undefined) entry.parent = command.parent;
    const { run, name, input, customStatus } = last;
    const rewound = pastOf({ executionId, run, generation, name, input, first });
    rewound.customStatus = customStatus;
    rewound.events.push(...kept);
    rewound.sight.see(incomingOf(kept));
    entry.executions.push(rewound);
    if (entry.iid === undefined) return;
    for (const request of command.requests) this.#requests.send(runOf({ iid: entry.iid, run }), request);
  }

  #purge(answer: CommandAnswer, entry: Entry | undefined, at: string): void {
    const due = entry === undefined ? "notFound" : entry.status === "live" ? "invalidState" : "purged";
    this.#expect(answer.outcome === due, `${at}: ${answer.outcome}, where ${due} was due`);
    if (answer.outcome !== "purged" || entry === undefined) return;
    const children = [...this.#entries.values()]
      .filter(({ parent }) => entry.iid !== undefined && parent?.iid === entry.iid)
      .map(({ instanceId }) => instanceId);
    this.#expect(
      alike(answer.children.toSorted(), children.toSorted()),
      `${at}: its children are said to be ${answer.children.join(", ")}`,
    );
    const tokens = entry.executions.flatMap((execution) => execution.tokens);
    const highest = Math.max(this.#highestToken.get(entry.instanceId) ?? 0, ...tokens);
    this.#highestToken.set(entry.instanceId, highest);
    this.#rows.delete(entry.instanceId);
    if (entry.iid !== undefined) this.#byRow.delete(entry.iid);
    this.#entries.delete(entry.instanceId);
  }

  #signal(
    command: Exclude<Command, { readonly kind: "start" | "rewind" | "purge" }>,
    answer: CommandAnswer,
    entry: Entry | undefined,
    atMs: number,
  ): void {
    const at = `${command.kind} ${command.instanceId}`;
    if (command.kind === "terminate" && command.onlyChildOf !== undefined && answer.outcome === "notFound")
      return;
    const due = entry === undefined ? "notFound" : entry.status === "live" ? "done" : "ended";
    this.#expect(answer.outcome === due, `${at}: ${answer.outcome}, where ${due} was due (at ${atMs})`);
    if (answer.outcome !== "done" || entry === undefined) return;
    if (command.kind === "terminate" && command.onlyChildOf !== undefined) {
      const isItsChild = entry.parent !== undefined && runOf(entry.parent) === runOf(command.onlyChildOf);
      this.#expect(isItsChild, `${at}: as the child of a run whose child it is not`);
    }
    const { atMs: sentAtMs } = command;
    switch (command.kind) {
      case "raise": {
        const { name, input } = command;
        const raised: Post = { type: "EventRaised", atMs: sentAtMs, name };
        return this.#post(entry, input === undefined ? raised : { ...raised, input });
      }
      case "suspend":
        if (!entry.suspended) this.#post(entry, { type: "ExecutionSuspended", atMs: sentAtMs });
        entry.suspended = true;
        return;
      case "resume":
        if (entry.suspended || entry.parked !== undefined)
          this.#post(entry, { type: "ExecutionResumed", atMs: sentAtMs });
        entry.suspended = false;
        return;
      case "terminate":
        this.#end(entry, "Terminated", command.output);
        if (command.recurse) this.#endChildrenOf(entry);
        return;
    }
  }

  #post(entry: Entry, post: Post): void {
    entry.mail += 1;
    entry.mailbags.get(entry.run)?.accepted.push(post);
  }

  /** Ends the run, and tells whoever waits for it. */
  #end(entry: Entry, status: EndedStatus, output?: string, failure?: string): void {
    entry.status = status;
    entry.parked = undefined;
    entry.activities = 0;
    entry.timers.clear();
    if (status === "Terminated") entry.sequence += 1;
    const last = entry.executions.at(-1);
    if (last === undefined) return;
    Object.assign(last, { status, output, failure });
    const waiting = entry.waiters;
    entry.waiters = [];
    if (entry.parent !== undefined) this.#tell(entry.parent, answerOf(last));
    for (const waiter of waiting) this.#tell(waiter, answerOf(last));
  }

  /** Whoever has gone on to another generation, or ended, is told nothing. */
  #tell(call: ParentLink, answer: Answer): void {
    const waiting = this.#byRow.get(call.iid);
    if (waiting?.status !== "live" || waiting.generation !== call.generation) return;
    this.#answers.set(callOf(call), [...(this.#answers.get(callOf(call)) ?? []), answer]);
  }

  #endChildrenOf({ iid, run }: Entry): void {
    if (iid === undefined) return; // it has run no turn, and so has no children
    const ended = runOf({ iid, run });
    this.#endedWithChildren.add(ended);
    this.#requests.withdraw(ended);
    for (const { instanceId, parent, status } of this.#entries.values()) {
      if (status === "live" && parent !== undefined && runOf(parent) === ended)
        this.#requests.sendEnd(ended, instanceId);
    }
  }

  // --- turns ------------------------------------------------------------------------------------------------------

  #turn(turn: TurnCommit, result: CommitResult, atMs: number): void {
    const at = `turn of ${turn.instanceId} ${turn.generation}.${turn.sequence}`;
    const entry = this.#entries.get(turn.instanceId);
    const commit = `${turn.writer} ${turn.commitNumber}`;
    const before = this.#commits.get(commit);
    if (before !== undefined) return this.#repeated(turn, result, entry, before, at);
    const isCurrent =
      entry !== undefined &&
      (this.#rows.get(turn.instanceId) ?? turn.iid) === turn.iid &&
      entry.status === "live" &&
      entry.generation === turn.generation &&
      entry.sequence === turn.sequence &&
      entry.executions.at(-1)?.executionId === turn.executionId;
    if (!result.accepted) return this.#refused(turn, entry, isCurrent, at);
    this.#expect(isCurrent, `${at}: accepted, although the row had moved on`);
    const again = turn.consumed.filter((n) => this.#consumed.has(n));
    this.#expect(again.length === 0, `${at}: took in messages that were taken in before`);
    for (const n of turn.consumed) this.#consumed.add(n);
    if (entry === undefined || !isCurrent) return;
    this.#rows.set(turn.instanceId, turn.iid);
    entry.iid = turn.iid;
    this.#byRow.set(turn.iid, entry);
    entry.lastCommit = commit;
    const token = result.fencingToken ?? 0;
    this.#commits.set(commit, token);
    this.#apply(entry, turn, token, atMs, at);
  }

  /** It was accepted before: told so again, with a token that never belongs to what came later. */
  #repeated(
    turn: TurnCommit,
    result: CommitResult,
    entry: Entry | undefined,
    before: number,
    at: string,
  ): void {
    if (!result.accepted) {
      // A commit is known by its chunk, until its execution is deleted.
      const isKept = turn.chunk !== undefined && entry !== undefined && isKeptBy(entry, turn.executionId);
      this.#expect(!isKept, `${at}: refused, although it had been accepted before`);
      return;
    }
    const token = result.fencingToken;
    // Whose commit was the last still owns the instance, whoever has claimed a task of it meanwhile.
    const isLast = entry?.lastCommit === `${turn.writer} ${turn.commitNumber}`;
    this.#expect(isLast || token <= before, `${at}: told a token that another owner has drawn since`);
    const reached = turn.next === undefined ? turn.generation : turn.generation + 1;
    const later = entry?.executions.filter(({ generation }) => generation > reached) ?? [];
    const isBelow = later.every(({ tokens }) => tokens.every((each) => token < each));
    this.#expect(isBelow, `${at}: told the token of a later execution`);
  }

  #refused(turn: TurnCommit, entry: Entry | undefined, isCurrent: boolean, at: string): void {
    if (!isCurrent || entry === undefined) return;
    const stale = turn.consumed.some((n) => this.#consumed.has(n));
    const fired = turn.timersFired?.some((task) => !entry.timers.has(task)) === true;
    const missedMail = turn.end !== undefined && turn.mail !== ANY_MAIL && turn.mail !== entry.mail;
    this.#expect(stale || fired || missedMail, `${at}: refused, although the row was as expected`);
  }

  #apply(entry: Entry, turn: TurnCommit, token: number, atMs: number, at: string): void {
    const execution = entry.executions.at(-1);
    if (execution === undefined) return;
    this.#checkToken(entry, turn, token, at);
    const events = turn.chunk === undefined ? [] : decodeChunk(turn.chunk);
    const came = incomingOf(events);
    this.#takeIn(entry, execution, turn, came, atMs, at);
    this.#checkDone(entry, execution, turn, events, execution.sight.see(came), at);
    execution.events.push(...events);
    if (turn.parked !== undefined) entry.parked = turn.parked?.code;
    if (turn.status === "Running") entry.pending = false;
    if (turn.customStatus !== undefined) execution.customStatus = turn.customStatus ?? undefined;
    for (const task of turn.timersFired ?? [])
      this.#expect(entry.timers.delete(task), `${at}: timer ${task} fired, which was not set (any more)`);
    for (const task of turn.timersCleared) entry.timers.delete(task);
    for (const { task, dueMs } of turn.timersSet) entry.timers.set(task, dueMs);
    const goesOn = turn.end === undefined && turn.next === undefined;
    entry.activities = goesOn ? openActivities(execution.events) : 0;
    this.#expect(
      turn.activities === entry.activities,
      `${at}: ${turn.activities} activities in flight, where ${entry.activities} are open`,
    );
    entry.sequence += 1;
    if (turn.end !== undefined) {
      const seen = turn.mail === ANY_MAIL || turn.mail === entry.mail;
      this.#expect(seen, `${at}: ended the run without having seen all mail (${turn.mail} of ${entry.mail})`);
      const { status, output, failure } = turn.end;
      this.#checkGiven(entry, execution, output, at);
      this.#end(entry, status, output, failure && JSON.stringify(failure));
    }
    if (turn.next === undefined) {
      execution.tokens.push(token);
      return;
    }
    execution.status = "ContinuedAsNew";
    entry.timers.clear();
    entry.generation += 1;
    entry.sequence = 0;
    const { name, run, customStatus } = execution;
    const { executionId, input } = turn.next;
    const first = incomingOf(decodeChunk(turn.next.events));
    this.#expect(
      isSubsequence(raisedIn(first), raisedIn(execution.events)),
      `${at}: hands events on that it was not given, or in another order`,
    );
    this.#checkGiven(entry, execution, input, at);
    const next = pastOf({ executionId, run, generation: entry.generation, name, input, first });
    next.customStatus = customStatus;
    next.tokens.push(token);
    entry.executions.push(next);
  }

  /** What came in is what the execution begins with, once and first; then what its run was sent, in that order. */
  #takeIn(
    entry: Entry,
    execution: Past,
    turn: TurnCommit,
    came: readonly IncomingEvent[],
    atMs: number,
    at: string,
  ): void {
    const isRecorded =
      turn.chunk !== undefined || turn.consumed.length + (turn.timersFired?.length ?? 0) === 0;
    this.#expect(isRecorded, `${at}: took in what it does not record`);
    if (came.length === 0) return;
    const { first } = execution;
    const isFirst = came.some(begins);
    this.#expect(
      isFirst === (first !== undefined),
      isFirst ? `${at}: began twice` : `${at}: took something in before it had begun`,
    );
    execution.first = undefined;
    const dueMs = entry.timers.get(START_TIMER);
    if (isFirst && dueMs !== undefined) {
      const early = dueMs - (START_MS + atMs);
      this.#expect(early <= 0, `${at}: began ${early} ms before its time`);
      this.#expect(turn.timersFired?.includes(START_TIMER) === true, `${at}: began without its timer`);
    } else if (isFirst) {
      const began = came.slice(0, first?.length);
      this.#expect(alike(began, first), `${at}: began with something else than it was to begin with`);
    }
    const rest = came.slice(isFirst ? first?.length : 0);
    const mailbag = entry.mailbags.get(entry.run);
    for (const event of rest) if (mailbag !== undefined && isPost(event)) this.#takePost(mailbag, event, at);
    this.#expect(
      isSubsequence(raisedIn([...execution.events, ...came]), raisedIn(mailbag?.accepted ?? [])),
      `${at}: was given events twice, or in another order than that of their acceptance`,
    );
    const children = this.#checkResults(entry, execution, turn, rest, atMs, at);
    const messages = (isFirst && dueMs === undefined ? 1 : 0) + rest.filter(isPost).length + children;
    this.#expect(
      turn.consumed.length >= messages,
      `${at}: took in ${messages} messages and deletes ${turn.consumed.length}`,
    );
  }

  #takePost(mailbag: Mailbag, event: Post, at: string): void {
    const due = mailbag.accepted[mailbag.taken];
    this.#expect(
      due !== undefined && alike(withoutReason(due), withoutReason(event)),
      `${at}: took in ${JSON.stringify(event)}, where ${JSON.stringify(due) ?? "nothing"} was next`,
    );
    mailbag.taken += 1;
  }

  /** What the code did follows from something that it saw, and leaves with this very turn. */
  #checkDone(
    entry: Entry,
    { executionId }: Past,
    turn: TurnCommit,
    events: readonly HistoryEvent[],
    saw: boolean,
    at: string,
  ): void {
    const done = events.filter(isAction);
    const goesOn = turn.end === undefined && turn.next === undefined;
    const rests = done.length === 0 && goesOn && turn.customStatus === undefined;
    this.#expect(saw || rests, `${at}: its code went on, although it was suspended or nothing had come`);
    const asks = done.flatMap((event) =>
      event.type === "EventSent" || event.type === "SubOrchestrationInstanceCreated"
        ? `${executionId}:${event.id}`
        : [],
    );
    const sent = turn.requests.map(({ deduplicationKey }) => deduplicationKey);
    this.#expect(
      alike(sent, asks),
      `${at}: sends ${sent.join(", ")}, where its code asked for ${asks.join(", ")}`,
    );
    const sender = runOf({ iid: turn.iid, run: entry.run });
    for (const request of turn.requests)
      this.#expect(this.#requests.send(sender, request), `${at}: sends ${request.deduplicationKey} again`);
    const timers = done.flatMap((event) =>
      event.type === "TimerCreated" ? { task: event.id, dueMs: event.fireAtMs } : [],
    );
    this.#expect(
      alike(turn.timersSet, goesOn ? timers : []),
      `${at}: sets other timers than its code asked for`,
    );
  }

  /** The events that the code says it was given, of its run: those that were accepted first, none left out. */
  #checkGiven(entry: Entry, { executionId }: Past, payload: string | undefined, at: string): void {
    if (payload === undefined) return;
    const said = givenIn(payload);
    const isItsOwn = said.executionId === undefined || said.executionId === executionId;
    this.#expect(isItsOwn, `${at}: ends with the output of execution ${said.executionId}`);
    const accepted = raisedIn(entry.mailbags.get(entry.run)?.accepted ?? []).slice(0, said.events.length);
    this.#expect(
      alike(said.events, accepted),
      `${at}: its code was given ${said.events.join(", ")}, where ${accepted.join(", ")} were accepted first`,
    );
  }

  #checkToken(entry: Entry, turn: TurnCommit, token: number, at: string): void {
    const past = entry.executions.flatMap(({ generation, tokens }) =>
      tokens.map((each) => ({ each, isSame: generation === turn.generation })),
    );
    const rises = turn.raiseToken === true || turn.next !== undefined;
    for (const { each, isSame } of past) {
      const isRight = isSame && !rises ? token >= each : token > each;
      this.#expect(isRight, `${at}: token ${token} does not rise above ${each}`);
    }
    const purged = this.#highestToken.get(entry.instanceId);
    this.#expect(purged === undefined || token > purged, `${at}: token ${token} was used before a purge`);
  }

  /**
   * Results are of what this very execution has asked for, each once; timers are not early.
   *
   * @returns how many of them are children's.
   */
  #checkResults(
    entry: Entry,
    execution: Past,
    turn: TurnCommit,
    events: readonly IncomingEvent[],
    atMs: number,
    at: string,
  ): number {
    const asked = new Map(execution.events.filter(isAction).map((event) => [event.id, event] as const));
    const before = new Set(execution.events.flatMap((event) => answered(event) ?? []));
    let children = 0;
    for (const event of events) {
      const task = answered(event);
      if (task === undefined) continue;
      const call = asked.get(task);
      this.#expect(
        call?.type === askedBy(event),
        `${at}: a ${event.type} of a task that it has not asked for (${task})`,
      );
      if (
        event.type === "SubOrchestrationInstanceCompleted" ||
        event.type === "SubOrchestrationInstanceFailed"
      ) {
        children += 1;
        const due = this.#answers.get(callOf({ ...turn, task }))?.shift();
        this.#expect(
          due !== undefined && agrees(event, due),
          `${at}: child ${task} is said to have answered ${JSON.stringify(event)}, where ${JSON.stringify(due) ?? "nothing"} was due`,
        );
        continue;
      }
      this.#expect(!before.has(task), `${at}: task ${task} was answered twice`);
      before.add(task);
      if (event.type === "TimerFired") {
        const early = event.fireAtMs - (START_MS + atMs);
        this.#expect(early <= 0, `${at}: a timer fired ${early} ms early`);
        const isAsked = call?.type === "TimerCreated" && call.fireAtMs === event.fireAtMs;
        this.#expect(isAsked, `${at}: timer ${task} fired as if it had been set for another time`);
      }
      if (event.type === "TaskCompleted") {
        const ofRun = isRewound(execution.events)
          ? entry.executions.filter(({ run }) => run === entry.run)
          : [execution];
        const isItsOwn = ofRun.some(
          ({ executionId }) => event.result === JSON.stringify(`${executionId} ${task}`),
        );
        this.#expect(isItsOwn, `${at}: a result that another execution's activity gave (${event.result})`);
      }
    }
    return children;
  }

  // --- what the store holds ---------------------------------------------------------------------------------------

  /** Compares with all that the store holds between two writes. */
  async compare(store: Store): Promise<void> {
    await this.#holdings(store).compare();
  }

  /** Compares with what the store holds of one ID. */
  async compareOne(store: Store, instanceId: string): Promise<void> {
    const entry = this.#entries.get(instanceId);
    if (entry !== undefined) await this.#holdings(store).compareEntry(entry);
  }

  /** The same once nothing is under way any more: everything has ended, and nothing is left behind. */
  async conclude(store: Store): Promise<void> {
    for (const { instanceId, status } of this.#entries.values())
      this.#expect(status !== "live", `${instanceId}: it never ended`);
    for (const asked of this.#requests.left) this.#expect(false, `never carried out: ${asked}`);
    await this.compare(store);
  }

  #holdings(store: Store): Holdings {
    return new Holdings({
      store,
      entries: this.#entries,
      requests: this.#requests.left,
      answersOf: (entry) => this.#answersOf(entry),
      expect: (isSo, problem) => this.#expect(isSo, problem),
    });
  }

  /** How many answers of children are on their way to an instance. */
  #answersOf({ iid, generation, status }: Entry): number {
    if (iid === undefined || status !== "live") return 0;
    const of = callOf({ iid, generation, task: 0 }).slice(0, -1);
    return [...this.#answers]
      .filter(([call]) => call.startsWith(of))
      .reduce((count, [, answers]) => count + answers.length, 0);
  }
}

function expectedOutcome(
  entry: Entry | undefined,
  name: string,
  { ifLive, ifEnded }: StartCommand["policy"],
): CommandAnswer["outcome"] {
  if (entry === undefined) return "started";
  const isSame = entry.name === name;
  if (entry.status === "live") {
    if (ifLive === "terminate") return "replaced";
    return ifLive === "attach" && isSame ? "attached" : "refused";
  }
  const answer = ifEnded[entry.status];
  if (answer === "start") return "started";
  return answer === "return" && isSame ? "returned" : "refused";
}

function isKeptBy({ executions }: Entry, executionId: string): boolean {
  return executions.slice(-KEPT_EXECUTIONS).some((execution) => execution.executionId === executionId);
}

/** After a rewind, results of the execution before stand. */
function isRewound(events: readonly HistoryEvent[]): boolean {
  return (
    events.some((event) => event.type === "ExecutionStarted" && event.firstExecutionId !== undefined) ||
    events.some((event) => event.type === "ExecutionRewound")
  );
}

/** What an instance is when a run of it begins, or goes on by a rewind. */
function anew() {
  return {
    status: "live",
    pending: true,
    suspended: false,
    parked: undefined,
    activities: 0,
  } as const;
}

function pastOf(began: Pick<Past, "executionId" | "run" | "generation" | "name" | "input" | "first">): Past {
  return { ...began, events: [], status: "live", tokens: [], sight: new Sight(), customStatus: undefined };
}

/** What whoever waits for an ended execution is told. */
function answerOf({ status, output, failure }: Past): Answer {
  if (status === "live" || status === "ContinuedAsNew") throw new TypeError("it has not ended");
  return { status, output, failure };
}

function agrees(event: IncomingEvent, { status, output, failure }: Answer): boolean {
  if (event.type === "SubOrchestrationInstanceCompleted")
    return status === "Completed" && event.result === output;
  if (event.type !== "SubOrchestrationInstanceFailed") return false;
  if (status === "refused") return event.failure.type === "InstanceHeldError";
  if (status === "Failed") return JSON.stringify(event.failure) === failure;
  return status !== "Completed" && event.failure.type === "OrchestrationTerminated";
}

/** As it is compared: what stands of a rewound history says where it was first run. */
function withoutFirst(event: HistoryEvent): HistoryEvent {
  if (event.type !== "ExecutionStarted") return event;
  const { firstExecutionId: _, ...rest } = event;
  return rest;
}

/** As it is compared: nobody keeps account of reasons. */
function withoutReason(post: Post): Post {
  if (post.type === "EventRaised") return post;
  const { reason: _, ...rest } = post;
  return rest;
}
