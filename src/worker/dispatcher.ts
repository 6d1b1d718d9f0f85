import type { Env, Logger } from "../core/env.js";
import { EngineFaultError, StoreClosedError, TenureError } from "../core/errors.js";
import type { Executor, TurnOutcome } from "../core/executor.js";
import type { HistoryEvent, IncomingEvent } from "../core/history.js";
import { decodeChunk } from "../core/history-codec.js";
import { type Instance, isLive } from "../core/instance.js";
import { type Mail, readMail } from "../core/message.js";
import { shardOf } from "../core/shard.js";
import {
  ANY_MAIL,
  type CommitResult,
  type DueTimer,
  type Head,
  type LoadedInstance,
  START_TIMER,
  type Store,
  type TurnCommit,
} from "../core/store.js";
import { type ClaimedTask, TURN_TASK } from "../core/task.js";
import {
  type AppliedTurn,
  adoptionCommit,
  applyTurn,
  type OpenActivity,
  parkCommit,
  type TurnInput,
  type Writer,
} from "../core/turn.js";
import { type ActivityDone, type ActivityRunner, answerOf } from "./activity-runner.js";
import type { Caution, Suspect } from "./caution.js";
import { Handover } from "./handover.js";
import { EVERY_SHARD, type OwnedShards } from "./owned-shards.js";
import { isLost, persist } from "./persist.js";
import { type InboxItem, Resident } from "./resident.js";
import type { Strikes } from "./strikes.js";
import type { TaskExchange } from "./task-exchange.js";

