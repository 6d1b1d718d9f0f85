import { expect, test } from "vitest";
import { z } from "zod";
import { executionsOf } from "../../src/stores/conformance/test-hub.js";
import { GROUNDS, goneAfterEach, Racer, racersReady } from "./racers.js";

const RAISERS = ["a", "b", "c"];
const ROUNDS = 120;
const IDS = Array.from({ length: 6 }, (_, index) => `order-${index}`);

const raised = z.object({ accepted: z.array(z.string()), outcomes: z.record(z.string(), z.number()) });
const turned = z.object({
  taken: z.array(z.object({ instanceId: z.string(), run: z.number(), name: z.string() })),
  counts: z.object({
    accepted: z.number(),
    refused: z.number(),
    continued: z.number(),
    ended: z.number(),
    terminated: z.number(),
    runs: z.number(),
  }),
});

const { racers, removals } = goneAfterEach();

test.for(GROUNDS)(
  "events that three processes raise $name while a fourth one continues, ends and restarts the instances are taken in once, or dropped and counted",
  {
    timeout: 180_000,
  },
  async ({ lay, closed }, { skip }) => {
    const why = await closed();
    if (why !== undefined) skip(why);
    const { argument: track, open, remove } = lay();
    removals.push(remove);
    const turner = new Racer("turn-racer.mjs", { track, ids: IDS, rounds: ROUNDS, racer: "t" });
    racers.push(turner);
    await racersReady([turner]);
    const raisers = RAISERS.map((racer) => new Racer("event-racer.mjs", { track, ids: IDS, racer }));
    racers.push(...raisers);
    await racersReady(raisers);

    for (const racer of racers) racer.tell("go");
    expect(await turner.said()).toBe("enough");
    for (const raiser of raisers) raiser.tell("stop");
    const reports = await Promise.all(raisers.map(async (raiser) => raised.parse(await raiser.said())));
    turner.tell("take in what is left");
    const { taken, counts } = turned.parse(await turner.said());
    await Promise.all(racers.map((racer) => racer.ended()));

    const accepted = new Set(reports.flatMap((report) => report.accepted));
    const names = taken.map(({ name }) => name);
    expect(new Set(names).size, "events that were taken in, each once").toBe(names.length);
    expect(names.filter((name) => !accepted.has(name))).toEqual([]);
    const store = await open();
    const executions = (await Promise.all(IDS.map((id) => executionsOf(store, id)))).flat();
    const dropped = executions.reduce((sum, { droppedMessages }) => sum + droppedMessages, 0);
    expect(names.length + dropped).toBe(accepted.size);
    expect(await store.poll({ shards: "all", after: 0, limit: 10 })).toEqual([]);
    await store.close();

    // The race took place: everything that could happen did.
    const outcomes = new Set(reports.flatMap((report) => Object.keys(report.outcomes)));
    expect([...outcomes].toSorted()).toEqual(["done", "ended"]);
    expect(Object.entries({ ...counts, dropped }).filter(([, count]) => count === 0)).toEqual([]);
  },
);
