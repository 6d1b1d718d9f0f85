import { expect, test } from "vitest";
import { InstanceEndedError, orchestration, type TaskHubClient } from "../../src/index.js";
import { NOW, onEveryStore, storeWith } from "./support.js";

/** More events than any run that can end lets anybody raise: after so many, the clients give up. */
const MAX_RAISES = 5000;

onEveryStore("a run that is to end while events are raised without a pause", (open) => {
  test("does end, and every accepted event is in its history or counted as dropped", async () => {
    const takesOne = orchestration("takesOne", async (ctx) => ctx.waitForExternalEvent<number>("e"));
    const clients: TaskHubClient[] = [];
    let accepted = 0;
    const raise = async (): Promise<void> => {
      await clients[0]?.raiseEvent("x", "e", accepted);
      accepted += 1;
    };
    // Whenever a turn is about to end the run, another event has just been accepted.
    const hub = await open([takesOne], {}, (store) =>
      storeWith(store, {
        commit: async (turns) => {
          if (turns.some((turn) => turn.end !== undefined) && accepted < MAX_RAISES) await raise();
          return store.commit(turns);
        },
      }),
    );
    clients.push(hub.client);
    const start = await hub.client.startNew(takesOne, { instanceId: "x" });
    await hub.idle();
    await raise();
    await hub.idle();
    expect(await start.result(NOW)).toBe(0);
    expect(accepted).toBeLessThan(MAX_RAISES);
    await expect(raise()).rejects.toBeInstanceOf(InstanceEndedError);
    const history = await hub.client.getHistory("x");
    const taken = history?.events.filter((event) => event.type === "EventRaised") ?? [];
    expect(history?.execution.droppedMessages).toBeGreaterThan(0);
    expect(taken.length + (history?.execution.droppedMessages ?? 0)).toBe(accepted);
  });
});
