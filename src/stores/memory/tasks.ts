import { isLive } from "../../core/instance.js";
import {
  type ClaimedTask,
  type HeldTask,
  type OfferedTask,
  type TaskQuery,
  type TaskResult,
  type TaskState,
  type Tasks,
  TURN_TASK,
} from "../../core/task.js";
import type { Hub, Row } from "./hub.js";
import type { MemoryLeases } from "./leases.js";

/** What every store on a hub sees of a task. */
interface TaskRow {
  readonly offered: OfferedTask;
  offers: number;
  /** Somebody has held it, or may have run it as its owner: whoever takes it needs a fencing token above that one's. */
  begun: boolean;
  holder?: string;
}

type TaskKey = Pick<HeldTask, "iid" | "generation" | "task">;

/** A hub's tasks, oldest first. None of a generation that is over: what ends one drops its tasks. */
export class TaskTable {
  readonly #rows = new Map<string, TaskRow>();

  /** With its turn nobody can have begun it yet. Returns whether it was not there before. */
  offer(
    offered: OfferedTask,
    { withTurn, holder }: { withTurn: boolean; holder?: string | undefined },
  ): boolean {
    const key = keyOf(offered);
    const known = this.#rows.get(key);
    if (known === undefined) {
      const held = holder === undefined ? {} : { holder };
      this.#rows.set(key, { offered, offers: 1, begun: !withTurn, ...held });
      return true;
    }
    known.offers += 1;
    return false;
  }

  all(): TaskRow[] {
    return [...this.#rows.values()];
  }

  heldBy(worker: string, key: TaskKey): TaskRow | undefined {
    const row = this.#rows.get(keyOf(key));
    return row?.holder === worker ? row : undefined;
  }

  delete(key: TaskKey): void {
    this.#rows.delete(keyOf(key));
  }

  drop(iid: number): void {
    for (const { offered } of this.all()) if (offered.iid === iid) this.delete(offered);
  }
}

/** One store's door to its hub's tasks. */
export class MemoryTasks implements Tasks {
  readonly #leases: MemoryLeases;
  readonly #write: <T>(write: (hub: Hub) => T) => T;

  /** `write` is a transaction, after which listeners are told; it throws once the store is closed. */
  constructor(leases: MemoryLeases, write: <T>(write: (hub: Hub) => T) => T) {
    this.#leases = leases;
    this.#write = write;
  }

  async offer(tasks: readonly OfferedTask[], holder?: string): Promise<void> {
    this.#write((hub) => {
      for (const task of tasks)
        if (currentRow(hub, task) !== undefined) hub.offerTask(task, { withTurn: false, holder });
    });
  }

  async claim(query: TaskQuery): Promise<readonly ClaimedTask[]> {
    return this.#write((hub) => {
      if (!this.#lives(hub, query.worker)) return [];
      const taken = this.#inOrder(hub, query).slice(0, Math.max(0, query.limit));
      const outranking = new Set(
        taken
          .filter(({ begun, offered }) => begun && offered.task !== TURN_TASK)
          .map(({ offered }) => offered.iid),
      );
      for (const iid of outranking) hub.raiseToken(iid);
      for (const row of taken) Object.assign(row, { begun: true, holder: query.worker });
      return taken.flatMap((row) => claimedOf(hub, row));
    });
  }

  async finish(worker: string, results: readonly TaskResult[]): Promise<readonly boolean[]> {
    return this.#write((hub) =>
      results.map((result) => {
        if (hub.tasks.heldBy(worker, result) === undefined) return false;
        hub.tasks.delete(result);
        return hub.mailResult(result);
      }),
    );
  }

  async letGo(worker: string, tasks: readonly HeldTask[]): Promise<void> {
    this.#write((hub) => {
      for (const task of tasks) {
        const row = hub.tasks.heldBy(worker, task);
        if (row === undefined) continue;
        if (task.task === TURN_TASK && row.offers === task.offers) hub.tasks.delete(task);
        else hub.freeTask(row);
      }
    });
  }

  async of(iids: readonly number[]): Promise<readonly TaskState[]> {
    return this.#write((hub) =>
      hub.tasks
        .all()
        .filter(({ offered }) => iids.includes(offered.iid))
        .map(({ offered: { iid, generation, task }, holder }) => ({
          iid,
          generation,
          task,
          ...(holder !== undefined && this.#lives(hub, holder) ? { holder } : {}),
        })),
    );
  }

  /** A task's rank is how many tasks of its instance are in progress, or waiting before it. */
  #inOrder(hub: Hub, { worker, activities, orchestrations, queues }: TaskQuery): TaskRow[] {
    const ranks = new Map<number, number>();
    const ranked: { readonly row: TaskRow; readonly rank: number }[] = [];
    const isFree = ({ holder }: TaskRow): boolean =>
      holder === undefined || (holder !== worker && !this.#lives(hub, holder));
    const rankOf = ({ offered: { iid } }: TaskRow): number => {
      const rank = (ranks.get(iid) ?? 0) + 1;
      ranks.set(iid, rank);
      return rank;
    };
    const all = hub.tasks.all();
    for (const row of all) if (!isFree(row)) rankOf(row);
    for (const row of all) {
      const { task, name, queue } = row.offered;
      const canDo =
        task === TURN_TASK
          ? orchestrations.includes(name)
          : activities.includes(name) && (queue === undefined || (queues?.includes(queue) ?? true));
      if (isFree(row) && canDo) ranked.push({ row, rank: rankOf(row) });
    }
    return ranked.toSorted((one, other) => one.rank - other.rank).map(({ row }) => row);
  }

  #lives(hub: Hub, worker: string): boolean {
    return hub.leases.isAlive(worker, this.#leases.now());
  }
}

function keyOf({ iid, generation, task }: TaskKey): string {
  return `${iid}/${generation}/${task}`;
}

function currentRow(hub: Hub, { iid, generation }: TaskKey): Row | undefined {
  const row = hub.row(iid);
  const isCurrent = row?.instance.generation === generation && isLive(row.instance.status);
  return isCurrent ? row : undefined;
}

function claimedOf(hub: Hub, { offered, offers }: TaskRow): ClaimedTask[] {
  const row = currentRow(hub, offered);
  if (row === undefined) return [];
  const { instanceId, executionId, run, name: orchestration, fencingToken } = row.instance;
  return [{ ...offered, offers, instanceId, executionId, run, orchestration, fencingToken }];
}
