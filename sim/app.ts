// What the simulated processes run: orchestrators that follow a little program, and activities that a witness sees.
import * as fc from "fast-check";
import type { Definition } from "../src/core/definition.js";
import { IF_LIVE_ANSWERS, type IfLive } from "../src/core/start-policy.js";
import {
  type ActivityContext,
  activity,
  type OrchestrationContext,
  orchestration,
  type Task,
} from "../src/index.js";
import type { SimProcess } from "./process.js";

/** One instruction of a program. */
export type Instruction =
  | { readonly do: "activity"; readonly ms: number; readonly fails: number }
  | { readonly do: "activities"; readonly count: number; readonly ms: number; readonly waits: boolean }
  | { readonly do: "timer"; readonly ms: number; readonly waits: boolean }
  | { readonly do: "event" }
  | { readonly do: "eventOrTimer"; readonly ms: number }
  | {
      readonly do: "child";
      readonly id: number | undefined;
      readonly ifLive: IfLive;
      /** What it does not wait for may answer another generation. */
      readonly waits: boolean;
      readonly program: readonly Instruction[];
    }
  | { readonly do: "detached"; readonly id: number; readonly program: readonly Instruction[] }
  | { readonly do: "send"; readonly id: number }
  | { readonly do: "status" }
  | { readonly do: "fail" }
  /** Continues as new with what is left of the program. */
  | { readonly do: "again" };

/** The events that the code of a run has been given so far, in order: told on across continue-as-new. */
export interface Given {
  readonly instanceId: string;
  readonly run: number;
  readonly events: readonly string[];
}

export interface ProgramInput {
  readonly program: readonly Instruction[];
  /** Another run's, where a run was started with the input of a former one. */
  readonly given?: Given;
}

/** What an orchestrator of ours returns: who it was, and what it was given. */
export interface ProgramOutput {
  readonly instanceId: string;
  readonly executionId: string;
  readonly given: Given;
}

/** An activity that began, as somebody outside the engine saw it. */
export interface Testimony {
  readonly executionId: string;
  readonly instanceId: string;
  readonly taskId: number;
  readonly fencingToken: number;
}

/** The IDs that clients use, and those that children have: no program calls upwards, so that nobody waits in a ring. */
export const IDS = ["a", "b", "c"] as const;
export const CHILD_IDS = ["kid-0", "kid-1"] as const;

export const NAMES = ["one", "two"] as const;

/** For what programs wait, and what every event is called. */
export const EVENT = "go";

export function functionsOf(
  process: SimProcess,
  onActivity: (seen: Testimony) => void,
): readonly Definition[] {
  const failures = new Map<string, number>();
  const work = activity(
    "work",
    async (ctx: ActivityContext, input: { readonly ms: number; readonly fails: number }) => {
      if (process.dead) return undefined;
      const { executionId, instanceId, taskId, fencingToken } = ctx;
      onActivity({ executionId, instanceId, taskId, fencingToken });
      await process.env.sleep(input.ms);
      const failed = failures.get(executionId) ?? 0;
      if (failed < input.fails) {
        failures.set(executionId, failed + 1);
        throw new Error("as the program says");
      }
      return `${executionId} ${taskId}`;
    },
  );
  return [work, ...orchestrators()];
}

/** The orchestrators alone: what it takes to replay a history. */
export function orchestrators(): readonly Definition[] {
  return NAMES.map((name) => orchestration(name, follow));
}

async function follow(ctx: OrchestrationContext, input: ProgramInput): Promise<ProgramOutput | undefined> {
  const { instanceId, executionId, run } = ctx;
  const isOurs = input.given?.instanceId === instanceId && input.given.run === run;
  const given = { instanceId, run, events: isOurs ? [...input.given.events] : [] };
  for (const [index, instruction] of input.program.entries()) {
    if (instruction.do === "again") {
      ctx.continueAsNew({ program: input.program.slice(index + 1), given });
      return undefined;
    }
    await obey(ctx, instruction, given.events);
  }
  return { instanceId, executionId, given };
}

/** A wait that notes what it is given, even once nobody waits for it any more. */
function awaitEvent(ctx: OrchestrationContext, given: string[]): Task<unknown> {
  const wait = ctx.waitForExternalEvent(EVENT);
  wait.onSettled(() => given.push(String(wait.result())));
  return wait;
}

async function obey(
  ctx: OrchestrationContext,
  instruction: Exclude<Instruction, { readonly do: "again" }>,
  given: string[],
): Promise<void> {
  switch (instruction.do) {
    case "activity": {
      const retry = { firstIntervalMs: 300, maxAttempts: 3 };
      await ctx.callActivity("work", instruction, { retry });
      return;
    }
    case "activities": {
      const { count, ms, waits } = instruction;
      const done = ctx.all(Array.from({ length: count }, () => ctx.callActivity("work", { ms, fails: 0 })));
      if (waits) await done;
      return;
    }
    case "timer": {
      const rung = ctx.sleep(instruction.ms);
      if (instruction.waits) await rung;
      return;
    }
    case "event":
      await awaitEvent(ctx, given);
      return;
    case "eventOrTimer":
      await ctx.race([awaitEvent(ctx, given), ctx.sleep(instruction.ms)]);
      return;
    case "child": {
      const { id, ifLive, waits, program } = instruction;
      const options = id === undefined ? {} : { instanceId: nameOf(CHILD_IDS, id), ifLive };
      // Somebody else may have the ID, or may end the child: that is not this program's failure.
      const done = ctx.allSettled([ctx.callSubOrchestrator("one", { program }, options)]);
      if (waits) await done;
      return;
    }
    case "detached":
      ctx.startNew(
        "two",
        { program: instruction.program },
        { instanceId: nameOf(CHILD_IDS, instruction.id) },
      );
      return;
    case "send":
      ctx.sendEvent(nameOf(CHILD_IDS, instruction.id), EVENT, ctx.newGuid());
      return;
    case "status":
      ctx.setCustomStatus(ctx.currentUtcDateTime.toISOString());
      return;
    case "fail":
      throw new Error("as the program says");
  }
}

function nameOf(names: readonly [string, ...string[]], index: number): string {
  return names[index % names.length] ?? names[0];
}

const ms = fc.constantFrom(0, 5, 80, 700, 2500);
const waits = fc.constantFrom(true, true, false);

function instruction(children: fc.Arbitrary<readonly Instruction[]> | undefined): fc.Arbitrary<Instruction> {
  const alone: fc.WeightedArbitrary<Instruction>[] = [
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant("activity"), ms, fails: fc.constantFrom(0, 0, 1, 3) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant("activities"),
        ms,
        waits,
        count: fc.integer({ min: 2, max: 3 }),
      }),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("timer"), ms, waits }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("event") }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("eventOrTimer"), ms }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("status") }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("fail") }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("again") }) },
  ];
  if (children === undefined) return fc.oneof(...alone);
  const id = fc.nat(CHILD_IDS.length - 1);
  return fc.oneof(
    ...alone,
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant("child"),
        id: fc.option(id, { nil: undefined }),
        ifLive: fc.constantFrom(...IF_LIVE_ANSWERS),
        waits,
        program: children,
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("detached"), id, program: children }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("send"), id }) },
  );
}

/** A program for an ID that children have. */
export const childProgram: fc.Arbitrary<readonly Instruction[]> = fc.array(instruction(undefined), {
  maxLength: 3,
});

/** A program for an ID that clients use. */
export const program: fc.Arbitrary<readonly Instruction[]> = fc.array(instruction(childProgram), {
  maxLength: 5,
});
