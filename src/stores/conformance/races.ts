import assert from "node:assert/strict";
import type { CommandAnswer, StartAccepted, StartCommand } from "../../core/command.js";
import { type StartPolicy, startPolicy } from "../../core/start-policy.js";
import type { Check } from "./check.js";
import { accepted, eventsIn, executionsOf, present, type TestHub, typesIn } from "./test-hub.js";

/** Callers that start the same ID at once. */
const CALLERS = 32;

/** Instances on which a race is run side by side. */
const SIDE_BY_SIDE = 20;

/** What callers race for at the same time within one process: promises, and whatever the store makes of them. */
export function checkRaces(check: Check): void {
  checkStartRaces(check);
  checkTurnRaces(check);
}

function checkStartRaces(check: Check): void {
  const absent = async (): Promise<void> => {};
  const ended = async (hub: TestHub, id: string): Promise<void> => void (await hub.bring(id, "Completed"));

  const raceOfStarts = (
    name: string,
    policy: StartPolicy,
    prepare: (hub: TestHub, id: string) => Promise<void>,
    judge: (hub: TestHub, id: string, answers: readonly CommandAnswer[]) => Promise<void>,
    fields: Partial<StartCommand> = {},
  ): void =>
    check(`of ${CALLERS} callers that start one ID at once, ${name}`, async (hub) => {
      const ids = Array.from({ length: Math.ceil(hub.rounds / CALLERS) }, (_, index) => `order-${index}`);
      await sideBySide(ids, async (id) => {
        await prepare(hub, id);
        const commands = Array.from({ length: CALLERS }, () => hub.startCommand(id, { policy, ...fields }));
        const answers = await Promise.all(commands.map(async (command) => hub.command(command)));
        await judge(hub, id, answers);
      });
    });

  raceOfStarts(
    "one starts it and all others are told who holds it",
    startPolicy(),
    absent,
    oneStarted("held"),
  );
  raceOfStarts("one starts the ended ID anew", startPolicy(), ended, oneStarted("held"));
  raceOfStarts(
    "one starts it and all others attach to that one",
    startPolicy("attach"),
    absent,
    oneStarted("attached"),
  );
  raceOfStarts(
    "one starts the ended ID and others attach",
    startPolicy("attach"),
    ended,
    oneStarted("attached"),
  );
  raceOfStarts("each replaces the one before", startPolicy("terminate"), absent, allInARow);
  raceOfStarts("each replaces the one before on an ended ID", startPolicy("terminate"), ended, allInARow);
  raceOfStarts(
    "none starts an ID that is used",
    startPolicy("reject", "reject"),
    ended,
    async (hub, id, answers) => {
      const { executionId } = await hub.instance(id);
      for (const answer of answers) {
        assert.ok(answer.outcome === "refused" && answer.reason === "used");
        assert.equal(answer.holder.executionId, executionId);
      }
      assert.equal((await executionsOf(hub.store, id)).length, 1);
    },
  );
  raceOfStarts(
    "all are given the ended execution",
    startPolicy("reject", "return"),
    ended,
    async (hub, id, answers) => {
      const { executionId } = await hub.instance(id);
      for (const answer of answers) {
        assert.equal(answer.outcome, "returned");
        assert.equal(accepted(answer).executionId, executionId);
      }
      assert.equal((await executionsOf(hub.store, id)).length, 1);
    },
  );
  raceOfStarts(
    "all get one answer when they carry one request ID",
    startPolicy("terminate"),
    absent,
    async (hub, id, answers) => {
      assert.equal(answers[0]?.outcome, "started");
      for (const answer of answers) assert.deepEqual(answer, answers[0]);
      assert.equal((await executionsOf(hub.store, id)).length, 1);
    },
    { requestId: "r1" },
  );
}

/** One winner, and losers who are told the winner's execution. */
function oneStarted(losers: "held" | "attached") {
  return async (hub: TestHub, id: string, answers: readonly CommandAnswer[]): Promise<void> => {
    const winners = answers.filter(({ outcome }) => outcome === "started");
    assert.equal(winners.length, 1, `${winners.length} callers were told that they started ${id}`);
    const { executionId, run, generation } = accepted(present(winners[0]));
    for (const answer of answers) {
      if (answer === winners[0]) continue;
      if (losers === "attached") {
        assert.deepEqual(answer, { outcome: "attached", executionId, run, generation });
      } else {
        assert.ok(answer.outcome === "refused" && answer.reason === "held");
        assert.equal(answer.holder.executionId, executionId);
      }
    }
    const { instance, messages } = await hub.load(id);
    assert.equal(instance.executionId, executionId);
    assert.deepEqual(eventsIn(messages), ["ExecutionStarted"]);
  };
}

