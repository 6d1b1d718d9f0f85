import { expect, test } from "vitest";
import { groundsOf } from "../../sim/ground.js";
import { activity, client, planOf, type Scene, start } from "../../sim/scene.js";
import { type Trial, tryPlan } from "../../sim/trial.js";

const SCENE: Scene = {
  name: "in a test",
  workers: 2,
  clients: [client(start("a", [activity(500)]))],
  directions: [],
  lingerMs: 8_000,
  inTime: true,
};

async function played(scene: Partial<Scene>): Promise<Trial> {
  using grounds = await groundsOf("sqlite");
  const trial = await tryPlan(planOf({ ...SCENE, ...scene }), grounds);
  expect({ problems: trial.problems, missed: trial.missed }).toEqual({ problems: [], missed: [] });
  return trial;
}

/** The first commit of the instance that was accepted, by whom and when. */
function firstCommit({ log }: Trial): unknown {
  const line = log.find((each) => each.includes('"kind":"turn"') && each.includes('"accepted":true'));
  return JSON.parse(line ?? "{}");
}

test("a write that is on its way takes effect although its process has died", async () => {
  const trial = await played({
    directions: [
      { call: "commit a 1.0", of: "worker1", fault: "held call", forMs: 2_000 },
      { call: "leases.renew", of: "worker1", fromMs: 2_000, fault: "crash before" },
    ],
  });
  expect(firstCommit(trial)).toMatchObject({ process: "worker1", atMs: 4_000 });
});

test("in an engine that has its store to itself it dies with the process", async () => {
  const trial = await played({
    workers: 1,
    sharing: "one engine",
    directions: [
      { call: "commit a 1.0", of: "worker1", fault: "held call", forMs: 9_000 },
      { call: "poll", of: "worker1", fromMs: 2_001, fault: "crash before" },
    ],
    lingerMs: 15_000,
  });
  expect(firstCommit(trial)).not.toMatchObject({ process: "worker1" });
});

test("calls under way are lost when the store begins anew", async () => {
  const trial = await played({
    directions: [
      { call: "commit a 1.0", fault: "held call", forMs: 1_000 },
      { call: "leases.renew", fromMs: 2_000, fault: "store down", forMs: 200 },
    ],
  });
  const said = trial.log.filter((line) => line.includes("commit a 1.0"));
  expect(said).toContainEqual(expect.stringMatching(/network: commit a 1\.0 held$/));
  expect(said).toContainEqual(expect.stringMatching(/worker1: commit a 1\.0 answered failed$/));
  expect(firstCommit(trial)).not.toMatchObject({ atMs: 3_000 });
});
