import type { Env } from "../core/env.js";
import type { IncomingEvent } from "../core/history.js";
import type { Instance } from "../core/instance.js";
import { shardOf } from "../core/shard.js";
import type { OpenActivity } from "../core/turn.js";
import type { ActivityInstance, ActivityRunner } from "./activity-runner.js";
import type { InboxItem } from "./resident.js";
import type { TaskExchange } from "./task-exchange.js";

/** What a handover is made of. */
export interface HandoverParts {
  readonly env: Env;
  readonly activities: ActivityRunner;
  readonly exchange: TaskExchange;
}

/**
 * What this worker has begun for instances that others go on with: activities that run here become tasks that it
 * holds, and answer by message. Nobody may take a shard over before its tasks are written, or he would begin them again.
 */
export class Handover {
  readonly #parts: HandoverParts;
  /** How much of each shard is being written. */
  readonly #writing = new Map<number, number>();

  constructor(parts: HandoverParts) {
    this.#parts = parts;
  }

  /** The shards that nobody else may own yet. */
  get shards(): Iterable<number> {
    return this.#writing.keys();
  }

  /** Activities of some instances: those that have begun go on here; the others are anybody's. */
  activities(isLost: (instance: ActivityInstance) => boolean): Promise<void> {
    const { activities, exchange, env } = this.#parts;
    const calls = activities.disown(isLost);
    if (calls.length === 0) return Promise.resolve();
    const begun = calls.filter(({ started }) => started);
    const others = calls.filter(({ started }) => !started);
    const written = this.#write(
      calls.map(({ instance }) => instance),
      () => exchange.handOver(begun, others),
    );
    for (const call of begun) {
      call.done = (...done) => {
        env.spawn("answering another owner's orchestration", async () => {
          await written;
          exchange.answer(...done);
        });
      };
    }
    return written;
  }

  /** Results that came in here, but in no turn of ours any more. */
  results(instance: Instance, open: ReadonlyMap<number, OpenActivity>, items: readonly InboxItem[]): void {
    const { exchange, env } = this.#parts;
    const results = items
      .filter(({ n }) => n === undefined)
      .flatMap(({ events }) => events.flatMap((event) => resultIn(event, open)));
    if (results.length === 0) return;
    env.spawn("answering another owner's orchestration", async () => {
      await this.#write([instance], () =>
        exchange.handOver(
          results.map(({ activity }) => ({ instance, activity })),
          [],
        ),
      );
      for (const { activity, event } of results) exchange.send(instance, activity, event);
    });
  }

  async #write(
    instances: readonly Pick<Instance, "instanceId">[],
    write: () => Promise<void>,
  ): Promise<void> {
    const shards = new Set(instances.map(({ instanceId }) => shardOf(instanceId)));
    for (const shard of shards) this.#writing.set(shard, (this.#writing.get(shard) ?? 0) + 1);
    try {
      await write();
    } finally {
      for (const shard of shards) {
        const left = (this.#writing.get(shard) ?? 0) - 1;
        if (left > 0) this.#writing.set(shard, left);
        else this.#writing.delete(shard);
      }
    }
  }
}

/** The activity that an event answers. */
function resultIn(
  event: IncomingEvent,
  open: ReadonlyMap<number, OpenActivity>,
): readonly { readonly activity: OpenActivity; readonly event: IncomingEvent }[] {
  if (event.type !== "TaskCompleted" && event.type !== "TaskFailed") return [];
  const activity = open.get(event.taskScheduledId);
  return activity === undefined ? [] : [{ activity, event }];
}