/** Everybody's start is a run of its own, the last one lives, and tokens rise with runs. */
async function allInARow(hub: TestHub, id: string, answers: readonly CommandAnswer[]): Promise<void> {
  const byRun = answers.map(accepted).sort((a, b) => a.run - b.run);
  const executions = (await executionsOf(hub.store, id)).toReversed().slice(-CALLERS);
  assert.deepEqual(
    byRun.map(({ executionId, run }: StartAccepted) => ({ executionId, run })),
    executions.map(({ executionId, run }) => ({ executionId, run })),
  );
  assert.deepEqual(
    byRun.map(({ outcome }) => outcome),
    ["started", ...byRun.slice(1).map(() => "replaced")],
  );
  for (const [index, { status, fencingToken }] of executions.entries()) {
    assert.equal(status, index === executions.length - 1 ? "Pending" : "Terminated");
    assert.ok(fencingToken > (executions[index - 1]?.fencingToken ?? 0));
  }
  assert.deepEqual(eventsIn(await hub.mail(id)), ["ExecutionStarted"]);
}

function checkTurnRaces(check: Check): void {
  check("a turn that races a replacement is committed to the old execution, or not at all", async (hub) => {
    const winners = new Winners();
    await forRounds(hub, async (id, _round, chance) => {
      if ((await hub.store.get(id)) === undefined) await hub.start(id);
      const loaded = await hub.load(id);
      const turns = [hub.turnOn(loaded), hub.endOn(loaded), hub.nextOn(loaded)];
      const turn = present(turns[Math.floor(chance() * turns.length)]);
      const [result, answer] = await Promise.all([
        late(hub, chance, () => hub.commit(turn)),
        late(hub, chance, () => hub.replace(id)),
      ]);
      const after = await hub.load(id);
      assert.equal(after.instance.executionId, answer.executionId);
      assert.equal(after.instance.run, loaded.instance.run + 1);
      assert.deepEqual([after.instance.sequence, after.chunks], [0, []]);
      assert.deepEqual(eventsIn(after.messages), ["ExecutionStarted"]);
      assert.ok(after.instance.fencingToken > loaded.instance.fencingToken);
      const old = await hub.chunks(id, turn.executionId);
      assert.equal(old.includes(present(turn.chunk)), result.accepted);
      const stale = { ...turn, commitNumber: turn.commitNumber + 1_000_000 };
      assert.deepEqual(await hub.commit(stale), { accepted: false });
      assert.deepEqual(await hub.load(id), after);
      winners.add(result.accepted);
    });
    winners.check(hub);
  });

  check("of two turns on the same state that race, one is committed", async (hub) => {
    const winners = new Winners();
    await forRounds(hub, async (id, _round, chance) => {
      if ((await hub.store.get(id)) === undefined) await hub.start(id);
      const loaded = await hub.load(id);
      const [first, second] = await Promise.all([
        late(hub, chance, () => hub.commit(hub.turnOn(loaded, { writer: "worker-1" }))),
        late(hub, chance, () => hub.commit(hub.turnOn(loaded, { writer: "worker-2" }))),
      ]);
      assert.notEqual(first.accepted, second.accepted);
      const { sequence, worker } = await hub.instance(id);
      assert.equal(sequence, loaded.instance.sequence + 1);
      assert.equal(worker, first.accepted ? "worker-1" : "worker-2");
      winners.add(first.accepted);
    });
    winners.check(hub);
  });

  check(
    "no event that was accepted is lost, or taken twice, around continue-as-new and the end",
    async (hub) => {
      const ledgers = new Map<string, Ledger>();
      await forRounds(hub, async (id, round, chance) => {
        const ledger = ledgers.get(id) ?? new Ledger();
        ledgers.set(id, ledger);
        if (ledger.over) await hub.start(id);
        ledger.over = false;
        const loaded = await hub.load(id);
        const what = chance();
        const act = async (): Promise<void> => {
          if (what < 0.1) {
            await hub.terminate(id);
            ledger.over = true;
            return;
          }
          const turn =
            what < 0.3
              ? hub.endOn(loaded)
              : what < 0.5
                ? hub.turnOn(loaded)
                : hub.nextOn(loaded, { keepExecutions: 2 });
          const { accepted: committed } = await hub.commit(turn);
          if (!committed) return;
          ledger.taken.push(...eventsIn(loaded.messages).filter((name) => name !== "ExecutionStarted"));
          if (turn.end !== undefined) ledger.over = true;
        };
        const raise = async (name: string): Promise<void> => {
          const answer = await hub.raise(id, name);
          if (answer.outcome === "done") ledger.accepted.push(name);
          else assert.equal(answer.outcome, "ended");
        };
        await Promise.all([
          late(hub, chance, async () => raise(`${round}-a`)),
          late(hub, chance, act),
          late(hub, chance, async () => raise(`${round}-b`)),
        ]);
        if (ledger.over) await ledger.close(hub, id);
      });
      for (const [id, ledger] of ledgers) {
        if (ledger.over) continue;
        await hub.terminate(id);
        await ledger.close(hub, id);
      }
    },
  );

  check("who attaches to a run that ends at that moment is answered once", async (hub) => {
    const winners = new Winners();
    await forRounds(
      hub,
      async (id, round, chance) => {
        const child = `child of ${id} ${round}`;
        if ((await hub.store.get(id)) === undefined) await hub.start(id);
        await hub.turn(id);
        await hub.run(child);
        const loaded = await hub.load(child);
        const parent = await hub.linkTo(id, round);
        const [result, answer] = await Promise.all([
          late(hub, chance, () => hub.commit(hub.endOn(loaded))),
          late(hub, chance, () => hub.start(child, { parent, policy: startPolicy("attach", "return") })),
        ]);
        assert.equal(answer.executionId, loaded.instance.executionId);
        if (!result.accepted) await hub.end(child);
        const messages = await hub.mail(id);
        assert.deepEqual(eventsIn(messages), ["SubOrchestrationInstanceCompleted"]);
        assert.equal(messages[0]?.task, round);
        winners.add(answer.outcome);
      },
      5,
    );
    winners.check(hub);
  });

  check(
    "of a last turn and a terminate that race, one ends the run, and its history says which",
    async (hub) => {
      const winners = new Winners();
      await forRounds(
        hub,
        async (id, _round, chance) => {
          await hub.start(id);
          const turn = hub.endOn(await hub.load(id));
          const [result, answer] = await Promise.all([
            late(hub, chance, () => hub.commit(turn)),
            late(hub, chance, () => hub.terminate(id)),
          ]);
          assert.equal(answer.outcome, result.accepted ? "ended" : "done");
          const { instance, execution, chunks } = await hub.load(id);
          const status = result.accepted ? "Completed" : "Terminated";
          assert.deepEqual([instance.status, execution.status], [status, status]);
          assert.equal(typesIn(chunks).includes("ExecutionTerminated"), !result.accepted);
          winners.add(result.accepted);
        },
        2,
      );
      winners.check(hub);
    },
  );
}

