import { expect, test } from "vitest";
import { postgresUrl } from "../../../test/postgres-schema.js";
import { newTables } from "../../../test/postgres-tables.js";
import { startPolicy } from "../../core/start-policy.js";
import type { Refusal } from "../../core/store.js";
import { listRefusals, recordRefusals } from "./refusals.js";

test.skipIf(postgresUrl === undefined)(
  "an ID keeps 100 rows, whether they come in one batch or in many, and counts what comes after them",
  async () => {
    await using tables = await newTables();
    const { query } = tables;
    const batch = Array.from({ length: 150 }, (_, index) => refusal("order-1", index, 2));
    const ofOne = async () => listRefusals(query, 1, { instanceId: "order-1", limit: 1000 });
    await recordRefusals(query, 1, batch);
    expect((await ofOne()).map(({ atMs }) => atMs)).toEqual(
      Array.from({ length: 100 }, (_, index) => 99 - index),
    );
    expect((await ofOne())[0]).toEqual({ ...refusal("order-1", 99, 2), count: 102 });
    await recordRefusals(query, 1, [
      refusal("order-1", 200, 5),
      refusal("order-2", 201, 1),
      refusal("order-1", 202, 5),
    ]);
    expect((await ofOne())[0]).toEqual({ ...refusal("order-1", 99, 2), count: 112 });
    expect(await listRefusals(query, 1, { limit: 1 })).toEqual([refusal("order-2", 201, 1)]);
    expect(await listRefusals(query, 2, { limit: 1 })).toEqual([]);
  },
);

function refusal(instanceId: string, atMs: number, count: number): Refusal {
  return {
    instanceId,
    atMs,
    requester: "10.0.0.1 client",
    orchestrator: "Order",
    policy: startPolicy(),
    reason: "held",
    holder: {
      instanceId,
      name: "Order",
      executionId: "e",
      run: 1,
      generation: 1,
      runtimeStatus: "Running",
      sinceMs: 5,
      lastProgressMs: 6,
    },
    count,
  };
}
