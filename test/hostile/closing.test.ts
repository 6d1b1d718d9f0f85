import { expect, test } from "vitest";
import { activity, orchestration, TaskHub, type TaskHubClient } from "../../src/index.js";
import { misuse, onMemorySqliteAndPostgres, onSqliteAndPostgres, refusalOf, SOON } from "./stores.js";

const fine = orchestration("fine", async () => "fine");
const waits = orchestration("waits", async (ctx) => ctx.waitForExternalEvent("go"));

const CALLS: Readonly<Record<string, (client: TaskHubClient) => Promise<unknown>>> = {
  startNew: (client) => client.startNew(fine),
  getStatus: (client) => client.getStatus("a"),
  list: (client) => client.list(),
  raiseEvent: (client) => client.raiseEvent("a", "go"),
  suspend: (client) => client.suspend("a"),
  resume: (client) => client.resume("a"),
  terminate: (client) => client.terminate("a"),
  rewind: (client) => client.rewind("a"),
  restart: (client) => client.restart("a"),
  purge: (client) => client.purge("a"),
  purgeBy: (client) => client.purgeBy(),
  getHistory: (client) => client.getHistory("a"),
  listExecutions: (client) => client.listExecutions("a"),
  executionsPage: (client) => client.executionsPage("a"),
  listRefusals: (client) => client.listRefusals(),
  listWorkers: (client) => client.listWorkers(),
  setRetention: (client) => client.setRetention({}),
  getRetention: (client) => client.getRetention(),
  waitForStart: (client) => client.waitForStart("a", SOON),
  waitForCompletion: (client) => client.waitForCompletion("a", SOON),
};

onSqliteAndPostgres("a hub that was closed", (store) => {
  test("refuses each call as closed, and closing it again, twice at once, does nothing", async () => {
    const hub = await TaskHub.open({ store, functions: [fine, waits] });
    await hub.client.startNew(waits, { instanceId: "a" });
    await Promise.all([hub.close(), hub.close({ drainMs: 0 }), hub[Symbol.asyncDispose]()]);
    await hub.close();
    await hub[Symbol.asyncDispose]();
    expect(hub.status().state).toBe("closed");
    for (const call of Object.values(CALLS))
      expect(await refusalOf(() => call(hub.client))).toMatchObject({ code: "StoreClosed" });
  });

  test("lets a connection be closed several times, too", async () => {
    const connection = await TaskHub.connect({ store });
    await Promise.all([connection.close(), connection.close(), connection[Symbol.asyncDispose]()]);
    for (const call of Object.values(CALLS))
      expect(await refusalOf(() => call(connection.client))).toMatchObject({ code: "StoreClosed" });
  });

  test("lets go of whoever waits when it closes", async () => {
    const hub = await TaskHub.open({ store, functions: [fine, waits] });
    await hub.client.startNew(waits, { instanceId: "awaited", ifLive: "attach" });
    const waiting = [
      hub.client.waitForCompletion("awaited"),
      hub.client.waitForCompletion("awaited", SOON),
    ].map((wait) => refusalOf(() => wait));
    await hub.client.waitForStart("awaited", SOON);
    await hub.close();
    for (const refusal of await Promise.all(waiting)) expect(refusal).toMatchObject({ code: "WaitTimeout" });
  });

  test("answers each call that was under way, or refuses it as closed", async () => {
    const hub = await TaskHub.open({ store, functions: [fine, waits] });
    const calls = Array.from({ length: 50 }, (_each, index) =>
      hub.client.startNew(fine, { instanceId: `late ${index}` }),
    );
    const closed = hub.close();
    const outcomes = await Promise.allSettled(calls);
    await closed;
    await using again = await TaskHub.connect({ store });
    const kept = outcomes.flatMap(({ status }, index) => (status === "fulfilled" ? [`late ${index}`] : []));
    const statuses = await Promise.all(kept.map((id) => again.client.getStatus(id)));
    expect(statuses.map((status) => status?.instanceId)).toEqual(kept);
    const refused = outcomes.filter((each) => each.status === "rejected");
    for (const each of refused) expect(each).toMatchObject({ reason: { code: "StoreClosed" } });
  });
});

onMemorySqliteAndPostgres("a hub that was opened beside it", [fine], (hub) => {
  test("goes on", async () => {
    expect(await (await hub().client.startNew(fine)).result(SOON)).toBe("fine");
  });
});

const imposter = Object.assign({}, fine, { name: 5 });

test.each<[what: string, functions: unknown]>([
  ["two functions of one name", [fine, orchestration("fine", async () => "another")]],
  ["two activities of one name", [activity("a", () => 1), activity("a", () => 2)]],
  ["a bare function", [async () => {}]],
  ["null", [null]],
  ["undefined", [undefined]],
  ["a text", ["fine"]],
  ["a definition without its function", [{ ...fine, [Symbol.for("tenure.function")]: undefined }]],
  ["a definition whose name is no text", [imposter]],
  ["a definition of an unknown kind", [{ ...fine, [Symbol.for("tenure.definition")]: "entity" }]],
  ["no list at all", undefined],
  ["a text for a list", "fine"],
])("a hub is not opened with %s for its functions", async (_what, functions) => {
  const open = (): unknown => misuse(TaskHub, "open", { store: "memory", functions });
  expect(await refusalOf(open)).toMatchObject({ code: "Configuration" });
});

test("the same definition may be given twice", async () => {
  await using hub = await TaskHub.open({ store: "memory", functions: [fine, fine] });
  expect(await (await hub.client.startNew(fine)).result(SOON)).toBe("fine");
});
