import assert from "node:assert/strict";
import { readMail } from "../../core/message.js";
import { startPolicy } from "../../core/start-policy.js";
import type { Check } from "./check.js";
import { eventsIn, everything, present, type TestHub } from "./test-hub.js";

/** Who waits for a run is answered when it ends: to the generation that waits, and to no other. */
export function checkWaiters(check: Check): void {
  check("the end of a child answers its parent's generation and task", async (hub) => {
    await hub.run("parent");
    await hub.startChild("parent", "child", 7);
    const before = await hub.instance("parent");
    await hub.end("child", { output: '"paid"' });
    const { instance, messages } = await hub.load("parent");
    assert.deepEqual(instance, before, "a result is no mail that a last turn must have seen");
    const [answer, ...others] = messages;
    assert.deepEqual(others, []);
    assert.deepEqual(
      { ...answer, n: 0, shard: 0, events: "" },
      { kind: "mail", n: 0, shard: 0, iid: instance.iid, generation: 1, task: 7, events: "" },
    );
    const [event] = readMail(present(answer));
    assert.ok(event?.type === "SubOrchestrationInstanceCompleted");
    assert.deepEqual([event.taskScheduledId, event.result], [7, '"paid"']);
  });

  const childEnds: Record<string, [end: (hub: TestHub) => Promise<unknown>, answer: string]> = {
    completes: [(hub) => hub.end("child"), "SubOrchestrationInstanceCompleted"],
    fails: [(hub) => hub.end("child", { status: "Failed" }), "SubOrchestrationInstanceFailed"],
    "is terminated": [(hub) => hub.terminate("child"), "SubOrchestrationInstanceFailed"],
    "is replaced": [(hub) => hub.replace("child"), "SubOrchestrationInstanceFailed"],
  };
  for (const [how, [end, answer]] of Object.entries(childEnds)) {
    check(`a child that ${how} answers its parent and all that attached to it, once`, async (hub) => {
      for (const parent of ["parent", "second", "third"]) await hub.run(parent);
      await hub.startChild("parent", "child", 1);
      await hub.startChild("second", "child", 2, { policy: startPolicy("attach") });
      await hub.startChild("third", "child", 3, { policy: startPolicy("attach") });
      await end(hub);
      for (const [index, parent] of ["parent", "second", "third"].entries()) {
        const messages = await hub.mail(parent);
        assert.deepEqual(eventsIn(messages), [answer]);
        assert.equal(messages[0]?.task, index + 1);
        await hub.turn(parent);
      }
      if (how === "is replaced") await hub.end("child");
      else await hub.bring("child", "Completed");
      for (const parent of ["parent", "second", "third"]) assert.deepEqual(await hub.mail(parent), []);
    });
  }

  check("an attached waiter raises the mail counter, and is no message", async (hub) => {
    await hub.run("order-1");
    await hub.run("parent");
    const before = await hub.load("order-1");
    const answer = await hub.startChild("parent", "order-1", 4, { policy: startPolicy("attach") });
    assert.equal(answer.outcome, "attached");
    const after = await hub.load("order-1");
    assert.deepEqual(after, { ...before, instance: { ...before.instance, mail: before.instance.mail + 1 } });
  });

  check("a waiter waits for the run, over all its generations", async (hub) => {
    await hub.run("parent");
    await hub.run("second");
    await hub.startChild("parent", "child", 1);
    await hub.turn("child");
    await hub.startChild("second", "child", 2, { policy: startPolicy("attach") });
    await hub.continueAsNew("child");
    await hub.turn("child");
    await hub.continueAsNew("child");
    assert.deepEqual(await hub.mail("parent"), []);
    assert.deepEqual(await hub.mail("second"), []);
    await hub.end("child");
    assert.equal((await hub.mail("parent")).length, 1);
    assert.equal((await hub.mail("second")).length, 1);
  });

  const passed: Record<string, (hub: TestHub, parent: string) => Promise<unknown>> = {
    "has continued as new": async (hub, parent) => {
      await hub.continueAsNew(parent);
      await hub.turn(parent);
    },
    "has ended": (hub, parent) => hub.end(parent),
    "was terminated": (hub, parent) => hub.terminate(parent),
    "was replaced": async (hub, parent) => {
      await hub.replace(parent);
      await hub.turn(parent);
    },
    "was purged": async (hub, parent) => {
      await hub.end(parent);
      await hub.purge(parent);
    },
    "was purged and started again": async (hub, parent) => {
      await hub.end(parent);
      await hub.purge(parent);
      await hub.run(parent);
    },
  };
  for (const [what, pass] of Object.entries(passed)) {
    check(`a parent that ${what} gets no answer that was meant for what it was`, async (hub) => {
      for (const parent of ["parent", "second"]) await hub.run(parent);
      await hub.startChild("parent", "child", 1);
      await hub.turn("child");
      await hub.startChild("second", "child", 2, { policy: startPolicy("attach") });
      for (const parent of ["parent", "second"]) await pass(hub, parent);
      await hub.end("child");
      const messages = await hub.messages();
      assert.deepEqual(
        messages.filter(({ kind }) => kind === "mail"),
        [],
      );
    });
  }

  check("a child start that is refused answers its parent at once", async (hub) => {
    await hub.run("parent");
    await hub.run("child");
    const parent = await hub.linkTo("parent", 3);
    const before = await hub.record("child");
    const answer = await hub.command(hub.startCommand("child", { parent }));
    assert.ok(answer.outcome === "refused" && answer.reason === "held");
    const messages = await hub.mail("parent");
    assert.deepEqual(eventsIn(messages), ["SubOrchestrationInstanceFailed"]);
    assert.deepEqual([messages[0]?.task, messages[0]?.generation], [3, parent.generation]);
    assert.deepEqual(await hub.record("child"), before);
    await hub.end("child");
    assert.equal((await hub.mail("parent")).length, 1);
  });

  check("a child start that returns an ended execution answers its parent with its outcome", async (hub) => {
    await hub.run("parent");
    await hub.start("child");
    await hub.end("child", { output: '"done before"' });
    const answer = await hub.startChild("parent", "child", 3, { policy: startPolicy("reject", "return") });
    assert.equal(answer.outcome, "returned");
    const [event] = readMail(present((await hub.mail("parent"))[0]));
    assert.ok(event?.type === "SubOrchestrationInstanceCompleted");
    assert.deepEqual([event.taskScheduledId, event.result], [3, '"done before"']);
  });

  check("a client that attaches leaves no trace", async (hub) => {
    await hub.run("order-1");
    const before = await everything(hub.store);
    assert.equal((await hub.start("order-1", { policy: startPolicy("attach") })).outcome, "attached");
    assert.deepEqual(await everything(hub.store), before);
    await hub.end("order-1");
    assert.deepEqual(await hub.messages(), []);
  });
}
