import assert from "node:assert/strict";
import type { CommandAnswer } from "../../core/command.js";
import type { MailLimit } from "../../core/mail-limit.js";
import type { Check } from "./check.js";
import { eventsIn, everything, present, requestTo, type TestHub } from "./test-hub.js";

/** Events longer than this are let in with a look at how large the others are. */
const LONG = 9_000;

const DONE: CommandAnswer = { outcome: "done", runtimeStatus: "Running" };

/** How much may wait for an instance. */
export function checkMailLimits(check: Check): void {
  check("as many events wait as the limit says, and one more is refused without a trace", async (hub) => {
    const limit: MailLimit = { events: 5, bytes: 1_000_000 };
    await hub.run("order-1");
    for (let round = 0; round < 3; round++) {
      for (let nth = 0; nth < 5; nth++) assert.deepEqual(await raise(hub, limit, `event ${nth}`), DONE);
      const before = await everything(hub.store);
      for (let attempt = 0; attempt < 2; attempt++) {
        assert.deepEqual(await raise(hub, limit, "one more"), {
          outcome: "full",
          runtimeStatus: "Running",
          limit: "waiting events",
          allowed: 5,
          actual: 6,
        });
      }
      assert.deepEqual(await everything(hub.store), before);
      assert.deepEqual(
        eventsIn(await hub.mail("order-1")),
        [0, 1, 2, 3, 4].map((nth) => `event ${nth}`),
      );
      await hub.turn("order-1");
    }
  });

  check("what a turn has taken in makes room for as many events", async (hub) => {
    const limit: MailLimit = { events: 5, bytes: 1_000_000 };
    await hub.run("order-1");
    for (let nth = 0; nth < 5; nth++) await raise(hub, limit, `event ${nth}`);
    const [first, second] = await hub.mail("order-1");
    await hub.turn("order-1", { consumed: [present(first).n, present(second).n] });
    assert.deepEqual(await raise(hub, limit, "event 5"), DONE);
    assert.deepEqual(await raise(hub, limit, "event 6"), DONE);
    assert.equal((await raise(hub, limit, "event 7")).outcome, "full");
    assert.deepEqual(
      eventsIn(await hub.mail("order-1")),
      [2, 3, 4, 5, 6].map((nth) => `event ${nth}`),
    );
  });

  check(
    "events that come at once are let in up to the limit of each instance, in their order",
    async (hub) => {
      const limit: MailLimit = { events: 3, bytes: 1_000_000 };
      await hub.run("order-1");
      await hub.run("order-2");
      await raise(hub, limit, "event 0");
      const answers = await hub.store.execute(
        [1, 2, 3, 4].flatMap((nth) => [
          hub.raiseCommand("order-1", { name: `event ${nth}`, limit }),
          hub.raiseCommand("order-2", { name: `event ${nth}`, limit }),
        ]),
      );
      assert.deepEqual(
        answers.map(({ outcome }) => outcome),
        ["done", "done", "done", "done", "full", "done", "full", "full"],
      );
      assert.deepEqual(eventsIn(await hub.mail("order-1")), ["event 0", "event 1", "event 2"]);
      assert.deepEqual(eventsIn(await hub.mail("order-2")), ["event 1", "event 2", "event 3"]);
      assert.equal((await hub.instance("order-1")).mail, 3);
    },
  );

  check(
    "long events wait up to so many bytes, as the store writes them, and short ones with them",
    async (hub) => {
      for (const input of ["x".repeat(LONG), "é".repeat(LONG)].map((text) => JSON.stringify(text))) {
        const id = `order-${input.slice(1, 2)}`;
        await hub.run(id);
        const long = (bytes: number): Promise<CommandAnswer> =>
          hub.command(hub.raiseCommand(id, { input, limit: { events: 100, bytes } }));
        assert.equal((await long(1_000_000)).outcome, "done");
        const bytes = Buffer.byteLength(present((await hub.mail(id))[0]).events);
        assert.equal((await long(1_000_000)).outcome, "done");
        assert.deepEqual(await long(3 * bytes - 1), {
          outcome: "full",
          runtimeStatus: "Running",
          limit: "waiting bytes",
          allowed: 3 * bytes - 1,
          actual: 3 * bytes,
        });
        assert.deepEqual(await long(3 * bytes), DONE);
        assert.equal((await long(3 * bytes)).outcome, "full");
        assert.deepEqual(
          await hub.command(hub.raiseCommand(id, { limit: { events: 100, bytes: 3 * bytes } })),
          DONE,
        );
        await hub.turn(id);
        assert.deepEqual(await long(bytes), DONE);
      }
    },
  );

  check("of long and short events that come at once those stay out that are too much", async (hub) => {
    await hub.run("order-1");
    const input = JSON.stringify("x".repeat(LONG));
    const sizes: number[] = [];
    await hub.run("order-2");
    for (const command of [{ name: "long", input }, { name: "short" }]) {
      await hub.command(hub.raiseCommand("order-2", command));
      sizes.push(Buffer.byteLength(present((await hub.mail("order-2")).at(-1)).events));
    }
    const [long = 0, short = 0] = sizes;
    const limit: MailLimit = { events: 5, bytes: 2 * long + short };
    const answers = await hub.store.execute(
      ["long", "short", "long", "long", "short", "short", "short"].map((name) =>
        hub.raiseCommand("order-1", { name, limit, ...(name === "long" ? { input } : {}) }),
      ),
    );
    assert.deepEqual(
      answers.map(({ outcome }) => outcome),
      ["done", "done", "done", "full", "done", "done", "full"],
    );
    assert.deepEqual(eventsIn(await hub.mail("order-1")), ["long", "short", "long", "short", "short"]);
  });

  check("what the engine sends is let in however much waits, and so are commands", async (hub) => {
    const limit: MailLimit = { events: 1, bytes: 1 };
    await hub.run("order-1");
    await hub.run("sender");
    await hub.startChild("order-1", "child-1", 7);
    await raise(hub, limit, "event");
    assert.equal((await raise(hub, limit, "refused")).outcome, "full");
    await hub.turn("sender", { requests: [requestTo("order-1")] });
    const [request] = await hub.requests("order-1");
    const sent = { name: "sent", consumes: present(request).n };
    assert.deepEqual(await hub.command(hub.raiseCommand("order-1", sent)), DONE);
    assert.deepEqual(await hub.requests("order-1"), []);
    assert.equal((await hub.suspend("order-1")).outcome, "done");
    assert.deepEqual(await raise(hub, limit, "refused"), {
      outcome: "full",
      runtimeStatus: "Suspended",
      limit: "waiting events",
      allowed: 1,
      actual: 4,
    });
    assert.equal((await hub.resume("order-1")).outcome, "done");
    await hub.end("child-1");
    assert.deepEqual(eventsIn(await hub.mail("order-1")), [
      "event",
      "sent",
      "ExecutionSuspended",
      "ExecutionResumed",
      "SubOrchestrationInstanceCompleted",
    ]);
    assert.equal((await hub.terminate("order-1")).outcome, "done");
    assert.equal((await hub.execution("order-1")).droppedMessages, 4);
  });
}

function raise(hub: TestHub, limit: MailLimit, name: string): Promise<CommandAnswer> {
  return hub.command(hub.raiseCommand("order-1", { name, limit }));
}
