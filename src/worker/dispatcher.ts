import type { Env, Logger } from "../core/env.js";
import {
  EngineFaultError,
  OrchestratorBlockedError,
  StoreClosedError,
  StoreConflictError,
  TenureError,
} from "../core/errors.js";
import type { ActivityOutcome, Executor, TurnOutcome } from "../core/executor.js";
import type { HistoryEvent, IncomingEvent } from "../core/history.js";
import { decodeChunk } from "../core/history-codec.js";
import { type Instance, isLive } from "../core/instance.js";
import type { Mail } from "../core/message.js";
import { shardOf } from "../core/shard.js";
import {
  ANY_MAIL,
  type CommitResult,
  type DueTimer,
  type LoadedInstance,
  START_TIMER,
  type Store,
  type Strike,
  type TurnCommit,
} from "../core/store.js";
import {
  type AppliedTurn,
  adoptionCommit,
  applyTurn,
  type OpenActivity,
  parkCommit,
  type TurnInput,
  type Writer,
} from "../core/turn.js";
import { type ActivityInFlight, ActivityRunner } from "./activity-runner.js";
import { EVERY_SHARD, type OwnedShards } from "./owned-shards.js";
import { type InboxItem, Resident } from "./resident.js";

/** What a dispatcher is made of. */
export interface DispatcherParts {
  readonly store: Store;
  readonly executor: Executor;
  readonly env: Env;
  readonly logger: Logger;
  readonly workerId: string;
  /** Instances of other shards are none of ours. */
  readonly owned: OwnedShards;
  readonly maxConcurrentActivities: number;
  readonly maxResidentInstances: number;
  /** A fired timer's turn has committed; or, with `again`, it will not, and the timer is still due. */
  readonly onTimerSettled: (timer: TimerKey, again: boolean) => void;
  /** An instance that something was for has ended, is purged, or is not ours: nothing of it will be settled. */
  readonly onInstanceGone: (iid: number) => void;
  /** These messages came with the load of their instance. */
  readonly onLoaded: (messages: readonly Mail[]) => void;
}

/** Which timer: a task of one generation of an instance. */
export interface TimerKey {
  readonly iid: number;
  readonly generation: number;
  readonly task: number;
}

/** How many instances one read of the store brings. */
const LOAD_BATCH = 200;

/**
 * A turn that ends its run is refused while mail arrives between reading and committing. After so many
 * refusals in a row it ends all the same: what it has not seen is dropped, and the drop recorded.
 */
const MAX_REFUSED_ENDS = 20;

/** Turns that never wait for a disk (the memory store) leave other work of the process its turn this often. */
const YIELD_AFTER_MS = 5;

/** In how many process starts a turn may block for ever before its instance is left alone. */
const MAX_STRIKES = 3;

/**
 * The road of a work item: what comes in (mail, timers, results) goes to its instance's inbox; an
 * instance with something in its inbox runs a turn; the turn's commit is everything that it causes; and
 * what was scheduled starts once that commit is durable. A refused commit voids the memory: it is
 * dropped and read again, never repaired.
 */
