import assert from "node:assert/strict";
import type { CommandAnswer, StartCommand } from "../../core/command.js";
import { type InstanceRecord, runtimeStatusOf } from "../../core/instance.js";
import {
  IF_ENDED_ANSWERS,
  IF_LIVE_ANSWERS,
  type IfEndedAnswer,
  type IfLive,
  startPolicy,
} from "../../core/start-policy.js";
import type { Check } from "./check.js";
import {
  ENDED_STATES,
  everything,
  executionsOf,
  LIVE_STATES,
  NAME,
  type State,
  type TestHub,
} from "./test-hub.js";

type Expected = "started" | "replaced" | "attached" | "returned" | "held" | "used" | "otherName";

/** The singleton table, written out a second time: each row is a policy's answer on a held or used ID. */
const whileLive: { readonly [P in IfLive]: { readonly same: Expected; readonly other: Expected } } = {
  reject: { same: "held", other: "held" },
  attach: { same: "attached", other: "otherName" },
  terminate: { same: "replaced", other: "replaced" },
};
const onceEnded: { readonly [P in IfEndedAnswer]: { readonly same: Expected; readonly other: Expected } } = {
  start: { same: "started", other: "started" },
  return: { same: "returned", other: "otherName" },
  reject: { same: "used", other: "used" },
};

/** Start policies: the whole table of statuses, answers and names. */
export function checkStartPolicies(check: Check): void {
  for (const state of [...LIVE_STATES, ...ENDED_STATES]) {
    for (const sameName of [true, false]) {
      const which = sameName ? "of the same orchestrator" : "of another orchestrator";
      check(`a start ${which} on an ID that is ${state} follows its policy`, async (hub) => {
        for (const ifLive of IF_LIVE_ANSWERS) {
          for (const ifEnded of IF_ENDED_ANSWERS) {
            const id = `${ifLive}-${ifEnded}`;
            await hub.bring(id, state, { input: '"old"' });
            const row = isLiveState(state) ? whileLive[ifLive] : onceEnded[ifEnded];
            const start = hub.startCommand(id, {
              name: sameName ? NAME : "Another",
              policy: startPolicy(ifLive, ifEnded),
              input: '"new"',
            });
            await checkOutcome(hub, start, sameName ? row.same : row.other);
          }
        }
      });
    }
  }

  check("each ended status has an answer of its own", async (hub) => {
    for (const state of ENDED_STATES) {
      await hub.bring(state, state);
      const policy = startPolicy("reject", { Completed: "return", Failed: "start", Terminated: "reject" });
      const answer = await hub.command(hub.startCommand(state, { policy }));
      const expected = {
        Completed: "returned",
        Failed: "started",
        Terminated: "refused",
        Canceled: "started",
      };
      assert.equal(answer.outcome, expected[state]);
    }
  });

  check("a holder is described as it is now, not as it began", async (hub) => {
    await hub.start("order-1");
    await hub.turn("order-1");
    await hub.continueAsNew("order-1");
    await hub.suspend("order-1");
    const answer = await hub.command(hub.startCommand("order-1"));
    const { instance } = await hub.record("order-1");
    assert.deepEqual(answer, {
      outcome: "refused",
      reason: "held",
      holder: {
        instanceId: "order-1",
        name: NAME,
        executionId: instance.executionId,
        run: 1,
        generation: 2,
        runtimeStatus: "Suspended",
        sinceMs: instance.createdAtMs,
        lastProgressMs: instance.updatedAtMs,
        worker: "worker-1",
      },
    });
  });
}

async function checkOutcome(hub: TestHub, start: StartCommand, expected: Expected): Promise<void> {
  const before = await everything(hub.store);
  const held = await hub.record(start.instanceId);
  const answer = await hub.command(start);
  const where = `${start.instanceId}: expected ${expected}`;
  switch (expected) {
    case "held":
    case "used":
    case "otherName":
      assert.deepEqual(answer, refusal(expected, held), where);
      assert.deepEqual(await everything(hub.store), before, "a refused start left a trace");
      return;
    case "attached":
    case "returned":
      assert.deepEqual(answer, acceptance(expected, held), where);
      assert.deepEqual(await everything(hub.store), before, "a start that only looked left a trace");
      return;
    case "started":
    case "replaced":
      await checkNewRun(hub, start, held, answer, expected);
  }
}

async function checkNewRun(
  hub: TestHub,
  start: StartCommand,
  held: InstanceRecord,
  answer: CommandAnswer,
  outcome: "started" | "replaced",
): Promise<void> {
  const run = held.instance.run + 1;
  const generation = held.instance.generation + 1;
  assert.deepEqual(answer, { outcome, executionId: start.executionId, run, generation }, start.instanceId);
  const { instance, execution } = await hub.record(start.instanceId);
  assert.deepEqual(instance, {
    iid: held.instance.iid,
    instanceId: start.instanceId,
    kind: "orchestration",
    name: start.name,
    executionId: start.executionId,
    run,
    generation,
    sequence: 0,
    fencingToken: instance.fencingToken,
    status: "Pending",
    suspended: false,
    mail: instance.mail,
    activities: 0,
    createdAtMs: start.atMs,
    updatedAtMs: start.atMs,
  });
  assert.ok(instance.fencingToken > held.instance.fencingToken);
  assert.equal(execution.input, '"new"');
  assert.ok(!("endedAtMs" in execution));
  const [, past] = await executionsOf(hub.store, start.instanceId);
  assert.equal(past?.executionId, held.instance.executionId);
  assert.equal(past.status, outcome === "replaced" ? "Terminated" : held.execution.status);
  assert.equal(past.input, '"old"');
}

function refusal(reason: "held" | "used" | "otherName", { instance }: InstanceRecord): CommandAnswer {
  return {
    outcome: "refused",
    reason,
    holder: {
      instanceId: instance.instanceId,
      name: NAME,
      executionId: instance.executionId,
      run: instance.run,
      generation: instance.generation,
      runtimeStatus: runtimeStatusOf(instance),
      sinceMs: instance.createdAtMs,
      lastProgressMs: instance.updatedAtMs,
      ...(instance.worker === undefined ? {} : { worker: instance.worker }),
    },
  };
}

function acceptance(outcome: "attached" | "returned", { instance }: InstanceRecord): CommandAnswer {
  const { executionId, run, generation } = instance;
  return { outcome, executionId, run, generation };
}

function isLiveState(state: State): boolean {
  return LIVE_STATES.some((live) => live === state);
}
