import type { Tags } from "./instance.js";
import type { Payload } from "./payload.js";
import type { StartPolicy } from "./start-policy.js";

/**
 * What an orchestrator asked for in a turn, one to one with the Durable Task protocol's actions.
 * `id` counts a generation's actions from 0, in the order in which the code made them.
 */
export type Action =
  | {
      readonly type: "ScheduleTask";
      readonly id: number;
      readonly name: string;
      readonly input?: Payload;
      /** Which processes may run it: those that serve this queue. Absent: the one that runs the turn. */
      readonly queue?: string;
    }
  | { readonly type: "CreateTimer"; readonly id: number; readonly fireAtMs: number }
  | {
      readonly type: "CreateSubOrchestration";
      readonly id: number;
      readonly name: string;
      readonly instanceId: string;
      readonly input?: Payload;
      readonly version?: string;
      readonly tags?: Tags;
      readonly policy: StartPolicy;
      readonly startAtMs?: number;
      /** Nobody waits for it (`ctx.startNew`). */
      readonly detached: boolean;
    }
  | {
      readonly type: "SendEvent";
      readonly id: number;
      readonly instanceId: string;
      readonly name: string;
      readonly input?: Payload;
    }
  /** Not recorded: only withdraws the timer's row. */
  | { readonly type: "CancelTimer"; readonly timerId: number };
