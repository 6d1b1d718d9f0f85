import { expect, test } from "vitest";
import { until, witnessMs } from "../postgres/members.js";
import type { Job } from "./load.js";
import { SqliteStorm } from "./sqlite-storm.js";

const BLOCKS = 4;

test(`an orchestrator blocks the engine's event loop for seconds, ${BLOCKS} times`, async () => {
  await using storm = await SqliteStorm.begin({ fault: "event loop blocked for 3 s" });
  const { client } = storm.connection;
  const blocks = async (instanceId: string): Promise<string> => {
    const { executionId } = await client.startNew("blocks", { instanceId });
    const named = `orchestrator 'blocks' (instance '${instanceId}') has blocked this process`;
    await until(async () => (storm.engine.said.includes(named) ? true : undefined));
    storm.injected += 1;
    return executionId;
  };
  await storm.rage(async () => {
    for (let round = 0; round < BLOCKS; round++) {
      const instanceId = `blocks-${round}`;
      const job: Job = { instanceId, executionId: await blocks(instanceId), acceptedMs: witnessMs() };
      storm.load.started.push(job); // it is counted like all others
      expect(await client.waitForCompletion(instanceId)).toMatchObject({ runtimeStatus: "Completed" });
      job.endedMs = witnessMs();
    }
    // Ended from outside while its turn was under way: what that turn decided must not be written.
    await blocks("ended-meanwhile");
    await client.terminate("ended-meanwhile");
    await until(async () => (storm.refused.includes("ended-meanwhile") ? true : undefined));
    expect(await client.getStatus("ended-meanwhile")).toMatchObject({ runtimeStatus: "Terminated" });
  });
  const { broken } = await storm.settle();
  expect(broken).toEqual([]);
});