export class Dispatcher {
  readonly #parts: DispatcherParts;
  readonly #activities: ActivityRunner;
  readonly #orchestrations: ReadonlySet<string>;
  /** In order of last use: the first are the first to go. */
  readonly #residents = new Map<number, Resident>();
  /** What to do with instances once they are loaded. */
  readonly #wanted = new Map<number, ((resident: Resident) => void)[]>();
  readonly #retryParked = new Set<number>();
  readonly #refusedEnds = new Map<number, number>();
  /** The event loop's next turn, and since when it is waited for. */
  #loopTurn: { readonly sinceMs: number; readonly over: Promise<void> } | undefined;
  readonly #strikes = new Map<number, Strike>();
  #loading = false;
  #busy = 0;
  #commits = 0;

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
    this.#orchestrations = new Set(parts.executor.orchestrations);
    this.#activities = new ActivityRunner(
      parts.env,
      parts.executor,
      parts.maxConcurrentActivities,
      (...done) => this.#onActivityDone(...done),
    );
  }

  /** Turns and activities under way. */
  get load(): { readonly turns: number; readonly activities: number; readonly residents: number } {
    return { turns: this.#busy, activities: this.#activities.size, residents: this.#residents.size };
  }

  isIdle(): boolean {
    return this.#busy === 0 && this.#activities.size === 0 && this.#wanted.size === 0;
  }

  /** Instances whose activities run in this process. */
  instancesWithActivities(): number[] {
    return this.#activities.instances();
  }

  rememberStrikes(strikes: readonly Strike[]): void {
    for (const strike of strikes) this.#strikes.set(strike.iid, strike);
  }

  /** An instance that a former owner left with work under way: go on with it. */
  adopt(iid: number): void {
    this.#retryParked.add(iid);
    this.#withResident(iid, (resident) => this.#pump(resident));
  }

  deliver(mail: Mail): void {
    this.#withResident(mail.iid, (resident) => {
      try {
        this.#receive(resident, mail);
      } catch (error) {
        // A record that cannot be read stops its instance, and no other.
        this.#park(resident.instance, error);
        this.#drop(resident);
      }
    });
  }

  #receive(resident: Resident, mail: Mail): void {
    const isNew = resident.isNew(mail);
    const resumes =
      isNew &&
      !resident.busy &&
      resident.instance.parked !== undefined &&
      bringsResume({ events: decodeChunk(mail.events) });
    // Somebody ended the run in memory and began another: what is in memory is void.
    const isBehind = mail.generation !== undefined && mail.generation > resident.instance.generation;
    if (resumes || (isBehind && !resident.busy)) this.#reload(resident);
    else resident.receive(mail);
    this.#pump(resident);
  }

  fire(timer: DueTimer): void {
    this.#withResident(timer.iid, (resident) => {
      if (timer.generation > resident.instance.generation) return this.#fireAnew(timer, resident);
      if (!resident.isAt(timer.generation)) return this.#parts.onTimerSettled(timer, false);
      resident.inbox.push({ timer: timer.task, events: [timerEvent(timer, this.#parts.env.now())] });
      this.#pump(resident);
    });
  }

  /** A timer of a run that began outside: the memory of the former one is void, once its turn is over. */
  #fireAnew(timer: DueTimer, former: Resident): void {
    if (!former.busy) this.#reload(former);
    this.#parts.env.spawn("firing a timer of a new run", async () => {
      await this.#parts.env.yieldNow();
      this.fire(timer);
    });
  }

  /** The store says that this instance is no longer what is in memory. */
  invalidate(iid: number): void {
    this.#activities.abort(
      iid,
      "The orchestration has ended or moved on: this activity's result cannot be used.",
    );
    const resident = this.#residents.get(iid);
    if (resident !== undefined && !resident.busy) this.#drop(resident);
  }

  /** Whether the activities of this instance that run here belong to this generation. */
  runsActivitiesOf(iid: number, generation: number): boolean {
    return this.#activities.isOf(iid, generation);
  }

  /** Starts no more activities; turns go on while results come in. */
  stopActivities(): void {
    this.#activities.stop();
  }

  abortActivities(reason: string): void {
    this.#activities.abortAll(reason);
  }

  /**
   * Lets go of everything of these shards, which are no longer owned. A turn under way ends by itself, its commit
   * guarded like any other. Returns the activities that were in flight: their signals have aborted, and the next
   * owner runs them again.
   */
  loseShards(shards: ReadonlySet<number>): readonly ActivityInFlight[] {
    const isLost = (instanceId: string): boolean => shards.has(shardOf(instanceId));
    for (const resident of this.#residents.values()) {
      if (!isLost(resident.instance.instanceId)) continue;
      if (resident.busy) resident.lost = true;
      else this.#drop(resident);
    }
    return this.#activities.lose(isLost, "Another worker goes on with this orchestration.");
  }

  /** The shards of which a turn or an activity is under way. */
  busyShards(): Set<number> {
    const busy = new Set<number>();
    for (const instanceId of this.#activities.instanceIds()) busy.add(shardOf(instanceId));
    if (this.#busy === 0 && !this.#loading) return busy;
    for (const resident of this.#residents.values()) {
      if (resident.busy) busy.add(shardOf(resident.instance.instanceId));
    }
    return busy;
  }

  #isOurs(instanceId: string): boolean {
    const { owned } = this.#parts;
    return owned === EVERY_SHARD || owned.owns(shardOf(instanceId));
  }

  #withResident(iid: number, action: (resident: Resident) => void): void {
    const resident = this.#residents.get(iid);
    if (resident !== undefined && !resident.dead) {
      action(resident);
      return;
    }
    const actions = this.#wanted.get(iid);
    if (actions === undefined) this.#wanted.set(iid, [action]);
    else actions.push(action);
    if (this.#loading) return;
    this.#loading = true;
    this.#parts.env.spawn("loading instances", () => this.#loadWanted());
  }

  async #loadWanted(): Promise<void> {
    try {
      await this.#parts.env.drain(); // what is wanted in one round is read in one batch
      while (this.#wanted.size > 0) {
        const iids = [...this.#wanted.keys()].slice(0, LOAD_BATCH);
        const loaded = new Map((await this.#read(iids)).map((each) => [each.instance.iid, each]));
        // Together, so that what they commit shares a group.
        await Promise.all(iids.map((iid) => this.#settle(iid, loaded.get(iid))));
      }
    } finally {
      this.#loading = false;
    }
  }

  async #read(iids: readonly number[]): Promise<readonly LoadedInstance[]> {
    return this.#persist(() => this.#parts.store.load(iids));
  }

  async #settle(iid: number, loaded: LoadedInstance | undefined): Promise<void> {
    const actions = this.#wanted.get(iid) ?? [];
    this.#wanted.delete(iid);
    const retryParked = this.#retryParked.delete(iid);
    if (loaded === undefined || !isLive(loaded.instance.status)) {
      this.#activities.abort(iid, "The orchestration has ended.");
      this.#parts.onInstanceGone(iid);
      return;
    }
    if (!this.#isOurs(loaded.instance.instanceId)) {
      this.#parts.onInstanceGone(iid);
      return;
    }
    if (loaded.messages.length > 0) this.#parts.onLoaded(loaded.messages);
    const resident = this.#enter(loaded, retryParked);
    if (resident === undefined) return;
    if (resident.isResumed()) this.#forgiveStrikes(iid);
    resident.busy = true; // no turn before everything that waits for it is in its inbox
    for (const action of actions) action(resident);
    resident.settled();
    await this.#adoptActivities(resident);
    resident.busy = false;
    if (resident.lost && !resident.dead) this.#reload(resident);
    this.#pump(resident);
    this.#evict();
  }

  #enter(loaded: LoadedInstance, retryParked: boolean): Resident | undefined {
    try {
      const resident = new Resident(loaded, retryParked);
      this.#residents.set(loaded.instance.iid, resident);
      return resident;
    } catch (error) {
      this.#park(loaded.instance, error);
      return undefined;
    }
  }

  /** Activities that an earlier owner had begun run again, under a token that outranks that owner's. */
  async #adoptActivities(resident: Resident): Promise<void> {
    if (resident.held || resident.dead) return;
    const { iid, generation } = resident.instance;
    const left = [...resident.openActivities.values()].filter(
      (activity) =>
        !this.#activities.has(iid, generation, activity.task) &&
        !resident.inbox.some((item) => answers(item, activity.task)),
    );
    if (left.length === 0) return;
    const blocked = this.#isBlocked(resident.instance);
    if (blocked !== undefined) {
      this.#park(resident.instance, blocked);
      this.#drop(resident);
      return;
    }
    const commit = adoptionCommit(resident.instance, this.#parts.env.now(), this.#nextWriter());
    const result = await this.#commit(commit);
    if (!result.accepted) {
      this.#reload(resident);
      return;
    }
    resident.instance = advanced(resident.instance, commit, result.fencingToken);
    if (!resident.lost) this.#activities.start(resident.instance, left);
  }

  #pump(resident: Resident): void {
    if (!resident.isReady()) return;
    resident.busy = true;
    this.#busy += 1;
    this.#parts.env.spawn(`turns of ${resident.instance.instanceId}`, () => this.#runTurns(resident));
  }

  async #runTurns(resident: Resident): Promise<void> {
    try {
      // Whatever else comes in within this round shares the turn.
      await this.#parts.env.drain();
      do {
        resident.busy = true;
        await this.#turn(resident);
        await this.#letOthersWork();
        resident.busy = false;
        if (resident.lost && !resident.dead) this.#reload(resident);
      } while (resident.isReady());
    } catch (error) {
      if (error instanceof StoreClosedError) return;
      this.#park(resident.instance, error);
      this.#drop(resident);
    } finally {
      resident.busy = false;
      this.#busy -= 1;
    }
    this.#touch(resident);
  }

  /** One turn, from its inbox to what follows its commit. */
  async #turn(resident: Resident): Promise<void> {
    // What came in is taken in first, a resume that asked for this very try among it.
    if (resident.missingActivity !== undefined && resident.inbox.length === 0)
      return this.#hold(resident, resident.missingActivity);
    const items = resident.takeInbox();
    const input = this.#turnInput(resident, items);
    const outcome = await this.#run(resident, input);
    const applied = applyTurn(resident.state, input, outcome, this.#nextWriter(outcome));
    const result = await this.#commit(this.#endingAtLast(applied.commit));
    this.#settleTimers(resident.instance, items, !result.accepted || outcome.kind === "parked");
    if (!result.accepted) {
      if (applied.commit.end !== undefined) this.#countRefusedEnd(resident.instance.iid);
      this.#reload(resident, items);
    } else if (outcome.kind === "parked") {
      this.#standParked(resident, outcome);
    } else {
      this.#forgiveStrikes(resident.instance.iid);
      this.#advance(resident, applied, result.fencingToken);
    }
  }

  #countRefusedEnd(iid: number): void {
    this.#refusedEnds.set(iid, (this.#refusedEnds.get(iid) ?? 0) + 1);
  }

  #endingAtLast(commit: TurnCommit): TurnCommit {
    const refused = commit.end === undefined ? 0 : (this.#refusedEnds.get(commit.iid) ?? 0);
    return refused < MAX_REFUSED_ENDS ? commit : { ...commit, mail: ANY_MAIL };
  }

  /** Waits for the event loop to turn, if it has not for a while: on a store with a disk it always has. */
  async #letOthersWork(): Promise<void> {
    const { env } = this.#parts;
    if (this.#loopTurn === undefined) {
      const over = env.yieldNow().then(() => {
        this.#loopTurn = undefined;
      });
      this.#loopTurn = { sinceMs: env.monotonicMs(), over };
    } else if (env.monotonicMs() - this.#loopTurn.sinceMs >= YIELD_AFTER_MS) {
      await this.#loopTurn.over;
    }
  }

  #turnInput(resident: Resident, items: readonly InboxItem[]): TurnInput {
    const events: IncomingEvent[] = [];
    const consumed: number[] = [];
    const firedTimers: number[] = [];
    let atMs = Math.max(this.#parts.env.now(), resident.lastTurnMs);
    for (const item of items) {
      if (item.n !== undefined) consumed.push(item.n);
      if (item.timer !== undefined) firedTimers.push(item.timer);
      for (const event of item.events) {
        events.push(event);
        // A clock that was set back must not show a time before the timer that has fired.
        if (event.type === "TimerFired") atMs = Math.max(atMs, event.fireAtMs);
      }
    }
    resident.lastTurnMs = atMs;
    return { atMs, events, consumed, firedTimers };
  }

  async #run(resident: Resident, input: TurnInput): Promise<TurnOutcome> {
    const { instance, execution } = resident;
    if (!this.#orchestrations.has(instance.name)) return unregistered("orchestration", instance.name);
    const blocked = this.#isBlocked(instance);
    if (blocked !== undefined && !input.events.some((event) => event.type === "ExecutionResumed"))
      return parkedBy(blocked);
    return this.#parts.executor.runTurn({
      instance,
      execution,
      atMs: input.atMs,
      newEvents: input.events,
      history: async () => resident.takeHistory() ?? this.#historyOf(resident),
    });
  }

  async #historyOf(resident: Resident): Promise<readonly HistoryEvent[]> {
    const [loaded] = await this.#read([resident.instance.iid]);
    // Whatever is read, the commit is refused where it does not fit what was in memory.
    return loaded?.chunks.flatMap((chunk) => decodeChunk(chunk)) ?? [];
  }

  #advance(
    resident: Resident,
    { commit, scheduled, closed, after }: AppliedTurn,
    fencingToken: number,
  ): void {
    const { iid } = resident.instance;
    resident.instance = advanced(resident.instance, commit, fencingToken);
    if (commit.end !== undefined) {
      this.#refusedEnds.delete(iid);
      this.#drop(resident);
      this.#activities.abort(iid, "The orchestration has ended.");
      return;
    }
    if (commit.next !== undefined) {
      this.#parts.executor.forget(iid);
      this.#activities.abort(iid, "The orchestration has continued as new.");
      this.#settleTimers({ ...resident.instance, generation: commit.generation }, resident.inbox, false);
      resident.beginGeneration(commit.next, commit.atMs);
      return;
    }
    resident.otherOpenTasks = after.otherOpenTasks;
    resident.historyEvents = after.historyEvents;
    resident.historyLength = after.historyLength;
    resident.changeActivities(closed, scheduled);
    if (!resident.lost) this.#activities.start(resident.instance, scheduled);
  }

  #standParked(resident: Resident, outcome: TurnOutcome & { readonly kind: "parked" }): void {
    const { instanceId, name } = resident.instance;
    this.#parts.logger.warn(`Instance '${instanceId}' is parked: ${outcome.message}`, {
      instanceId,
      orchestration: name,
      code: outcome.code,
    });
    // A resume that came meanwhile asks to try once more; one that was among the turn's events was this try.
    if (resident.inbox.some(bringsResume)) this.#reload(resident);
    else this.#drop(resident);
  }

  /** Parks an instance that waits for an activity which nobody here can run. Results that came in are kept. */
  async #hold(resident: Resident, activity: string): Promise<void> {
    const reason = unregistered("activity", activity);
    const { instanceId, name } = resident.instance;
    this.#parts.logger.warn(`Instance '${instanceId}' is parked: ${reason.message}`, {
      instanceId,
      orchestration: name,
      code: reason.code,
    });
    const commit = parkCommit(resident.instance, reason, this.#parts.env.now(), this.#nextWriter());
    const result = await this.#commit(commit);
    if (!result.accepted || resident.inbox.some(bringsResume)) {
      this.#reload(resident);
      return;
    }
    resident.instance = advanced(resident.instance, commit, result.fencingToken);
    resident.missingActivity = undefined;
    resident.held = true;
  }

  /**
   * Drops the memory and reads it again, if it is still ours; what only this process knows is kept for the same
   * generation.
   */
  #reload(resident: Resident, taken: readonly InboxItem[] = []): void {
    const { iid, instanceId, generation } = resident.instance;
    const local = [...taken, ...resident.inbox].filter(
      (item) => item.n === undefined && item.timer === undefined,
    );
    this.#drop(resident);
    if (!this.#isOurs(instanceId)) return;
    this.#withResident(iid, (fresh) => {
      if (!fresh.isAt(generation)) {
        this.#activities.abort(iid, "The orchestration has moved on.");
        return;
      }
      fresh.inbox.unshift(...local.filter((item) => isOpen(fresh, item)));
      this.#pump(fresh);
    });
  }

  #drop(resident: Resident): void {
    const { iid } = resident.instance;
    resident.dead = true;
    this.#settleTimers(resident.instance, resident.inbox, true);
    this.#parts.executor.forget(iid);
    if (this.#residents.get(iid) === resident) this.#residents.delete(iid);
  }

  #settleTimers({ iid, generation }: Instance, items: readonly InboxItem[], again: boolean): void {
    for (const { timer } of items) {
      if (timer !== undefined) this.#parts.onTimerSettled({ iid, generation, task: timer }, again);
    }
  }

  #touch(resident: Resident): void {
    if (resident.dead) return;
    this.#residents.delete(resident.instance.iid);
    this.#residents.set(resident.instance.iid, resident);
  }

  #evict(): void {
    let examined = 0;
    for (const resident of this.#residents.values()) {
      if (this.#residents.size <= this.#parts.maxResidentInstances || ++examined > 64) return;
      if (resident.isIdle()) this.#drop(resident);
      else this.#touch(resident); // or it would hide those behind it from every look
    }
  }

  #onActivityDone(instance: Instance, activity: OpenActivity, outcome: ActivityOutcome): void {
    const atMs = this.#parts.env.now();
    if (outcome.kind === "unregistered") {
      this.#withResident(instance.iid, (resident) => {
        if (!resident.isAt(instance.generation) || !resident.openActivities.has(activity.task)) return;
        resident.missingActivity = activity.name;
        this.#pump(resident);
      });
      return;
    }
    const event: IncomingEvent =
      outcome.kind === "completed"
        ? {
            type: "TaskCompleted",
            atMs,
            taskScheduledId: activity.task,
            ...(outcome.result === undefined ? {} : { result: outcome.result }),
          }
        : { type: "TaskFailed", atMs, taskScheduledId: activity.task, failure: outcome.failure };
    this.#withResident(instance.iid, (resident) => {
      if (!resident.isAt(instance.generation)) return;
      resident.inbox.push({ events: [event] });
      this.#pump(resident);
    });
  }

  /** Says, durably, why the instance stands still. Loses against any other commit, as it should. */
  #park(instance: Instance, reason: unknown): void {
    const { code, message } = reasonOf(reason);
    this.#parts.logger.error(`Instance '${instance.instanceId}' is parked: ${message}`, {
      instanceId: instance.instanceId,
      code,
      error: reason,
    });
    this.#parts.env.spawn(`parking ${instance.instanceId}`, async () => {
      await this.#commit(parkCommit(instance, { code, message }, this.#parts.env.now(), this.#nextWriter()));
      const resident = this.#residents.get(instance.iid);
      if (resident !== undefined && !resident.busy) this.#drop(resident);
    });
  }

  #isBlocked(instance: Instance): OrchestratorBlockedError | undefined {
    const strike = this.#strikes.get(instance.iid);
    if (strike?.generation !== instance.generation || strike.count < MAX_STRIKES) return undefined;
    return new OrchestratorBlockedError(instance.name, strike.count);
  }

  /** A turn that ended proves that it does not block. */
  #forgiveStrikes(iid: number): void {
    if (!this.#strikes.delete(iid)) return;
    this.#parts.env.spawn("clearing strikes", () => this.#parts.store.clearStrikes(iid));
  }

  async #commit(commit: TurnCommit): Promise<CommitResult> {
    const [result] = await this.#persist(() => this.#parts.store.commit([commit]));
    if (result === undefined) throw new EngineFaultError("The store gave no answer to a commit.");
    return result;
  }

  /** A store that cannot serve now (busy, disk full) is asked again: the turn is not lost, only late. */
  async #persist<T>(operation: () => Promise<T>): Promise<T> {
    const { env, logger } = this.#parts;
    for (let attempt = 1; ; attempt++) {
      try {
        return await operation();
      } catch (error) {
        if (!(error instanceof StoreConflictError)) throw error;
        logger.warn("the store could not serve the worker; trying again", { error, attempt });
        await env.sleep(Math.min(50 * 2 ** attempt, 5000) * (0.5 + env.random()));
      }
    }
  }

  #nextWriter(outcome?: TurnOutcome): Writer {
    this.#commits += 1;
    const { workerId, env } = this.#parts;
    const writer = { id: workerId, commitNumber: this.#commits };
    return outcome?.kind === "continuedAsNew" ? { ...writer, nextExecutionId: env.id() } : writer;
  }
}

