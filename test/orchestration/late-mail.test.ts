// Where transactions overtake one another, mail may be seen after mail that was accepted later.
import { expect, test } from "vitest";
import { orchestration } from "../../src/index.js";
import { NOW, onEveryStore, storeWith } from "./support.js";

/** For how long mail may be late here: long enough for the worker to look below the highest number. */
const LATE_MS = 15_000;

const opens = orchestration("opens", async (ctx) => ctx.waitForExternalEvent("go"));
const takesFirst = orchestration("takesFirst", async (ctx) => {
  const first = ctx.waitForExternalEvent<number>("e");
  await ctx.callSubOrchestrator(opens, undefined, { instanceId: "gate" });
  return first;
});

onEveryStore("mail that is seen before the mail that was accepted before it", (open) => {
  test("waits for it, even if something else has just made a turn due", async () => {
    let parent: number | undefined;
    let isHidden = false;
    const hub = await open([takesFirst, opens], {}, (store) =>
      storeWith(store, {
        lateMessagesMs: LATE_MS,
        poll: async (query) => {
          const page = await store.poll(query);
          const mail = page.filter((message) => message.kind === "mail");
          parent ??= mail[0]?.iid;
          const ofParent = mail.filter(({ iid }) => iid === parent);
          // In one page: the child's answer, and the second event without the first.
          if (ofParent.some(({ task }) => task !== undefined) && ofParent.some((each) => each.mail === 2))
            isHidden = false;
          const hidden = ofParent.filter((each) => isHidden || each.mail === 1);
          return page.filter((message) => message.kind !== "mail" || !hidden.includes(message));
        },
      }),
    );
    const start = await hub.client.startNew(takesFirst, { instanceId: "x" });
    await hub.idle();
    isHidden = true;
    await hub.client.raiseEvent("x", "e", 1);
    await hub.client.raiseEvent("gate", "go");
    await hub.idle();
    await hub.client.raiseEvent("x", "e", 2);
    await hub.idle();
    expect(isHidden).toBe(false);
    expect(await start.result(NOW)).toBe(1);
  });
});
