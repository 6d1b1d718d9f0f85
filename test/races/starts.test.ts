import { describe, expect, test } from "vitest";
import { z } from "zod";
import type { IfEndedAnswer, IfLive } from "../../src/core/start-policy.js";
import { executionsOf, TestHub } from "../../src/stores/conformance/test-hub.js";
import { GROUNDS, goneAfterEach, Racer, type Racetrack, racersReady } from "./racers.js";

const RACERS = ["a", "b", "c", "d"];
const PROCESSES = RACERS.length;
const IDS = Array.from({ length: 300 }, (_, index) => `order-${index}`);
const TIMEOUT_MS = 120_000;

const accepted = z.object({
  outcome: z.enum(["started", "replaced", "attached", "returned"]),
  executionId: z.string(),
  run: z.number(),
  generation: z.number(),
});
const refused = z.object({
  outcome: z.literal("refused"),
  reason: z.enum(["held", "used", "otherName"]),
  holder: z.object({ executionId: z.string(), run: z.number() }),
});
const told = z.array(
  z.object({ instanceId: z.string(), executionId: z.string(), answer: z.union([accepted, refused]) }),
);
type Told = z.infer<typeof told>[number];

const { racers, removals } = goneAfterEach();

interface Race {
  readonly ifLive: IfLive;
  readonly ifEnded: IfEndedAnswer;
  readonly used: boolean;
  readonly loser: "held" | "attached";
}

const oneWins: Readonly<Record<string, Race>> = {
  refuse: { ifLive: "reject", ifEnded: "start", used: false, loser: "held" },
  "refuse, and start ended IDs anew": { ifLive: "reject", ifEnded: "start", used: true, loser: "held" },
  attach: { ifLive: "attach", ifEnded: "start", used: false, loser: "attached" },
  "attach, and start ended IDs anew": { ifLive: "attach", ifEnded: "start", used: true, loser: "attached" },
  "refuse live and used IDs": { ifLive: "reject", ifEnded: "reject", used: false, loser: "held" },
  "attach, and return ended IDs": { ifLive: "attach", ifEnded: "return", used: false, loser: "attached" },
};

describe.each(GROUNDS)("$name", async ({ lay, closed }) => {
  const why = await closed();

  test.for(Object.entries(oneWins))(
    `${PROCESSES} processes whose starts %s make one execution of each of ${IDS.length} IDs`,
    { timeout: TIMEOUT_MS },
    async ([, { ifLive, ifEnded, used, loser }], { skip }) => {
      if (why !== undefined) skip(why);
      const { hub, answers } = await race(lay(), ifLive, ifEnded, used);
      for (const id of IDS) {
        const ofId = answers.filter(({ instanceId }) => instanceId === id);
        const winners = ofId.filter(({ answer }) => answer.outcome === "started");
        expect(winners, `who was told to have started ${id}`).toHaveLength(1);
        const winner = winners[0]?.executionId;
        const losers = ofId.filter(({ answer }) => answer.outcome !== "started");
        expect(losers.map(whatLosersAreTold)).toEqual(losers.map(() => `${loser} by ${winner}`));
        expect(ofId).toHaveLength(PROCESSES);
        const executions = await executionsOf(hub.store, id);
        expect(executions[0]?.executionId).toBe(winner);
        expect(executions).toHaveLength(used ? 2 : 1);
        expect(await hub.mail(id)).toHaveLength(1);
      }
      const { records } = await hub.store.list({ filter: {}, limit: 1_000, examine: 1_000 });
      expect(records.filter(({ instance }) => instance.status === "Pending")).toHaveLength(IDS.length);
      await hub.store.close();
    },
  );

  test.for([
    ["refused because it was used", "reject", "used"],
    ["given the ended execution", "return", "returned"],
  ] as const)(
    `${PROCESSES} processes that start ended IDs are %s, and no execution is made`,
    { timeout: TIMEOUT_MS },
    async ([, ifEnded, outcome], { skip }) => {
      if (why !== undefined) skip(why);
      const { hub, answers } = await race(lay(), "reject", ifEnded, true);
      expect(answers).toHaveLength(PROCESSES * IDS.length);
      for (const id of IDS) {
        const executions = await executionsOf(hub.store, id);
        expect(executions).toHaveLength(1);
        const ofId = answers.filter(({ instanceId }) => instanceId === id);
        const holder = executions[0]?.executionId;
        expect(ofId.map(whatLosersAreTold)).toEqual(ofId.map(() => `${outcome} by ${holder}`));
      }
      await hub.store.close();
    },
  );

  test.for([
    ["unused", false],
    ["ended", true],
  ] as const)(
    `${PROCESSES} processes that replace each other on ${IDS.length} %s IDs make a run each, one after the other`,
    { timeout: TIMEOUT_MS },
    async ([, used], { skip }) => {
      if (why !== undefined) skip(why);
      const { hub, answers } = await race(lay(), "terminate", "start", used);
      for (const id of IDS) {
        const ofId = answers.filter(({ instanceId }) => instanceId === id);
        expect(ofId).toHaveLength(PROCESSES);
        const runs = ofId.map(({ executionId, answer }) => {
          if (answer.outcome !== "started" && answer.outcome !== "replaced") throw new Error(answer.outcome);
          expect(answer.executionId).toBe(executionId);
          return answer;
        });
        runs.sort((a, b) => a.run - b.run);
        expect(runs.map(({ outcome }) => outcome)).toEqual(["started", "replaced", "replaced", "replaced"]);
        const executions = (await executionsOf(hub.store, id)).toReversed();
        expect(executions).toHaveLength(PROCESSES + (used ? 1 : 0));
        expect(executions.slice(used ? 1 : 0).map(({ executionId }) => executionId)).toEqual(
          runs.map(({ executionId }) => executionId),
        );
        expect(executions.map(({ run }) => run)).toEqual(executions.map((_, index) => index + 1));
        const tokens = executions.map(({ fencingToken }) => fencingToken);
        expect(tokens).toEqual([...new Set(tokens)].sort((a, b) => a - b));
        expect(executions.map(({ status }) => status)).toEqual([
          ...(used ? ["Completed"] : []),
          ...RACERS.slice(1).map(() => "Terminated"),
          "Pending",
        ]);
        expect(await hub.mail(id)).toHaveLength(1);
      }
      await hub.store.close();
    },
  );
});

function whatLosersAreTold({ answer }: Told): string {
  return answer.outcome === "refused"
    ? `${answer.reason} by ${answer.holder.executionId}`
    : `${answer.outcome} by ${answer.executionId}`;
}

/** Lets all processes start all IDs at once; the hub is open afterwards. */
async function race(track: Racetrack, ifLive: IfLive, ifEnded: IfEndedAnswer, used: boolean) {
  removals.push(track.remove);
  const store = await track.open();
  const hub = new TestHub({ store, dispose: () => store.close() }, 0);
  if (used) await Promise.all(IDS.map((id) => hub.bring(id, "Completed")));
  for (const racer of RACERS) {
    racers.push(new Racer("start-racer.mjs", { track: track.argument, ids: IDS, ifLive, ifEnded, racer }));
  }
  await racersReady(racers);
  for (const racer of racers) racer.tell("go");
  const answers = await Promise.all(racers.map(async (racer) => told.parse(await racer.said())));
  await Promise.all(racers.map((racer) => racer.ended()));
  return { hub, answers: answers.flat() };
}
