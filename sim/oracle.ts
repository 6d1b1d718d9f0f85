import type { Command, CommandAnswer, StartAccepted, StartCommand } from "../src/core/command.js";
import type { HistoryEvent } from "../src/core/history.js";
import { decodeChunk } from "../src/core/history-codec.js";
import type { EndedStatus } from "../src/core/instance.js";
import { ANY_MAIL, type CommitResult, START_TIMER, type Store, type TurnCommit } from "../src/core/store.js";
import { executionsOf } from "../src/stores/conformance/test-hub.js";
import type { Testimony } from "./app.js";
import { START_MS } from "./process.js";
import type { Effect } from "./store-line.js";

/** One execution, as the log of commits tells of it. */
interface Past {
  readonly executionId: string;
  readonly run: number;
  readonly generation: number;
  readonly events: HistoryEvent[];
  status: "live" | "ContinuedAsNew" | EndedStatus;
  /** The tokens that its commits were told, in order. */
  readonly tokens: number[];
}

/** What an ID is, by the rules of docs/architecture.md alone. */
interface Entry {
  readonly instanceId: string;
  name: string;
  run: number;
  generation: number;
  sequence: number;
  status: "live" | EndedStatus;
  suspended: boolean;
  parked: boolean;
  /** The last one that was accepted, by writer and number. */
  lastCommit?: string;
  mail: number;
  /** Its row, once a turn of it has told. */
  iid?: number;
  /** Whose child its run is. */
  parent?: { readonly iid: number; readonly run: number };
  readonly timers: Set<number>;
  readonly executions: Past[];
  /** Events that were accepted for each run, by their data; and how many commands were. */
  readonly accepted: Map<number, Set<string>>;
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
  /** Children that were live then: each must be told. */
  readonly #orphans = new Map<string, string>();
  readonly #remembered = new Map<string, StartAccepted>();
  readonly #consumed = new Set<number>();
  /** By writer and number: the token that an accepted commit was told. */
  readonly #commits = new Map<string, number>();
  /** The row ID under which an ID's turns are committed, from its first commit until it is purged. */
  readonly #rows = new Map<string, number>();
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
      if (command.kind === "terminate" && command.onlyChildOf !== undefined)
        this.#orphans.delete(`${runOf(command.onlyChildOf)} ${instanceId}`);
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
        if (entry !== undefined && command.parent !== undefined) entry.mail += 1;
        return;
      case "returned":
        this.#expect(
          answer.executionId === entry?.executions.at(-1)?.executionId,
          `${at}: given another run`,
        );
        return;
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
      end(entry, "Terminated");
      this.#endChildrenOf(entry);
    }
    const run = (entry?.run ?? 0) + 1;
    const generation = (entry?.generation ?? 0) + 1;
    this.#expect(answer.run === run, `${at}: run ${answer.run}, where ${run} was due`);
    this.#expect(
      answer.generation === generation,
      `${at}: generation ${answer.generation}, not ${generation}`,
    );
    const beginning = {
      name,
      run,
      generation,
      sequence: 0,
      status: "live",
      suspended: false,
      parked: false,
    } as const;
    const begun: Entry = entry ?? {
      instanceId,
      ...beginning,
      mail: 0,
      timers: new Set(),
      executions: [],
      accepted: new Map(),
    };
    Object.assign(begun, beginning);
    if (command.parent === undefined) delete begun.parent;
    else begun.parent = command.parent;
    if (command.startAtMs !== undefined && command.startAtMs > command.atMs) begun.timers.add(START_TIMER);
    begun.executions.push({ executionId, run, generation, events: [], status: "live", tokens: [] });
    begun.accepted.set(run, new Set());
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
    Object.assign(entry, {
      generation: entry.generation + 1,
      sequence: 1,
      status: "live",
      suspended: false,
      parked: false,
    });
    for (const { task } of command.timers) entry.timers.add(task);
    if (command.parent !== undefined) entry.parent = command.parent;
    entry.executions.push({
      executionId: command.executionId,
      run: entry.run,
      generation: entry.generation,
      events: [...decodeChunk(command.history)],
      status: "live",
      tokens: [],
    });
  }

  #purge(answer: CommandAnswer, entry: Entry | undefined, at: string): void {
    const due = entry === undefined ? "notFound" : entry.status === "live" ? "invalidState" : "purged";
    this.#expect(answer.outcome === due, `${at}: ${answer.outcome}, where ${due} was due`);
    if (answer.outcome !== "purged" || entry === undefined) return;
    const tokens = entry.executions.flatMap((execution) => execution.tokens);
    const highest = Math.max(this.#highestToken.get(entry.instanceId) ?? 0, ...tokens);
    this.#highestToken.set(entry.instanceId, highest);
    this.#rows.delete(entry.instanceId);
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
    switch (command.kind) {
      case "raise": {
        entry.mail += 1;
        const { input } = command;
        if (input !== undefined) entry.accepted.get(entry.run)?.add(input);
        return;
      }
      case "suspend":
        if (!entry.suspended) entry.mail += 1;
        entry.suspended = true;
        return;
      case "resume":
        if (entry.suspended || entry.parked) entry.mail += 1;
        entry.suspended = false;
        return;
      case "terminate":
        end(entry, "Terminated");
        if (command.recurse) this.#endChildrenOf(entry);
        return;
    }
  }

  #endChildrenOf({ iid, run }: Entry): void {
    if (iid === undefined) return; // it has run no turn, and so has no children
    const ended = runOf({ iid, run });
    this.#endedWithChildren.add(ended);
    for (const { instanceId, parent, status } of this.#entries.values()) {
      if (status === "live" && parent !== undefined && runOf(parent) === ended)
        this.#orphans.set(`${ended} ${instanceId}`, instanceId);
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
    // What a former run or generation was sent may be gone with it.
    const outlived = turn.consumed.length > 0 && entry.executions.length > 1;
    const fired = turn.timersFired?.some((task) => !entry.timers.has(task)) === true;
    const missedMail = turn.end !== undefined && turn.mail !== ANY_MAIL && turn.mail !== entry.mail;
    this.#expect(
      stale || outlived || fired || missedMail,
      `${at}: refused, although the row was as expected`,
    );
  }

  #apply(entry: Entry, turn: TurnCommit, token: number, atMs: number, at: string): void {
    const execution = entry.executions.at(-1);
    if (execution === undefined) return;
    this.#checkToken(entry, turn, token, at);
    const events = turn.chunk === undefined ? [] : decodeChunk(turn.chunk);
    this.#checkEvents(execution, events, entry, atMs, at);
    execution.events.push(...events);
    if (turn.parked !== undefined) entry.parked = turn.parked !== null;
    for (const task of turn.timersFired ?? [])
      this.#expect(entry.timers.delete(task), `${at}: timer ${task} fired, which was not set (any more)`);
    for (const task of turn.timersCleared) entry.timers.delete(task);
    for (const { task } of turn.timersSet) entry.timers.add(task);
    entry.sequence += 1;
    if (turn.end !== undefined) {
      const seen = turn.mail === ANY_MAIL || turn.mail === entry.mail;
      this.#expect(seen, `${at}: ended the run without having seen all mail (${turn.mail} of ${entry.mail})`);
      end(entry, turn.end.status);
    }
    if (turn.next !== undefined) {
      execution.status = "ContinuedAsNew";
      entry.timers.clear();
      entry.generation += 1;
      entry.sequence = 0;
      entry.executions.push({
        executionId: turn.next.executionId,
        run: entry.run,
        generation: entry.generation,
        events: [],
        status: "live",
        tokens: [token],
      });
    } else execution.tokens.push(token);
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

  /** Results are of what this very execution has asked for, each once; timers are not early; events are once. */
  #checkEvents(
    execution: Past,
    events: readonly HistoryEvent[],
    entry: Entry,
    atMs: number,
    at: string,
  ): void {
    const all = [...execution.events, ...events];
    const asked = new Map(all.flatMap((event) => ("id" in event ? [[event.id, event] as const] : [])));
    const before = new Set(execution.events.flatMap((event) => answered(event) ?? []));
    for (const event of events) {
      const answers = answered(event);
      if (answers !== undefined) {
        this.#expect(asked.has(answers), `${at}: a result of a task that it has not asked for (${answers})`);
        this.#expect(!before.has(answers), `${at}: task ${answers} was answered twice`);
        before.add(answers);
      }
      if (event.type === "TimerFired") {
        const early = event.fireAtMs - (START_MS + atMs);
        this.#expect(early <= 0, `${at}: a timer fired ${early} ms early`);
      }
      if (event.type === "EventRaised" && event.input !== undefined) {
        const times = all.filter((each) => each.type === "EventRaised" && each.input === event.input).length;
        this.#expect(times === 1, `${at}: event ${event.input} was taken in ${times} times`);
        const isItsOwn = entry.accepted.get(entry.run)?.has(event.input) === true;
        this.#expect(isItsOwn, `${at}: took in ${event.input}, which was not meant for this run`);
      }
      if (event.type === "TaskCompleted") {
        const isItsOwn =
          event.result === undefined ||
          event.result === JSON.stringify(`${execution.executionId} ${event.taskScheduledId}`);
        this.#expect(isItsOwn || isRewound(all), `${at}: a result that another execution's activity gave`);
      }
    }
  }

  // --- at the end -------------------------------------------------------------------------------------------------

  /** Compares with what the store holds when nothing is under way any more. */
  async compare(store: Store): Promise<void> {
    const { records } = await store.list({ filter: {}, limit: 1_000, examine: 1_000 });
    const held = new Map(records.map((record) => [record.instance.instanceId, record]));
    for (const id of held.keys())
      this.#expect(this.#entries.has(id), `${id}: the store has it, nobody started it`);
    for (const entry of this.#entries.values()) {
      const record = held.get(entry.instanceId);
      if (record === undefined) {
        this.#expect(false, `${entry.instanceId}: it was lost`);
        continue;
      }
      const { instance } = record;
      const said = `${instance.run} ${instance.generation} ${instance.sequence} ${instance.executionId}`;
      const last = entry.executions.at(-1);
      const due = `${entry.run} ${entry.generation} ${entry.sequence} ${last?.executionId}`;
      this.#expect(said === due, `${entry.instanceId}: the store says ${said}, its writes add up to ${due}`);
      await this.#compareExecutions(store, entry);
    }
    for (const id of this.#orphans.values())
      this.#expect(false, `${id}: its parent was ended with its children, and it was never told`);
    const left = await store.poll({ shards: "all", after: 0, limit: 1_000 });
    this.#expect(left.length === 0, `${left.length} messages were left behind: ${JSON.stringify(left[0])}`);
    const { timers, nextDueMs } = await store.due({
      shards: "all",
      untilMs: Number.MAX_SAFE_INTEGER,
      limit: 10,
    });
    this.#expect(timers.length === 0 && nextDueMs === undefined, `${timers.length} timers were left behind`);
  }

  async #compareExecutions(store: Store, entry: Entry): Promise<void> {
    const { instanceId } = entry;
    const kept = await executionsOf(store, instanceId);
    for (const past of entry.executions) {
      const execution = kept.find(({ executionId }) => executionId === past.executionId);
      const isOld = past.status === "ContinuedAsNew" && past.generation <= entry.generation - 10;
      this.#expect(execution !== undefined || isOld, `${instanceId}: execution ${past.executionId} was lost`);
      if (execution === undefined) continue;
      this.#expect(
        execution.status === past.status,
        `${instanceId}: ${execution.status}, where ${past.status} was due`,
      );
      const history = await store.history(instanceId, past.executionId);
      const events = history?.chunks.flatMap((chunk) => decodeChunk(chunk)) ?? [];
      const told = past.status === "Terminated" ? withoutEnd(events) : events;
      this.#expect(
        JSON.stringify(told) === JSON.stringify(past.events),
        `${instanceId}: the history of ${past.executionId} is not what was committed`,
      );
      const last = events.at(-1);
      const isSealed = last?.type === "ExecutionCompleted" && last.status === past.status;
      this.#expect(isSealed, `${instanceId}: ${past.status} but its history ends with ${last?.type}`);
    }
    this.#conserve(entry, kept);
  }

  /** What was accepted for a run was taken in by it, or dropped with its end, and counted. */
  #conserve(entry: Entry, kept: readonly { readonly run: number; readonly droppedMessages: number }[]): void {
    for (const [run, accepted] of entry.accepted) {
      const ofRun = entry.executions.filter((execution) => execution.run === run);
      const taken = new Set(
        ofRun.flatMap(({ events }) =>
          events.flatMap((event) => (event.type === "EventRaised" ? (event.input ?? []) : [])),
        ),
      );
      const missing = [...accepted].filter((event) => !taken.has(event)).length;
      const dropped = kept
        .filter((each) => each.run === run)
        .reduce((sum, each) => sum + each.droppedMessages, 0);
      this.#expect(
        missing <= dropped,
        `${entry.instanceId} run ${run}: ${missing} events lost, ${dropped} recorded as dropped`,
      );
    }
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

