import { parseLabel, parseName } from "../core/arguments.js";
import {
  type ActivityDefinition,
  DEFINITION,
  type Definition,
  type OrchestrationDefinition,
} from "../core/definition.js";
import { ConfigurationError, InvalidArgumentError } from "../core/errors.js";
import type { ActivityContext } from "./activity-context.js";
import type { OrchestrationContext } from "./orchestration-context.js";

/** What an orchestrator function may return: a promise, a generator or an async generator of its output. */
export type OrchestratorReturn =
  | Promise<unknown>
  | Generator<unknown, unknown, never>
  | AsyncGenerator<unknown, unknown, never>;

/** The output type of an orchestrator function's return type. */
export type OutputOf<R> =
  R extends Generator<unknown, infer O, never>
    ? O
    : R extends AsyncGenerator<unknown, infer O, never>
      ? O
      : Awaited<R>;

/** An orchestrator function as the replayer calls it: input types were checked where it was written. */
export type OrchestratorFunction = (ctx: OrchestrationContext, input: never) => unknown;
/** An activity function as the executor calls it. */
export type ActivityFunction = (ctx: ActivityContext, input: never) => unknown;

const FUNCTION = Symbol.for("tenure.function");

/**
 * Defines an orchestration: an `async function` (our default), a `function*` in Durable Functions' v3
 * style (`yield*` for typed results), or an `async function*`. It may run again from its beginning at
 * any time, so everything it waits for comes from its context.
 */
export function orchestration<I, R extends OrchestratorReturn>(
  name: string,
  orchestrator: (ctx: OrchestrationContext, input: I) => R,
): OrchestrationDefinition<I, OutputOf<R>> {
  return define("orchestration", name, orchestrator);
}

/** Where, and how many at a time, an activity may run. */
export interface ActivityPlacement {
  /**
   * A queue: the activity runs in any process that has it registered and serves the queue (by default every process
   * that has it registered does). Needs a store that processes share. Left out: where the orchestration runs.
   */
  readonly queue?: string;
  /** How many of it run at once in one process. Default: only the process's own limit counts. */
  readonly maxConcurrent?: number;
}

/** Defines an activity: ordinary code, run at least once for each time it is scheduled. */
export function activity<I, O>(
  name: string,
  run: (ctx: ActivityContext, input: I) => O | Promise<O>,
): ActivityDefinition<I, O>;
export function activity<I, O>(
  name: string,
  placement: ActivityPlacement,
  run: (ctx: ActivityContext, input: I) => O | Promise<O>,
): ActivityDefinition<I, O>;
export function activity<I, O>(
  name: string,
  ...rest:
    | [run: (ctx: ActivityContext, input: I) => O | Promise<O>]
    | [placement: ActivityPlacement, run: (ctx: ActivityContext, input: I) => O | Promise<O>]
): ActivityDefinition<I, O> {
  const [placement, run] = rest.length === 1 ? [{}, rest[0]] : rest;
  const { queue, maxConcurrent } = placement;
  if (queue !== undefined) parseLabel("queue", queue);
  if (maxConcurrent !== undefined && !(maxConcurrent >= 1))
    throw new InvalidArgumentError("maxConcurrent", `must be 1 or more, not ${String(maxConcurrent)}`);
  return Object.freeze({
    ...define("activity", name, run),
    ...(queue === undefined ? {} : { queue }),
    ...(maxConcurrent === undefined ? {} : { maxConcurrent }),
  });
}

function define<K extends "orchestration" | "activity">(
  kind: K,
  name: string,
  run: unknown,
): { readonly [DEFINITION]: K; readonly name: string } {
  parseName("name", name);
  if (typeof run !== "function") throw new InvalidArgumentError(name, `an ${kind} needs a function`);
  const definition = { [DEFINITION]: kind, name, [FUNCTION]: run };
  return Object.freeze(definition);
}

/** The functions of an app, by kind and name. */
export interface Registry {
  readonly orchestrations: ReadonlyMap<string, OrchestratorFunction>;
  readonly activities: ReadonlyMap<string, ActivityFunction>;
  /** How many of an activity may run at once in this process, where it says so. */
  readonly maxConcurrent: ReadonlyMap<string, number>;
}

/** @throws ConfigurationError when two different functions of one kind share a name. */
export function createRegistry(definitions: readonly Definition[]): Registry {
  const orchestrations = new Map<string, OrchestratorFunction>();
  const activities = new Map<string, ActivityFunction>();
  const maxConcurrent = new Map<string, number>();
  for (const definition of definitions) {
    switch (definition[DEFINITION]) {
      case "orchestration":
        register(orchestrations, definition, isOrchestratorFunction);
        break;
      case "activity":
        register(activities, definition, isActivityFunction);
        if (isLimited(definition)) maxConcurrent.set(definition.name, definition.maxConcurrent);
        break;
      case "httpTrigger":
        break; // the HTTP handler's
      default:
        throw new ConfigurationError(
          `This version of tenure knows no definitions of the kind of "${Reflect.get(definition, "name")}". Update it.`,
        );
    }
  }
  return { orchestrations, activities, maxConcurrent };
}

function isLimited(definition: Definition): definition is Definition & { readonly maxConcurrent: number } {
  return "maxConcurrent" in definition && typeof definition.maxConcurrent === "number";
}

function register<F>(
  functions: Map<string, F>,
  definition: Definition,
  isFunction: (value: unknown) => value is F,
): void {
  // Another copy of this package may have made the definition: its function is found by symbol, not by class.
  const run: unknown = Reflect.get(definition, FUNCTION);
  if (!isFunction(run)) {
    throw new ConfigurationError(
      `The definition "${definition.name}" has no function. Make it with orchestration() or activity().`,
    );
  }
  const known = functions.get(definition.name);
  if (known !== undefined && known !== run) {
    throw new ConfigurationError(
      `Two different functions are registered as ${definition[DEFINITION]} "${definition.name}". Give each its own name.`,
    );
  }
  functions.set(definition.name, run);
}

function isOrchestratorFunction(value: unknown): value is OrchestratorFunction {
  return typeof value === "function";
}

function isActivityFunction(value: unknown): value is ActivityFunction {
  return typeof value === "function";
}
