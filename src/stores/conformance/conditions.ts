import assert from "node:assert/strict";
import type { Command } from "../../core/command.js";
import type { Check } from "./check.js";
import { ENDED_STATES, everything, LIVE_STATES, type State, type TestHub } from "./test-hub.js";

/**
 * What must not be is not written, whatever the command is told: also where it was decided from what no longer holds,
 * and the condition of the write is all that is left. A command may fail in these cases; its ID stays as it is.
 */
export function checkConditions(check: Check): void {
  const checkUntouched = (
    states: readonly State[],
    what: string,
    make: (hub: TestHub) => Command | Promise<Command>,
  ): void => {
    for (const state of states) {
      check(`an instance that is ${state} is left as it is, whatever ${what} is told`, async (hub) => {
        await hub.bring("order-1", state);
        const before = await everything(hub.store);
        await hub.store.execute([await make(hub)]).catch(() => {});
        assert.deepEqual(await everything(hub.store), before);
      });
    }
  };
  const order = (hub: TestHub) => ({ instanceId: "order-1", atMs: hub.now() });

  checkUntouched(LIVE_STATES, "a start that is to be refused", (hub) => hub.startCommand("order-1"));
  checkUntouched(LIVE_STATES, "a purge", (hub) => ({ kind: "purge", ...order(hub) }));
  checkUntouched(LIVE_STATES, "a rewind", async (hub) => hub.rewindCommand(await hub.instance("order-1")));
  checkUntouched(ENDED_STATES, "an event", (hub) => ({ kind: "raise", name: "late", ...order(hub) }));
  checkUntouched(ENDED_STATES, "a terminate", (hub) => ({
    kind: "terminate",
    recurse: false,
    ...order(hub),
  }));
}
