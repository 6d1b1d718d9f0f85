import pg from "pg";
import { expect, test } from "vitest";
import { freshSchema } from "../postgres-schema.js";
import { killAtEveryCall, type Way } from "./every-call.js";
import { OwnServer } from "./own-server.js";
import { printSummary } from "./summary.js";

/** Whoever comes next takes over at once what the killed one had. */
const leaseTimes = { leaseMs: 2000, renewMs: 100, lateMs: 150 };

test.for<Way>(["before", "after"])("killed %s each of its storage calls", async (way) => {
  await using server = await OwnServer.start();
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
  expect(await leftIn(server, schema), "messages, timers and tasks that nobody will look at again").toBe(0);
  expect(killed, "as many as the scenario has calls of its own, at least").toBeGreaterThan(20);
});

async function leftIn({ url }: OwnServer, schema: string): Promise<number> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const counts = ["message", "timer", "task", "waiter"].map(
    (table) => `(select count(*) from ${schema}.${table})`,
  );
  const { rows } = await client.query<{ left: string }>(`select ${counts.join(" + ")} as left`);
  await client.end();
  return Number(rows[0]?.left);
}
