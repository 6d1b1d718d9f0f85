import { expect, test } from "vitest";
import { type Grounds, groundsOf } from "../../sim/ground.js";
import { event, start, terminate, timer } from "../../sim/scene.js";
import type { Plan } from "../../sim/schedule.js";
import { shrink } from "../../sim/shrink.js";
import { type Trial, tryPlan } from "../../sim/trial.js";
import type { Workload } from "../../sim/workload.js";
import type { Command, CommandAnswer } from "../../src/core/command.js";
import type { Store } from "../../src/core/store.js";

/** A store that acknowledges suspends and ends, and writes nothing of them. */
function forgetful(store: Store): Store {
  const executeOne = async (command: Command): Promise<readonly CommandAnswer[]> => {
    const isForgotten = command.kind === "suspend" || command.kind === "terminate";
    return isForgotten ? [{ outcome: "done", runtimeStatus: "Running" }] : store.execute([command]);
  };
  const execute = async (commands: readonly Command[]): Promise<readonly CommandAnswer[]> =>
    (await Promise.all(commands.map(executeOne))).flat();
  return new Proxy(store, {
    get: (target, key) => {
      const member: unknown = key === "execute" ? execute : Reflect.get(target, key);
      return typeof member === "function" ? (member.bind(target) as unknown) : member;
    },
  });
}

async function forgetfulGrounds(): Promise<Grounds> {
  const grounds = await groundsOf("memory alone");
  return {
    lay: async (leases) => {
      const ground = await grounds.lay(leases);
      return {
        ...ground,
        store: forgetful(ground.store),
        [Symbol.asyncDispose]: () => ground[Symbol.asyncDispose](),
      };
    },
    [Symbol.dispose]: () => grounds[Symbol.dispose](),
  };
}

/** Two things go wrong, among much that does not. */
const SUSPEND = { do: "suspend", id: "c" } as const;
const END = terminate("b");
const WORKLOAD: Workload = [
  [start("a", [{ do: "status" }, timer(700)]), { do: "list" }, { do: "get", id: "a" }],
  [start("b", [timer(80), event]), { do: "pass", ms: 30 }, END, { do: "list" }],
  [start("c", [timer(5), event, { do: "status" }]), SUSPEND, { do: "pass", ms: 30 }],
];

/** What a seed makes of it changes with the engine: the first one that fails like this, among faults. */
async function failing(problem: RegExp, grounds: Grounds): Promise<{ plan: Plan; failed: Trial }> {
  for (let seed = 1; ; seed++) {
    const plan = { seed, workload: WORKLOAD };
    const trial = await tryPlan(plan, grounds);
    const problems = trial.problems.filter((each) => problem.test(each));
    if (problems.length > 0 && trial.bit.size > 0) return { plan, failed: { ...trial, problems } };
  }
}

test.each([
  { problem: /ended the run without having seen all mail/, needed: ["start c", "suspend c"] },
  { problem: /where ended was due/, needed: ["start b", "terminate b"] },
])("a plan is made smaller for as long as it fails with $problem", async ({ problem, needed }) => {
  using grounds = await forgetfulGrounds();
  const { plan, failed } = await failing(problem, grounds);
  const small = await shrink(plan, grounds, failed);
  const left = small.workload.flat().map((each) => ("id" in each ? `${each.do} ${each.id}` : each.do));
  expect(left).toEqual(needed);
  const again = await tryPlan(small, grounds);
  expect(again.problems.filter((each) => problem.test(each))).not.toEqual([]);
  expect([...again.bit]).toEqual([]);
});
