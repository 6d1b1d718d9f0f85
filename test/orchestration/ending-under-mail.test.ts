import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { InstanceEndedError, orchestration, TaskHub, type TaskHubClient } from "../../src/index.js";

/** More than any run that can end lets anybody raise: whoever gets so far has seen one that cannot. */
const MAX_RAISES = 5000;

/** So many clients raise at once, each without a pause. */
const RAISERS = 4;

const folders: string[] = [];

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

const STORES: readonly [string, () => Promise<string>][] = [
  ["memory", async () => "memory"],
  [
    "sqlite",
    async () => {
      const folder = await mkdtemp(join(tmpdir(), "tenure-mail-"));
      folders.push(folder);
      return `sqlite:${join(folder, "hub.db")}`;
    },
  ],
];

/** Raises events until the instance has ended. @returns how many were accepted, and whether it did end. */
async function raiseOn(client: TaskHubClient, raises: { left: number }): Promise<[number, boolean]> {
  for (let accepted = 0; ; accepted++) {
    if (raises.left-- <= 0) return [accepted, false];
    try {
      await client.raiseEvent("x", "e", accepted);
    } catch (error) {
      if (error instanceof InstanceEndedError) return [accepted, true];
      throw error;
    }
  }
}

describe.each(STORES)("a run that is to end while events are raised without a pause (%s)", (_name, store) => {
  test("does end, and every accepted event is in its history or counted as dropped", async () => {
    const takesOne = orchestration("takesOne", async (ctx) => ctx.waitForExternalEvent<number>("e"));
    await using hub = await TaskHub.open({ store: await store(), functions: [takesOne] });
    const start = await hub.client.startNew(takesOne, { instanceId: "x" });
    await hub.client.waitForStart("x");
    const raises = { left: MAX_RAISES };
    const raisers = Array.from({ length: RAISERS }, () => raiseOn(hub.client, raises));
    const raised = await Promise.all(raisers);
    expect(raised.map(([, sawEnd]) => sawEnd)).toEqual(raised.map(() => true));
    const accepted = raised.reduce((sum, [count]) => sum + count, 0);
    expect(await start.result()).toBe(0);
    const history = await hub.client.getHistory("x");
    const taken = history?.events.filter((event) => event.type === "EventRaised") ?? [];
    expect(taken.length + (history?.execution.droppedMessages ?? 0)).toBe(accepted);
  });
});
