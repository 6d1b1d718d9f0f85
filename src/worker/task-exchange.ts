import type { Env, Logger } from "../core/env.js";
import { StoreClosedError } from "../core/errors.js";
import type { ActivityOutcome, Executor } from "../core/executor.js";
import type { IncomingEvent } from "../core/history.js";
import { encodeChunk } from "../core/history-codec.js";
import type { Instance } from "../core/instance.js";
import type { Store } from "../core/store.js";
import {
  type ClaimedTask,
  type HeldTask,
  type OfferedTask,
  type TaskResult,
  type TaskState,
  type Tasks,
  TURN_TASK,
} from "../core/task.js";
import type { OpenActivity } from "../core/turn.js";
import { type ActivityInstance, type ActivityRunner, answerOf } from "./activity-runner.js";
import { type PersistParts, persist } from "./persist.js";
import { Pulse } from "./pulse.js";

/** What an exchange is made of. */
export interface TaskExchangeParts {
  readonly env: Env;
  readonly logger: Logger;
  readonly store: Pick<Store, "workers">;
  readonly tasks: Tasks;
  /** The worker's ID. */
  readonly worker: string;
  readonly executor: Executor;
  readonly activities: ActivityRunner;
  /** The queues whose activities this worker takes; absent: all. */
  readonly queues?: readonly string[];
  /** Runs the turns of an instance of another worker. */
  readonly host: (task: ClaimedTask) => void;
  /** How many turns of others are being run here. */
  readonly hosted: () => number;
  /** Whether this worker is about to go, or was told to: then it takes nothing new. */
  readonly draining: () => boolean;
}

/** Tasks are looked for this often when nothing says that there are some, */
const REST_MS = 1000;
/** and this often, at most, when something does. */
const HINTED_MS = 25;

/** Taken at once, so that others have a chance, too. */
const CLAIM_LIMIT = 100;

/** Turns of others that one worker runs at a time. */
const MAX_HOSTED = 100;

/** How many answers one call of the store carries. */
const ANSWER_BATCH = 500;

/** For how long it is believed what others have registered. */
const REGISTERED_MS = 1000;

/**
 * This worker's door to the hub's {@link Tasks}: takes what it can do, tells what came of it, and offers what it
 * cannot do itself.
 */
