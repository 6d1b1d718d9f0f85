import assert from "node:assert/strict";
import type { RequestMessage } from "../../core/message.js";
import { commandOf, decodeRequest, encodeRequest, type Request } from "../../core/request.js";
import { startPolicy } from "../../core/start-policy.js";
import type { Check } from "./check.js";
import { eventsIn, everything, executionsOf, present, requestTo, type TestHub } from "./test-hub.js";

/** Requests between instances, and what becomes of children when their parent's run is ended. */
export function checkChildren(check: Check): void {
  check("a request is carried out once: the second time it is void and writes nothing", async (hub) => {
    await hub.run("parent");
    const request = await sendStart(hub, "parent", "child");
    assert.equal((await carryOut(hub, request)).outcome, "started");
    assert.deepEqual(await hub.requests(), []);
    const { instance } = await hub.record("child");
    assert.equal(instance.parent?.instanceId, "parent");
    const before = await everything(hub.store);
    assert.deepEqual(await carryOut(hub, request), { outcome: "void" });
    assert.deepEqual(await everything(hub.store), before);
  });

  check("a request that was carried out is void even when it would be accepted again", async (hub) => {
    await hub.run("parent");
    const request = await sendStart(hub, "parent", "child");
    await carryOut(hub, request);
    await hub.end("child");
    await hub.purge("child");
    assert.deepEqual(await carryOut(hub, request), { outcome: "void" });
    assert.equal(await hub.store.get("child"), undefined);
  });

  check("a request twice in one batch is carried out once", async (hub) => {
    await hub.run("parent");
    const request = await sendStart(hub, "parent", "child");
    const answers = await hub.store.execute([commandFor(hub, request), commandFor(hub, request)]);
    assert.deepEqual(
      answers.map(({ outcome }) => outcome),
      ["started", "void"],
    );
    assert.equal((await executionsOf(hub.store, "child")).length, 1);
  });

  check("a request is gone once it was answered, even when nothing else was written", async (hub) => {
    await hub.run("sender");
    await hub.turn("sender", { requests: [requestTo("nobody")] });
    const request = present((await hub.requests())[0]);
    assert.deepEqual(await carryOut(hub, request), { outcome: "notFound" });
    assert.deepEqual(await hub.requests(), []);
    assert.deepEqual(await carryOut(hub, request), { outcome: "void" });
  });

  check("a child start that is refused consumes its request and answers the parent", async (hub) => {
    await hub.run("child");
    await hub.run("parent");
    const request = await sendStart(hub, "parent", "child");
    assert.equal((await carryOut(hub, request)).outcome, "refused");
    assert.deepEqual(await hub.requests(), []);
    assert.deepEqual(eventsIn(await hub.mail("parent")), ["SubOrchestrationInstanceFailed"]);
    assert.deepEqual(await carryOut(hub, request), { outcome: "void" });
    assert.equal((await hub.mail("parent")).length, 1);
  });

  check("mail is no request: a command that claims to have come with it is void", async (hub) => {
    await hub.run("order-1");
    await hub.raise("order-1");
    const [mail] = await hub.mail("order-1");
    const before = await everything(hub.store);
    const command = hub.startCommand("order-2", { consumes: present(mail).n });
    assert.deepEqual(await hub.command(command), { outcome: "void" });
    assert.deepEqual(await everything(hub.store), before);
  });

  check("a recursive terminate asks every live child of the run to end, and no other", async (hub) => {
    await hub.run("parent");
    await hub.startChild("parent", "child of an earlier run", 1);
    await hub.end("parent");
    await hub.run("parent");
    await hub.startChild("parent", "pending child", 1);
    await hub.startChild("parent", "running child", 2);
    await hub.turn("running child");
    await hub.startChild("parent", "ended child", 3);
    await hub.end("ended child");
    await hub.continueAsNew("parent");
    await hub.turn("parent");
    await hub.startChild("parent", "child of the next generation", 1);
    await hub.run("nobody's child");
    await hub.run("other parent");
    await hub.startChild("other parent", "other child", 1);
    const { iid, run } = await hub.instance("parent");
    await hub.terminate("parent", true);
    const requests = await hub.requests();
    assert.deepEqual(
      new Set(requests.map(({ instanceId }) => instanceId)),
      new Set(["pending child", "running child", "child of the next generation"]),
    );
    assert.equal(requests.length, 3);
    for (const { body } of requests) {
      const request = decodeRequest(body);
      assert.ok(request.kind === "terminate" && request.recurse);
      assert.deepEqual(request.onlyChildOf, { iid, run });
    }
  });

  check("a terminate that is not recursive leaves children and their starts alone", async (hub) => {
    await hub.run("parent");
    await hub.startChild("parent", "child", 1);
    await sendStart(hub, "parent", "unborn");
    await hub.terminate("parent");
    assert.deepEqual(
      (await hub.requests()).map(({ instanceId }) => instanceId),
      ["unborn"],
    );
    assert.equal((await hub.instance("child")).status, "Pending");
  });

  check(
    "child starts that were not carried out yet are withdrawn with their run, and are void",
    async (hub) => {
      await hub.run("parent");
      const first = await sendStart(hub, "parent", "unborn");
      await hub.continueAsNew("parent");
      await hub.turn("parent", {
        requests: [
          requestTo("unborn 2", { startsChild: true }),
          requestTo("told", { startsChild: false }),
          requestTo("unborn 3", { startsChild: true }),
        ],
      });
      await hub.run("other parent");
      await sendStart(hub, "other parent", "other unborn");
      await hub.terminate("parent", true);
      assert.deepEqual(
        (await hub.requests()).map(({ instanceId }) => instanceId),
        ["told", "other unborn"],
      );
      assert.deepEqual(await carryOut(hub, first), { outcome: "void" });
      assert.equal(await hub.store.get("unborn"), undefined);
    },
  );

  check("a run's end withdraws its own child starts only, not those of the run before", async (hub) => {
    await hub.run("parent");
    await sendStart(hub, "parent", "of the first run");
    await hub.end("parent");
    await hub.run("parent");
    await sendStart(hub, "parent", "of the second run");
    await hub.terminate("parent", true);
    assert.deepEqual(
      (await hub.requests()).map(({ instanceId }) => instanceId),
      ["of the first run"],
    );
  });

  check("a last turn that says so ends the children of its run", async (hub) => {
    await hub.run("parent");
    await hub.startChild("parent", "child", 1);
    await hub.end(
      "parent",
      { status: "Failed", terminateChildren: "end of children" },
      { requests: [requestTo("unborn", { startsChild: true }), requestTo("told")] },
    );
    assert.deepEqual(
      (await hub.requests()).map(({ instanceId }) => instanceId),
      ["told", "child"],
    );
    assert.equal((await hub.requests("child"))[0]?.body, "end of children");
  });

  check("the request to end a child ends it only while it is that run's child", async (hub) => {
    await hub.run("parent");
    await hub.startChild("parent", "child", 1);
    await hub.startChild("parent", "reused", 2);
    await hub.terminate("parent", true);
    await hub.replace("reused");
    const [first, second] = await hub.requests();
    assert.deepEqual((await carryOut(hub, present(first))).outcome, "done");
    assert.equal((await hub.instance("child")).status, "Terminated");
    assert.deepEqual(await carryOut(hub, present(second)), { outcome: "notFound" });
    assert.equal((await hub.instance("reused")).status, "Pending");
    assert.deepEqual(await hub.requests(), []);
  });

  check("ending children goes on down to grandchildren", async (hub) => {
    await hub.run("parent");
    await hub.startChild("parent", "child", 1);
    await hub.turn("child");
    await hub.startChild("child", "grandchild", 1);
    await hub.terminate("parent", true);
    await carryOut(hub, present((await hub.requests("child"))[0]));
    await carryOut(hub, present((await hub.requests("grandchild"))[0]));
    assert.equal((await hub.instance("grandchild")).status, "Terminated");
    assert.deepEqual(await hub.requests(), []);
  });

  check("a request message shows whom it is for and what it says, and no more", async (hub) => {
    await hub.run("parent");
    await hub.turn("parent", { requests: [requestTo("child", { body: "body", startsChild: true })] });
    const [request] = await hub.requests();
    assert.deepEqual(request, {
      kind: "request",
      n: request?.n,
      shard: request?.shard,
      instanceId: "child",
      body: "body",
    });
  });
}

/** Sends a request that starts a child, and returns its message. */
async function sendStart(hub: TestHub, parentId: string, childId: string): Promise<RequestMessage> {
  const parent = await hub.linkTo(parentId, 1);
  const request: Request = { kind: "start", name: "Child", tags: {}, policy: startPolicy(), parent };
  await hub.turn(parentId, {
    requests: [requestTo(childId, { startsChild: true, body: encodeRequest(request) })],
  });
  return present((await hub.requests(childId))[0]);
}

async function carryOut(hub: TestHub, message: RequestMessage) {
  return hub.command(commandFor(hub, message));
}

function commandFor(hub: TestHub, { instanceId, body, n }: RequestMessage) {
  const request = decodeRequest(body);
  assert.ok(request.kind !== "rewind");
  return commandOf(request, { instanceId, atMs: hub.now(), consumes: n, executionId: hub.executionId() });
}
