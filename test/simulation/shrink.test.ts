import { expect, test } from "vitest";
import { type Grounds, groundsOf } from "../../sim/ground.js";
import { event, start, terminate, timer } from "../../sim/scene.js";
import type { Plan } from "../../sim/schedule.js";
import { shrink } from "../../sim/shrink.js";
import { tryPlan } from "../../sim/trial.js";
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
const PLAN: Plan = {
  seed: 7,
  workload: [
    [start("a", [{ do: "status" }, timer(700)]), { do: "list" }, { do: "get", id: "a" }],
    [start("b", [timer(80), event]), { do: "pass", ms: 30 }, END, { do: "list" }],
    [start("c", [timer(5), event, { do: "status" }]), SUSPEND, { do: "pass", ms: 30 }],
  ],
};

test.each([
  {
    problem: /ended the run without having seen all mail/,
    smallest: [[], [], [start("c", []), SUSPEND]],
  },
  { problem: /where ended was due/, smallest: [[], [start("b", [event]), END], []] },
])("a plan is made smaller for as long as it fails with $problem", async ({ problem, smallest }) => {
  using grounds = await forgetfulGrounds();
  const { problems, faultsDrawn } = await tryPlan(PLAN, grounds);
  const failed = { problems: problems.filter((each) => problem.test(each)), faultsDrawn };
  const small = await shrink(PLAN, grounds, failed);
  expect(small.workload).toEqual(smallest);
  const again = await tryPlan(small, grounds);
  expect(again.problems.filter((each) => problem.test(each))).not.toEqual([]);
  expect([...again.bit]).toEqual([]);
});