function end(entry: Entry, status: EndedStatus): void {
  entry.status = status;
  entry.timers.clear();
  const last = entry.executions.at(-1);
  if (last !== undefined) last.status = status;
  if (status === "Terminated") entry.sequence += 1;
}

function runOf({ iid, run }: { readonly iid: number; readonly run: number }): string {
  return `${iid} ${run}`;
}

function isKeptBy({ executions }: Entry, executionId: string): boolean {
  return executions.slice(-KEPT_EXECUTIONS).some((execution) => execution.executionId === executionId);
}

/** The task that an event answers. */
function answered(event: HistoryEvent): number | undefined {
  if ("taskScheduledId" in event) return event.taskScheduledId;
  return event.type === "TimerFired" ? event.timerId : undefined;
}

/** After a rewind, results of the execution before stand. */
function isRewound(events: readonly HistoryEvent[]): boolean {
  return (
    events.some((event) => event.type === "ExecutionStarted" && event.firstExecutionId !== undefined) ||
    events.some((event) => event.type === "ExecutionRewound")
  );
}

/** Without what an end from outside has added to a history. */
function withoutEnd(events: readonly HistoryEvent[]): readonly HistoryEvent[] {
  const at = events.findLastIndex((event) => event.type === "ExecutionTerminated");
  return at < 0 ? events : events.slice(0, at);
}