function timerEvent({ task, dueMs }: DueTimer, atMs: number): IncomingEvent {
  return task === START_TIMER
    ? { type: "ExecutionStarted", atMs }
    : { type: "TimerFired", atMs, timerId: task, fireAtMs: dueMs };
}

/**
 * The row after an accepted commit, as the store wrote it. Field by field: a copy made by spreading has a
 * hidden class of its own, which would cost each idle instance a kilobyte.
 */
function advanced(was: Instance, commit: TurnCommit, fencingToken: number): Instance {
  const { next } = commit;
  const parked = commit.parked === undefined ? was.parked : commit.parked;
  return {
    iid: was.iid,
    instanceId: was.instanceId,
    kind: was.kind,
    name: was.name,
    executionId: next === undefined ? was.executionId : next.executionId,
    run: was.run,
    generation: next === undefined ? was.generation : was.generation + 1,
    sequence: next === undefined ? was.sequence + 1 : 0,
    fencingToken,
    status: commit.status ?? was.status,
    suspended: was.suspended,
    mail: was.mail,
    activities: commit.activities,
    worker: commit.writer,
    createdAtMs: was.createdAtMs,
    updatedAtMs: commit.atMs,
    ...(was.startAtMs === undefined ? {} : { startAtMs: was.startAtMs }),
    ...(was.parent === undefined ? {} : { parent: was.parent }),
    ...(parked === undefined || parked === null ? {} : { parked }),
  };
}

