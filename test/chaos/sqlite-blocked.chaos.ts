import { expect, test } from "vitest";
import { witnessMs } from "../postgres/members.js";
import { SqliteStorm } from "./sqlite-storm.js";

const BLOCKS = 4;

test(`an orchestrator blocks the engine's event loop for seconds, ${BLOCKS} times`, async () => {
  await using storm = await SqliteStorm.begin({ fault: "event loop blocked for 3 s" });
  const { client } = storm.connection;
  await storm.rage(async () => {
    for (let round = 0; round < BLOCKS; round++) {
      const instanceId = `blocks-${round}`;
      const { executionId } = await client.startNew("blocks", { instanceId });
      storm.load.started.push({ instanceId, executionId, acceptedMs: witnessMs() }); // it is counted like all others
      expect(await client.waitForCompletion(instanceId)).toMatchObject({ runtimeStatus: "Completed" });
      expect(storm.engine.said).toContain(
        `orchestrator 'blocks' (instance '${instanceId}') has blocked this process`,
      );
      storm.injected += 1;
    }
  });
  const { broken } = await storm.settle();
  expect(broken).toEqual([]);
});
