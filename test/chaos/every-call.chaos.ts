import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freshSchema } from "../postgres-schema.js";
import { killAtEveryCall, type Way } from "./every-call.js";
import { OwnServer } from "./own-server.js";
import { printSummary } from "./summary.js";

/** Whoever comes next takes over at once what the killed one had. */
const leaseTimes = { leaseMs: 2000, renewMs: 100, lateMs: 150 };

let server: OwnServer;

beforeAll(async () => {
  server = await OwnServer.start();
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

test.for<Way>(["before", "after"])("killed %s each of its storage calls", async (way) => {
  const schema = freshSchema();
  const began = performance.now();
  const { killed, started, again, lost, doubled } = await killAtEveryCall({
    way,
    leaseTimes,
    place: (at) => ({ url: `${server.url}?schema=${schema}`, taskHub: `killed-at-${at}` }),
  });
  printSummary({
    fault: `SIGKILL ${way} storage call 1…${killed}`,
    runs: started,
    injected: killed,
    refused: 0,
    again,
    lost: lost.length,
    doubled: doubled.length,
    recoverMs: 0,
    seconds: (performance.now() - began) / 1000,
    errors: "",
  });
  expect([...lost, ...doubled]).toEqual([]);
  expect(await leftIn(schema), "messages, timers and tasks that nobody will look at again").toBe(0);
  expect(killed, "as many as the scenario has calls of its own, at least").toBeGreaterThan(20);
});

async function leftIn(schema: string): Promise<number> {
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  const counts = ["message", "timer", "task", "waiter"].map(
    (table) => `(select count(*) from ${schema}.${table})`,
  );
  const { rows } = await client.query<{ left: string }>(`select ${counts.join(" + ")} as left`);
  await client.end();
  return Number(rows[0]?.left);
}
