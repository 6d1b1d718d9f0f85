import { expect, test } from "vitest";
import { InvalidInstanceIdError, orchestration, type TaskHub } from "../../src/index.js";
import { ID_TABLE } from "./ids.js";
import { onMemorySqliteAndPostgres, refusalOf, SOON } from "./stores.js";

const accepted = ID_TABLE.filter(({ refused }) => refused === undefined).map(({ id }) => id);
const refused = ID_TABLE.flatMap(({ id, refused: rule }) => (rule === undefined ? [] : [{ id, rule }]));

/** Says who it is, and what it was told: an event that went astray shows. */
const who = orchestration("who", async (ctx) => [ctx.instanceId, await ctx.waitForExternalEvent("you")]);

/** The doors of an orchestrator, and what each says to an ID. */
const knocks = orchestration("knocks", async (ctx, ids: readonly string[]) => {
  const doors: Record<string, (id: string) => unknown> = {
    startNew: (instanceId) => ctx.startNew(who, undefined, { instanceId }),
    callSubOrchestrator: (instanceId) => ctx.callSubOrchestrator(who, undefined, { instanceId }),
    sendEvent: (instanceId) => ctx.sendEvent(instanceId, "you"),
  };
  return ids.flatMap((id) =>
    Object.entries(doors).map(([door, knock]) => {
      try {
        knock(id);
        return { door, answer: "accepted" };
      } catch (error) {
        return { door, answer: error instanceof InvalidInstanceIdError ? error.rule : String(error) };
      }
    }),
  );
});

const children = orchestration("children", async (ctx, ids: readonly string[]) => {
  const calls = ids.map((instanceId) => ctx.callSubOrchestrator(who, undefined, { instanceId }));
  for (const id of ids) ctx.sendEvent(id, "you", `for ${id}`);
  return ctx.all(calls);
});

const detached = orchestration("detached", async (ctx, ids: readonly string[]) => {
  const started = ids.map((instanceId) => ctx.startNew(who, undefined, { instanceId }));
  for (const id of ids) ctx.sendEvent(id, "you", `for ${id}`);
  return started;
});

function clientDoors({ client }: TaskHub): Record<string, (id: string) => Promise<unknown>> {
  return {
    startNew: (instanceId) => client.startNew(who, { instanceId }),
    getStatus: (id) => client.getStatus(id),
    raiseEvent: (id) => client.raiseEvent(id, "you"),
    terminate: (id) => client.terminate(id),
    suspend: (id) => client.suspend(id),
    resume: (id) => client.resume(id),
    rewind: (id) => client.rewind(id),
    restart: (id) => client.restart(id),
    purge: (id) => client.purge(id),
    getHistory: (id) => client.getHistory(id),
    listExecutions: (id) => client.listExecutions(id),
    listRefusals: (instanceId) => client.listRefusals({ instanceId }),
    waitForStart: (id) => client.waitForStart(id, SOON),
    waitForCompletion: (id) => client.waitForCompletion(id, SOON),
  };
}

test("the table has over 200 IDs, each once", () => {
  expect(ID_TABLE.length).toBeGreaterThan(200);
  expect(new Set(ID_TABLE.map(({ id }) => id)).size).toBe(ID_TABLE.length);
});

onMemorySqliteAndPostgres("instance IDs", [who, knocks, children, detached], (hub) => {
  test("that break a rule are refused by it, at each call of the client", async () => {
    for (const knock of Object.values(clientDoors(hub()))) {
      for (const { id, rule } of refused) {
        expect(await refusalOf(() => knock(id))).toMatchObject({
          code: "InvalidInstanceId",
          rule,
        });
      }
    }
  });

  test.each([[undefined], [null], [7], [7n], [Symbol("id")], [{}], [["order"]], [new String("order")]])(
    "that are no strings (%s) are refused",
    async (id) => {
      const doors = Object.entries(clientDoors(hub()));
      for (const [door, knock] of doors) {
        if (id === undefined && (door === "startNew" || door === "listRefusals")) continue; // left out: none is asked for
        const call = (): unknown => Reflect.apply(knock, undefined, [id]);
        expect(await refusalOf(call)).toMatchObject({ code: "InvalidInstanceId" });
      }
    },
  );

  test("that break a rule are refused by it, at each call of an orchestrator", async () => {
    const start = await hub().client.startNew(knocks, { input: refused.map(({ id }) => id) });
    const answers = await start.result(SOON);
    expect(answers).toEqual(
      refused.flatMap(({ rule }) =>
        ["startNew", "callSubOrchestrator", "sendEvent"].map((door) => ({ door, answer: rule })),
      ),
    );
  });

  test("that keep the rules address one instance each, from the client", async () => {
    const { client } = hub();
    const starts = await Promise.all(accepted.map((instanceId) => client.startNew(who, { instanceId })));
    await Promise.all(accepted.map((id) => client.raiseEvent(id, "you", `for ${id}`)));
    const outputs = await Promise.all(starts.map((start) => start.result(SOON)));
    expect(outputs).toEqual(accepted.map((id) => [id, `for ${id}`]));
    const statuses = await Promise.all(accepted.map((id) => client.getStatus(id)));
    expect(statuses.map((status) => status?.instanceId)).toEqual(accepted);
    expect(new Set(statuses.map((status) => status?.executionId)).size).toBe(accepted.length);
  });

  test("that keep the rules address one child each", async () => {
    const start = await hub().client.startNew(children, { input: accepted });
    expect(await start.result(SOON)).toEqual(accepted.map((id) => [id, `for ${id}`]));
  });

  test("that keep the rules address one detached instance each", async () => {
    const { client } = hub();
    await Promise.all(accepted.map((id) => client.purge(id)));
    const start = await client.startNew(detached, { input: accepted });
    expect(await start.result(SOON)).toEqual(accepted);
    for (const id of accepted) {
      // The request that starts it may not have been carried out yet.
      await expect
        .poll(() => client.getStatus(id).then((status) => status?.output), { timeout: 20_000 })
        .toEqual([id, `for ${id}`]);
    }
  });
});
