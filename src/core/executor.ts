import type { Action } from "./action.js";
import type { Failure } from "./failure.js";
import type { HistoryEvent, IncomingEvent } from "./history.js";
import type { Execution, Instance } from "./instance.js";
import type { Payload } from "./payload.js";

/** One turn of one orchestration, to be run. */
export interface TurnWorkItem {
  readonly instance: Instance;
  readonly execution: Execution;
  /**
   * The committed history, oldest first. Asked for only when the executor holds no running function
   * whose (generation, sequence) equals the instance's.
   */
  readonly history: () => Promise<readonly HistoryEvent[]>;
  /** The turn's time: what `currentUtcDateTime` shows. Never before the previous turn's. */
  readonly atMs: number;
  /** What came in, in the order in which it is recorded. */
  readonly newEvents: readonly IncomingEvent[];
}

/** What an orchestrator did with its turn. `customStatus: undefined` means unchanged. */
export type TurnOutcome =
  | { readonly kind: "waiting"; readonly actions: readonly Action[]; readonly customStatus?: Payload | null }
  | {
      readonly kind: "completed";
      readonly actions: readonly Action[];
      readonly customStatus?: Payload | null;
      readonly output?: Payload;
    }
  | {
      readonly kind: "failed";
      readonly actions: readonly Action[];
      readonly customStatus?: Payload | null;
      readonly failure: Failure;
    }
  | {
      readonly kind: "continuedAsNew";
      readonly actions: readonly Action[];
      readonly customStatus?: Payload | null;
      readonly input?: Payload;
      readonly version?: string;
      /**
       * What was recorded but the code has not taken: external events, and, where the instance is suspended,
       * the suspension. The next generation's first mail.
       */
      readonly carryover: readonly IncomingEvent[];
    }
  /** The code cannot go on as it stands; the history stays untouched. */
  | { readonly kind: "parked"; readonly code: string; readonly message: string };

/** One activity, to be run. Its scheduling is durable. */
export interface ActivityWorkItem {
  readonly instance: Pick<Instance, "iid" | "instanceId" | "executionId" | "run" | "generation" | "name">;
  readonly fencingToken: number;
  readonly task: number;
  readonly name: string;
  readonly input?: Payload | undefined;
  /** Aborts when the result can no longer be used: the run has ended or moved on, or the worker stops. */
  readonly signal: AbortSignal;
}

export type ActivityOutcome =
  | { readonly kind: "completed"; readonly result?: Payload }
  | { readonly kind: "failed"; readonly failure: Failure }
  /** This executor cannot run it (not registered here); it stays scheduled. */
  | { readonly kind: "unregistered" };

/** Runs user code: in this process, or, later, behind gRPC. Nothing above knows which. */
export interface Executor {
  /** Names of what it can run. A turn or an activity of another name is left unclaimed, visibly. */
  readonly orchestrations: readonly string[];
  readonly activities: readonly string[];
  /** How many activities of a name may run at once here; names that are not among them have no limit of their own. */
  readonly maxConcurrent?: ReadonlyMap<string, number>;
  runTurn(item: TurnWorkItem): Promise<TurnOutcome>;
  runActivity(item: ActivityWorkItem): Promise<ActivityOutcome>;
  /** Drops what is kept of this instance: its commit was refused, it ended, or it was evicted. */
  forget(iid: number): void;
}
