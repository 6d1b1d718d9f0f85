/**
 * Marks what an app's module exports to be registered. A global symbol, so that definitions made by
 * another copy of this package are recognised too; never instanceof.
 */
export const DEFINITION: unique symbol = Symbol.for("tenure.definition");

/** Anything that an app can register. */
export interface Definition {
  readonly [DEFINITION]: "orchestration" | "activity" | "httpTrigger";
  readonly name: string;
}

/** Carries input and output types along; never present at run time. */
export interface Typed<I, O> {
  readonly types?: { readonly input: I; readonly output: O };
}

/** An orchestrator function under its name. Made by `orchestration()`. */
export interface OrchestrationDefinition<I = unknown, O = unknown> extends Definition, Typed<I, O> {
  readonly [DEFINITION]: "orchestration";
}

/** An activity function under its name. Made by `activity()`. */
export interface ActivityDefinition<I = unknown, O = unknown> extends Definition, Typed<I, O> {
  readonly [DEFINITION]: "activity";
  /** Which processes may run it: those that serve this queue. Absent: the one that runs the orchestration. */
  readonly queue?: string;
  /** How many of it run at once in one process, at most. */
  readonly maxConcurrent?: number;
}

/** Whether a value was made by `orchestration()`, `activity()` or `httpTrigger()`. */
export function isDefinition(value: unknown): value is Definition {
  return typeof value === "object" && value !== null && DEFINITION in value;
}

/** The `input` member of options: required unless the function takes none. */
export type InputOption<I> = undefined extends I ? { readonly input?: I } : { readonly input: I };