export class TaskExchange {
  readonly #parts: TaskExchangeParts & PersistParts;
  readonly #pulse: Pulse;
  readonly #limitedNames: readonly string[];
  readonly #otherNames: readonly string[];
  readonly #answers: TaskResult[] = [];
  #answering: Promise<void> | undefined;
  #asked: { readonly iids: Set<number>; readonly told: Promise<readonly TaskState[]> } | undefined;
  #registered: Promise<ReadonlySet<string>> | undefined;
  #registeredAtMs = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(parts: TaskExchangeParts) {
    const { env, executor } = parts;
    this.#parts = { ...parts, isOver: () => this.#closed };
    this.#pulse = new Pulse(env);
    const hasLimit = (name: string): boolean => executor.maxConcurrent?.has(name) === true;
    this.#limitedNames = executor.activities.filter(hasLimit);
    this.#otherNames = executor.activities.filter((name) => !hasLimit(name));
  }

  /** There may be something to take. */
  wake(): void {
    this.#pulse.wake();
  }

  /** Takes tasks until it is stopped. */
  async run(): Promise<void> {
    const { env, logger } = this.#parts;
    while (!this.#pulse.stopped) {
      let more = false;
      try {
        more = await this.#take();
      } catch (error) {
        if (error instanceof StoreClosedError) return;
        logger.warn("tasks could not be looked for; trying again", { error });
      }
      if (more) continue;
      await env.sleep(HINTED_MS);
      await this.#pulse.rest(REST_MS);
    }
  }

  /** Takes no more. */
  stop(): void {
    this.#pulse.stop();
  }

  /** Lets others take what this worker holds and has not answered; call after {@link stop}, and once nothing runs. */
  async close(held: readonly HeldTask[]): Promise<void> {
    const { tasks, worker, logger } = this.#parts;
    this.#closed = true;
    try {
      await this.#answering;
      if (held.length > 0) await tasks.letGo(worker, held);
    } catch (error) {
      if (error instanceof StoreClosedError) return;
      logger.warn("tasks could not be given back; others take them when the lease has ended", { error });
    }
  }

  /** Offers activities to whoever can run them. */
  async offer(instance: Instance, activities: readonly OpenActivity[]): Promise<void> {
    await this.#offer(activities.map((activity) => offerOf(instance, activity)));
  }

  /** Offers an instance's turn to whoever can run it. */
  async offerTurn({ iid, generation, name }: Instance): Promise<void> {
    await this.#offer([{ iid, generation, task: TURN_TASK, name }]);
  }

  /**
   * Before the instance of these activities goes to another owner: those that have begun stay with this worker, to
   * be answered by {@link answer}; the others are anybody's.
   */
  async handOver(
    begun: readonly { readonly instance: ActivityInstance; readonly activity: OpenActivity }[],
    others: readonly { readonly instance: ActivityInstance; readonly activity: OpenActivity }[],
  ): Promise<void> {
    await this.#offer(
      begun.map(({ instance, activity }) => offerOf(instance, activity)),
      this.#parts.worker,
    );
    await this.#offer(others.map(({ instance, activity }) => offerOf(instance, activity)));
  }

  /** Tells what came of an activity whose task this worker holds. */
  answer(instance: ActivityInstance, activity: OpenActivity, outcome: ActivityOutcome): void {
    if (outcome.kind === "unregistered") return; // only what is registered is taken
    this.send(instance, activity, answerOf(activity.task, outcome, this.#parts.env.now()));
  }

  /** The same, with the answer at hand. */
  send({ iid, generation }: ActivityInstance, { task }: OpenActivity, event: IncomingEvent): void {
    this.#answers.push({ iid, generation, task, events: encodeChunk([event]) });
    if (this.#answering !== undefined) return;
    this.#parts.env.spawn("answering tasks", async () => {
      this.#answering = this.#sendAnswers();
      await this.#answering;
    });
  }

  /** A turn of another worker's instance is over. */
  async letGo(task: ClaimedTask): Promise<void> {
    const { tasks, worker } = this.#parts;
    await persist(this.#parts, () => tasks.letGo(worker, [task]));
  }

  /** The tasks of an instance, whoever holds them: asked together for all that ask at the same moment. */
  async of(iid: number): Promise<readonly TaskState[]> {
    const { env, tasks } = this.#parts;
    if (this.#asked === undefined) {
      const iids = new Set<number>();
      const ask = async (): Promise<readonly TaskState[]> => {
        await env.drain();
        this.#asked = undefined;
        return persist(this.#parts, () => tasks.of([...iids]));
      };
      this.#asked = { iids, told: ask() };
    }
    this.#asked.iids.add(iid);
    return (await this.#asked.told).filter((state) => state.iid === iid);
  }

  /** One of these names that neither we nor another live worker has registered, if there is one: looked at every second at most. */
  async missing(
    kind: "activities" | "orchestrations",
    names: readonly string[],
  ): Promise<string | undefined> {
    const { env, store, executor } = this.#parts;
    if (this.#registered === undefined || env.monotonicMs() - this.#registeredAtMs > REGISTERED_MS) {
      this.#registeredAtMs = env.monotonicMs();
      this.#registered = persist(this.#parts, () => store.workers()).then(
        (workers) =>
          new Set(
            workers.flatMap((worker) => [
              ...worker.activities.map((name) => `activities ${name}`),
              ...worker.orchestrations.map((name) => `orchestrations ${name}`),
            ]),
          ),
      );
    }
    const registered = await this.#registered;
    // What is registered here is, whether or not others take us for alive.
    const here = new Set(executor[kind]);
    return names.find((name) => !here.has(name) && !registered.has(`${kind} ${name}`));
  }

  async #offer(offered: readonly OfferedTask[], holder?: string): Promise<void> {
    if (offered.length === 0) return;
    await persist(this.#parts, () => this.#parts.tasks.offer(offered, holder));
  }

  async #sendAnswers(): Promise<void> {
    const { tasks, worker } = this.#parts;
    try {
      while (this.#answers.length > 0) {
        const batch = this.#answers.splice(0, ANSWER_BATCH);
        await persist(this.#parts, () => tasks.finish(worker, batch));
      }
    } finally {
      this.#answering = undefined;
    }
  }

  /** @returns whether there may be more. */
  async #take(): Promise<boolean> {
    const { executor, activities, hosted, draining } = this.#parts;
    if (draining()) return false;
    const orchestrations = hosted() < MAX_HOSTED ? executor.orchestrations : [];
    const room = Math.min(activities.room(), CLAIM_LIMIT);
    let more = false;
    if (room > 0) more = await this.#claim(this.#otherNames, orchestrations, room);
    for (const name of this.#limitedNames) {
      const most = Math.min(activities.room(name), CLAIM_LIMIT);
      if (most > 0 && (await this.#claim([name], [], most))) more = true;
    }
    return more;
  }

  async #claim(
    activities: readonly string[],
    orchestrations: readonly string[],
    limit: number,
  ): Promise<boolean> {
    const { tasks, worker, queues } = this.#parts;
    if (this.#pulse.stopped || (activities.length === 0 && orchestrations.length === 0)) return false;
    const claimed = await tasks.claim({
      worker,
      activities,
      orchestrations,
      limit,
      ...(queues === undefined ? {} : { queues }),
    });
    for (const task of claimed) this.#begin(task);
    return claimed.length === limit;
  }

  #begin(claimed: ClaimedTask): void {
    const { activities, host } = this.#parts;
    if (claimed.task === TURN_TASK) {
      host(claimed);
      return;
    }
    const { iid, instanceId, executionId, run, generation, orchestration, fencingToken } = claimed;
    activities.start(
      { iid, instanceId, executionId, run, generation, name: orchestration, fencingToken },
      [{ task: claimed.task, name: claimed.name, ...inputOf(claimed) }],
      (...done) => {
        this.answer(...done);
        this.wake(); // there is room again
      },
      false,
    );
  }
}

function offerOf(
  { iid, generation }: Pick<Instance, "iid" | "generation">,
  activity: OpenActivity,
): OfferedTask {
  return {
    iid,
    generation,
    task: activity.task,
    name: activity.name,
    ...(activity.queue === undefined ? {} : { queue: activity.queue }),
    ...inputOf(activity),
  };
}

function inputOf({ input }: { readonly input?: string }): { readonly input?: string } | undefined {
  return input === undefined ? undefined : { input };
}
