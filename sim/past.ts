import { z } from "zod";
import type { ActionEvent, HistoryEvent, IncomingEvent } from "../src/core/history.js";
import type { EndedStatus, ParentLink } from "../src/core/instance.js";

/** One execution, as the log of writes tells of it. */
export interface Past {
  readonly executionId: string;
  readonly run: number;
  readonly generation: number;
  readonly name: string;
  readonly input: string | undefined;
  readonly events: HistoryEvent[];
  status: "live" | "ContinuedAsNew" | EndedStatus;
  /** The tokens that its commits were told, in order. */
  readonly tokens: number[];
  /** What it begins with, until it has begun. */
  first: readonly IncomingEvent[] | undefined;
  readonly sight: Sight;
  customStatus: string | undefined;
  /** Undefined, too, where the end said nothing of it. */
  output?: string | undefined;
  failure?: string | undefined;
}

/** What was accepted for a run, in order, and how much of it was taken in. */
export interface Mailbag {
  readonly accepted: Post[];
  taken: number;
}

/** An event or a command that reaches every generation of a run. */
export type Post = Extract<
  IncomingEvent,
  { readonly type: "EventRaised" | "ExecutionSuspended" | "ExecutionResumed" }
>;

/** What an ID is, by the rules of docs/architecture.md alone. */
export interface Entry {
  readonly instanceId: string;
  name: string;
  run: number;
  generation: number;
  sequence: number;
  status: "live" | EndedStatus;
  /** No turn of its run has committed yet. */
  pending: boolean;
  suspended: boolean;
  /** Why it is parked. */
  parked: string | undefined;
  /** The last one that was accepted, by writer and number. */
  lastCommit?: string;
  mail: number;
  /** Activities in flight. */
  activities: number;
  /** Its row, once a turn of it has told. */
  iid?: number;
  /** Whose child its run is. */
  parent?: ParentLink;
  /** Who else waits for its run. */
  waiters: ParentLink[];
  /** When its timers are due. */
  readonly timers: Map<number, number>;
  readonly executions: Past[];
  /** By run. */
  readonly mailbags: Map<number, Mailbag>;
}

/** What the code of an execution can have seen: nothing that came while it was suspended, until it was resumed. */
export class Sight {
  #suspended = false;
  #held = false;

  get suspended(): boolean {
    return this.#suspended;
  }

  /** Takes a turn's events in. @returns whether its code saw anything, and so may have done something. */
  see(events: readonly HistoryEvent[]): boolean {
    let saw = false;
    for (const { type } of events) {
      if (type === "ExecutionSuspended") this.#suspended = true;
      else if (type === "ExecutionResumed") {
        saw ||= this.#held;
        this.#suspended = false;
        this.#held = false;
      } else if (this.#suspended) this.#held = true;
      else saw = true;
    }
    return saw;
  }
}

/** What came in, of a history or a turn. */
export function incomingOf(events: readonly HistoryEvent[]): IncomingEvent[] {
  return events.filter(isIncoming);
}

function isIncoming(event: HistoryEvent): event is IncomingEvent {
  return !isAction(event) && event.type !== "OrchestratorStarted" && event.type !== "ExecutionCompleted";
}

/** Whether it records what the code did. */
export function isAction(event: HistoryEvent): event is ActionEvent {
  switch (event.type) {
    case "TaskScheduled":
    case "SubOrchestrationInstanceCreated":
    case "TimerCreated":
    case "EventSent":
      return true;
    default:
      return false;
  }
}

export function isPost(event: HistoryEvent): event is Post {
  return (
    event.type === "EventRaised" || event.type === "ExecutionSuspended" || event.type === "ExecutionResumed"
  );
}

/** Whether a new generation begins with it. */
export function begins({ type }: HistoryEvent): boolean {
  return type === "ExecutionStarted" || type === "ExecutionRewound";
}

/** The task that an event answers. */
export function answered(event: HistoryEvent): number | undefined {
  if ("taskScheduledId" in event) return event.taskScheduledId;
  return event.type === "TimerFired" ? event.timerId : undefined;
}

/** The kind of task that an event answers. */
export function askedBy(event: HistoryEvent): ActionEvent["type"] | undefined {
  switch (event.type) {
    case "TaskCompleted":
    case "TaskFailed":
      return "TaskScheduled";
    case "SubOrchestrationInstanceCompleted":
    case "SubOrchestrationInstanceFailed":
      return "SubOrchestrationInstanceCreated";
    case "TimerFired":
      return "TimerCreated";
    default:
      return undefined;
  }
}

/** Without what an end from outside has added to a history. */
export function withoutEnd(events: readonly HistoryEvent[]): readonly HistoryEvent[] {
  const at = events.findLastIndex((event) => event.type === "ExecutionTerminated");
  return at < 0 ? events : events.slice(0, at);
}

/** How many activities a history leaves open. */
export function openActivities(events: readonly HistoryEvent[]): number {
  const open = new Set<number>();
  for (const event of events) {
    if (event.type === "TaskScheduled") open.add(event.id);
    if (event.type === "TaskCompleted" || event.type === "TaskFailed") open.delete(event.taskScheduledId);
  }
  return open.size;
}

/** The data of the external events in a history. */
export function raisedIn(events: readonly HistoryEvent[]): (string | undefined)[] {
  return events.flatMap((event) => (event.type === "EventRaised" ? [event.input] : []));
}

/** Whether all of these are among those, in the same order. */
export function isSubsequence<T>(these: readonly T[], those: readonly T[]): boolean {
  let at = 0;
  for (const each of those) if (at < these.length && each === these[at]) at += 1;
  return at === these.length;
}

export function alike(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

export function runOf({ iid, run }: { readonly iid: number; readonly run: number }): string {
  return `${iid} ${run}`;
}

/** A child's call, as its answers address it. */
export function callOf({ iid, generation, task }: Pick<ParentLink, "iid" | "generation" | "task">): string {
  return `${iid} ${generation} ${task}`;
}

/** What a program's output, or the input of its next generation, says of itself: see `app.ts`. */
export function givenIn(payload: string): {
  readonly executionId: string | undefined;
  readonly events: readonly string[];
} {
  const { executionId, given } = SAID.parse(JSON.parse(payload));
  return { executionId, events: given.events.map((event) => JSON.stringify(event)) };
}

const SAID = z.object({
  executionId: z.string().optional(),
  given: z.object({ events: z.array(z.string()) }),
});
