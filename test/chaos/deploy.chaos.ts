import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { OwnServer } from "./own-server.js";
import { Storm } from "./storm.js";

const BEFORE = ["step", "part", "job"];
const AFTER = [...BEFORE, "job-2"];

/** How long old and new processes work beside each other, each time. */
const BESIDE_MS = 8000;

test("a rolling deploy, and a rollback: processes are replaced one by one under load", async () => {
  await using server = await OwnServer.start();
  await using storm = await Storm.begin({
    fault: "rolling deploy and rollback",
    server: server.url,
    member: { functions: BEFORE },
  });
  const over = new AbortController();
  const known = storm.load.run(over.signal);
  // From now on some processes have the new function and some have not: whoever owns an ID, it is run.
  await storm.join(1, { functions: AFTER });
  const later = storm.newLoad("job-2");
  const laterOver = new AbortController();
  const added = later.run(laterOver.signal);
  const replace = async (functions: readonly string[]): Promise<void> => {
    await sleep(BESIDE_MS);
    await storm.join(1, { functions });
    await storm.members.shift()?.close();
    storm.injected += 1;
  };
  await storm.members.shift()?.close();
  await replace(AFTER);
  await replace(AFTER);
  // Back again; what only the new version has is no longer started, and what was started ends first.
  await replace(BEFORE);
  laterOver.abort();
  await added;
  await replace(BEFORE);
  await replace(BEFORE);
  over.abort();
  await known;
  const { broken, runs } = await storm.settle([storm.load, later]);
  expect(broken).toEqual([]);
  expect(later.started.length).toBeGreaterThan(0);
  expect(runs).toBeGreaterThan(later.started.length);
});
