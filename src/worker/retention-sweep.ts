import type { Env, Logger } from "../core/env.js";
import { StoreClosedError } from "../core/errors.js";
import { ENDED_STATUSES, type EndedStatus, type InstanceRecord } from "../core/instance.js";
import { Pace } from "../core/pace.js";
import { parseRetention, RETENTION_BY_STATUS, RETENTION_SETTING } from "../core/retention.js";
import type { ListCursor, Store } from "../core/store.js";
import { Pulse } from "./pulse.js";

/** How often ended instances are looked through. */
const SWEEP_MS = 10 * 60_000;

/** Instances looked up and purged, and rows examined for them, at a time: other work waits for no more. */
const BATCH = 25;
const EXAMINE = 5000;

/** Purges ended instances, and past executions, once they are older than the hub's retention. */
export class RetentionSweep {
  readonly #env: Env;
  readonly #store: Store;
  readonly #logger: Logger;
  readonly #isOurs: () => boolean;
  readonly #pulse: Pulse;
  readonly #pace: Pace;

  /** `isOurs`: of several workers that share a hub, one sweeps. */
  constructor(env: Env, store: Store, logger: Logger, isOurs: () => boolean) {
    this.#env = env;
    this.#store = store;
    this.#logger = logger;
    this.#isOurs = isOurs;
    this.#pulse = new Pulse(env);
    this.#pace = new Pace(env);
  }

  /** Sweeps at once. */
  wake(): void {
    this.#pulse.wake();
  }

  stop(): void {
    this.#pulse.stop();
  }

  async run(): Promise<void> {
    while (!this.#pulse.stopped) {
      try {
        if (this.#isOurs()) await this.sweep();
      } catch (error) {
        if (error instanceof StoreClosedError) return;
        this.#logger.warn("the retention sweep failed; trying again later", { error });
      }
      await this.#pulse.rest(SWEEP_MS);
    }
  }

  /** One pass over all statuses that have an age. @returns how many instances were purged. */
  async sweep(): Promise<number> {
    const stored = await this.#store.setting(RETENTION_SETTING);
    if (stored === undefined) return 0;
    const retention = parseRetention(JSON.parse(stored));
    let purged = 0;
    for (const status of ENDED_STATUSES) {
      const ageMs = retention[RETENTION_BY_STATUS[status]];
      if (ageMs !== undefined) purged += await this.#purgeOlder(status, this.#env.now() - ageMs);
    }
    if (purged > 0) this.#logger.info("purged instances past their retention", { purged });
    return purged;
  }

  async #purgeOlder(status: EndedStatus, endedBeforeMs: number): Promise<number> {
    let purged = 0;
    let after: ListCursor | undefined;
    do {
      const page = await this.#pace.batch(() =>
        this.#store.list({
          // Nothing ends before it is created: what is younger need not be looked at.
          filter: { runtimeStatus: [status], createdToMs: endedBeforeMs, updatedToMs: endedBeforeMs },
          limit: BATCH,
          examine: EXAMINE,
          ...(after === undefined ? {} : { after }),
        }),
      );
      if (page.records.length > 0 && !this.#pulse.stopped)
        purged += await this.#pace.batch(() => this.#purge(page.records));
      after = page.next;
    } while (after !== undefined && !this.#pulse.stopped);
    while (!this.#pulse.stopped) {
      const pruned = await this.#pace.batch(() =>
        this.#store.pruneExecutions({ status, endedBeforeMs, limit: BATCH }),
      );
      if (pruned < BATCH) break;
    }
    return purged;
  }

  async #purge(records: readonly InstanceRecord[]): Promise<number> {
    const atMs = this.#env.now();
    const answers = await this.#store.execute(
      records.map(({ instance }) => ({ kind: "purge", instanceId: instance.instanceId, atMs })),
    );
    return answers.filter((answer) => answer.outcome === "purged").length;
  }
}
