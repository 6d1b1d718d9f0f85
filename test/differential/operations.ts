// What the differential test does to two stores, as data. Numbers pick from what there is at the time.
import * as fc from "fast-check";
import {
  ENDED_STATUSES,
  type EndedStatus,
  type Execution,
  RUNTIME_STATUSES,
  type RuntimeStatus,
} from "../../src/core/instance.js";
import {
  IF_ENDED_ANSWERS,
  IF_LIVE_ANSWERS,
  type IfEndedAnswer,
  type IfLive,
} from "../../src/core/start-policy.js";

export const IDS = ["a", "A", "a%", "é", "e\u0301", "__proto__"] as const;
export const NAMES = ["Order", "order"] as const;

export type Operation =
  | CommandOperation
  | { readonly kind: "batch"; readonly commands: readonly CommandOperation[] }
  | { readonly kind: "turns"; readonly turns: readonly TurnOperation[] }
  | { readonly kind: "recommit"; readonly pick: number }
  | {
      readonly kind: "prune";
      readonly status: Execution["status"];
      readonly ageMs: number;
      readonly limit: number;
    }
  | { readonly kind: "recordRefusal"; readonly id: number; readonly count: number }
  | { readonly kind: "strike"; readonly id: number; readonly worker: number }
  | { readonly kind: "clearStrikes"; readonly id: number }
  | { readonly kind: "setting"; readonly key: number; readonly value: string }
  | {
      readonly kind: "list";
      readonly filter: FilterOperation;
      readonly limit: number;
      readonly examine: number;
    }
  | { readonly kind: "page"; readonly shards: number; readonly after: number; readonly limit: number }
  | { readonly kind: "pass"; readonly ms: number }
  | { readonly kind: "reopen" };

export type CommandOperation =
  | StartOperation
  | { readonly kind: "raise" | "suspend" | "resume" | "purge"; readonly id: number }
  | {
      readonly kind: "terminate";
      readonly id: number;
      readonly recurse: boolean;
      readonly onlyChildOf?: number;
    }
  | {
      readonly kind: "rewind";
      readonly id: number;
      readonly stale: boolean;
      readonly orElse: boolean;
      readonly parent?: number;
    }
  /** Carries out a request that waits, or one that did. */
  | { readonly kind: "request"; readonly pick: number; readonly again: boolean };

export interface StartOperation {
  readonly kind: "start";
  readonly id: number;
  readonly name: number;
  readonly ifLive: IfLive;
  readonly ifEnded: { readonly [S in EndedStatus]: IfEndedAnswer };
  readonly requestId?: number;
  readonly inMs?: number;
  readonly parent?: number;
  readonly tag?: string;
}

export const TURN_KINDS = [
  "goOn",
  "end",
  "endAnyway",
  "continueAsNew",
  "park",
  "unpark",
  "raiseToken",
] as const;
export const FLAWS = [
  "none",
  "iid",
  "earlierGeneration",
  "laterGeneration",
  "earlierSequence",
  "laterSequence",
  "missingMessage",
  "foreignMessage",
  "mail",
] as const;

export interface TurnOperation {
  readonly id: number;
  readonly what: (typeof TURN_KINDS)[number];
  readonly flaw: (typeof FLAWS)[number];
  readonly take: "all" | "none" | "half";
  readonly writer: number;
  readonly status: EndedStatus;
  readonly activities: number;
  readonly keepExecutions: number;
  readonly terminateChildren: boolean;
  readonly customStatus?: string | null;
  readonly timersSet: readonly { readonly task: number; readonly inMs: number }[];
  readonly timersCleared: readonly number[];
  readonly requests: readonly RequestOperation[];
}

export interface RequestOperation {
  readonly to: number;
  readonly what: "child" | "detached" | "raise" | "terminate";
}

export interface FilterOperation {
  readonly statuses?: readonly RuntimeStatus[];
  readonly name?: number;
  readonly prefix?: string;
  readonly tag?: string;
  readonly createdWithinMs?: number;
  readonly updatedWithinMs?: number;
}

const id = fc.nat(IDS.length - 1);
const pick = fc.nat(1_000);
/** Sometimes there, sometimes not. */
const partial = <T extends object>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(model, { requiredKeys: [] });