function unregistered(
  kind: "orchestration" | "activity",
  name: string,
): TurnOutcome & { readonly kind: "parked" } {
  return {
    kind: "parked",
    code: "UnregisteredName",
    message: `No worker here has registered ${kind} "${name}". Register it and restart the process, or resume the instance where it is registered.`,
  };
}

function parkedBy(error: TenureError): TurnOutcome {
  return { kind: "parked", code: error.code, message: error.message };
}

function reasonOf(reason: unknown): { readonly code: string; readonly message: string } {
  if (reason instanceof TenureError) return { code: reason.code, message: reason.message };
  if (reason instanceof Error) return { code: "EngineFault", message: `${reason.name}: ${reason.message}` };
  if (typeof reason === "object" && reason !== null && "code" in reason && "message" in reason) {
    return { code: String(reason.code), message: String(reason.message) };
  }
  return { code: "EngineFault", message: String(reason) };
}

function bringsResume({ events }: { readonly events: readonly HistoryEvent[] }): boolean {
  return events.some((event) => event.type === "ExecutionResumed");
}

/** Whether a local item still means something to this memory: its task has not been answered. */
function isOpen(resident: Resident, item: InboxItem): boolean {
  return item.events.some(
    (event) => "taskScheduledId" in event && resident.openActivities.has(event.taskScheduledId),
  );
}

function answers(item: InboxItem, task: number): boolean {
  return item.events.some((event) => "taskScheduledId" in event && event.taskScheduledId === task);
}
