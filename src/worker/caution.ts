import type { Env, Logger } from "../core/env.js";
import { StoreClosedError } from "../core/errors.js";
import type { Instance } from "../core/instance.js";
import type { Store } from "../core/store.js";
import { persist } from "./persist.js";
import { PROBATION_MS, Probation } from "./probation.js";
import type { Strikes } from "./strikes.js";

/** So many workers that end in a row, each soon after it has begun, make the next one careful. */
const UNCLEAN_ENDS = 2;

/** How long a suspect is watched at most while its activities run: what ends its process mostly does so soon. */
const WATCHED_MS = 5_000;

/** So long all suspects together may be watched for their activities: the more wait, the shorter for each. */
const PATIENCE_MS = 45_000;

/** How often a suspect is looked at, at most. */
const LOOK_MS = 50;

/** When no suspect has come for so long, those that were there have passed. */
const QUIET_MS = 2_000;

/** An instance that may be what ends its process. */
export interface Suspect {
  readonly instance: Instance;
  /** Lets its turns and activities begin. */
  readonly begin: () => Promise<void>;
  /** What of it is under way. */
  readonly underWay: () => "turns" | "activities" | undefined;
  /** The worker stops: it is left to the next one. */
  readonly leave: () => void;
}

export interface CautionParts {
  readonly env: Env;
  readonly logger: Logger;
  readonly store: Store;
  readonly worker: string;
  readonly strikes: Strikes;
}

/**
 * Finds instances whose turns or activities end their process, in whatever way. Nothing is written for it until
 * workers have ended one after the other ({@link Probation}). The next one is careful: it takes up instances one at a
 * time, each with a strike that is recorded before and cleared when nothing of it is under way any more, so that the
 * death of the process leaves the strike of the one that was. Those that have strikes come first.
 */
export class Caution {
  readonly #parts: CautionParts;
  readonly #probation: Probation;
  readonly #stopping = new AbortController();
  readonly #waiting: Suspect[] = [];
  /** Those of the waiting that have strikes. */
  readonly #struck: Suspect[] = [];
  /** Those that have passed since this worker became careful. */
  readonly #passed = new Set<number>();
  #isCareful = false;
  #patientUntilMs = 0;
  #looking: Promise<void> | undefined;
  #watching: Promise<void> | undefined;
  /** The instance that is being watched. */
  #watched: number | undefined;
  /** The strike of the one that passed last goes. */
  #clearing: Promise<void> = Promise.resolve();
  /** How often it was looked, and how many suspects have come. */
  #looks = 0;
  #come = 0;

  constructor(parts: CautionParts) {
    this.#parts = parts;
    this.#probation = new Probation(parts.store, parts.worker);
  }

