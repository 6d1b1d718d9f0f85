import { describe, expect, test } from "vitest";
import { orchestration, TaskHub } from "../../src/index.js";

/** Where nothing else gets its turn, the orchestration ends by itself, so that the test fails and does not hang. */
const ENOUGH_GENERATIONS = 20_000;

describe("an orchestration that continues as new for ever, on a store that never waits", () => {
  test.each([1, 10])("leaves timers and clients of its process their turn (%i of them)", async (count) => {
    const eternal = orchestration("eternal", async (ctx, generation: number) => {
      if (generation >= ENOUGH_GENERATIONS) return "nobody stopped it";
      ctx.continueAsNew(generation + 1);
      return undefined;
    });
    await using hub = await TaskHub.open({ store: "memory", functions: [eternal] });
    const ids = Array.from({ length: count }, (_each, index) => `eternal-${index}`);
    for (const instanceId of ids) await hub.client.startNew(eternal, { instanceId, input: 0 });
    await new Promise((resolve) => {
      setTimeout(resolve, 1);
    });
    for (const id of ids) {
      await hub.client.terminate(id, "enough");
      const ended = await hub.client.waitForCompletion(id);
      expect(ended).toMatchObject({ runtimeStatus: "Terminated", output: "enough" });
    }
  });
});