const startOperation: fc.Arbitrary<StartOperation> = fc
  .tuple(
    fc.record({
      kind: fc.constant("start" as const),
      id,
      name: fc.nat(NAMES.length - 1),
      ifLive: fc.constantFrom(...IF_LIVE_ANSWERS),
      ifEnded: fc.record({
        Completed: fc.constantFrom(...IF_ENDED_ANSWERS),
        Failed: fc.constantFrom(...IF_ENDED_ANSWERS),
        Terminated: fc.constantFrom(...IF_ENDED_ANSWERS),
        Canceled: fc.constantFrom(...IF_ENDED_ANSWERS),
      }),
    }),
    partial({
      requestId: fc.nat(2),
      inMs: fc.integer({ min: -10, max: 100 }),
      parent: id,
      tag: fc.constantFrom("x", "y"),
    }),
  )
  .map(([required, optional]) => ({ ...required, ...optional }));

const commandOperation: fc.Arbitrary<CommandOperation> = fc.oneof(
  { weight: 8, arbitrary: startOperation },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constantFrom("raise", "suspend", "resume", "purge"), id }),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(
        fc.record({ kind: fc.constant("terminate" as const), id, recurse: fc.boolean() }),
        partial({ onlyChildOf: id }),
      )
      .map(([required, optional]) => ({ ...required, ...optional })),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(
        fc.record({ kind: fc.constant("rewind" as const), id, stale: rarely(), orElse: rarely() }),
        partial({ parent: id }),
      )
      .map(([required, optional]) => ({ ...required, ...optional })),
  },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant("request" as const), pick, again: rarely() }),
  },
);

const turnOperation: fc.Arbitrary<TurnOperation> = fc
  .tuple(
    fc.record({
      id,
      what: fc.oneof(
        { weight: 4, arbitrary: fc.constant("goOn" as const) },
        { weight: 4, arbitrary: fc.constantFrom(...TURN_KINDS) },
      ),
      flaw: fc.oneof(
        { weight: 12, arbitrary: fc.constant("none" as const) },
        { weight: 4, arbitrary: fc.constantFrom(...FLAWS) },
      ),
      take: fc.constantFrom("all", "all", "none", "half"),
      writer: fc.nat(1),
      status: fc.constantFrom(...ENDED_STATUSES, "Failed"),
      activities: fc.nat(3),
      keepExecutions: fc.integer({ min: 1, max: 3 }),
      terminateChildren: rarely(),
      timersSet: fc.array(fc.record({ task: fc.nat(4), inMs: fc.integer({ min: -5, max: 50 }) }), {
        maxLength: 2,
      }),
      timersCleared: fc.array(fc.integer({ min: -1, max: 4 }), { maxLength: 2 }),
      requests: fc.array(
        fc.record({ to: id, what: fc.constantFrom("child", "child", "detached", "raise", "terminate") }),
        { maxLength: 2 },
      ),
    }),
    partial({ customStatus: fc.constantFrom('"busy"', '"idle"', null) }),
  )
  .map(([required, optional]) => ({ ...required, ...optional }));

const filterOperation: fc.Arbitrary<FilterOperation> = partial({
  statuses: fc.uniqueArray(fc.constantFrom(...RUNTIME_STATUSES), { minLength: 1, maxLength: 3 }),
  name: fc.nat(NAMES.length - 1),
  prefix: fc.constantFrom("", "a", "A", "a%", "e", "é", "_"),
  tag: fc.constantFrom("x", "y"),
  createdWithinMs: fc.nat(60),
  updatedWithinMs: fc.nat(60),
});

const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 40, arbitrary: commandOperation },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("batch" as const),
      commands: fc.array(commandOperation, { minLength: 2, maxLength: 5 }),
    }),
  },
  {
    weight: 40,
    arbitrary: fc.record({
      kind: fc.constant("turns" as const),
      turns: fc.array(turnOperation, { minLength: 1, maxLength: 3 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("recommit" as const), pick }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("prune" as const),
      status: fc.constantFrom("ContinuedAsNew" as const, ...ENDED_STATUSES),
      ageMs: fc.nat(50),
      limit: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("recordRefusal" as const),
      id,
      count: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("strike" as const), id, worker: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("clearStrikes" as const), id }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("setting" as const),
      key: fc.nat(2),
      value: fc.constantFrom("1", '"é"'),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("list" as const),
      filter: filterOperation,
      limit: fc.integer({ min: 1, max: 4 }),
      examine: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("page" as const),
      shards: fc.nat(3),
      after: fc.nat(60),
      limit: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("pass" as const),
      ms: fc.constantFrom(1, 20, 24 * 60 * 60 * 1000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reopen" as const) }) },
);

/** Sequences of operations. */
export const operations = fc.array(operation, { maxLength: 150, size: "max" });

function rarely(): fc.Arbitrary<boolean> {
  return fc.oneof({ weight: 4, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) });
}