  /** Before anything is run that another worker has left: how the workers before this one have ended. */
  look(): Promise<void> {
    const looking = this.#look().finally(() => {
      if (this.#looking === looking) this.#looking = undefined;
    });
    this.#looking = looking;
    return looking;
  }

  /** Whether an instance that has just been loaded must be {@link takeUp taken up} here. */
  suspects(iid: number): boolean {
    return (
      (this.#isCareful || this.#looking !== undefined) && this.#watched !== iid && !this.#passed.has(iid)
    );
  }

  /** Whether an instance is being watched: a turn that ends does not prove yet that it is harmless. */
  watches(iid: number): boolean {
    return this.#watched === iid;
  }

  /** Lets a suspect begin when it is its turn. */
  takeUp(suspect: Suspect): void {
    this.#come += 1;
    if (this.#parts.strikes.has(suspect.instance.iid)) this.#struck.push(suspect);
    else this.#waiting.push(suspect);
    if (this.#watching !== undefined) return;
    this.#watching = this.#takeUpAll();
  }

  /** Takes up nothing more. */
  stop(): void {
    this.#stopping.abort("stopped");
  }

  /** The worker has stopped in order. */
  async end(): Promise<void> {
    this.stop();
    await this.#watching;
    await this.#quietly("leaving probation", () => this.#probation.pass());
  }

  async #look(): Promise<void> {
    const { env, logger, strikes } = this.#parts;
    const [ended] = await Promise.all([
      this.#persist(() => this.#probation.begin()),
      this.#persist(() => strikes.refresh()),
    ]);
    const look = ++this.#looks;
    env.spawn("probation", () => this.#passProbation(look));
    if (ended < UNCLEAN_ENDS) return;
    this.#patientUntilMs = env.monotonicMs() + PATIENCE_MS;
    if (this.#isCareful) return;
    this.#isCareful = true;
    logger.warn(
      "workers have ended one after the other, each soon after it had begun; instances are taken up one at a time, " +
        "until it is known whether one of them ends its process",
      { workers: ended },
    );
    env.spawn("caution", () => this.#calmDown());
  }

  /** After its time; and after as long again where it did not suffice to watch all: one of them may still end us. */
  async #passProbation(look: number): Promise<void> {
    for (let all = false; !all; ) {
      await this.#parts.env.sleep(PROBATION_MS, this.#stopping.signal);
      if (this.#looks !== look || this.#stopping.signal.aborted) return;
      all = this.#waitingCount === 0;
      this.#beCalm();
    }
    await this.#quietly("passing probation", () => this.#probation.pass());
  }

  /** Ends the caution once nobody has come for a while. */
  async #calmDown(): Promise<void> {
    while (this.#isCareful && !this.#stopping.signal.aborted) {
      const come = this.#come;
      await this.#parts.env.sleep(QUIET_MS, this.#stopping.signal);
      if (come === this.#come && this.#watching === undefined) this.#beCalm();
    }
  }

  #beCalm(): void {
    this.#isCareful = false;
    this.#passed.clear();
  }

  async #takeUpAll(): Promise<void> {
    try {
      while (this.#waitingCount > 0) {
        await this.#looking?.catch(() => {}); // whoever looks is told
        if (this.#stopping.signal.aborted) for (const { leave } of this.#takeAll()) leave();
        // Together, so that what they commit shares a group.
        else if (!this.#isCareful) await Promise.all(this.#takeAll().map(({ begin }) => begin()));
        else await this.#takeUpNext();
        if (this.#waitingCount === 0) await this.#clearing;
      }
    } catch (error) {
      if (!(error instanceof StoreClosedError)) this.#parts.logger.error("caution failed", { error });
    } finally {
      this.#watching = undefined;
    }
  }

  get #waitingCount(): number {
    return this.#struck.length + this.#waiting.length;
  }

  #takeAll(): Suspect[] {
    return [...this.#struck.splice(0), ...this.#waiting.splice(0)];
  }

  /** In no order: where the time does not suffice for all, the next careful worker watches others. */
  #takeNext(): Suspect | undefined {
    const struck = this.#struck.shift();
    if (struck !== undefined) return struck;
    const last = this.#waiting.pop();
    const index = Math.floor(this.#parts.env.random() * (this.#waiting.length + 1));
    const drawn = this.#waiting[index];
    if (last === undefined || drawn === undefined) return last;
    this.#waiting[index] = last;
    return drawn;
  }

  async #takeUpNext(): Promise<void> {
    const suspect = this.#takeNext();
    if (suspect === undefined) return;
    const { instance, begin } = suspect;
    // What has struck out is not run but parked.
    if (this.#passed.has(instance.iid) || this.#parts.strikes.against(instance) !== undefined) await begin();
    else await this.#watch(suspect);
  }

  async #watch({ instance, begin, underWay }: Suspect): Promise<void> {
    const { env, strikes } = this.#parts;
    const { iid } = instance;
    this.#watched = iid;
    try {
      // Together with the former one's clearing: on a store with a disk the two share a write.
      await Promise.all([this.#clearing, this.#persist(() => strikes.recordEnd(instance))]);
      await begin();
      const beganMs = env.monotonicMs();
      const leftMs = Math.max(0, this.#patientUntilMs - beganMs) / (this.#waitingCount + 1);
      const patience = { turns: WATCHED_MS, activities: Math.min(WATCHED_MS, leftMs) };
      for (let pauseMs = 1; !this.#stopping.signal.aborted; pauseMs = Math.min(2 * pauseMs, LOOK_MS)) {
        const left = underWay();
        if (left === undefined || env.monotonicMs() - beganMs >= patience[left]) break;
        await env.sleep(pauseMs, this.#stopping.signal);
      }
      this.#passed.add(iid);
      this.#clearing = this.#quietly("clearing a strike", () => strikes.clear(iid));
    } finally {
      this.#watched = undefined;
    }
  }

  /** What need not succeed: without it the next worker is more careful than it need be. */
  async #quietly(what: string, operation: () => Promise<void>): Promise<void> {
    try {
      await this.#persist(operation);
    } catch (error) {
      if (!(error instanceof StoreClosedError)) this.#parts.logger.warn(`${what} failed`, { error });
    }
  }

  #persist<T>(operation: () => Promise<T>): Promise<T> {
    const { env, logger } = this.#parts;
    return persist({ env, logger, isOver: () => this.#stopping.signal.aborted }, operation);
  }
}