/** What a dispatcher is made of. */
export interface DispatcherParts {
  readonly store: Store;
  readonly executor: Executor;
  readonly env: Env;
  readonly logger: Logger;
  readonly workerId: string;
  /** Instances of other shards are none of ours. */
  readonly owned: OwnedShards;
  readonly activities: ActivityRunner;
  readonly strikes: Strikes;
  readonly caution: Caution;
  /** Where work may leave the process, and come from others. */
  readonly exchange?: TaskExchange;
  readonly maxResidentInstances: number;
  /** A fired timer's turn has committed; or, with `again`, it will not, and the timer is still due. */
  readonly onTimerSettled: (timer: TimerKey, again: boolean) => void;
  /** A due timer's turn was left to another worker: it need not fire here soon. */
  readonly onTimerPassedOn: (timer: TimerKey) => void;
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

/** After how long an instance that could not be read (a damaged row, more mail than memory) is tried again. */
const UNREADABLE_RETRY_MS = 30_000;

/** How many instances one read of the store brings. */
const LOAD_BATCH = 200;

/**
 * A turn that ends its run is refused while mail arrives between reading and committing. After so many
 * refusals in a row it ends all the same: what it has not seen is dropped, and the drop recorded.
 */
const MAX_REFUSED_ENDS = 20;

/** Turns that never wait for a disk (the memory store) leave other work of the process its turn this often. */
const YIELD_AFTER_MS = 5;

/** So long an instance of another worker is kept for the results of activities that its turns have begun here. */
const HOST_LINGER_MS = 20;

/** Due timers of a shard that are read at once to find those of one instance. */
const DUE_LIMIT = 1000;

/** Why a parked instance of which nobody here has the function waits; where work can leave the process, it may go on. */
const UNREGISTERED_NAME = "UnregisteredName";

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
  readonly #activityNames: ReadonlySet<string>;
  /** In order of last use: the first are the first to go. */
  readonly #residents = new Map<number, Resident>();
  /** Instances that are about to be wanted, as they have just begun. */
  readonly #expected = new Map<number, LoadedInstance>();
  /** What to do with instances once they are loaded. */
  readonly #wanted = new Map<number, ((resident: Resident) => void)[]>();
  readonly #retryParked = new Set<number>();
  readonly #refusedEnds = new Map<number, number>();
  /** Instances of other workers' shards whose turns are run here, by the task that says so. */
  readonly #hosted = new Map<number, ClaimedTask>();
  readonly #unhosting = new Set<number>();
  readonly #handover: Handover | undefined;
  /** The event loop's next turn, and since when it is waited for. */
  #loopTurn: { readonly sinceMs: number; readonly over: Promise<void> } | undefined;
  readonly #stopping = new AbortController();
  #loading = false;
  #busy = 0;
  #commits = 0;

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
    this.#orchestrations = new Set(parts.executor.orchestrations);
    this.#activityNames = new Set(parts.executor.activities);
    this.#activities = parts.activities;
    const { env, activities, exchange } = parts;
    if (exchange !== undefined) this.#handover = new Handover({ env, activities, exchange });
  }

  /** Turns and activities under way. */
  get load(): { readonly turns: number; readonly activities: number; readonly residents: number } {
    return { turns: this.#busy, activities: this.#activities.size, residents: this.#residents.size };
  }

  /** Instances of other workers whose turns are run here. */
  get hosted(): number {
    return this.#hosted.size;
  }

  isIdle(): boolean {
    return this.#busy === 0 && this.#activities.size === 0 && this.#wanted.size === 0;
  }

  /** Instances whose activities run in this process. */
  instancesWithActivities(): number[] {
    return this.#activities.instances();
  }

  /** An instance that a former owner left with work under way: go on with it. */
  adopt(iid: number): void {
    this.#retryParked.add(iid);
    this.#withResident(iid, (resident) => this.#pump(resident));
  }

  /** An instance as it has just begun, which is adopted next: its next load need not ask the store. */
  expect(loaded: LoadedInstance): void {
    const { iid } = loaded.instance;
    if (!this.#residents.has(iid) && !this.#wanted.has(iid)) this.#expected.set(iid, loaded);
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
    if (!resident.busy && resident.isVoid()) this.#reload(resident);
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
    if (former.busy) {
      former.stale = true;
      former.timersAfter = [...(former.timersAfter ?? []), timer];
      return;
    }
    this.#reload(former);
    this.fire(timer);
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

  /** What the store says of unfinished instances: one that is not in memory, or has gone on without us, is read. */
  follow(heads: readonly Head[]): void {
    for (const { iid, generation, sequence } of heads) {
      const resident = this.#residents.get(iid);
      if (resident === undefined) this.#withResident(iid, (read) => this.#pump(read));
      if (resident === undefined || resident.busy) continue;
      const { instance } = resident;
      const isAhead =
        generation > instance.generation ||
        (generation === instance.generation && sequence > instance.sequence);
      if (isAhead) this.#reload(resident);
    }
  }

  /** Whether the activities of this instance that run here belong to this generation. */
  runsActivitiesOf(iid: number, generation: number): boolean {
    return this.#activities.isOf(iid, generation);
  }

  /** Starts no more activities; turns go on while results come in. */
  stopActivities(): void {
    this.#stopping.abort("stopped");
    this.#activities.stop();
  }

  abortActivities(reason: string): void {
    this.#activities.abortAll(reason);
  }

  /**
   * Runs the turns of another worker's instance, whose orchestrator that worker has not registered, until nothing
   * more comes; then lets go of the task.
   */
  host(task: ClaimedTask): void {
    const { iid } = task;
    this.#hosted.set(iid, task);
    const resident = this.#residents.get(iid);
    // What came for it since is nowhere but in the store: it goes to its owner.
    if (resident === undefined || this.#owns(resident.instance.instanceId)) this.adopt(iid);
    else if (resident.busy) resident.stale = true;
    else this.#reload(resident);
    this.#leaveHosted(iid);
  }

  /**
   * Lets go of everything of these shards, which are no longer owned. A turn under way ends by itself, its commit
   * guarded like any other. With `handOver` they go to an owner that asked for them: what activities have begun here
   * goes on here, for the next owner, and {@link busyShards} tells when that one can know. Otherwise somebody may
   * own them already: the activities' signals abort, and they are run again.
   */
  loseShards(shards: ReadonlySet<number>, handOver: boolean): void {
    const isLost = ({ iid, instanceId }: Pick<Instance, "iid" | "instanceId">): boolean =>
      shards.has(shardOf(instanceId)) && !this.#hosted.has(iid);
    const handover = handOver ? this.#handover : undefined;
    for (const resident of this.#residents.values()) {
      if (!isLost(resident.instance)) continue;
      resident.lost = handover === undefined ? "gone" : "handedOver";
      if (resident.busy) continue;
      handover?.results(resident.instance, resident.openActivities, resident.inbox);
      this.#drop(resident);
    }
    if (handover !== undefined) {
      this.#parts.env.spawn("handing activities over", () => handover.activities(isLost));
      return;
    }
    const aborted = this.#activities.abortOwned(isLost, "Another worker goes on with this orchestration.");
    if (aborted === 0) return;
    this.#parts.logger.info("activities in flight were left to another worker, which runs them again", {
      activities: aborted,
    });
  }

  /** The shards of which something is under way that their next owner would have to do again. */
  busyShards(): Set<number> {
    const busy = new Set<number>(this.#handover?.shards);
    for (const instanceId of this.#activities.ownedInstanceIds()) busy.add(shardOf(instanceId));
    if (this.#busy === 0 && !this.#loading) return busy;
    for (const resident of this.#residents.values()) {
      if (resident.busy) busy.add(shardOf(resident.instance.instanceId));
    }
    return busy;
  }

  #isOurs({ iid, instanceId }: Instance): boolean {
    return this.#owns(instanceId) || this.#hosted.has(iid);
  }

  #owns(instanceId: string): boolean {
    const { owned } = this.#parts;
    return owned === EVERY_SHARD || owned.owns(shardOf(instanceId));
  }

  /** Once nothing is left to do for a hosted instance. */
  #leaveHosted(iid: number): void {
    const task = this.#hosted.get(iid);
    if (task === undefined || this.#unhosting.has(iid) || !this.#isQuiet(iid)) return;
    this.#unhosting.add(iid);
    this.#parts.env.spawn("giving a turn back", async () => {
      try {
        await this.#unhost(task);
      } finally {
        this.#unhosting.delete(iid);
        this.#leaveHosted(iid); // it may have been taken anew meanwhile
      }
    });
  }

  #isQuiet(iid: number): boolean {
    const resident = this.#residents.get(iid);
    return !this.#wanted.has(iid) && (resident === undefined || !(resident.busy || resident.isReady()));
  }

  async #unhost(task: ClaimedTask): Promise<void> {
    const { env, exchange } = this.#parts;
    const { iid } = task;
    if (this.#activities.runsFor(iid)) await env.sleep(HOST_LINGER_MS);
    if (!this.#isQuiet(iid)) return; // the end of that looks again
    await this.#handover?.activities((instance) => instance.iid === iid && !this.#owns(instance.instanceId));
    if (!this.#isQuiet(iid)) return;
    if (this.#hosted.get(iid) === task) {
      this.#hosted.delete(iid);
      const resident = this.#residents.get(iid);
      if (resident !== undefined && !this.#owns(resident.instance.instanceId)) this.#drop(resident);
    }
    await exchange?.letGo(task);
  }

  /** Timers are fired by the owner, who left this instance's next turn to us. */
  async #fireDueTimersOf(resident: Resident): Promise<void> {
    const { iid, instanceId, generation } = resident.instance;
    if (!this.#hosted.has(iid) || this.#owns(instanceId)) return;
    const { store, env } = this.#parts;
    const shards = [shardOf(instanceId)];
    for (let limit = DUE_LIMIT; ; limit *= 10) {
      const { timers } = await this.#persist(() => store.due({ shards, untilMs: env.now(), limit }));
      if (timers.length === limit) continue;
      for (const timer of timers) {
        if (timer.iid !== iid || timer.generation !== generation) continue;
        resident.inbox.push({ timer: timer.task, events: [timerEvent(timer, env.now())] });
      }
      return;
    }
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
        const expected = this.#takeExpected(iids);
        const unread = iids.filter((iid) => !expected.has(iid));
        const loaded = new Map<number, LoadedInstance | undefined>([
          ...expected,
          ...(await this.#readEach(unread)),
        ]);
        for (const iid of iids) if (!loaded.has(iid)) this.#putOff(iid);
        // Together, so that what they commit shares a group.
        await Promise.all([...loaded].map(([iid, each]) => this.#settle(iid, each)));
      }
    } finally {
      this.#loading = false;
    }
  }

  #takeExpected(iids: readonly number[]): ReadonlyMap<number, LoadedInstance> {
    const taken = new Map<number, LoadedInstance>();
    for (const iid of this.#expected.size === 0 ? [] : iids) {
      const expected = this.#expected.get(iid);
      if (expected !== undefined) taken.set(iid, expected);
      this.#expected.delete(iid);
    }
    return taken;
  }

  /** By iid; undefined for one that is gone. One that cannot be read is left out, and keeps no other from being read. */
  async #readEach(iids: readonly number[]): Promise<ReadonlyMap<number, LoadedInstance | undefined>> {
    const found = new Map<number, LoadedInstance | undefined>();
    if (iids.length === 0) return found;
    try {
      const loaded = await this.#read(iids);
      for (const iid of iids) found.set(iid, undefined);
      for (const each of loaded) found.set(each.instance.iid, each);
    } catch (error) {
      if (error instanceof StoreClosedError) throw error;
      if (iids.length > 1) {
        for (const iid of iids) for (const [key, value] of await this.#readEach([iid])) found.set(key, value);
      } else this.#parts.logger.error("an instance cannot be read", { iid: iids[0], error });
    }
    return found;
  }

  /** It waits, and everything for it stays in the store; now and then it is tried again. */
  #putOff(iid: number): void {
    this.#wanted.delete(iid);
    this.#parts.onInstanceGone(iid);
    this.#leaveHosted(iid);
    this.#parts.env.spawn("reading an instance again", async () => {
      await this.#parts.env.sleep(UNREADABLE_RETRY_MS, this.#stopping.signal);
      if (!this.#stopping.signal.aborted) this.adopt(iid);
    });
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
      this.#leaveHosted(iid);
      return;
    }
    if (!this.#isOurs(loaded.instance)) {
      this.#parts.onInstanceGone(iid);
      return;
    }
    if (loaded.messages.length > 0 && this.#owns(loaded.instance.instanceId))
      this.#parts.onLoaded(loaded.messages);
    const resident = this.#enter(loaded, retryParked || this.#waitsForOthers(loaded.instance));
    if (resident === undefined) {
      this.#leaveHosted(iid);
      return;
    }
    if (resident.isResumed()) this.#parts.strikes.forgive(iid);
    resident.busy = true; // no turn before everything that waits for it is in its inbox
    for (const action of actions) action(resident);
    resident.settled();
    if (this.#parts.caution.suspects(iid)) this.#parts.caution.takeUp(this.#suspectOf(resident));
    else await this.#takeUp(resident);
  }

  #suspectOf(resident: Resident): Suspect {
    const { instance } = resident;
    const { iid } = instance;
    return {
      instance,
      begin: () => this.#takeUp(resident),
      underWay: () => {
        if (!this.#isQuiet(iid)) return "turns";
        return this.#activities.runsFor(iid) ? "activities" : undefined;
      },
      leave: () => {
        resident.busy = false;
        this.#drop(resident);
      },
    };
  }

  /** Goes on with an instance that was loaded: with its activities, and with what came in. */
  async #takeUp(resident: Resident): Promise<void> {
    const { iid } = resident.instance;
    try {
      if (!resident.isVoid()) {
        await this.#fireDueTimersOf(resident);
        await this.#adoptActivities(resident);
      }
    } catch (error) {
      if (error instanceof StoreClosedError) return;
      this.#park(resident.instance, error);
      this.#drop(resident);
    }
    resident.busy = false;
    if (resident.isVoid()) this.#reload(resident);
    this.#pump(resident);
    this.#leaveHosted(iid);
    this.#evict();
  }

  /** Whether its turns go on though it stands parked: what nobody here can run, somebody else may have run. */
  #waitsForOthers({ parked }: Instance): boolean {
    return this.#parts.exchange !== undefined && parked?.code === UNREGISTERED_NAME;
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
    const open = [...resident.openActivities.values()].filter(
      (activity) =>
        !this.#activities.has(iid, generation, activity.task) &&
        !resident.inbox.some((item) => answers(item, activity.task)),
    );
    if (open.length === 0) return;
    const struckOut = this.#parts.strikes.against(resident.instance);
    if (struckOut !== undefined) {
      this.#park(resident.instance, struckOut);
      this.#drop(resident);
      return;
    }
    const left = this.#parts.exchange === undefined ? open : await this.#withoutTasks(resident, open);
    if (left.length === 0 || resident.dead) return;
    const ours = left.filter((activity) => this.#isRunHere(activity));
    if (ours.length > 0) {
      const commit = adoptionCommit(resident.instance, this.#parts.env.now(), this.#nextWriter());
      const result = await this.#commit(commit);
      if (!result.accepted) {
        this.#reload(resident);
        return;
      }
      resident.instance = advanced(resident.instance, commit, result.fencingToken);
    }
    await this.#begin(resident, left, true);
  }

  /** Those of an instance's open activities that no task stands for: nobody goes on with them. */
  async #withoutTasks(resident: Resident, open: readonly OpenActivity[]): Promise<readonly OpenActivity[]> {
    const { instance } = resident;
    const { iid, generation } = instance;
    const states = (await this.#parts.exchange?.of(iid)) ?? [];
    const tasks = states.filter((state) => state.generation === generation);
    const elsewhere = tasks.find(({ task }) => task === TURN_TASK)?.holder;
    if (elsewhere !== undefined && elsewhere !== this.#parts.workerId) return []; // whoever runs its turns runs these
    const without = open.filter(({ task }) => !tasks.some((state) => state.task === task));
    if (without.length === 0) return without;
    // A task that was answered since the instance was read is gone, too: then the answer is there now.
    const [now] = await this.#read([iid]);
    if (now?.instance.generation !== generation || now.instance.sequence !== instance.sequence) {
      this.#reload(resident);
      return [];
    }
    const mail = now.messages.map((message) => ({ events: readMail(message) }));
    return without.filter(({ task }) => !mail.some((item) => answers(item, task)));
  }

  /** Whether an activity is begun by whoever runs its orchestration's turn, and that is us. */
  #isRunHere({ name, queue }: OpenActivity): boolean {
    return this.#parts.exchange === undefined || (queue === undefined && this.#activityNames.has(name));
  }

  /** Sees to it that activities are run whose scheduling is durable; those of a queue have their tasks, unless left over. */
  async #begin(resident: Resident, activities: readonly OpenActivity[], leftOver: boolean): Promise<void> {
    const { exchange } = this.#parts;
    const { instance } = resident;
    const isOwner = resident.lost === undefined;
    const isHere = (activity: OpenActivity): boolean => isOwner && this.#isRunHere(activity);
    const here = activities.every(isHere) ? activities : activities.filter(isHere);
    this.#activities.start(instance, here, this.#onActivityDone, true);
    // Of what is lost without a handover, the next owner finds what is left to do.
    if (here.length === activities.length || exchange === undefined || resident.lost === "gone") return;
    const others = activities.filter((activity) => !isHere(activity));
    await exchange.offer(
      instance,
      others.filter(({ queue }) => leftOver || queue === undefined),
    );
    const missing = await exchange.missing(
      "activities",
      others.map(({ name }) => name),
    );
    if (missing !== undefined) await this.#noteMissing(resident, unregistered("activity", missing));
  }

  /** Says, durably, what nobody has registered; the instance goes on with whatever else comes. */
  async #noteMissing(resident: Resident, reason: TurnOutcome & { readonly kind: "parked" }): Promise<void> {
    if (resident.instance.parked?.message === reason.message) return;
    const { instanceId, name } = resident.instance;
    this.#parts.logger.warn(`Instance '${instanceId}' waits: ${reason.message}`, {
      instanceId,
      orchestration: name,
      code: reason.code,
    });
    const commit = parkCommit(resident.instance, reason, this.#parts.env.now(), this.#nextWriter());
    const result = await this.#commit(commit);
    if (result.accepted) resident.instance = advanced(resident.instance, commit, result.fencingToken);
    else this.#reload(resident);
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
      for (;;) {
        resident.busy = false;
        // Of what came in meanwhile, too: a turn on void memory would take mail in out of order.
        if (resident.isVoid() || resident.isBehind()) this.#reload(resident);
        if (!resident.isReady()) break;
        resident.busy = true;
        await this.#turn(resident);
        await this.#letOthersWork();
      }
    } catch (error) {
      if (error instanceof StoreClosedError) return;
      this.#park(resident.instance, error);
      this.#drop(resident);
    } finally {
      resident.busy = false;
      this.#busy -= 1;
      this.#leaveHosted(resident.instance.iid);
    }
    this.#touch(resident);
  }

  /** One turn, from its inbox to what follows its commit. */
  async #turn(resident: Resident): Promise<void> {
    // What came in is taken in first, a resume that asked for this very try among it.
    if (resident.missingActivity !== undefined && resident.inbox.length === 0)
      return this.#hold(resident, resident.missingActivity);
    if (this.#parts.exchange !== undefined && !this.#orchestrations.has(resident.instance.name))
      return this.#passOn(resident, this.#parts.exchange);
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
      // A turn that ended proves that it does not block.
      if (!this.#parts.caution.watches(resident.instance.iid))
        this.#parts.strikes.forgive(resident.instance.iid);
      this.#advance(resident, applied, result.fencingToken);
      if (applied.scheduled.length > 0 && !resident.dead)
        await this.#begin(resident, applied.scheduled, false);
    }
  }

  /** Leaves an instance's turns to a worker that has its orchestrator registered. */
  async #passOn(resident: Resident, exchange: TaskExchange): Promise<void> {
    const { instance } = resident;
    const items = resident.takeInbox();
    await this.#handover?.activities(({ iid }) => iid === instance.iid); // whoever runs the turn must know of them
    this.#handover?.results(instance, resident.openActivities, items);
    await exchange.offerTurn(instance);
    if ((await exchange.missing("orchestrations", [instance.name])) !== undefined)
      await this.#noteMissing(resident, unregistered("orchestration", instance.name));
    for (const { timer } of items) {
      if (timer !== undefined)
        this.#parts.onTimerPassedOn({ iid: instance.iid, generation: instance.generation, task: timer });
    }
    if (resident.dead) return;
    if (resident.inbox.length === 0) this.#drop(resident);
    else this.#reload(resident); // what has come meanwhile may be of another generation, and was offered to nobody
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
    const struckOut = this.#parts.strikes.against(instance);
    if (struckOut !== undefined && !input.events.some((event) => event.type === "ExecutionResumed"))
      return parkedBy(struckOut);
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
    const { iid, generation } = resident.instance;
    const local = [...taken, ...resident.inbox].filter(
      (item) => item.n === undefined && item.timer === undefined,
    );
    this.#drop(resident);
    if (!this.#isOurs(resident.instance)) {
      if (resident.lost === "handedOver")
        this.#handover?.results(resident.instance, resident.openActivities, local);
      return;
    }
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
    const isBehind = resident.isBehind();
    resident.dead = true;
    this.#settleTimers(resident.instance, resident.inbox, true);
    this.#parts.executor.forget(iid);
    if (this.#residents.get(iid) === resident) this.#residents.delete(iid);
    for (const timer of resident.timersAfter ?? []) this.fire(timer);
    // Nobody hands it over again, what has come of the next run before we were told of this one's end.
    if (isBehind) this.#withResident(iid, (next) => this.#pump(next));
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
      if (resident.isIdle() && !this.#activities.runsFor(resident.instance.iid)) this.#drop(resident);
      else this.#touch(resident); // or it would hide those behind it from every look
    }
  }

  readonly #onActivityDone: ActivityDone = (instance, activity, outcome) => {
    if (outcome.kind === "unregistered") {
      this.#withResident(instance.iid, (resident) => {
        if (!resident.isAt(instance.generation) || !resident.openActivities.has(activity.task)) return;
        resident.missingActivity = activity.name;
        this.#pump(resident);
      });
      return;
    }
    const event = answerOf(activity.task, outcome, this.#parts.env.now());
    this.#withResident(instance.iid, (resident) => {
      if (!resident.isAt(instance.generation)) return;
      resident.inbox.push({ events: [event] });
      this.#pump(resident);
    });
  };

  /** Says, durably, why the instance stands still. Loses against any other commit, as it should. */
  #park(instance: Instance, reason: unknown): void {
    if (isLost(reason)) return;
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

  async #commit(commit: TurnCommit): Promise<CommitResult> {
    const [result] = await this.#persist(() => this.#parts.store.commit([commit]));
    if (result === undefined) throw new EngineFaultError("The store gave no answer to a commit.");
    return result;
  }

  #persist<T>(operation: () => Promise<T>): Promise<T> {
    return persist(this.#parts, operation);
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
    code: UNREGISTERED_NAME,
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
