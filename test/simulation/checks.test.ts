// What the simulation would say of stores that do what no store may: a check that cannot fail shows nothing.
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Grounds, groundsOf } from "../../sim/ground.js";
import { tryPlan } from "../../sim/trial.js";
import { workloadOf } from "../../sim/workload.js";
import type { Command } from "../../src/core/command.js";
import { encodeChunk } from "../../src/core/history-codec.js";
import type { Store, TurnCommit } from "../../src/core/store.js";
import { holdBackTaskRejections } from "../../src/unhandled-rejections.js";

/** So many schedules are tried before a flaw counts as overlooked. */
const SEEDS = 1500;

let letRejectionsGo: () => void = () => {};

beforeAll(() => {
  const ignore = (): void => {};
  letRejectionsGo = holdBackTaskRejections({ debug: ignore, info: ignore, warn: ignore, error: ignore });
});

afterAll(() => letRejectionsGo());

type Flaw = (store: Store) => Partial<Store>;

const FLAWS: readonly (readonly [flaw: string, Flaw, said: RegExp])[] = [
  [
    "loses what one instance sends another",
    turns((turn) => ({ ...turn, requests: [] })),
    /never carried out/,
  ],
  [
    "sends it twice",
    turns((turn) => ({ ...turn, requests: [...turn.requests, ...turn.requests].map(withNewKey) })),
    /carried out, although nobody asks for it/,
  ],
  [
    "loses an event that it accepted",
    (store) => ({
      execute: async (commands) => {
        const answers = await store.execute(commands.filter(({ kind }) => kind !== "raise"));
        const rest = [...answers];
        return Promise.all(
          commands.map(async (command) => {
            if (command.kind !== "raise") return rest.shift() ?? { outcome: "void" };
            const record = await store.get(command.instanceId);
            const isLive = record?.instance.status === "Pending" || record?.instance.status === "Running";
            if (isLive && command.consumes === undefined)
              return { outcome: "done", runtimeStatus: "Running" };
            return (await store.execute([command]))[0] ?? { outcome: "void" };
          }),
        );
      },
    }),
    /events and commands|was next|its writes add up to/,
  ],
  [
    "gives a parent another child's answer",
    turns((turn) =>
      turn.end?.status === "Completed"
        ? { ...turn, end: { ...turn.end, answer: answerOf('{"not":"its"}') } }
        : turn,
    ),
    /is said to have answered/,
  ],
  [
    "fires timers of another time",
    turns((turn) => ({ ...turn, timersSet: turn.timersSet.map(earlier) })),
    /as if it had been set for another time|timers are set/,
  ],
  [
    "begins before its time",
    commands((command) =>
      command.kind === "start" && command.startAtMs !== undefined
        ? { ...command, startAtMs: command.startAtMs - 400 }
        : command,
    ),
    /before its time|timers are set/,
  ],
  [
    "forgets what a run returned",
    turns(({ end, ...turn }) => {
      if (end === undefined) return turn;
      const { output: _, ...rest } = end;
      return { ...turn, end: rest };
    }),
    /its writes add up to .*output/,
  ],
  [
    "forgets the custom status",
    turns((turn) => {
      const { customStatus: _, ...rest } = turn;
      return rest;
    }),
    /its writes add up to .*customStatus/,
  ],
  [
    "miscounts the activities in flight",
    turns((turn) => (turn.end === undefined ? { ...turn, activities: turn.activities + 1 } : turn)),
    /its writes add up to .*activities/,
  ],
  [
    "shows a suspended instance as running",
    (store) => ({
      get: async (instanceId) => {
        const record = await store.get(instanceId);
        return record && { ...record, instance: { ...record.instance, suspended: false } };
      },
    }),
    /no order of the calls explains|its writes add up to .*suspended/,
  ],
  [
    "leaves an instance out of a list",
    (store) => ({
      list: async (query) => {
        const page = await store.list(query);
        const isUsers = query.filter.runtimeStatus === undefined && query.examine > 1_000;
        return isUsers ? { ...page, records: page.records.slice(0, 1) } : page;
      },
    }),
    /no order of the calls explains/,
  ],
  [
    "refuses a turn of a later run for nothing",
    (store) => {
      const refused = new Set<string>();
      return {
        commit: (all) =>
          Promise.all(
            all.map(async (turn) => {
              const isLater = turn.generation > 1 && turn.consumed.length > 0;
              if (isLater && !refused.has(turn.executionId)) {
                refused.add(turn.executionId);
                return { accepted: false };
              }
              return (await store.commit([turn]))[0] ?? { accepted: false };
            }),
          ),
      };
    },
    /refused, although the row was as expected/,
  ],
];

test.each(FLAWS)("a store that %s is found out", { timeout: 120_000 }, async (_, flaw, said) => {
  using grounds = flawed(await groundsOf("memory alone"), flaw);
  const problems: string[] = [];
  for (let seed = 1; seed <= SEEDS && !problems.some((problem) => said.test(problem)); seed++)
    problems.push(...(await tryPlan({ seed, workload: workloadOf(seed) }, grounds)).problems);
  expect(problems).toContainEqual(expect.stringMatching(said));
});

function turns(change: (turn: TurnCommit) => TurnCommit): Flaw {
  return (store) => ({ commit: (all) => store.commit(all.map(change)) });
}

function commands(change: (command: Command) => Command): Flaw {
  return (store) => ({ execute: (all) => store.execute(all.map(change)) });
}

function withNewKey<T extends object>(request: T, index: number): T {
  return { ...request, deduplicationKey: `key-${index}` };
}

function earlier<T extends { readonly dueMs: number }>(timer: T): T {
  return { ...timer, dueMs: timer.dueMs - 1 };
}

function answerOf(result: string): string {
  return encodeChunk([{ type: "SubOrchestrationInstanceCompleted", atMs: 0, taskScheduledId: -1, result }]);
}

/** Grounds whose stores have a flaw for everybody. */
function flawed(grounds: Grounds, flaw: Flaw): Grounds {
  return {
    lay: async (leases) => {
      const ground = await grounds.lay(leases);
      const flaws = flaw(ground.store);
      const store = new Proxy(ground.store, {
        get: (target, key) => {
          const member: unknown = Reflect.get(Object.hasOwn(flaws, key) ? flaws : target, key);
          const bound: unknown = typeof member === "function" ? member.bind(target) : member;
          return bound;
        },
      });
      return { ...ground, store };
    },
    [Symbol.dispose]: () => grounds[Symbol.dispose](),
  };
}
