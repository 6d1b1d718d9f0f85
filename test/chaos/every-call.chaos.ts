import { expect, test } from "vitest";
import { leftIn } from "../postgres/left.js";
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
  const { killed, started, refused, again, lost, doubled } = await killAtEveryCall({
    way,
    leaseTimes,
    place: (at) => ({ url: `${server.url}?schema=${schema}`, taskHub: `killed-at-${at}` }),
  });
  printSummary({
    fault: `SIGKILL ${way} storage call 1…${killed}`,
    runs: started,
    injected: killed,
    refused,
    again,
    lost: lost.length,
    doubled: doubled.length,
    recoverMs: undefined,
    seconds: (performance.now() - began) / 1000,
    errors: "",
  });
  expect([...lost, ...doubled]).toEqual([]);
  expect(await leftIn(server.url, schema), "rows that nobody will look at again").toEqual([]);
  expect(killed, "as many as the scenario has calls of its own, at least").toBeGreaterThan(20);
});