/** What became of one run's events. */
class Ledger {
  over = true;
  readonly accepted: string[] = [];
  readonly taken: string[] = [];

  /** The run has ended: every event was taken in once, or is counted as dropped. */
  async close(hub: TestHub, id: string): Promise<void> {
    const { droppedMessages } = await hub.execution(id);
    assert.equal(new Set(this.taken).size, this.taken.length, "an event was taken in twice");
    const left = new Set(this.accepted);
    for (const name of this.taken) assert.ok(left.delete(name), `${name} was taken in and never accepted`);
    assert.equal(left.size, droppedMessages, `${id}: events were lost`);
    assert.deepEqual(await hub.mail(id), []);
    this.accepted.length = 0;
    this.taken.length = 0;
  }
}

/** Who won the rounds of a race of two. One that always goes the same way is no race. */
class Winners {
  readonly #seen = new Set<unknown>();

  add(winner: unknown): void {
    this.#seen.add(winner);
  }

  check({ rounds }: TestHub): void {
    if (rounds >= 1_000) assert.equal(this.#seen.size, 2, "one side won every round");
  }
}

/** Runs as many rounds as the suite is asked for, spread over several IDs that take turns. */
async function forRounds(
  hub: TestHub,
  round: (id: string, round: number, chance: () => number) => Promise<void>,
  divisor = 1,
): Promise<void> {
  const perId = Math.ceil(hub.rounds / divisor / SIDE_BY_SIDE);
  const ids = Array.from({ length: SIDE_BY_SIDE }, (_, index) => `order-${index}`);
  await sideBySide(ids, async (id) => {
    const chance = seeded(ids.indexOf(id) + 1);
    for (let index = 0; index < perId; index++) await round(id, index, chance);
  });
}

async function sideBySide(ids: readonly string[], run: (id: string) => Promise<void>): Promise<void> {
  const waiting = [...ids];
  const lane = async (): Promise<void> => {
    for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) await run(id);
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, lane));
}

/**
 * Begins after a few random turns of the microtask queue, and now and then after a few reads of the store, so that
 * what is begun together comes in any order: a store at the other end of a wire may need several reads for one side.
 */
async function late<T>(hub: TestHub, chance: () => number, act: () => Promise<T>): Promise<T> {
  for (let pauses = Math.floor(chance() * 6); pauses > 0; pauses--) await Promise.resolve();
  for (let reads = Math.floor(chance() * 8) - 4; reads > 0; reads--) await hub.store.setting("late");
  return act();
}

/** Numbers in [0, 1) that are the same in every run: mulberry32. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
