import type { Chunk } from "./history-codec.js";
import type { Payload } from "./payload.js";

/** An activity on its way to a queue: a row that is written with the turn that schedules it. */
export interface QueuedActivity {
  readonly task: number;
  readonly name: string;
  readonly queue: string;
  readonly input?: Payload;
}

/** The task number under which an instance's next turn is offered to others. */
export const TURN_TASK = -2;

/**
 * Work that leaves the process of the instance's owner, as rows that one worker at a time holds:
 * activities that name a queue; activities in flight when their shard went to another owner, which the
 * worker that began them goes on with; and turns whose orchestrator the owner has not registered.
 * A row is worth something only while its generation is the current one of a live run; others are never handed
 * out, and swept.
 *
 * Holding a row only saves work: a result is taken in once because `finish` deletes the row that it answers in the
 * transaction that writes the answer, and a turn commits under the same guard as its owner's would.
 */
export interface Tasks {
  /**
   * Offers tasks to whoever can do them; one that is there already stays as it is, but is marked as changed, so
   * that whoever holds it looks again before it lets go. With `holder` it is held from the first: handed over. An
   * activity may have been begun by its owner: whoever claims it gets a higher fencing token.
   */
  offer(tasks: readonly OfferedTask[], holder?: string): Promise<void>;
  /**
   * Takes tasks that nobody holds, or that a dead worker held, and that this worker can do; oldest first, those of
   * instances with the fewest tasks in progress before others.
   */
  claim(query: TaskQuery): Promise<readonly ClaimedTask[]>;
  /**
   * Answers activities that this worker holds: their rows become mail to their instances, each at most once.
   * Returns which of them were still ours and wanted.
   */
  finish(worker: string, results: readonly TaskResult[]): Promise<readonly boolean[]>;
  /** Lets go of tasks: of activities so that others may take them; of turns for good, unless they were offered anew meanwhile. */
  letGo(worker: string, tasks: readonly HeldTask[]): Promise<void>;
  /**
   * The tasks of these instances, whoever holds them; those of dead workers are shown as nobody's. Read *before* the
   * instance: a task that is not in here was never there, or its answer is among the instance's messages.
   */
  of(iids: readonly number[]): Promise<readonly TaskState[]>;
}

export interface OfferedTask {
  readonly iid: number;
  readonly generation: number;
  /** {@link TURN_TASK} for a turn. */
  readonly task: number;
  /** Of the activity or of the orchestration. */
  readonly name: string;
  /** Absent: any process that has registered the name. */
  readonly queue?: string;
  readonly input?: Payload;
}

export interface TaskQuery {
  readonly worker: string;
  /** What this worker has registered and has room for now. */
  readonly activities: readonly string[];
  readonly orchestrations: readonly string[];
  /** The queues that it serves. Absent: all. */
  readonly queues?: readonly string[];
  readonly limit: number;
}

/** A task that this worker holds now; an activity comes with what running it needs. */
export interface ClaimedTask extends OfferedTask {
  readonly instanceId: string;
  readonly executionId: string;
  readonly run: number;
  readonly orchestration: string;
  readonly fencingToken: number;
  /** How often it was offered when it was taken. */
  readonly offers: number;
}

/** A task that a worker holds, by claim or because it was handed over to it. */
export interface HeldTask {
  readonly iid: number;
  readonly generation: number;
  readonly task: number;
  /** Of a turn: how often it was offered when it was taken. */
  readonly offers?: number;
}

export interface TaskResult {
  readonly iid: number;
  readonly generation: number;
  readonly task: number;
  /** TaskCompleted or TaskFailed. */
  readonly events: Chunk;
}

export interface TaskState {
  readonly iid: number;
  readonly generation: number;
  readonly task: number;
  readonly holder?: string;
}
